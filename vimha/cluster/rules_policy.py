"""The findings about policy (P): what Pacemaker's own scheduler would do with this configuration, and should not."""

from vimha.findings import Rule, Severity

_ERROR, _WARNING, _INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

NOT_STARTED = Rule(
    "P001", _ERROR, "a resource that never starts",
    "With every node up and every port connected the scheduler still finds no node for it, or waits for something that"
    " never comes.",
    "Look at the constraints on it: `crm_simulate -sL` shows each node's score.",
)  # fmt: skip
NO_SCHEDULED_MONITOR = Rule(
    "P002", _ERROR, "a configured monitor that the scheduler does not run",
    "The resource is started and then never looked at: its failure stays unseen.",
    "Check the operation's interval, role and `enabled`; `crm_simulate -S` lists what is really scheduled.",
)  # fmt: skip
NOT_FENCED = Rule(
    "P003", _ERROR, "a lost node is not fenced",
    "Its services would start elsewhere while it may still run them.",
    "Set stonith-enabled=true, and no on-fail or requires that avoids fencing.",
)  # fmt: skip
NOT_RECOVERED = Rule(
    "P004", _ERROR, "a resource that is lost with a node",
    "The node's failure leaves it down: there is no other node where it may run.",
    "Allow it on at least two nodes.",
)  # fmt: skip
DISTURBED = Rule(
    "P005", _WARNING, "a node's failure disturbs the nodes that survive",
    "The scheduler stops, restarts or moves healthy instances elsewhere because of it: an outage for nothing.",
    "Set interleave=true on clones, make orders between clones Optional, and resource-stickiness larger than any"
    " preference.",
)  # fmt: skip
NO_RECOVERY = Rule(
    "P006", _ERROR, "a failed monitor is not recovered from",
    "The monitor notices the failure and the scheduler then leaves the resource down, at its first failure.",
    "Check on-fail (block, stop and ignore do not restart), migration-threshold, and where else it may run.",
)  # fmt: skip
STOPS_OTHERS = Rule(
    "P007", _WARNING, "one resource's failure stops others that do not depend on it",
    "What no constraint ties to the failed resource should not notice.",
    "Look for on-fail=standby or fence, and for placement scores that are not outweighed by resource-stickiness.",
)  # fmt: skip
VIP_ON_ARBITER = Rule(
    "P008", _ERROR, "a VIP on an arbiter",
    "An arbiter only votes: it has no load balancer and often no port on the plane.",
    "Keep the VIP off it with a location constraint of score -INFINITY.",
)  # fmt: skip
NOT_SPREAD = Rule(
    "P009", _WARNING, "VIPs are not spread over the nodes",
    "One node carries all traffic, and its loss interrupts all of it, while the others idle.",
    "Prefer a different node for each VIP by a small location score.",
)  # fmt: skip
PORTLESS = Rule(
    "P010", _ERROR, "a VIP stays on a node without ports",
    "The node has lost its last port on the plane and the VIP is still there: clients get nothing, for as long as it"
    " lasts.",
    "Keep the VIP off nodes whose ports attribute is missing or below 1, with score -INFINITY.",
)  # fmt: skip
UNSETTLED = Rule(
    "P011", _ERROR, "the cluster never settles",
    "After everything has started, the scheduler plans more changes, without anything having happened: it would go on"
    " like that.",
    "Look for constraints that contradict each other.",
)  # fmt: skip
SAMPLED = Rule(
    "P012", _INFO, "not every resource and failure was simulated",
    "Of many resources of a kind only some were simulated, so that validation ends in seconds. The others have the same"
    " agent, container, settings and constraints.",
    "Nothing needs to be done.",
)  # fmt: skip
NOT_SIMULATED = Rule(
    "P013", _WARNING, "the scheduler was not asked",
    "Placement, fencing and recovery were not checked; only rules that can be read off the files were.",
    "Install Pacemaker on this machine (Debian: pacemaker-cli-utils), or validate on a control node.",
)  # fmt: skip
REFUSED = Rule(
    "P014", _ERROR, "the scheduler refuses the configuration",
    "Pacemaker's own scheduler computes nothing from it, so the cluster would do nothing.",
    "`crm_verify -V -x FILE` says what is wrong.",
)  # fmt: skip

RULES = (
    NOT_STARTED, NO_SCHEDULED_MONITOR, NOT_FENCED, NOT_RECOVERED, DISTURBED, NO_RECOVERY, STOPS_OTHERS, VIP_ON_ARBITER,
    NOT_SPREAD, PORTLESS, UNSETTLED, SAMPLED, NOT_SIMULATED, REFUSED,
)  # fmt: skip
