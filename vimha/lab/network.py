"""A lab's networks in the kernel: namespaces, bridges, cables; pulling and restoring them.

Invariant: no interface or address of a lab is ever in the host's own namespace (both ends of a cable are made in
their places at once), and the state of every switch port follows from the `Faults` in the lab's folder.
`ip -batch` does the work: four short processes per node (20 ms), where a netlink library costs 200 ms to load alone.
"""

import fcntl
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from vimha.errors import VimhaError
from vimha.files import write_atomic
from vimha.lab.cabling import BMCS, CLIENT, OOB, SWITCHES, Cable, Cabling, Faults
from vimha.process import checked, run

NETNS = Path("/run/netns")
QUIET = ("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
"""IPv6 off: duplicate address detection and router solicitations would only add noise to what drills see."""
SEPARATE = ("net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2")
"""An interface answers for its own addresses only; planes and the out-of-band network stay apart."""


class Network:
    """The networks of one lab; `folder` keeps what is broken on purpose."""

    def __init__(self, cabling: Cabling, folder: Path) -> None:
        self.cabling = cabling
        self._state = folder / "network.json"
        self._lock = folder / "network.lock"

    def build(self) -> None:
        """Make the switches, the client and the place of the BMCs; nodes are plugged in one by one."""
        cabling = self.cabling
        switches, client, bmcs = (cabling.netns(owner) for owner in (SWITCHES, CLIENT, BMCS))
        batch([f"netns add {name}" for name in (switches, client, bmcs)])
        quieten(switches)
        batch(list(self._bridge_lines()), switches)
        self._connect(CLIENT)
        quieten(bmcs, *SEPARATE)
        batch([f"link add oob0 netns {bmcs} type veth peer name bmc netns {switches}"])
        batch([f"link set bmc master {OOB} up"], switches)
        batch(
            [
                "link set lo up",
                "link set oob0 up",
                *(f"address add {address}/32 dev oob0" for address in cabling.bmcs.values()),
                *(f"route add {network} dev oob0" for network in cabling.oob_networks),
            ],
            bmcs,
        )

    def plug(self, node: str) -> None:
        """Make `node`'s namespace with all its cables, as an unpowered chassis that is cabled up."""
        self.abandon(node)
        batch([f"link delete {cable.outer}" for cable in self.cabling.cables(node)], self._switches, force=True)
        name = self.cabling.netns(node)
        batch([f"netns add {name}"])
        self._connect(node)

    def reset_lines(self, node: str) -> list[str]:
        """What brings `node`'s interfaces from any state to the one that `plug` leaves them in."""
        flush = [f"address flush dev {cable.inner}" for cable in self.cabling.cables(node)]
        return [*flush, *self._inner_lines(node)]

    def cut(self, node: str) -> None:
        """Take the carrier from all of `node`'s cables at once: what a pulled plug does to a NIC."""
        if self._is_plugged(node):
            batch([f"link set {cable.outer} down" for cable in self.cabling.cables(node)], self._switches, force=True)

    def abandon(self, node: str) -> None:
        """Remove `node`'s namespace; nothing happens when there is none. The kernel takes the cables apart later (it
        needs 80 ms, which a power-off shall not wait for), the next `plug` takes what is left."""
        if self._is_plugged(node):
            batch([f"netns delete {self.cabling.netns(node)}"], force=True)

    @property
    def faults(self) -> Faults:
        """What is broken on purpose now."""
        if not self._state.exists():
            return Faults()
        data = json.loads(self._state.read_text())
        return Faults(
            frozenset((owner, port) for owner, port in data["ports"]),
            frozenset(data["planes"]),
            tuple(tuple(group) for group in data["groups"]),
        )

    def port(self, owner: str, port: str, *, up: bool) -> None:
        """Pull or restore the cable of one port of a node or the client (at its switch's end)."""
        if port not in (self.cabling.ports(owner) if owner in self.cabling.owners else ()):
            raise VimhaError(f"no port {port} at {owner} in lab {self.cabling.lab}")
        pulled = frozenset({(owner, port)})
        self._change(lambda now: replace(now, ports=now.ports - pulled if up else now.ports | pulled))

    def plane(self, plane: str, *, up: bool) -> None:
        """Take the power from a plane's switch, or return it."""
        if plane not in self.cabling.bridges:
            raise VimhaError(f"no plane {plane} in lab {self.cabling.lab}")
        dark = frozenset({plane})
        self._change(lambda now: replace(now, planes=now.planes - dark if up else now.planes | dark))

    def partition(self, groups: Sequence[Sequence[str]]) -> None:
        """Let the groups of nodes no longer hear each other on any plane; carriers stay, and so does the out-of-band
        network. `Cabling.sides` says where nodes and the client go that no group names."""
        sides = self.cabling.sides(groups)
        self._change(lambda now: replace(now, groups=sides))

    def heal(self) -> None:
        """Undo every port, plane and partition fault."""
        self._change(lambda _: Faults())

    def feed(self, node: str, *, up: bool) -> None:
        """Give `node`'s BMC its standby power back, or take it: a BMC without answers to nothing."""
        if node in self.cabling.bmcs:
            words = f"address {'replace' if up else 'delete'} {self.cabling.bmcs[node]}/32 dev oob0"
            batch([words], self.cabling.netns(BMCS), force=True)

    def active_port(self, owner: str) -> str:
        """The port that carries the stand-in bond's traffic now; VimhaError on a site without a bond."""
        bond = self.cabling.bond(owner)
        if bond is None:
            raise VimhaError(f"no bond at {owner} in lab {self.cabling.lab}")
        shown = checked(run(["ip", "-netns", self._switches, "-json", "link", "show", bond.outer]))
        bridge = json.loads(shown.out)[0].get("master", "")
        return next((leg.inner for leg in self.cabling.legs(owner) if leg.bridge == bridge), "")

    @property
    def _switches(self) -> str:
        return self.cabling.netns(SWITCHES)

    def _is_plugged(self, owner: str) -> bool:
        return (NETNS / self.cabling.netns(owner)).exists()

    def _bridge_lines(self) -> Iterator[str]:
        yield "link set lo up"
        for bridge in (*self.cabling.bridges.values(), OOB):
            yield f"link add {bridge} type bridge forward_delay 0 stp_state 0 mcast_snooping 0"
            yield f"link set {bridge} up"
        for left, left_port, right, right_port in self.cabling.links:
            yield f"link add {left_port} type veth peer name {right_port}"
            yield f"link set {left_port} master {left} up"
            yield f"link set {right_port} master {right} up"

    def _connect(self, owner: str) -> None:
        """Cable an owner whose namespace exists and is empty."""
        cables, name = self.cabling.cables(owner), self.cabling.netns(owner)
        quieten(name, *SEPARATE)
        batch([_veth(cable, name, self._switches) for cable in cables])
        up = self.cabling.states(self.faults)
        batch(
            [
                f"link set {cable.outer} master {cable.bridge} {'up' if up.get(cable.outer, True) else 'down'}"
                for cable in cables
            ],
            self._switches,
        )
        batch(self._inner_lines(owner), name)

    def _inner_lines(self, owner: str) -> list[str]:
        """Interfaces up, addresses and out-of-band routes, for `ip -batch` in an owner's namespace."""
        cabling = self.cabling
        lines = ["link set lo up", *(f"link set {cable.inner} up" for cable in cabling.cables(owner))]
        lines += [f"address add {address} dev {interface}" for interface, address in cabling.addresses(owner)]
        if owner != CLIENT and cabling.oob_networks:
            own = cabling.oob_address(owner)
            lines.append(f"address add {own}/32 dev oob0")
            lines += [f"route add {network} dev oob0 src {own}" for network in cabling.oob_networks]
        return lines

    def _change(self, change: Callable[[Faults], Faults]) -> None:
        """Change what is broken, one process at a time, and make the kernel follow."""
        with _locked(self._lock):
            before, faults = self.faults, change(self.faults)
            data = {"ports": sorted(faults.ports), "planes": sorted(faults.planes), "groups": faults.groups}
            write_atomic(self._state, json.dumps(data), 0o600)
            old, new = self.cabling.states(before), self.cabling.states(faults)
            gone = {
                cable.outer
                for owner in self.cabling.owners
                if not self._is_plugged(owner)
                for cable in self.cabling.cables(owner)
            }
            lines = [
                f"link set {name} {'up' if up else 'down'}"
                for name, up in new.items()
                if old[name] is not up and name not in gone
            ]
            batch(lines, self._switches)
            if before.groups != faults.groups:
                nft = ["ip", "netns", "exec", self._switches, "nft", "-f", "-"]
                checked(run(nft, stdin=self.cabling.partition_rules(faults.groups)))


def batch(lines: Sequence[str], netns: str = "", *, force: bool = False) -> None:
    """Let one `ip` do all `lines`, in `netns` or from the host's; ProcessError at the first that fails, unless
    `force`: then each is done as far as it applies."""
    if not lines:
        return
    argv = ["ip", *(["-netns", netns] if netns else []), *(["-force"] if force else []), "-batch", "-"]
    result = run(argv, stdin="\n".join(lines) + "\n")
    if not force:
        checked(result)


def quieten(netns: str, *more: str) -> None:
    """Set the lab's network sysctls in a namespace."""
    checked(run(["ip", "netns", "exec", netns, "sysctl", "--quiet", "--write", *QUIET, *more]))


def delete_all(names: Iterable[str]) -> None:
    """Remove network namespaces, and with them all interfaces inside."""
    batch([f"netns delete {name}" for name in names], force=True)


def _veth(cable: Cable, inside: str, switches: str) -> str:
    return (
        f"link add {cable.inner} netns {inside} address {cable.mac} type veth peer name {cable.outer} netns {switches}"
    )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
