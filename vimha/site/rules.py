"""Every finding that reading a site.yaml can give.

Invariant: codes are stable and never reused. S00x are about the file's shape, S01x nodes and votes, S02x addresses,
S03x planes, ports and bonds, S04x power fencing, S05x VIPs and services, S06x N+M redundancy and the rest, S068
to S070 the alarm service, S071 and on encryption. What only the timings can tell is in vimha/timing/rules.py.
"""

from vimha.findings import Rule, Severity

_ERROR, _WARNING, _INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

SYNTAX = Rule(
    "S001", _ERROR, "not YAML",
    "The file cannot be parsed, so nothing else in it was looked at.",
    "Mend the text at this line; often a colon, a quote or a bracket is missing just before it.",
)  # fmt: skip
NOT_PLAIN = Rule(
    "S002", _ERROR, "YAML that is more than plain data",
    "Anchors and aliases can make a small file grow without bound in memory, tags can make objects, and a second"
    " document would be ignored in silence; site.yaml needs none of them.",
    "Write the value out in plain mappings, lists and words.",
)  # fmt: skip
DUPLICATE_KEY = Rule(
    "S003", _ERROR, "a key given twice",
    "YAML readers keep one of the two in silence: a node copied and not renamed would vanish.",
    "Rename one, or remove it.",
)  # fmt: skip
UNKNOWN_KEY = Rule(
    "S004", _ERROR, "an unknown key",
    "A misspelt key would leave its setting at the default without a word.",
    "Correct the key or remove it; docs/site.md lists all keys.",
)  # fmt: skip
MISSING_KEY = Rule(
    "S005", _ERROR, "a required key is missing",
    "There is no safe default for it.",
    "Add the key; `vimha init` writes a commented example.",
)  # fmt: skip
WRONG_TYPE = Rule(
    "S006", _ERROR, "a value of the wrong type",
    "The key expects another kind of value, and guessing what was meant would be worse than asking.",
    "Write a value of the type that is expected here.",
)  # fmt: skip
BAD_VALUE = Rule(
    "S007", _ERROR, "a value that is not allowed",
    "The value has the right type, but is outside of what this key takes.",
    "Write one of the values that are expected here.",
)  # fmt: skip
DURATION = Rule(
    "S008", _ERROR, "a duration without a whole unit",
    "Pacemaker reads a bare number as seconds in one place and as milliseconds in another, and drops a monitor whose"
    " interval is a fraction such as 0.5s in silence: the resource then runs unwatched.",
    "Write a whole number with its unit: 500ms, 5s.",
)  # fmt: skip
SHORT_AND_LONG = Rule(
    "S009", _ERROR, "a short and a long form of the same thing",
    "`vip` is short for one entry of `vips`; with both, it is unclear which VIPs there are.",
    "Keep `vips` and move the address of `vip` into it.",
)  # fmt: skip

ONE_NODE = Rule(
    "S010", _ERROR, "fewer than two full control nodes",
    "One node is a single point of failure (A1): there is nowhere to fail over to.",
    "Declare at least two nodes with role `full`; three give a majority without an arbiter.",
)  # fmt: skip
TWO_NODES = Rule(
    "S011", _ERROR, "two nodes and nothing to break the tie",
    "When two nodes lose sight of each other both are quorate, and each powers the other off at the same moment: the"
    " whole control plane goes down.",
    "Add a node with `role: arbiter`, or set `fencing_delay: 1s` on one of the two: its peer waits that long before it"
    " fences it, so that this one survives.",
)  # fmt: skip
EVEN_VOTES = Rule(
    "S012", _WARNING, "an even number of votes",
    "A split into equal halves leaves neither side with a majority, and everything stops; the last node adds cost but"
    " tolerates no more failures than one node fewer.",
    "Add or remove an arbiter, so that the number of nodes is odd.",
)  # fmt: skip
ARBITERS = Rule(
    "S013", _WARNING, "more arbiters than full nodes",
    "An arbiter votes and serves nothing: these nodes could outvote the ones that serve and keep quorum for nobody.",
    "Make some of them full nodes, or remove them.",
)  # fmt: skip
FENCING_DELAY = Rule(
    "S014", _ERROR, "a fencing delay that is not in whole seconds",
    "Pacemaker counts pcmk_delay_base in whole seconds; a fraction would be cut off in silence.",
    "Write whole seconds, such as 1s.",
)  # fmt: skip
USELESS_DELAY = Rule(
    "S015", _WARNING, "a fencing delay that breaks no tie",
    "With three or more votes a partition has one quorate side; the delay only lengthens every failover of this node.",
    "Remove `fencing_delay`.",
)  # fmt: skip
ONE_RACK = Rule(
    "S016", _WARNING, "all full nodes in one rack",
    "A rack's power strip or its switch then takes the whole control plane down at once (A1).",
    "Spread the full nodes over racks, the arbiter into a further one.",
)  # fmt: skip
SOME_RACKS = Rule(
    "S017", _INFO, "racks known for some nodes only",
    "Whether the nodes share a rack cannot be judged for the others.",
    "Give every node its `rack`.",
)  # fmt: skip
SMALL_LARGE = Rule(
    "S018", _WARNING, "a large site with fewer than three full nodes",
    "The clustered services of a large site (database, message queue, SDN controller; A5) keep working through the loss"
    " of a node only as three or more members.",
    "Declare at least three full nodes, or use `scale: small`.",
)  # fmt: skip
ZERO = Rule(
    "S019", _ERROR, "a duration of zero",
    "Nothing happens in no time: an objective, an interval or a timeout of zero can never be met.",
    "Write the time that you can accept, or remove the key to use its default.",
)  # fmt: skip

TAKEN = Rule(
    "S020", _ERROR, "an address given twice",
    "Two holders of one address: clients and cluster traffic reach now the one, now the other; with a BMC, the wrong"
    " node is powered off.",
    "Give each its own address.",
)  # fmt: skip
OVERLAP = Rule(
    "S021", _ERROR, "overlapping planes",
    "A node routes both subnets over the same interface, so that the second plane adds no redundancy (A1).",
    "Give each plane a subnet of its own.",
)  # fmt: skip
FOREIGN = Rule(
    "S022", _ERROR, "an address outside its plane's subnet",
    "The node is not reachable on that plane; corosync's link would never come up.",
    "Correct the address, or the plane's subnet.",
)  # fmt: skip
NO_HOST = Rule(
    "S023", _ERROR, "an address that no host can have",
    "Network, broadcast, multicast, loopback and unspecified addresses cannot be assigned to an interface.",
    "Use a host address of the subnet.",
)  # fmt: skip
NO_ADDRESS = Rule(
    "S024", _ERROR, "a node and the planes do not match",
    "Corosync needs one address per node and link; a node without one is cut off when the other plane fails.",
    "Give the node exactly one address for each plane, in the planes' order or by the planes' names.",
)  # fmt: skip
VIP_OUTSIDE = Rule(
    "S025", _ERROR, "a VIP outside its plane",
    "No interface of the nodes has the VIP's subnet: routers and clients would never find it.",
    "Choose an address of the plane's subnet, or name the plane that it belongs to (`plane`).",
)  # fmt: skip
TINY_SUBNET = Rule(
    "S026", _ERROR, "a subnet too small for its nodes",
    "The plane needs an address for each node, and the VIPs' plane one for each VIP.",
    "Use a larger subnet, such as a /24.",
)  # fmt: skip

ONE_PLANE = Rule(
    "S030", _WARNING, "only one network plane",
    "Corosync then has one link: the network between the nodes is a single point of failure (A1), and the ports cannot"
    " be connected to different planes (A7).",
    "Declare a second plane, on another switch fabric, and give every node an address in it.",
)  # fmt: skip
FEW_PORTS = Rule(
    "S031", _ERROR, "fewer ports than planes",
    "Without a bond, plane N's address is on port N, which this node does not have.",
    "Name one port per plane, in the planes' order.",
)  # fmt: skip
ONE_PORT = Rule(
    "S032", _ERROR, "a bond with fewer than two ports",
    "A bond of one port protects against nothing: a cable or a switch takes the node off the network (A7).",
    "Name two ports, cabled to different planes.",
)  # fmt: skip
SAME_PORT = Rule(
    "S033", _ERROR, "a port named twice, or named like the bond",
    "Each leg needs a port of its own, and the bond is an interface beside them.",
    "Name each port once.",
)  # fmt: skip
MANY_PLANES = Rule(
    "S034", _ERROR, "more than eight planes",
    "Corosync's knet carries at most eight links (corosync.conf(5), linknumber).",
    "Declare at most eight planes; two are enough for redundancy.",
)  # fmt: skip
BLIND_BOND = Rule(
    "S035", _ERROR, "a bond that is not monitored",
    "With miimon 0 and no arp_interval the kernel never notices a lost port, and goes on sending into it.",
    "Set `miimon: 100ms`.",
)  # fmt: skip
ARP_TARGET = Rule(
    "S036", _ERROR, "ARP monitoring without a target",
    "The bond asks nobody, so that every port counts as lost.",
    "Set `arp_ip_target` to one or two addresses that always answer, such as the routers of the plane.",
)  # fmt: skip
TWO_MONITORS = Rule(
    "S037", _ERROR, "two link monitors on one bond",
    "The kernel's bonding driver runs either MII or ARP monitoring: setting one switches the other off.",
    "Keep one: `miimon: 0s` beside `arp_interval`, or remove `arp_interval`.",
)  # fmt: skip
ARP_LACP = Rule(
    "S038", _ERROR, "ARP monitoring of an 802.3ad bond",
    "The kernel refuses arp_interval in mode 802.3ad.",
    "Use `miimon`, and fast LACP on the switches.",
)  # fmt: skip
NO_BOND = Rule(
    "S039", _WARNING, "ports without a bond",
    "The loss of one port or switch takes the plane's VIPs down on this node, and they have to move; with a bond the"
    " node keeps serving (A7).",
    "Join the ports with a bond across both fabrics.",
)  # fmt: skip

NO_BMC = Rule(
    "S040", _ERROR, "a node that cannot be fenced",
    "Without a BMC the cluster cannot make sure that a silent node is off, and must not start its services elsewhere.",
    "Give the node's BMC: `bmc: 10.77.9.11`.",
)  # fmt: skip
BMC_IN_PLANE = Rule(
    "S041", _WARNING, "a BMC inside a network plane",
    "When that plane fails, fencing fails with it, and nothing is recovered: fencing must not need what broke.",
    "Put the BMCs on an out-of-band network.",
)  # fmt: skip
UNCHECKED_BMC = Rule(
    "S042", _WARNING, "BMC certificates are not checked",
    "Whoever answers at the BMC's address gets the password, and can claim that a node is off while it runs.",
    "Set `fencing.ca_file` to the authority that signed the BMCs' certificates.",
)  # fmt: skip

NO_PLANE = Rule(
    "S050", _ERROR, "an unknown plane",
    "The name is not among `planes`.",
    "Use the name of a declared plane, or declare it.",
)  # fmt: skip
NO_VIP = Rule(
    "S051", _ERROR, "an unknown VIP",
    "The name is not among `vips`.",
    "Use the name of a declared VIP, or declare it.",
)  # fmt: skip
NOTHING = Rule(
    "S052", _ERROR, "nothing declared",
    "A site needs at least one plane, one VIP and one service: without them there is nothing to make available.",
    "Declare at least one entry.",
)  # fmt: skip
IDLE_VIP = Rule(
    "S053", _WARNING, "a VIP without a service",
    "The address would answer to no client.",
    "Name the VIP in a service (`vip`), or remove it.",
)  # fmt: skip
PORT_CLASH = Rule(
    "S054", _ERROR, "two services on one port of a VIP",
    "haproxy cannot tell whom a connection is for, and does not start.",
    "Give one of them another `port` or another `vip`.",
)  # fmt: skip
BACKEND_PORT = Rule(
    "S055", _ERROR, "a backend port that cannot be used",
    "Instances of two services run on one node, each needs its own port between 1 and 65535 (by default the service's"
    " port + 10000).",
    "Set `backend_port` to a port that is free on every node.",
)  # fmt: skip
STANDBY_LARGE = Rule(
    "S056", _WARNING, "an active-standby service in a large site",
    "One instance carries all the load, and a failover pays its start; large sites run stateless services all-active"
    " (A6).",
    "Use `policy: all-active`, or remove `policy`.",
)  # fmt: skip
ONE_VIP_LARGE = Rule(
    "S057", _WARNING, "a large site with one VIP",
    "All load passes the one node that holds it, while the haproxies of the other nodes idle (A6).",
    "Declare two or more VIPs; they are spread over the nodes.",
)  # fmt: skip
ID_CLASH = Rule(
    "S058", _ERROR, "two names that make the same resource",
    "Names become resource ids of the CIB; two resources of one id cannot be.",
    "Rename one of them.",
)  # fmt: skip
TOO_MANY = Rule(
    "S059", _ERROR, "more active and spare nodes than there are",
    "The policy promises members, or nodes that take over, that do not exist: what tolerates two losses on paper"
    " tolerates fewer.",
    "Lower `active` or `spare` to what the full nodes make up, or declare further nodes.",
)  # fmt: skip
MORE = Rule(
    "S060", _ERROR, "more mismatches than are shown",
    "So many values do not fit that this is probably no site.yaml.",
    "Correct the findings above it and validate again.",
)  # fmt: skip

TOO_FEW = Rule(
    "S061", _WARNING, "nodes that are neither active nor spare",
    "Any full node may take over, whatever the policy counts: the nodes beyond N+M are spares too, and the file does"
    " not say how many losses the site tolerates.",
    "Raise `spare` (or `active`), so that both add up to the number of full nodes.",
)  # fmt: skip
ONE_ACTIVE = Rule(
    "S062", _WARNING, "a single active instance",
    "With one active instance nothing masks its loss: the outage includes the start of another one, as with"
    " active-standby, and the service runs on the node of its VIP.",
    "Use two or more active ones, or `policy: warm-standby`.",
)  # fmt: skip
ONE_MEMBER = Rule(
    "S063", _ERROR, "a cluster with a single active member",
    "The data are then on one node alone, and are lost to the service with it: a spare has no copy, or an old one, and"
    " never starts with that.",
    "Use three active members; one more for each further loss that they are to survive at once.",
)  # fmt: skip
EVEN_MEMBERS = Rule(
    "S064", _WARNING, "an even number of active members",
    "Of two members the one that is left is no majority, and stops: the spare finds nobody to join. A split into equal"
    " halves stops both, however many there are. An arbiter breaks the tie of the database; it has a broker of its own,"
    " which counts as an active one.",
    "Use an odd number of active members: of the message queue with the arbiters, of the database without any.",
)  # fmt: skip
SMALL_VIPS = Rule(
    "S066", _ERROR, "VIPs dealt out in a small site",
    "In a small site all VIPs are on one node, together, and every other full node is a spare: nothing is dealt out.",
    "Remove `vip_policy`, or use `scale: large`.",
)  # fmt: skip
FEW_VIPS = Rule(
    "S067", _WARNING, "fewer VIPs than nodes to hold them",
    "Each VIP is on one node: some of the active nodes hold none, and are spares in fact.",
    "Lower `vip_policy.active`, or declare further VIPs.",
)  # fmt: skip

LOST_ALARMS = Rule(
    "S068", _WARNING, "alarms on one node alone",
    "When the node is lost, the service starts on another one with an empty store: the history, acknowledgements,"
    " settings and all subscriptions are gone, and nobody is told of the very failure until they subscribe again.",
    "Add `database: {}`, which keeps them on every node.",
)  # fmt: skip
SPLIT_ALARMS = Rule(
    "S069", _ERROR, "several alarm services without a common store",
    "Each instance would have a list, a history and subscribers of its own: which alarms a client sees would depend on"
    " the instance that it happens to ask.",
    "Add `database: {}`, or use `policy: active-standby`.",
)  # fmt: skip
PLAIN_ALARMS = Rule(
    "S070", _WARNING, "an alarm service without TLS",
    "Tokens and passwords cross the management network in the clear: whoever reads one may acknowledge and clear"
    " alarms, or send false ones.",
    "Put a certificate with its key on every full node, and name it by `certificate`.",
)  # fmt: skip

IDLE_ENCRYPTION = Rule(
    "S071", _WARNING, "encryption of nothing",
    "`encryption` is about the traffic of clustered services, and the site has none: nothing becomes secret by it.",
    "Remove `encryption`, or declare `database` or `messaging`.",
)  # fmt: skip

RULES = (
    SYNTAX, NOT_PLAIN, DUPLICATE_KEY, UNKNOWN_KEY, MISSING_KEY, WRONG_TYPE, BAD_VALUE, DURATION, SHORT_AND_LONG,
    ONE_NODE, TWO_NODES, EVEN_VOTES, ARBITERS, FENCING_DELAY, USELESS_DELAY, ONE_RACK, SOME_RACKS, SMALL_LARGE, ZERO,
    TAKEN, OVERLAP, FOREIGN, NO_HOST, NO_ADDRESS, VIP_OUTSIDE, TINY_SUBNET,
    ONE_PLANE, FEW_PORTS, ONE_PORT, SAME_PORT, MANY_PLANES, BLIND_BOND, ARP_TARGET, TWO_MONITORS, ARP_LACP, NO_BOND,
    NO_BMC, BMC_IN_PLANE, UNCHECKED_BMC,
    NO_PLANE, NO_VIP, NOTHING, IDLE_VIP, PORT_CLASH, BACKEND_PORT, STANDBY_LARGE, ONE_VIP_LARGE, ID_CLASH,
    TOO_MANY, MORE, TOO_FEW, ONE_ACTIVE, ONE_MEMBER, EVEN_MEMBERS, SMALL_VIPS, FEW_VIPS,
    LOST_ALARMS, SPLIT_ALARMS, PLAIN_ALARMS, IDLE_ENCRYPTION,
)  # fmt: skip
"""All of them, by code."""
