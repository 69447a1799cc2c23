"""What the kernel says of a bond or a plain port, and how many of its legs can carry traffic.

Invariant: a leg counts only when every source agrees that it works; a bond that could not notice a lost leg is told
apart from one that has lost it. Pure functions over the text of /proc/net/bonding/BOND and /sys/class/net; the format
is bond_info_seq_show() and bond_info_show_slave() of the kernel's drivers/net/bonding/bond_procfs.c.
"""

from _collections_abc import Mapping, Sequence

NOBODY = ("", "00:00:00:00:00:00")
"""A LACP partner that never spoke."""


class Member:
    """A port of a bond: `up` is what the bond's own link monitor (miimon or ARP) holds of it."""

    __slots__ = ("aggregator", "name", "partner", "up")

    def __init__(self, name: str) -> None:
        self.name = name
        self.up = False
        self.aggregator = ""
        self.partner = ""


class Bond:
    """A bond's state; times in milliseconds, 0 for a monitor that is off."""

    __slots__ = ("active", "aggregator", "arp_interval", "arp_targets", "members", "miimon", "mode", "partner")

    def __init__(self) -> None:
        self.mode = ""
        self.miimon = 0
        self.arp_interval = 0
        self.arp_targets = ""
        self.active = ""
        self.aggregator = ""
        self.partner = ""
        self.members: list[Member] = []

    @property
    def lacp(self) -> bool:
        return "802.3ad" in self.mode

    @property
    def active_backup(self) -> bool:
        return "active-backup" in self.mode


class Port:
    """A network interface: whether it exists, is administratively up, and has carrier."""

    __slots__ = ("carrier", "enabled", "exists", "name")

    def __init__(self, name: str, *, exists: bool, enabled: bool, carrier: bool) -> None:
        self.name = name
        self.exists = exists
        self.enabled = enabled
        self.carrier = carrier


class Legs:
    """The verdict: `usable` of `total` legs; `faults` says what is wrong with the others."""

    __slots__ = ("faults", "total", "usable")

    def __init__(self, usable: int, total: int, faults: Sequence[str]) -> None:
        self.usable = usable
        self.total = total
        self.faults = tuple(faults)


def parse_bond(text: str) -> Bond:
    """/proc/net/bonding/BOND as a Bond. Unknown lines are passed over: kernels add some."""
    bond = Bond()
    member: Member | None = None
    section = ""
    for line in text.splitlines():
        key, _, value = line.strip().partition(":")
        value = value.strip()
        if key == "Slave Interface":
            member = Member(value)
            bond.members.append(member)
        elif key.startswith("details "):
            section = key
        elif member is None:
            _bond_line(bond, key, value)
        elif key == "MII Status":
            member.up = value == "up"
        elif key == "Aggregator ID":
            member.aggregator = value
        elif key == "system mac address" and "partner" in section:
            member.partner = value
    return bond


def _bond_line(bond: Bond, key: str, value: str) -> None:
    if key == "Bonding Mode":
        bond.mode = value
    elif key == "MII Polling Interval (ms)":
        bond.miimon = _number(value)
    elif key == "ARP Polling Interval (ms)":
        bond.arp_interval = _number(value)
    elif key.startswith(("ARP IP target", "NS IPv6 target")):
        bond.arp_targets += value
    elif key == "Currently Active Slave":
        bond.active = "" if value == "None" else value
    elif key == "Aggregator ID":
        bond.aggregator = value
    elif key == "Partner Mac Address":
        bond.partner = value


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() else 0


def setup_faults(name: str, bond: Bond, expected: int) -> list[str]:
    """Why bond `name` would not survive a lost leg, however well it works now; each with its remedy."""
    faults = []
    if not bond.miimon and not bond.arp_interval:
        faults.append(
            f"{name} watches no links (miimon 0 and arp_interval 0), so it never leaves a dead port: "
            f"ip link set {name} type bond miimon 100, and make it permanent"
        )
    elif bond.arp_interval and not bond.miimon and not bond.arp_targets:
        faults.append(
            f"{name} has arp_interval {bond.arp_interval} but no arp_ip_target to ask: "
            f"ip link set {name} type bond arp_ip_target ADDRESS, and make it permanent"
        )
    if len(bond.members) < expected:
        has = ", ".join(member.name for member in bond.members) or "none"
        faults.append(
            f"{name} has {len(bond.members)} of at least {expected} ports ({has}): ip link set PORT master {name}"
        )
    return faults


def bond_legs(name: str, bond: Bond, ports: Mapping[str, Port]) -> Legs:
    """The legs of bond `name`. `ports` holds the bond itself, every port that should be in it and every member."""
    members = {member.name: member for member in bond.members}
    wanted = [*members, *(port for port in ports if port not in members and port != name)]
    faults = []
    if not ports[name].enabled:
        return Legs(0, len(wanted), [f"{name} is administratively down: ip link set {name} up"])
    if bond.lacp and bond.partner in NOBODY:
        faults.append(f"{name} has no LACP partner: set the switch's ports to LACP, in one group")
    usable = 0
    for port in wanted:
        fault = _member_fault(name, bond, members.get(port), ports[port])
        usable += not fault
        faults += [fault] if fault else []
    if usable and bond.active_backup and not bond.active:
        return Legs(0, len(wanted), [*faults, f"{name} has no active port"])
    return Legs(usable, len(wanted), faults)


def _member_fault(name: str, bond: Bond, member: Member | None, port: Port) -> str:
    fault = port_fault(port)
    if fault:
        return fault
    if member is None:
        return f"{port.name} is not in {name}: ip link set {port.name} master {name}"
    if not member.up:
        return f"{port.name} is down for {name}'s link monitor"
    if bond.lacp and member.aggregator != bond.aggregator:
        return (
            f"{port.name} is in aggregator {member.aggregator}, traffic is on {bond.aggregator}: cable it to its group"
        )
    if bond.lacp and bond.partner not in NOBODY and member.partner in NOBODY and member.partner:
        return f"{port.name} has no LACP partner"
    return ""


def port_fault(port: Port) -> str:
    """What keeps an interface from carrying traffic; empty when nothing does."""
    if not port.exists:
        return f"{port.name} does not exist on this node"
    if not port.enabled:
        return f"{port.name} is administratively down: ip link set {port.name} up"
    return "" if port.carrier else f"{port.name} has no carrier"


def plain_legs(ports: Mapping[str, Port]) -> Legs:
    """The legs of ports that no kernel bond joins."""
    faults = [fault for port in ports.values() if (fault := port_fault(port))]
    return Legs(len(ports) - len(faults), len(ports), faults)
