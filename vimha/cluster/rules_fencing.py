"""The findings about fencing (F): what keeps a node from being fenced, or makes it slow or unsafe."""

from vimha.findings import Rule, Severity

_ERROR, _WARNING, _INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

DISABLED = Rule(
    "F001", _ERROR, "fencing is switched off",
    "Without fencing a node that does not answer is taken for dead and its services start elsewhere; when it is only"
    " cut off or slow, two nodes hold the VIP and write the same data.",
    "Set stonith-enabled=true and configure a device for each node.",
)  # fmt: skip
NO_DEVICE = Rule(
    "F002", _ERROR, "no fence device",
    "Fencing is on but nothing can do it: after a node's loss the cluster waits for ever and recovers nothing.",
    "Configure a device for each node, such as fence_vimha_redfish.",
)  # fmt: skip
UNCOVERED = Rule(
    "F003", _ERROR, "a node that no device can fence",
    "When this node is lost, its services are not recovered until somebody confirms by hand that it is off.",
    "Add a device whose pcmk_host_list names the node.",
)  # fmt: skip
DYNAMIC = Rule(
    "F004", _WARNING, "a device is asked what it can fence while a failover waits",
    "Without a static list Pacemaker runs the agent's `list` or `status` on every peer first; a BMC takes seconds.",
    "Set pcmk_host_check=static-list and pcmk_host_list (or pcmk_host_map).",
)  # fmt: skip
ACTION = Rule(
    "F005", _ERROR, "a device's action is set as a parameter",
    "`action` is Pacemaker's to choose; set here it also replaces `monitor` and `status`, so that a mere check of the"
    " device can switch the node off.",
    "Remove it; use stonith-action, or pcmk_reboot_action=off for one device.",
)  # fmt: skip
CYCLE = Rule(
    "F006", _ERROR, "method=cycle cannot tell that a node is off",
    "A power cycle is not verified, and fails on a node that is off already; then nothing is recovered.",
    "Set method=onoff.",
)  # fmt: skip
WAITS = Rule(
    "F007", _WARNING, "the fence agent waits whole seconds for nothing",
    "fence-agents sleeps power_wait after each power command (fence_ipmilan: 2 s unless it is set, twice in a reboot),"
    " and delay before the first; every failover pays it.",
    "Set power_wait=0 and remove delay; use pcmk_delay_base where two nodes need one.",
)  # fmt: skip
SECRET = Rule(
    "F008", _ERROR, "a password in the CIB",
    "Every member of haclient can read the CIB, on every node; it is in backups and reports, and agents hand it on.",
    "Keep it in a file of mode 0600 (password_file of fence_vimha_redfish, password_script of others), or let"
    " Pacemaker keep it: `cibsecret set RESOURCE PARAMETER VALUE`.",
)  # fmt: skip
DELAY_UNIT = Rule(
    "F009", _ERROR, "a fencing delay that is not in whole seconds",
    "Pacemaker's fencer counts delays in whole seconds; the rest is cut off, and 500ms is no delay at all.",
    "Write whole seconds.",
)  # fmt: skip
BOTH_DELAYED = Rule(
    "F010", _WARNING, "the same fencing delay on both nodes",
    "In a split of two nodes the delay decides who survives; the same delay on both sides decides nothing, and both"
    " shoot each other after it.",
    "Keep the delay on the device of one node only: that node then wins.",
)  # fmt: skip
NO_DELAY = Rule(
    "F011", _WARNING, "two nodes fence each other at the same time",
    "In a split both are sure to be the survivor, and both are off a second later.",
    "Set pcmk_delay_base=1s on the device of one node, or add an arbiter.",
)  # fmt: skip
NEEDLESS_DELAY = Rule(
    "F012", _WARNING, "a fencing delay where quorum decides already",
    "With three votes or more only the half with quorum fences, so that a delay only lengthens each failover.",
    "Remove pcmk_delay_base, pcmk_delay_max and priority-fencing-delay.",
)  # fmt: skip
SERIAL = Rule(
    "F013", _WARNING, "nodes are fenced one after the other",
    "With concurrent-fencing=false (the default of Pacemaker 2.1) the loss of a rack fences its nodes in turn, each"
    " waiting for the one before, even for one that cannot be fenced.",
    "Set concurrent-fencing=true.",
)  # fmt: skip
UNKNOWN_DEVICE = Rule(
    "F014", _ERROR, "a fencing level names a device that does not exist",
    "The level fails, and fencing goes on to the next level, or fails, after its time-out.",
    "Correct the device's id in fencing-topology.",
)  # fmt: skip
WATCHDOG = Rule(
    "F015", _ERROR, "stonith-watchdog-timeout is shorter than what it relies on",
    "The cluster takes a silent node for dead after this time. The node itself notices its loss of quorum only after"
    " token and consensus; with less, services start elsewhere while the node still runs them.",
    "Set it to at least twice SBD_WATCHDOG_TIMEOUT, and more than token + consensus.",
)  # fmt: skip
ON_TARGET = Rule(
    "F016", _INFO, "a node may hold its own fence device",
    "Fencing still works, for Pacemaker asks another node; but the device's monitor then says nothing about whether the"
    " others can reach the BMC, which is what matters.",
    "Add a location constraint with score -INFINITY for the device on its own node.",
)  # fmt: skip

RULES = (
    DISABLED, NO_DEVICE, UNCOVERED, DYNAMIC, ACTION, CYCLE, WAITS, SECRET, DELAY_UNIT, BOTH_DELAYED, NO_DELAY,
    NEEDLESS_DELAY, SERIAL, UNKNOWN_DEVICE, WATCHDOG, ON_TARGET,
)  # fmt: skip
