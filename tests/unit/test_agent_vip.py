"""The VIP's agent: what it decides on what the kernel says, and what it sends to the kernel and to the neighbours."""

import ipaddress
import socket
import struct
from collections.abc import Callable

import pytest
from fake_host import FakeHost
from hypothesis import given
from hypothesis import strategies as st

from resource_agents.address import announce, handover, kernel
from resource_agents.address.kernel import Address, Link
from resource_agents.ocf import netlink, runtime
from resource_agents.ocf.agent import CONFIGURED, GENERIC, INSTALLED, NOT_RUNNING, OK
from resource_agents.vip import Vip

MAC = bytes.fromhex("525400123456")
ips = st.ip_addresses()
macs = st.binary(min_size=6, max_size=6)


class FakeKernel:
    """Interfaces and addresses as `kernel` tells and changes them; `told` is what happened, in order."""

    def __init__(self) -> None:
        self.links = {
            "lo": Link("lo", 1, bytes(6), up=True, loopback=True, ethernet=False),
            **{name: Link(name, number, MAC, up=True, loopback=False, ethernet=True)
               for number, name in enumerate(("eth0", "eth1"), 2)},
        }  # fmt: skip
        self.there: list[Address] = []
        self.told: list[str] = []
        self.refuses = 0

    def put(self, where: str, text: str, *, usable: bool = True) -> None:
        """The address `text` (ADDRESS/LENGTH) on `where`."""
        address = ipaddress.ip_interface(text)
        packed = address.packed
        self.there.append(Address(self.links[where].index, packed, packed, address.network.prefixlen, usable=usable))

    def show(self) -> list[str]:
        return [f"{self.name_of(each.index)} {ipaddress.ip_address(each.local)}/{each.prefix}" for each in self.there]

    def link(self, name: str) -> Link | None:
        return self.links.get(name)

    def name_of(self, index: int) -> str:
        return next((each.name for each in self.links.values() if each.index == index), "")

    def addresses(self, family: int) -> list[Address]:
        length = 4 if family == socket.AF_INET else 16
        return [each for each in self.there if len(each.local) == length]

    def add(self, link: Link, local: bytes, prefix: int) -> None:
        self._change()
        self.told.append(f"add {link.name}/{prefix}")
        self.there.append(Address(link.index, local, local, prefix, usable=True))

    def remove(self, address: Address) -> None:
        self._change()
        self.told.append(f"remove {self.name_of(address.index)}/{address.prefix}")
        self.there.remove(address)

    def _change(self) -> None:
        if self.refuses:
            raise OSError(self.refuses, "Permission denied")

    def begin(self, system: object, resource: str, link: Link, local: bytes) -> None:
        self.told.append(f"announce {link.name}")

    def end(self, system: object, resource: str) -> None:
        self.told.append("silence")

    def hand_over(self, system: object, link: Link, local: bytes) -> None:
        self._change()
        self.told.append(f"hand over {link.name}")


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    """A node with 10.0.0.1/24 and fd00::1/64 on eth0, 10.1.0.1/16 on eth1."""
    fake = FakeKernel()
    for name in ("link", "name_of", "addresses", "add", "remove"):
        monkeypatch.setattr(kernel, name, getattr(fake, name))
    for name in ("begin", "end"):
        monkeypatch.setattr(announce, name, getattr(fake, name))
    monkeypatch.setattr(handover, "begin", fake.hand_over)
    for where, text in (
        ("lo", "127.0.0.1/8"),
        ("eth0", "10.0.0.1/24"),
        ("eth1", "10.1.0.1/16"),
        ("eth0", "fd00::1/64"),
    ):
        fake.put(where, text)
    return fake


@pytest.fixture
def act(node: FakeKernel, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[int, str]]:
    host = FakeHost(tmp_path_factory.mktemp("host"))

    def run(action: str, interval: str = "1000", level: str = "0", **parameters: str) -> tuple[int, str]:
        given = {"ip": "10.0.0.100", **parameters}
        env = {f"OCF_RESKEY_{name}": value for name, value in given.items()}
        env |= {"OCF_RESKEY_CRM_meta_interval": interval, "OCF_CHECK_LEVEL": level}
        return runtime.invoke(Vip, action, env, host)

    return run


Act = Callable[..., tuple[int, str]]


def test_a_life(node: FakeKernel, act: Act) -> None:
    assert act("monitor", "0") == (NOT_RUNNING, "10.0.0.100 is on no interface")
    assert act("start") == (OK, "")
    assert node.told == ["silence", "add eth0/24", "announce eth0"]
    assert act("monitor") == act("monitor", "0") == (OK, "")
    node.told.clear()
    assert act("start") == (OK, "")
    assert node.told == ["silence", "announce eth0"], "there already: announced again"
    node.told.clear()
    assert act("stop") == (OK, "")
    assert node.told == ["silence", "hand over eth0", "remove eth0/24"], "nothing announces it any more when it goes"
    assert act("stop") == (OK, "")
    assert act("monitor")[0] == NOT_RUNNING


@pytest.mark.parametrize(
    ("parameters", "added"),
    [({}, "eth0/24"), ({"ip": "10.1.9.9"}, "eth1/16"), ({"ip": "10.1.9.9", "cidr_netmask": "32"}, "eth1/32"),
     ({"ip": "192.0.2.1", "nic": "eth1", "cidr_netmask": "28"}, "eth1/28"), ({"nic": "eth0"}, "eth0/24"),
     ({"ip": "fd00::100"}, "eth0/64"), ({"ip": "127.0.0.9"}, "lo/8")],
)  # fmt: skip
def test_where_the_address_comes_and_with_which_prefix(
    node: FakeKernel, act: Act, parameters: dict[str, str], added: str
) -> None:
    assert act("start", **parameters) == (OK, "")
    assert f"add {added}" in node.told
    assert act("monitor", **parameters) == (OK, "")


def test_of_two_networks_the_smaller_counts(node: FakeKernel, act: Act) -> None:
    node.put("eth1", "10.0.0.66/26")
    assert act("start", ip="10.0.0.70")[0] == OK
    assert "add eth1/26" in node.told


def test_the_address_elsewhere_on_the_node_is_told_and_start_and_stop_take_it_off(node: FakeKernel, act: Act) -> None:
    node.put("eth1", "10.0.0.100/24")
    node.put("eth0", "10.0.0.100/32")
    code, reason = act("monitor", "0", nic="eth0")
    assert (code, reason) == (GENERIC, "10.0.0.100 is on eth1, and only eth0 should have it")
    assert act("start", nic="eth0")[0] == OK
    assert node.told == ["silence", "remove eth1/24", "remove eth0/32", "add eth0/24", "announce eth0"]
    node.put("eth1", "10.0.0.100/24")
    assert act("stop", nic="eth7") == (OK, ""), "whatever the parameters are by now"
    assert not [each for each in node.show() if "10.0.0.100" in each]


def test_loopback_is_no_holding_and_is_left_alone(node: FakeKernel, act: Act) -> None:
    node.put("lo", "10.0.0.100/32")
    assert act("monitor", "0")[0] == NOT_RUNNING
    assert act("start")[0] == OK
    assert act("monitor") == (OK, "")
    assert act("stop")[0] == OK
    assert "lo 10.0.0.100/32" in node.show()


def test_an_address_whose_uniqueness_is_in_doubt_is_not_there(node: FakeKernel, act: Act) -> None:
    node.put("eth0", "fd00::100/64", usable=False)
    assert act("monitor", ip="fd00::100")[0] == NOT_RUNNING
    assert act("start", ip="fd00::100")[0] == OK
    assert node.told == ["silence", "remove eth0/64", "add eth0/64", "announce eth0"]
    assert act("monitor", ip="fd00::100") == (OK, "")


def test_an_interface_that_is_missing_or_down_is_told_with_the_remedy(node: FakeKernel, act: Act) -> None:
    assert act("start", nic="eth7") == (INSTALLED, "eth7 does not exist on this node: create it, or set parameter nic")
    act("start")
    node.links["eth0"].up = False
    down = (GENERIC, "eth0 is administratively down: ip link set eth0 up")
    assert act("monitor") == act("start") == down
    assert act("stop")[0] == OK
    code, reason = act("start", ip="172.16.0.1")
    assert code == GENERIC
    assert reason == "no interface has an address in 172.16.0.1's network: give it one, or set parameter nic"


def test_what_the_kernel_refuses_is_told(node: FakeKernel, act: Act) -> None:
    node.refuses = 13
    assert act("start") == (GENERIC, "10.0.0.100 cannot be added to eth0: Permission denied")
    node.put("eth0", "10.0.0.100/24")
    assert act("stop") == (GENERIC, "10.0.0.100 cannot be removed from eth0: Permission denied")


def test_an_address_that_comes_back_at_once_is_no_stop(
    node: FakeKernel, act: Act, monkeypatch: pytest.MonkeyPatch
) -> None:
    act("start")
    monkeypatch.setattr(kernel, "remove", lambda address: None)
    assert act("stop") == (GENERIC, "10.0.0.100 is still on eth0: somebody adds it again")


def test_a_failed_announcement_fails_no_start(node: FakeKernel, act: Act, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(announce, "begin", refuse)
    assert act("start") == (OK, "10.0.0.100 is not announced as it should be: Operation not permitted")


@pytest.mark.parametrize(
    "wrong",
    [{"ip": ""}, {"ip": "10.0.0"}, {"ip": "name"}, {"ip": "10.0.0.256"}, {"ip": "fd00::1::2"}, {"ip": "10.0.0.1/24"},
     {"nic": "a/b"}, {"nic": "eth0:1"}, {"nic": "e" * 16}, {"nic": ".."}, {"ip": "fe80::1"}, {"cidr_netmask": "33"},
     {"cidr_netmask": "0"}, {"cidr_netmask": "255.255.255.0"}, {"ip": "fd00::1", "cidr_netmask": "129"}],
)  # fmt: skip
def test_parameters_that_are_wrong_everywhere(node: FakeKernel, act: Act, wrong: dict[str, str]) -> None:
    assert act("validate-all", **wrong)[0] == CONFIGURED
    assert act("start", **wrong)[0] == CONFIGURED
    assert act("stop", **wrong)[0] == OK
    assert act("monitor", "0", **wrong)[0] == NOT_RUNNING
    assert node.told == []


def test_validate_all_looks_at_the_host_only_when_asked(node: FakeKernel, act: Act) -> None:
    assert act("validate-all", nic="eth7")[0] == OK
    assert act("validate-all", level="10", nic="eth7")[0] == INSTALLED
    assert act("validate-all", level="10", nic="eth0")[0] == OK


@given(ips, st.data(), st.integers(1, 99))
def test_what_adds_an_address_is_read_as_that_address(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address, data: st.DataObject, index: int
) -> None:
    prefix = data.draw(st.integers(1, ip.max_prefixlen))
    link = Link("eth0", index, MAC, up=True, loopback=False, ethernet=True)
    body = kernel.message(link, ip.packed, prefix)
    found = kernel.parse_address(body)
    assert found is not None
    assert (found.index, found.local, found.prefix, found.usable) == (index, ip.packed, prefix, True)
    network = ipaddress.ip_network(f"{ip}/{prefix}", strict=False)
    raw = netlink.attributes(body[kernel.ADDRESS.size :]).get(kernel.IFA_BROADCAST)
    assert raw == (network.broadcast_address.packed if ip.version == 4 and prefix < 31 else None)
    other = data.draw(st.ip_addresses(v=ip.version) | st.ip_addresses(network=network))
    assert found.spans(other.packed) == (other in network)


@given(st.binary(max_size=80))
def test_whatever_the_kernel_says_is_read(data: bytes) -> None:
    kernel.parse_address(data)
    kernel.parse_link(data)
    for kind, body in netlink.messages(data):
        if len(body) >= 4:
            netlink.failure(kind, body)


@given(st.lists(st.tuples(st.integers(1, 0x3FFF), st.binary(max_size=40)), max_size=5, unique_by=lambda each: each[0]))
def test_attributes_are_read_as_they_were_written(pairs: list[tuple[int, bytes]]) -> None:
    data = b"".join(netlink.attribute(kind, value) for kind, value in pairs)
    assert netlink.attributes(data) == dict(pairs)
    message = netlink.request(20, netlink.ACK, data)
    assert netlink.messages(message + message) == [(20, data), (20, data)]


def test_netlink_messages_that_are_none_are_none() -> None:
    assert netlink.messages(b"\x01" * 10) == []
    assert netlink.messages(bytes(16)) == []


@given(st.ip_addresses(v=4), macs)
def test_ipv4_is_announced_as_request_and_reply(ip: ipaddress.IPv4Address, mac: bytes) -> None:
    operations = []
    for frame in announce.frames(mac, ip.packed):
        assert (frame[:6], frame[6:12], frame[12:14]) == (b"\xff" * 6, mac, b"\x08\x06")
        hardware, protocol, mac_len, ip_len, operation = struct.unpack_from("!HHBBH", frame, 14)
        assert (hardware, protocol, mac_len, ip_len, len(frame)) == (1, 0x0800, 6, 4, 42)
        assert (frame[22:28], frame[28:32], frame[38:42]) == (mac, ip.packed, ip.packed)
        operations.append(operation)
    assert operations == [1, 2]


@given(st.ip_addresses(v=6), macs)
def test_ipv6_is_announced_by_an_advertisement_that_overrides(ip: ipaddress.IPv6Address, mac: bytes) -> None:
    (frame,) = announce.frames(mac, ip.packed)
    assert (frame[:6], frame[6:14]) == (bytes.fromhex("333300000001"), mac + b"\x86\xdd")
    length, following, hops = struct.unpack_from("!HBB", frame, 18)
    assert (length, following, hops, frame[22:38]) == (len(frame) - 54, 58, 255, ip.packed)
    message = frame[54:]
    assert (message[0], message[4] & 0x20, message[8:24], message[24:]) == (136, 0x20, ip.packed, b"\x02\x01" + mac)
    pseudo = frame[22:54] + struct.pack("!II", length, 58)
    assert announce.internet_checksum(pseudo + message) == 0
