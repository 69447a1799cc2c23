"""OCF resource agent for a VIP: an address that moves between nodes (rows A1, A4).

Invariant: after a stop no interface of this node has the address and nothing here announces it, whatever the
parameters say by now; after a start one interface has it, the wanted one. So the node that takes over is the only
holder. The address on loopback is no holding (direct routing puts it on real servers), unless loopback is wanted.
"""

import _socket
from _collections_abc import Callable, Mapping

from resource_agents.address import kernel
from resource_agents.address.kernel import Address, Link
from resource_agents.ocf.agent import (
    CONFIGURED,
    GENERIC,
    INSTALLED,
    NOT_RUNNING,
    OK,
    Action,
    Agent,
    Deadline,
    OcfError,
    Parameter,
)
from resource_agents.ocf.runtime import INFO, log
from resource_agents.ocf.system import System

LOOPBACK = 1
"""The kernel's number for lo, in every network namespace (LOOPBACK_IFINDEX)."""


class Vip(Agent):
    name = "vip"
    short = "Holds an IPv4 or IPv6 address and tells the neighbours"
    long = (
        "Adds the address to an interface, announces it (gratuitous ARP as request and reply, or an IPv6 neighbour "
        "advertisement) before start returns and 4 times more at 200 ms, and removes it. Parameters have the names "
        "that they have for ocf:heartbeat:IPaddr2. The monitor sees whether the address is there and its interface "
        "enabled; whether anyone can reach it is for a watcher of ports (ocf:vimha:bond) to tell. Start and stop also "
        "remove the address from every other interface but loopback. Nobody is asked first whether he has the address: "
        "the cluster has fenced the last holder. It is announced on Ethernet, and on bonds and VLANs of it, only. "
        "Clients that are connected over IPv4 when it is given up are made to notice as soon as another node announces "
        "it (by CTDB's tickle ACK): one that waits for an answer sends nothing, and would never learn it."
    )
    parameters = (
        Parameter("ip", "the address", "IPv4 or IPv6 address, such as 192.0.2.10.", required=True, unique=True),
        Parameter(
            "nic", "interface",
            "Which interface is to have it; empty: the one that has an address in the same network.",
        ),
        Parameter(
            "cidr_netmask", "length of the prefix",
            "Bits of the network's prefix, such as 24; empty: as the interface's own address in the same network has.",
        ),
    )  # fmt: skip
    actions = (
        Action("start", 20),
        Action("stop", 20),
        Action("monitor", 10, interval=2, depth=0),
        Action("validate-all", 5),
    )
    looks_s = 0.0

    def __init__(self, env: Mapping[str, str], action: str, deadline: Deadline, system: System) -> None:
        super().__init__(env, action, deadline, system)
        self.ip, self.nic = self.values["ip"], self.values["nic"]
        self.family = _socket.AF_INET6 if ":" in self.ip else _socket.AF_INET
        try:
            self.local = _socket.inet_pton(self.family, self.ip)
        except (OSError, ValueError):
            raise OcfError(CONFIGURED, f"parameter ip={self.ip!r} is neither an IPv4 nor an IPv6 address") from None
        if self.nic and (len(self.nic.encode()) > 15 or set(self.nic) & set("/: ") or self.nic in (".", "..")):
            raise OcfError(CONFIGURED, f"parameter nic={self.nic!r} is not an interface's name (labels are not known)")
        if not self.nic and self.local[0] == 0xFE and self.local[1] & 0xC0 == 0x80:
            raise OcfError(CONFIGURED, f"{self.ip} is link-local, on every interface another: set parameter nic")
        self.prefix = self._prefix(self.values["cidr_netmask"])

    def _prefix(self, text: str) -> int:
        """The prefix's length; 0 when none is given."""
        most = 8 * len(self.local)
        if text and not (text.isascii() and text.isdecimal() and 0 < int(text) <= most):
            raise OcfError(CONFIGURED, f"parameter cidr_netmask={text!r} is not a number from 1 to {most}")
        return int(text or 0)

    def start(self) -> int:
        """Hold the address and announce it, whatever was before; OcfError when this node cannot.

        A failed announcement fails nothing: the address serves those who ask for it.
        """
        from resource_agents.address import announce

        every = kernel.addresses(self.family)
        link, prefix = self._place(every)
        announce.end(self.system, self.instance)
        held = self._held(every)
        there = [each for each in held if (each.index, each.prefix) == (link.index, prefix) and each.usable]
        self._remove([each for each in held if each not in there])
        if not there:
            self._change(f"be added to {link.name}", kernel.add, link, self.local, prefix)
        if link.ethernet:
            try:
                announce.begin(self.system, self.instance, link, self.local)
            except OSError as error:
                self.reason = f"{self.ip} is not announced as it should be: {error.strerror}"
        return OK

    def stop(self) -> int:
        """Give the address up; OcfError(GENERIC) when the node has it still."""
        from resource_agents.address import announce

        announce.end(self.system, self.instance)
        held = self._held(kernel.addresses(self.family))
        self._prepare_clients(held)
        self._remove(held)
        if left := self._held(kernel.addresses(self.family)):
            raise OcfError(GENERIC, f"{self.ip} is still on {kernel.name_of(left[0].index)}: somebody adds it again")
        return OK

    def monitor(self) -> int:
        """0 it is there, 7 it is not; 1: it is, but its interface is disabled, or it is on another one too."""
        held = self._held(kernel.addresses(self.family))
        if not any(each.usable for each in held):
            self.reason = (
                f"{self.ip} is on no interface" if not held else f"{self.ip} is tentative, or another host's too"
            )
            return NOT_RUNNING
        names = [kernel.name_of(each.index) for each in held]
        wanted = self.nic or names[0]
        if wrong := [name for name in names if name != wanted]:
            raise OcfError(GENERIC, f"{self.ip} is on {', '.join(wrong)}, and only {wanted} should have it")
        link = kernel.link(wanted)
        if link is None or not link.up:
            raise OcfError(GENERIC, self._disabled(wanted))
        return OK

    def validate_all(self) -> int:
        """Level 0: the parameters (done when the agent was made); from level 10: this node's interface too."""
        if self.level >= 10:
            self._place(kernel.addresses(self.family))
        return OK

    def _held(self, every: list[Address]) -> list[Address]:
        """Where the address is; not on loopback, unless that is where it should be."""
        loopback = self.nic == "lo" or (self.family == _socket.AF_INET and self.local[0] == 127)
        return [each for each in every if each.local == self.local and (each.index != LOOPBACK or loopback)]

    def _place(self, every: list[Address]) -> tuple[Link, int]:
        """The interface that is to have the address, and the prefix's length there.

        OcfError(INSTALLED): there is no such interface on this node; OcfError(GENERIC): it is disabled, or none has an
        address in the same network.
        """
        link = kernel.link(self.nic) if self.nic else None
        if self.nic and link is None:
            raise OcfError(INSTALLED, f"{self.nic} does not exist on this node: create it, or set parameter nic")
        prefix = self.prefix
        if link is None or not prefix:
            near = self._nearest([each for each in every if link is None or each.index == link.index])
            prefix = prefix or near.prefix
            link = link or kernel.link(kernel.name_of(near.index))
        if link is None or not link.up:
            raise OcfError(GENERIC, self._disabled(link.name if link else "the interface"))
        return link, prefix

    def _nearest(self, every: list[Address]) -> Address:
        """The other address with the smallest network that this one is in; OcfError(GENERIC) when there is none."""
        near = [each for each in every if each.local != self.local and each.spans(self.local)]
        if near:
            return max(near, key=lambda each: each.prefix)
        where, remedy = (self.nic, "cidr_netmask") if self.nic else ("no interface", "nic")
        what = "no address" if self.nic else "an address"
        raise OcfError(GENERIC, f"{where} has {what} in {self.ip}'s network: give it one, or set parameter {remedy}")

    def _disabled(self, name: str) -> str:
        return f"{name} is administratively down: ip link set {name} up"

    def _prepare_clients(self, held: list[Address]) -> None:
        """Have the address's clients told when another node has it. IPv4 on Ethernet only; a failure fails nothing."""
        from resource_agents.address import handover

        link = kernel.link(kernel.name_of(held[0].index)) if held else None
        if link and link.ethernet and self.family == _socket.AF_INET:
            try:
                handover.begin(self.system, link, self.local)
            except OSError as error:
                self.reason = f"clients of {self.ip} will not be told that it moves: {error.strerror}"

    def _remove(self, held: list[Address]) -> None:
        for each in held:
            name = kernel.name_of(each.index)
            self._change(f"be removed from {name}", kernel.remove, each)
            if self.action == "start":
                log(self.env, self.name, INFO, f"{self.ip}/{each.prefix} was on {name} already: removed")

    def _change(self, what: str, change: Callable[..., None], *arguments: object) -> None:
        """Make the kernel `change` something; OcfError(GENERIC) when it refuses."""
        try:
            change(*arguments)
        except OSError as error:
            raise OcfError(GENERIC, f"{self.ip} cannot {what}: {error.strerror}") from error


AGENT = Vip
