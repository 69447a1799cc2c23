"""OCF resource agent that watches a node's ports, bonded or plain, and publishes how many work (rows A1, A7).

Invariant: the published attribute is the number of legs that can carry traffic, and is not defined while nobody
watches; a constraint on it keeps VIPs off a node that clients cannot reach. The agent changes nothing on the network,
so it starts wherever the configuration is right, even with every cable pulled.
"""

from _collections_abc import Mapping

from resource_agents.bonding import Bond, Legs, Port, bond_legs, parse_bond, plain_legs, setup_faults
from resource_agents.ocf.agent import (
    CONFIGURED,
    DEGRADED,
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
from resource_agents.ocf.attribute import Attribute
from resource_agents.ocf.runtime import ERROR, INFO, log
from resource_agents.ocf.system import System

PUBLISH_S = 1.0
"""The longest that publishing may hold up an action; never more than half of what the action has left."""
IFF_UP = 1


class Ports(Agent):
    name = "bond"
    short = "Watches bonded or plain ports and publishes how many work"
    long = (
        "Watches a kernel bond (bond and ports) or ports without one (bond empty), and publishes the number of legs "
        "that can carry traffic as a node attribute, for location rules that keep VIPs off a node without any. "
        "The monitor is degraded (190) when a leg is lost and fails when none is left; give it on-fail=ignore: a "
        "restart mends no cable. A bond must have at least two ports and watch their links (miimon or arp_interval). "
        "miimon sees a lost carrier only; arp_interval sees a silent loss too."
    )
    parameters = (
        Parameter(
            "bond", "bond interface",
            "The kernel bond; empty: the ports are not bonded, or joined by something that the kernel cannot show.",
            default="bond0",
        ),
        Parameter("ports", "port interfaces", "The ports by name, separated by spaces.", default="eth0 eth1"),
        Parameter(
            "attribute", "node attribute", "Under which name the number of working legs is published.",
            default="vimha-ports", unique=True,
        ),
        Parameter("min_ports", "least number of ports", "Fewer are refused.", default="2", kind="integer"),
    )  # fmt: skip
    actions = (
        Action("start", 10),
        Action("stop", 10),
        Action("monitor", 2, interval=1, depth=0),
        Action("validate-all", 5),
    )
    looks_s = 0.0

    def __init__(self, env: Mapping[str, str], action: str, deadline: Deadline, system: System) -> None:
        super().__init__(env, action, deadline, system)
        self.bond = self.values["bond"]
        self.ports = self.values["ports"].split()
        least = int(self.values["min_ports"])
        for interface in [*self.ports, *([self.bond] if self.bond else [])]:
            if not 0 < len(interface) < 16 or "/" in interface or interface in (".", ".."):
                raise OcfError(CONFIGURED, f"{interface!r} is not an interface's name (1 to 15 characters, no slash)")
        if not self.values["attribute"].replace("-", "").replace("_", "").replace(".", "").isalnum():
            raise OcfError(CONFIGURED, f"parameter attribute={self.values['attribute']!r} is not an attribute's name")
        if len(set(self.ports)) < max(least, 1):
            raise OcfError(
                CONFIGURED,
                f"parameter ports={self.values['ports']!r} names fewer than {least} different ports: "
                "one port is a single point of failure; name a second, on another plane",
            )
        self.attribute = Attribute(system, self.values["attribute"])

    def start(self) -> int:
        """Begin to watch; OcfError(INSTALLED) when this node's bond could not survive a lost leg."""
        legs, faults = self._look()
        if faults:
            raise OcfError(INSTALLED, "; ".join(faults))
        self.attribute.forget()
        trouble = self._publish(legs)
        self.reason = "; ".join([*legs.faults, *trouble])
        return OK

    def stop(self) -> int:
        """Watch no more. It succeeds even when Pacemaker's attribute daemon is away: failing would fence the node."""
        trouble = self.attribute.clear(min(PUBLISH_S, self.deadline.left() / 2))
        if trouble:
            log(self.env, self.name, ERROR, f"{self.values['attribute']} may be left behind: {trouble[0]}")
        return OK

    def monitor(self) -> int:
        """0 all legs work, 190 some, 1 none or a bond that could not survive a lost leg, 7 not watching."""
        if self.attribute.published() is None:
            return NOT_RUNNING
        legs, faults = self._look()
        trouble = self._publish(legs)
        self.reason = "; ".join([*faults, *legs.faults, *trouble])
        if self.probe:
            return DEGRADED if faults or legs.faults else OK
        if faults:
            raise OcfError(INSTALLED, self.reason)
        if not legs.usable:
            raise OcfError(GENERIC, f"no usable port: {self.reason}")
        return DEGRADED if legs.faults else OK

    def validate_all(self) -> int:
        """Level 0: the parameters (done when the agent was made); from level 10: this node's bond and ports too."""
        if self.level >= 10:
            legs, faults = self._look()
            missing = [fault for fault in legs.faults if "does not exist" in fault or "is not in" in fault]
            if faults or missing:
                raise OcfError(INSTALLED, "; ".join([*faults, *missing]))
        return OK

    def _look(self) -> tuple[Legs, list[str]]:
        """The legs as they are, and what is wrong with this node's set-up."""
        if not self.bond:
            ports = {name: self._port(name) for name in self.ports}
            absent = not any(port.exists for port in ports.values())
            return plain_legs(ports), [f"none of {', '.join(ports)} exists on this node"] if absent else []
        text = self.system.read(f"/proc/net/bonding/{self.bond}")
        if text is None:
            return Legs(0, len(self.ports), []), [self._no_bond()]
        bond: Bond = parse_bond(text)
        names = [self.bond, *self.ports, *(member.name for member in bond.members)]
        ports = {name: self._port(name) for name in names}
        # A port that is named but gone from the bond is a lost leg, not a wrong set-up: a card may die.
        gone = [name for name in self.ports if name not in {member.name for member in bond.members}]
        expected = int(self.values["min_ports"]) - len(gone)
        return bond_legs(self.bond, bond, ports), setup_faults(self.bond, bond, expected)

    def _no_bond(self) -> str:
        if self.system.read(f"/sys/class/net/{self.bond}/flags") is None:
            return f"{self.bond} does not exist on this node: create it from {' and '.join(self.ports)}"
        return f"{self.bond} is no kernel bond: set parameter bond to one, or to nothing to watch the ports alone"

    def _port(self, name: str) -> Port:
        flags = self.system.read(f"/sys/class/net/{name}/flags")
        enabled = flags is not None and bool(int(flags, 16) & IFF_UP)
        carrier = enabled and (self.system.read(f"/sys/class/net/{name}/carrier") or "").strip() == "1"
        return Port(name, exists=flags is not None, enabled=enabled, carrier=carrier)

    def _publish(self, legs: Legs) -> list[str]:
        """Publish the number of usable legs; logs a change. Why publishing failed, if it did: the next call retries."""
        before = self.attribute.published()
        trouble = self.attribute.publish(str(legs.usable), min(PUBLISH_S, self.deadline.left() / 2))
        if before != str(legs.usable):
            said = "; ".join([*legs.faults, *trouble])
            severity = ERROR if said else INFO
            log(self.env, self.name, severity, f"{legs.usable} of {legs.total} ports work{said and ': '}{said}")
        return trouble


AGENT = Ports
