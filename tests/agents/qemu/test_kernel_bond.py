"""The bond agent on a real kernel's bonds: carrier loss, silent loss, bonds that watch nothing, and LACP."""

import re
import time
from collections.abc import Iterator

import pytest
from bond_guest import GATEWAY, Guest
from initramfs import build, kernel

pytestmark = [pytest.mark.qemu, pytest.mark.usefixtures("root_user")]

AGENT = "/usr/lib/ocf/resource.d/vimha/bond"
IP = "/bin/ip"
"""iproute2's; the bare name would be the shell's own applet, which makes no veth."""


@pytest.fixture(scope="module")
def guest(root_user: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    folder = tmp_path_factory.mktemp("qemu")
    image = kernel()
    (folder / "root").mkdir()
    build(image, folder / "root", folder / "initramfs.gz")
    guest = Guest(image, folder / "initramfs.gz", folder)
    try:
        guest.open()
        yield guest
    finally:
        guest.close()


def make_bond(guest: Guest, name: str, ports: str, **options: str) -> None:
    """A bond over `ports`, its options set by sysfs in the order given."""
    at = f"/sys/class/net/{name}/bonding"
    words = [f"echo +{name} > /sys/class/net/bonding_masters"]
    words += [f"echo {value} > {at}/{option}" for option, value in options.items()]
    words += [f"ip link set {port} down; echo +{port} > {at}/slaves" for port in ports.split()]
    said = guest.sh(f"{{ {' && '.join(words)} && ip link set {name} up; }} 2>&1")
    assert said.code == 0, said.text


def remove_bond(guest: Guest, name: str) -> None:
    guest.sh(f"echo -{name} > /sys/class/net/bonding_masters; rm -f /run/attrd.log /run/resource-agents/*")


def act(guest: Guest, action: str, **parameters: str) -> tuple[int, str]:
    env = {"CRM_meta_interval": "60000", "CRM_meta_timeout": "20000", **parameters}
    said = guest.sh(" ".join(f"OCF_RESKEY_{name}='{value}'" for name, value in env.items()) + f" {AGENT} {action}")
    return said.code, said.text.strip().removeprefix("ocf-exit-reason:")


def until(guest: Guest, code: int, seconds: float = 8.0, **parameters: str) -> str:
    """Ask the monitor until it answers `code`; its reason."""
    end = time.monotonic() + seconds
    while (answer := act(guest, "monitor", **parameters))[0] != code:
        assert time.monotonic() < end, f"{answer} is no {code}: {guest.sh('cat /proc/net/bonding/*').text}"
    return answer[1]


def published(guest: Guest) -> list[str]:
    """What was said to the cluster so far."""
    return re.findall(r"--name vimha-ports --(\S+ ?\d*)", guest.sh("cat /run/attrd.log").text)


@pytest.fixture
def miimon(guest: Guest) -> Iterator[None]:
    make_bond(guest, "bond0", "eth0 eth1", mode="active-backup", miimon="100")
    yield
    for port in (0, 1):
        guest.carrier(port, True)
        guest.silence(port, False)
    remove_bond(guest, "bond0")


@pytest.mark.usefixtures("miimon")
def test_carrier_is_lost_leg_by_leg(guest: Guest) -> None:
    assert act(guest, "monitor", CRM_meta_interval="0") == (7, "")
    assert act(guest, "start") == (0, "")
    until(guest, 0)
    guest.carrier(0, False)
    assert "eth0 has no carrier" in until(guest, 190)
    guest.carrier(1, False)
    assert until(guest, 1).startswith("no usable port: ")
    assert act(guest, "start")[0] == 0, "a right configuration starts with every cable pulled"
    guest.carrier(0, True)
    guest.carrier(1, True)
    until(guest, 0)
    assert act(guest, "stop")[0] == 0
    seen = published(guest)
    firsts = [seen.index(f"update {legs}") for legs in (2, 1, 0)]
    assert firsts == sorted(firsts), seen
    assert seen[-2:] == ["update 2", "delete"], seen


@pytest.mark.usefixtures("miimon")
def test_miimon_never_sees_a_silent_loss(guest: Guest) -> None:
    """Why the site's reference recommends arp_interval where a switch may die with its lights on."""
    act(guest, "start")
    guest.silence(0, True)
    time.sleep(1)
    assert act(guest, "monitor") == (0, "")


def test_arp_interval_sees_a_silent_loss(guest: Guest) -> None:
    make_bond(guest, "bond0", "eth0 eth1", mode="active-backup", arp_interval="100", arp_ip_target=f"+{GATEWAY}")
    guest.sh("ip addr add 10.77.0.60/24 dev bond0")
    try:
        act(guest, "start")
        until(guest, 0)
        guest.silence(0, True)
        assert "eth0 is down for bond0's link monitor" in until(guest, 190)
        guest.silence(0, False)
        until(guest, 0)
    finally:
        guest.silence(0, False)
        remove_bond(guest, "bond0")


def test_a_bond_that_watches_nothing_is_refused(guest: Guest) -> None:
    make_bond(guest, "bond0", "eth0 eth1", mode="active-backup", miimon="0")
    code, reason = act(guest, "start")
    assert code == 5
    assert "ip link set bond0 type bond miimon 100" in reason
    assert act(guest, "monitor", CRM_meta_interval="0")[0] == 7
    remove_bond(guest, "bond0")


def test_one_port_is_no_bond(guest: Guest) -> None:
    make_bond(guest, "bond0", "eth0", mode="active-backup", miimon="100")
    code, reason = act(guest, "start", ports="eth0")
    assert (code, "names fewer than 2" in reason) == (6, True)
    assert act(guest, "start")[0] == 0, "eth1 is named but not in it: a lost leg"
    assert "eth1 is" in until(guest, 190)
    remove_bond(guest, "bond0")


def test_lacp(guest: Guest) -> None:
    """A bond whose partner is another bond, the switch, over two veth cables."""
    cables = " && ".join(f"{IP} link add p{n} type veth peer name s{n} && ip link set s{n} up" for n in (0, 1))
    assert guest.sh(cables).code == 0
    fast = {"mode": "802.3ad", "miimon": "100", "lacp_rate": "fast"}
    make_bond(guest, "switch", "s0 s1", **fast)
    make_bond(guest, "bond0", "p0 p1", **fast)
    try:
        act(guest, "start", ports="p0 p1")
        until(guest, 0, 20, ports="p0 p1")
        guest.sh("echo -s1 > /sys/class/net/switch/bonding/slaves; ip link set s1 up")
        reason = until(guest, 190, 20, ports="p0 p1")
        assert "p1 " in reason
        guest.sh("echo -s0 > /sys/class/net/switch/bonding/slaves; ip link set s0 up")
        end = time.monotonic() + 20
        while "bond0 has no LACP partner" not in (reason := act(guest, "monitor", ports="p0 p1")[1]):
            assert time.monotonic() < end, reason
    finally:
        remove_bond(guest, "bond0")
        remove_bond(guest, "switch")
