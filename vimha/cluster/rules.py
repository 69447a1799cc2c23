"""The findings about a cluster's configuration: traps in a CIB (C0xx) and in corosync.conf (C1xx), and with them the
whole room's, fencing (F) and policy (P) included.

Invariant: every trap here was seen to bite: in Pacemaker's or corosync's sources, in crm_simulate's answer, or in a
user's report; a rendered site that has one is a defect of ours, and validation says so.
"""

from vimha.cluster import rules_fencing, rules_policy
from vimha.findings import Rule, Severity

_ERROR, _WARNING, _INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

INTERVAL = Rule(
    "C001", _ERROR, "an interval that Pacemaker reads differently",
    "Pacemaker reads only the whole number of an interval, and no fraction or day of an ISO 8601 one: `0.5s`, `PT0.5S`"
    " and `P1D` are all 0, and an operation with interval 0 does not recur. The monitor is dropped in silence;"
    " crm_verify accepts it, and the resource runs unwatched.",
    "Write a whole number with its unit, such as 500ms.",
)  # fmt: skip
TIMEOUT = Rule(
    "C002", _ERROR, "a timeout that Pacemaker reads differently",
    "Pacemaker reads only the whole number of a timeout: `0.5s` is no time at all, so the operation always fails;"
    " what it cannot read, ISO 8601 included, silently becomes the default of 20 s.",
    "Write a whole number with its unit, such as 500ms.",
)  # fmt: skip
NO_MONITOR = Rule(
    "C003", _ERROR, "a resource that nobody watches",
    "Without a recurring monitor Pacemaker never learns that the resource has died: it stays down, shown as started.",
    "Add `<op name=\"monitor\" interval=\"1s\" timeout=\"5s\"/>` to the resource.",
)  # fmt: skip
SAME_INTERVAL = Rule(
    "C004", _ERROR, "two monitors of a resource at the same interval",
    "Pacemaker tells a resource's recurring operations apart by name and interval alone, whatever their role or depth:"
    " with two at the same interval it runs neither.",
    "Give them different intervals, such as 1s for Promoted and 1100ms for Unpromoted.",
)  # fmt: skip
ADVICE = Rule(
    "C005", _WARNING, "an operation's timeout is below its agent's advice",
    "The agent's author states how long the operation may need. A stop that is cut off gets the node fenced; a start"
    " that is cut off bans the resource from the node.",
    "Raise the timeout to the advised value, unless you have measured that less is enough.",
)  # fmt: skip
FAILURE_TIMEOUT = Rule(
    "C006", _ERROR, "failure-timeout is below the longest operation timeout",
    "A failure that expires while its recovery, or the next check, still runs is forgotten: a resource that hangs is"
    " retried on the same node for ever and never moves.",
    "Set failure-timeout to more than the resource's longest operation timeout; 60s to 120s is usual.",
)  # fmt: skip
FAILURE_SECONDS = Rule(
    "C007", _ERROR, "failure-timeout is not in whole seconds",
    "Pacemaker counts this one in whole seconds and cuts the rest off: `500ms` is 0, and then failures never expire.",
    "Write whole seconds.",
)  # fmt: skip
NO_THRESHOLD = Rule(
    "C008", _WARNING, "a VIP or load balancer that never moves for its own failures",
    "migration-threshold is INFINITY unless it is set: a VIP or load balancer that fails again and again is restarted"
    " on the same bad node each time, however long that lasts.",
    "Set migration-threshold to between 1 (move at the first failure) and 3.",
)  # fmt: skip
NO_EXPIRY = Rule(
    "C009", _INFO, "failures are never forgotten",
    "With a migration-threshold and no failure-timeout, failures that are months apart add up; the node stays banned"
    " until somebody runs a cleanup, and the next failure finds no node left.",
    "Set failure-timeout, such as 120s.",
)  # fmt: skip
FAILED_START = Rule(
    "C010", _ERROR, "failed starts are retried for ever",
    "With start-failure-is-fatal=false a failed start only counts as one failure; without a migration-threshold the"
    " same node tries again and again, and the resource never reaches a node that works.",
    "Leave start-failure-is-fatal at true, or set a migration-threshold.",
)  # fmt: skip
QUORUM = Rule(
    "C011", _ERROR, "resources run without quorum",
    "With no-quorum-policy=ignore both halves of a split cluster run everything; only a fence race that nobody loses"
    " twice stands between that and two holders of each VIP.",
    "Set no-quorum-policy to stop (or suicide), and give the cluster a third vote.",
)  # fmt: skip
OPT_IN = Rule(
    "C012", _ERROR, "a resource that no node may run",
    "With symmetric-cluster=false a resource runs only where a location constraint allows it, and this one has none.",
    "Add a location constraint of score 0 or more for each node that may run it, or set symmetric-cluster=true.",
)  # fmt: skip
TRANSITION_DELAY = Rule(
    "C013", _WARNING, "transition-delay lengthens every recovery",
    "Pacemaker waits this long before it acts on anything, so each failover takes that much longer. A few tens of"
    " milliseconds pay for themselves after the loss of a node; more do not.",
    "Set transition-delay to 50ms.",
)  # fmt: skip
CLUSTER_DELAY = Rule(
    "C014", _WARNING, "cluster-delay lets a silent peer hold up a failover",
    "When a node does not report an action's result, the DC waits for the action's timeout and cluster-delay on top.",
    "Set cluster-delay to about 10s: some round trips within the cluster.",
)  # fmt: skip
NO_CONNECTIVITY = Rule(
    "C015", _WARNING, "a VIP that stays on a node with dead network ports",
    "A VIP's agent looks whether the address is configured, not whether anyone can reach it: a node that has lost its"
    " bond or port keeps the VIP, and clients get nothing.",
    "Run ocf:vimha:bond (or ethmonitor, ping) as a clone, and keep the VIP off nodes where its attribute is missing"
    " or 0, by a location rule with score -INFINITY.",
)  # fmt: skip
DAMPENING = Rule(
    "C016", _WARNING, "connectivity is judged slower than the objective",
    "ocf:pacemaker:ping waits 5 s (dampen) before it publishes, and needs attempts x timeout before that; ethmonitor"
    " looks 5 times at 10 s intervals. A VIP on a dead port stays there as long.",
    "Set dampen to 0 and lower attempts, timeout, repeat_count and repeat_interval; or use ocf:vimha:bond, which asks"
    " the kernel.",
)  # fmt: skip
MAINTENANCE = Rule(
    "C017", _WARNING, "the cluster manages nothing here",
    "In maintenance mode, or with is-managed=false, nothing is recovered and no failure even counts.",
    "Take it out of maintenance when the work is done.",
)  # fmt: skip
PROPERTY = Rule(
    "C018", _WARNING, "a cluster property that this Pacemaker does not know",
    "Unknown properties are accepted and ignored: what it should change stays at its default.",
    "Use the name that this version knows.",
)  # fmt: skip
NO_METADATA = Rule(
    "C019", _INFO, "an agent that is not installed here",
    "Its advised timeouts could not be compared with the configured ones.",
    "Validate on a node of the cluster, where its agents are installed.",
)  # fmt: skip

BAD_LINE = Rule(
    "C100", _ERROR, "corosync cannot read this line",
    "corosync refuses the whole file, and does not start.",
    "Mend the line: `section {`, `}` or `key: value`, each on its own.",
)  # fmt: skip
COEFFICIENT = Rule(
    "C101", _WARNING, "token_coefficient makes the token longer than written",
    "corosync adds token_coefficient (650 ms unless it is set) for every node above two, and computes consensus from"
    " the sum: with three nodes a token of 1000 is really 1650, and a node's loss is seen after 3.6 s, not 2.2 s.",
    "Set token_coefficient: 0 and choose token itself for the cluster's size.",
)  # fmt: skip
CONSENSUS = Rule(
    "C102", _ERROR, "consensus is shorter than 1.2 token",
    "corosync.conf(5) asks for at least 1.2 token with three nodes or more: else nodes give up on a membership that"
    " still forms, and form it again in circles.",
    "Remove consensus: corosync then uses 1.2 token.",
)  # fmt: skip
SLOW_TOKEN = Rule(
    "C103", _WARNING, "a node's loss is seen too late for the objective",
    "Nothing happens before token + consensus have passed; fencing, the DC's election and the services' start come"
    " after that. What is left of the objective has to do for all of them.",
    "Lower token (and set token_coefficient: 0); `vimha budget` shows what fits.",
)  # fmt: skip
ONE_LINK = Rule(
    "C104", _ERROR, "corosync has one link only",
    "With one network between the nodes, its failure looks like the loss of all other nodes: everybody fences.",
    "Give each node a ring1_addr on another network plane, with transport knet.",
)  # fmt: skip
NO_CRYPTO = Rule(
    "C105", _ERROR, "cluster traffic is neither encrypted nor authenticated",
    "Anyone on the network can join the membership, break it, or read the CIB as it is replicated. corosync's default"
    " is no crypto.",
    "Set crypto_cipher: aes256 and crypto_hash: sha256, and make a key with corosync-keygen.",
)  # fmt: skip
NOT_REALTIME = Rule(
    "C106", _WARNING, "corosync runs without real-time scheduling",
    "On a busy node corosync then waits for its turn like any process, loses the token, and a healthy node is fenced.",
    "Remove `sched_rr: no`.",
)  # fmt: skip
QDEVICE_SBD = Rule(
    "C107", _ERROR, "a quorum device together with diskless SBD",
    "SBD must then outwait the quorum device (sync_timeout 30 s; crmsh enforces a watchdog timeout of 35 s), so no"
    " failover is quicker than that.",
    "Use power fencing, or a third node instead of the quorum device.",
)  # fmt: skip
QDEVICE_SLOW = Rule(
    "C108", _WARNING, "the quorum device answers slower than the objective",
    "While membership changes, votequorum waits for the quorum device for up to sync_timeout (30 s unless it is set).",
    "Lower quorum.device.timeout and sync_timeout, or use a third node (an arbiter) instead.",
)  # fmt: skip
TWO_NODES = Rule(
    "C109", _ERROR, "two nodes, and no rule for losing one",
    "Two votes need both for quorum: when one node fails, the other stops everything.",
    "Add a third node (an arbiter), or set two_node: 1 and fence with a delay on one side.",
)  # fmt: skip
OTHER_NODES = Rule(
    "C110", _ERROR, "corosync and Pacemaker name different nodes",
    "A node that is only in one of the lists is never seen as a member, or is fenced at start-up for being unseen.",
    "Make the names in nodelist and in the CIB the same.",
)  # fmt: skip
VOTES = Rule(
    "C111", _ERROR, "expected_votes differs from the node list",
    "Quorum is counted against the wrong number: too low, and both halves of a split have it; too high, and no half.",
    "Remove expected_votes: corosync counts the node list.",
)  # fmt: skip
TOKEN_FLOOR = Rule(
    "C112", _ERROR, "a token that corosync refuses",
    "corosync derives its retransmit time from the token and refuses it below 30 ms, which is a token of 126 ms.",
    "Raise token; below 300 ms any pause of a virtual machine breaks the membership.",
)  # fmt: skip
OLD_TRANSPORT = Rule(
    "C113", _ERROR, "a transport with one link and no encryption",
    "udp and udpu know neither a second link nor crypto; only knet does.",
    "Set transport: knet.",
)  # fmt: skip
LINK_TIMEOUT = Rule(
    "C114", _ERROR, "a lost link is noticed later than a lost token",
    "In link_mode passive or rr one link at a time carries the token. When knet_ping_timeout is not shorter than the"
    " token, the loss of that link's network plane breaks the membership although the other plane works.",
    "Set link_mode: active (every message over both links), or knet_ping_timeout below the token.",
)  # fmt: skip
NOT_A_NUMBER = Rule(
    "C115", _ERROR, "not a number where corosync wants one",
    "corosync refuses the file, or silently uses the default.",
    "Write a whole number of milliseconds, without a unit.",
)  # fmt: skip
NO_COROSYNC = Rule(
    "C116", _WARNING, "corosync.conf was not checked",
    "Half of the known traps are in it: timings, links, encryption, votes.",
    "Give it with --corosync FILE.",
)  # fmt: skip
LINK_FLAPS = Rule(
    "C117", _ERROR, "healthy links are taken for dead",
    "knet looks at its links every 200 ms. A knet_ping_timeout (half the token unless it is set) that is over before"
    " the next look takes every link down some 9 s after it came up, all at once, and with them the membership.",
    "Set knet_ping_interval: 200 and knet_ping_timeout: 1000 in each interface, with link_mode: active.",
)  # fmt: skip

CIB_RULES = (
    INTERVAL, TIMEOUT, NO_MONITOR, SAME_INTERVAL, ADVICE, FAILURE_TIMEOUT, FAILURE_SECONDS, NO_THRESHOLD, NO_EXPIRY,
    FAILED_START, QUORUM, OPT_IN, TRANSITION_DELAY, CLUSTER_DELAY, NO_CONNECTIVITY, DAMPENING, MAINTENANCE, PROPERTY,
    NO_METADATA,
)  # fmt: skip
COROSYNC_RULES = (
    BAD_LINE, COEFFICIENT, CONSENSUS, SLOW_TOKEN, ONE_LINK, NO_CRYPTO, NOT_REALTIME, QDEVICE_SBD, QDEVICE_SLOW,
    TWO_NODES, OTHER_NODES, VOTES, TOKEN_FLOOR, OLD_TRANSPORT, LINK_TIMEOUT, NOT_A_NUMBER, NO_COROSYNC, LINK_FLAPS,
)  # fmt: skip
RULES = (*CIB_RULES, *COROSYNC_RULES, *rules_fencing.RULES, *rules_policy.RULES)
