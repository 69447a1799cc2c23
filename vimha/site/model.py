"""The model of site.yaml: what an operator declares, and nothing that can be computed from it.

Invariant: a `Site` is immutable and complete (defaults filled in); rooms above never ask "was it given?".
Rules that need more than one field are findings (vimha/site/rules.py), not validators, so that an operator sees
all of them at once.
"""

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

from pydantic import BaseModel, ConfigDict

from vimha.site.scalars import (
    Cipher,
    Count,
    CountOrNone,
    FilePath,
    Interface,
    Megabytes,
    Name,
    Port,
    PortOrNone,
    Rack,
    Uri,
    User,
)
from vimha.site.units import Milliseconds


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Scale(StrEnum):
    """The profile: `small` is active-standby (A4), `large` is all-active behind spread VIPs (A5, A6)."""

    SMALL = "small"
    LARGE = "large"


class Policy(StrEnum):
    """How a stateless service is made redundant (A2, A4, A6).

    active-standby: one instance, in the group with the VIP (in large, with its VIP); a failover pays its start.
    warm-standby: an instance on every full node; traffic goes to the VIP's node, the others are haproxy backups.
    all-active: an instance on every full node; traffic goes to all of them.
    """

    ACTIVE_STANDBY = "active-standby"
    WARM_STANDBY = "warm-standby"
    ALL_ACTIVE = "all-active"


class Spares(Model):
    """N+M redundancy (A5): `active` nodes of active + spare do the work. When one of them is lost, a spare takes over
    its part; the lost one, when it returns, is a spare itself, and nothing moves back.
    """

    active: Count
    """How many nodes work at once: N."""
    spare: CountOrNone
    """How many more stand by: M. All full nodes should be one or the other."""


class Plane(Model):
    """A network plane: a switch fabric with its subnet. Port N of a node is cabled to plane N."""

    subnet: IPv4Network
    """The plane's network; every node has an address in it."""


class Bond(Model):
    """How a node's ports are joined (A7). With a bond every plane's address rides on it and survives either
    fabric; without one (`bond: null`) plane N's address is on port N alone.
    `external`: something else than the kernel's bonding driver joins the ports (a hypervisor's switch, teamd, the
    lab's stand-in); then only the ports themselves can be watched.
    """

    name: Interface = "bond0"
    """The bond's interface on every node."""
    mode: Literal["active-backup", "802.3ad", "external"] = "active-backup"
    """The bonding driver's mode; `external` where another part joins the ports."""
    miimon: Milliseconds = 50
    """How often the carrier of each port is looked at; with `external`, how long the switch of a port takes."""
    arp_interval: Milliseconds = 0
    """How often `arp_ip_target` is asked, instead of miimon; it also finds a switch that died with its carrier up."""
    arp_ip_target: tuple[IPv4Address, ...] = ()
    """Who is asked: addresses that always answer, such as routers."""


class Bmc(Model):
    """The node's management controller, outside the node: what fencing talks to."""

    address: IPv4Address
    """Where it answers, on an out-of-band network."""
    port: Port | None = None
    """Its TCP (Redfish) or UDP (IPMI) port; null: the protocol's own, 443 or 623."""
    system: Uri = ""
    """Redfish: the system's URI, such as /redfish/v1/Systems/1; empty: found at the first request."""
    cipher: Cipher = 3
    """IPMI: the cipher suite. 3 (SHA1, AES-128) is the one that each must know, 17 (SHA256) what newer ones want."""


class Role(StrEnum):
    """`full` runs services; `arbiter` only votes, and so lets two full nodes suffice."""

    FULL = "full"
    ARBITER = "arbiter"


class Node(Model):
    """A control node. `addresses` has one entry per plane, by name, or as a list in the planes' order."""

    addresses: dict[Name, IPv4Address]
    """The node's own address in each plane."""
    bmc: Bmc | None = None
    """The controller that powers this node off; its address alone is enough."""
    role: Role = Role.FULL
    """full: runs services. arbiter: only votes."""
    rack: Rack = ""
    """Where the node stands, to tell whether one rack's loss takes everything."""
    ports: tuple[Interface, ...] | None = None
    """Overrides the site's `ports` for this node."""
    fencing_delay: Milliseconds = 0
    """How long a peer waits before it fences this node (whole seconds); two nodes need it on one side."""


class FenceAgent(StrEnum):
    VIMHA_REDFISH = "fence_vimha_redfish"
    REDFISH = "fence_redfish"
    IPMILAN = "fence_ipmilan"


class Fencing(Model):
    """How a node is powered off before its services start elsewhere."""

    agent: FenceAgent = FenceAgent.VIMHA_REDFISH
    """Which fence agent talks to the BMCs."""
    username: User = "vimha"
    """The BMCs' account that may switch power."""
    password_file: FilePath = "/etc/vimha/bmc.password"  # noqa: S105 (a path)
    """On every node, mode 0600, the password alone; it never enters the CIB or argv."""
    ca_file: FilePath | Literal[""] = "/etc/vimha/bmc-ca.pem"
    """The authority that signed the BMCs' certificates; empty: certificates are not checked (a finding)."""
    off_worst: Milliseconds = 2000
    """The longest that these BMCs take from the off request to a verified off; measure yours."""


class Vip(Model):
    """A virtual address that clients use, on a plane, held by one node at a time."""

    address: IPv4Address
    """The address itself; its prefix is the plane's."""
    plane: Name | Literal[""] = ""
    """Empty: the first plane."""


class Service(Model):
    """A stateless API service behind haproxy."""

    kind: Literal["glance-api"] = "glance-api"
    """Which agent runs it."""
    vip: Name | Literal[""] = ""
    """Empty: the first VIP in small; in large, services are dealt out over the VIPs in order."""
    port: Port = 9292
    """Where clients connect, on the VIP."""
    backend_port: PortOrNone = 0
    """Where the instance listens, on the node's first plane; 0: `port` + 10000 (so that they never clash)."""
    policy: Policy | Spares | None = None
    """null: the scale's own, warm-standby in small and all-active in large. With spares, traffic goes to all active
    instances; a single active one is as active-standby.
    """
    config: FilePath = "/etc/glance/glance-api.conf"
    """The service's own configuration on every node; vimha only adds where to listen."""


class Database(Model):
    """MariaDB Galera (A3, A5): a member on every full node, all with the same data, behind haproxy on a VIP. One member
    is the writer, the VIP holder's own as long as it is well; the reader port deals connections out over all of them.
    """

    vip: Name | Literal[""] = ""
    """Empty: the first VIP."""
    policy: Spares | None = None
    """null: a member on every full node."""
    port: Port = 3306
    """Where clients that write connect, on the VIP; the members listen on the same port of their own addresses."""
    reader_port: PortOrNone = 3307
    """Where clients that only read may connect, on the VIP; 0: nowhere."""
    datadir: FilePath = "/var/lib/mysql"
    """Where each member keeps its data."""
    config: FilePath | Literal[""] = ""
    """A file of your own on every node, read before vimha's settings, such as for the size of the buffer pool."""
    gcache: Megabytes = 128
    """The last writes that a member keeps, in MB: a peer that missed no more than these catches up without a copy of
    all data.
    """


class Messaging(Model):
    """RabbitMQ (A3, A5): a clustered broker on every full node, behind haproxy on a VIP; queues are quorum queues."""

    vip: Name | Literal[""] = ""
    """Empty: the first VIP."""
    policy: Spares | None = None
    """null: a broker on every full node."""
    port: Port = 5672
    """Where clients connect, on the VIP; the brokers listen on the same port of their own addresses."""
    data: FilePath = "/var/lib/rabbitmq/mnesia"
    """Where each broker keeps its queues."""


class Encryption(Model):
    """TLS between the members of the clustered services, which show each other a certificate of one authority; their
    clients may use it too. Off unless it is declared. The files are yours to provide, on every node that has a member.
    """

    certificate: FilePath = "/etc/vimha/tls/node.pem"
    """The node's own certificate in PEM, for its name and addresses."""
    key: FilePath = "/etc/vimha/tls/node.key"
    """Its private key, for the daemons' users to read, and for nobody else."""
    ca_file: FilePath = "/etc/vimha/tls/ca.pem"
    """The authority that signed the certificates of all members."""


class Alarms(Model):
    """The alarm service (B1, B2) keeps and delivers what happens to the control plane, over HTTP on a VIP. Its store is
    the site's database, or, without one, a file on the node where it runs.
    """

    vip: Name | Literal[""] = ""
    """Empty: the first VIP."""
    policy: Literal["active-standby", "all-active"] | None = None
    """null: the scale's own, active-standby (beside its VIP) in small, all-active, which needs a database, in large."""
    port: Port = 8780
    """Where clients connect, on the VIP; instances listen on the loopback, and are reached at `port` + 10000 of their
    nodes.
    """
    certificate: FilePath | Literal[""] = "/etc/vimha/alarms.pem"
    """On every full node: haproxy's certificate for the VIP and the nodes' addresses, with its key, in PEM. Empty:
    plain HTTP (a finding).
    """
    ca_file: FilePath = "/etc/vimha/alarms-ca.pem"
    """On every node: the authority that signed it."""
    callbacks: tuple[IPv4Network, ...] = ()
    """Private networks that subscribers may be in; without any, only public addresses are called."""
    http_callbacks: bool = False
    """Whether subscribers may be called over plain HTTP."""
    local: FilePath | Literal[""] = ""
    """On every full node: a configuration of your own for what this one has no word for, such as Keystone, more files
    of users, SNMP managers; joined with the rendered one. Empty: none.
    """


class Pinned(Model):
    """Timings that the operator fixes; the solver finds the rest, and the budget tells what that costs."""

    token: Milliseconds | None = None
    """corosync: how long a silent node is waited for."""
    consensus: Milliseconds | None = None
    """corosync: how long a new membership may take to agree; at least 1.2 token."""
    token_coefficient: Milliseconds | None = None
    """corosync: what each node above two adds to the token; vimha writes 0, corosync's own default is 650ms."""
    monitor_interval: Milliseconds | None = None
    """Pacemaker: the pause between two monitors of a resource."""
    monitor_timeout: Milliseconds | None = None
    """Pacemaker: how long a monitor may take."""
    haproxy_inter: Milliseconds | None = None
    """haproxy: the pause between two health checks of an instance."""


class Site(Model):
    """A whole site.yaml, defaults filled in."""

    site: Name
    """The cluster's name."""
    scale: Scale = Scale.SMALL
    """small: active-standby. large: all-active."""
    objective: Milliseconds = 5000
    """The longest outage that a client may see, detection included (A8)."""
    planes: dict[Name, Plane]
    """The network planes by name, in order: the first is corosync's link 0 and the VIPs' own, the second link 1.
    Left out: the /24 networks of the nodes' addresses.
    """
    ports: tuple[Interface, ...] = ("eth0", "eth1")
    """Every node's ports, in the planes' order."""
    bond: Bond | None = Bond()
    """How the ports are joined; null: not at all."""
    nodes: dict[Name, Node]
    """The control nodes by name: their host names."""
    fencing: Fencing = Fencing()
    """How nodes are powered off."""
    vips: dict[Name, Vip]
    """The virtual addresses by name."""
    vip_policy: Spares | None = None
    """Large only: the VIPs are dealt out over so many nodes, and the spares hold none as long as these are well. null:
    over all full nodes.
    """
    services: dict[Name, Service] = {"glance-api": Service()}
    """The stateless services by name."""
    database: Database | None = None
    """The database cluster; null: none of vimha's."""
    messaging: Messaging | None = None
    """The message queue's cluster; null: none of vimha's."""
    encryption: Encryption | None = None
    """TLS for the clustered services; null: their traffic is not encrypted."""
    alarms: Alarms | None = None
    """The alarm service; null: none."""
    timings: Pinned = Pinned()
    """Timings that are fixed instead of solved."""

    def ports_of(self, node: str) -> tuple[str, ...]:
        """The names of `node`'s ports, in the planes' order."""
        return self.nodes[node].ports or self.ports

    def interface(self, node: str, plane: str) -> str:
        """The interface that carries `plane`'s address on `node`: the bond, or the plane's own port."""
        return self.bond.name if self.bond else self.ports_of(node)[list(self.planes).index(plane)]

    def full_nodes(self) -> tuple[str, ...]:
        """The nodes that run services, in site.yaml's order."""
        return tuple(name for name, node in self.nodes.items() if node.role is Role.FULL)

    def address_of(self, node: str) -> str:
        """`node`'s address in the first plane, where its daemons listen and speak with their peers."""
        return str(self.nodes[node].addresses[next(iter(self.planes))])

    def plane_of(self, vip: str) -> str:
        """The plane that `vip` belongs to."""
        return self.vips[vip].plane or next(iter(self.planes))

    def policy_of(self, service: str) -> Policy:
        """How traffic is dealt to `service`'s instances, by its own policy or its scale's. All active instances of one
        with spares get some; where that is a single one, nothing masks its loss: it is active-standby.
        """
        chosen = self.services[service].policy
        if isinstance(chosen, Spares):
            return Policy.ALL_ACTIVE if chosen.active > 1 else Policy.ACTIVE_STANDBY
        return chosen or (Policy.WARM_STANDBY if self.scale is Scale.SMALL else Policy.ALL_ACTIVE)

    def spares(self) -> dict[str, Spares]:
        """Every N+M policy that the site has, by the key that holds it: `services.NAME.policy`, `vip_policy`, ..."""
        declared = {f"services.{name}.policy": service.policy for name, service in self.services.items()}
        declared |= {f"{name}.policy": service.policy for name, service in self.stateful.items()}
        declared["vip_policy"] = self.vip_policy
        return {key: policy for key, policy in declared.items() if isinstance(policy, Spares)}

    def instances_of(self, service: str) -> int:
        """How many instances of `service`, a stateless or a clustered one, run at once while no node is lost."""
        declared = self.stateful.get(service) or self.services[service]
        if isinstance(declared.policy, Spares):
            return declared.policy.active
        return 1 if declared.policy is Policy.ACTIVE_STANDBY else len(self.full_nodes())

    def vip_nodes(self) -> int:
        """How many full nodes the VIPs of a large site are dealt out over; the first ones, while none is lost."""
        full = len(self.full_nodes())
        return min(self.vip_policy.active, full) if self.vip_policy else full

    @property
    def stateful(self) -> dict[str, Database | Messaging]:
        """The clustered services that the site has, by their key."""
        declared = {"database": self.database, "messaging": self.messaging}
        return {name: service for name, service in declared.items() if service}

    @property
    def fronted(self) -> dict[str, Database | Messaging | Alarms]:
        """What is behind a VIP besides the stateless services, by its key."""
        return {**self.stateful, **({"alarms": self.alarms} if self.alarms else {})}

    @property
    def alarms_everywhere(self) -> bool:
        """Whether an alarm service runs on every full node, instead of one beside its VIP."""
        chosen = self.alarms.policy if self.alarms else None
        return chosen == "all-active" if chosen else self.scale is Scale.LARGE

    def vip_of(self, service: str) -> str:
        """The VIP in front of `service`, a stateless or a clustered one, or the alarm service."""
        if behind := self.fronted.get(service):
            return behind.vip or next(iter(self.vips))
        return self.fronts()[service]

    def fronts(self) -> dict[str, str]:
        """The VIP in front of each stateless service; there must be a VIP."""
        vips = list(self.vips) if self.scale is Scale.LARGE else list(self.vips)[:1]
        return {
            name: service.vip or vips[position % len(vips)]
            for position, (name, service) in enumerate(self.services.items())
        }

    def backend_port_of(self, service: str) -> int:
        """The port where `service`'s instances listen on their nodes."""
        declared = self.services[service]
        return declared.backend_port or declared.port + 10000
