"""Findings about timings: objectives that cannot be met, and settings that would meet them at a price.

Invariant: every class over the objective is an error that names the term that costs most and the key of site.yaml
that decides it; a site whose timings come from the solver, unpinned, has no other finding than that.
"""

from vimha.findings import Finding, Rule, Severity
from vimha.site.model import Pinned, Site
from vimha.site.units import show_ms
from vimha.timing import formulas
from vimha.timing.budget import Shape, bond_switch, budget
from vimha.timing.figures import CHECK_RUN, MONITOR_RUN
from vimha.timing.margins import THIN, THIN_PAUSE
from vimha.timing.model import Budget, FaultClass, Term, Timings
from vimha.timing.solve import TOKENS, hastiest, solve

OVER_OBJECTIVE = Rule(
    "T001",
    Severity.ERROR,
    "Pinned timings break the objective",
    "The worst case of a fault class is longer than the objective, and timings that the site pins are the reason:"
    " without them the solver finds a set that fits.",
    "Remove the pin, or raise `objective`.",
)
OUT_OF_REACH = Rule(
    "T002",
    Severity.ERROR,
    "Objective out of reach",
    "Even with every timing at its hastiest sane value the worst case is longer than the objective: what costs most"
    " is not a timing but a step that takes as long as it takes (fencing, an API's start).",
    "Make the dominating step shorter, or raise `objective`.",
)
NO_BOND = Rule(
    "T003",
    Severity.WARNING,
    "The loss of a plane lasts until it is repaired",
    "Without a bond an address lives on one plane's ports; when that plane fails, no node can serve it, and no timing"
    " helps. The budget counts it as an hour and fails.",
    "Join the ports in a bond, or accept that a plane is a single point of failure.",
)
COEFFICIENT = Rule(
    "T004",
    Severity.WARNING,
    "token_coefficient lengthens the token",
    "corosync adds token_coefficient to the token for every node above two (650 ms each by default), and 1.2 times"
    " that again to consensus; a token that was pinned short is then not short at all.",
    "Pin `token_coefficient: 0ms`, or leave it out: vimha then writes 0.",
)
SHORT_CONSENSUS = Rule(
    "T005",
    Severity.ERROR,
    "consensus is shorter than 1.2 token",
    "With three nodes or more, corosync.conf(5) asks for a consensus of at least 1.2 token: nodes would give up on a"
    " membership that still forms, and re-form it in circles.",
    "Leave `consensus` out: vimha then writes 1.2 token.",
)
SHORT_TOKEN = Rule(
    "T006",
    Severity.WARNING,
    "The token is shorter than a busy node tolerates",
    f"corosync distrusts itself after token / 2 unscheduled. Below a token of {TOKENS[-1]} ms an ordinary scheduling"
    f" stall is enough, and the node is fenced for it; below {formulas.LOWEST_TOKEN} ms corosync does not even start.",
    f"Pin `token` to {TOKENS[-1]}ms or more, or leave it out.",
)
THIN_TIMEOUT = Rule(
    "T007",
    Severity.WARNING,
    "A timeout is close to the usual run time",
    f"A monitor or check that is cut off counts as a failure. Below {THIN} times its usual run time, load alone makes"
    " it fail, and each false alarm is a failover.",
    "Lengthen the timeout.",
)
SHORT_MEMORY = Rule(
    "T008",
    Severity.ERROR,
    "failure-timeout is shorter than an operation",
    "Pacemaker forgets a failure whose failure-timeout is over before the longest operation timeout has passed: the"
    " failure is then ignored, and a broken resource stays where it is.",
    "Make failure-timeout longer than the longest operation timeout.",
)
SLOW_BOND = Rule(
    "T009",
    Severity.WARNING,
    "The bond switches too slowly for the token",
    "Both of corosync's links ride on the bond. When its switch takes about as long as the token, the loss of one"
    " port looks like the loss of the node, which is fenced; the loss of a plane, like the loss of all.",
    "Lower `bond.miimon` (or `bond.arp_interval`), or lengthen the token by a larger `objective`.",
)
BUSY_MONITOR = Rule(
    "T010",
    Severity.WARNING,
    "Monitors take much of a core",
    "The interval decides how often each monitor runs on every node. Below a few of its run times, monitoring alone"
    " keeps a core busy and delays what it watches.",
    "Lengthen `monitor_interval`; 500ms meets most objectives.",
)
RULES = (
    OVER_OBJECTIVE, OUT_OF_REACH, NO_BOND, COEFFICIENT, SHORT_CONSENSUS, SHORT_TOKEN, THIN_TIMEOUT, SHORT_MEMORY,
    SLOW_BOND, BUSY_MONITOR,
)  # fmt: skip


def check(site: Site, timings: Timings, found: Budget) -> list[Finding]:
    """Every finding about `timings` on `site`, whose budget is `found`."""
    return [*_objective(site, found), *_corosync(site, timings), *_timeouts(timings), *_ports(site, timings)]


def _objective(site: Site, found: Budget) -> list[Finding]:
    """One finding for each sum over the objective; classes that add up the same terms share it."""
    over: dict[tuple[Term, ...], list[FaultClass]] = {}
    for entry in found.classes:
        if entry.worst_s > found.objective_s:
            over.setdefault(entry.terms, []).append(entry)
    if not over:
        return []
    floor = budget(site, hastiest(site))
    unpinned = budget(site, solve(site.model_copy(update={"timings": Pinned()})))
    return [_over(entries, found.objective_s, floor, unpinned) for entries in over.values()]


def _over(entries: list[FaultClass], objective_s: float, floor: Budget, unpinned: Budget) -> Finding:
    """The finding for classes over the objective: whether a pin, the objective or the missing bond is to blame."""
    entry = entries[0]
    term = entry.dominating
    message = (
        f"{', '.join(each.name for each in entries)}: worst case {entry.worst_s:.2f} s, objective {objective_s:g} s;"
        f" the largest part is '{term.name}', {term.worst_s:.2f} s ({term.source})"
    )
    if term.knob == "bond":
        return NO_BOND.finding("bond", f"no bond: {message}")
    lowest = floor.named(entry.name).worst_s
    if lowest > objective_s:
        return OUT_OF_REACH.finding(
            "objective", f"{message}; no timing brings it below {lowest:.2f} s", remedy=_remedy(term.knob, lowest)
        )
    solved = unpinned.named(entry.name)
    pin = _grown(entry, solved)
    message += (
        f"; '{pin.name}' is {pin.worst_s:.2f} s by a pinned timing, without pins the sum is {solved.worst_s:.2f} s"
    )
    return OVER_OBJECTIVE.finding(pin.knob or "timings", message)


def _grown(entry: FaultClass, solved: FaultClass) -> Term:
    """The term of `entry` that is furthest above the same term of `solved`."""
    usual = {term.name: term.worst_s for term in solved.terms}
    return max(entry.terms, key=lambda term: term.worst_s - usual.get(term.name, 0.0))


def _remedy(knob: str, lowest_s: float) -> str:
    raised = f"Raise `objective` to {show_ms(-(-round(lowest_s * 1000) // 500) * 500)} or more"
    ways = {
        "fencing.off_worst": "measure how long your BMCs take and set `fencing.off_worst` to it",
        "services.*.policy": "give the service the policy warm-standby, or two active instances, so that a failover"
        " does not wait for its start",
        "nodes.*.fencing_delay": "add an arbiter node, so that no fencing delay is needed",
    }
    return f"{raised}, or {ways[knob]}." if knob in ways else f"{raised}."


def _corosync(site: Site, timings: Timings) -> list[Finding]:
    nodes = len(site.nodes)
    token_eff = formulas.token_effective(timings.token, timings.token_coefficient, nodes)
    findings = []
    if timings.token_coefficient and nodes > 2:
        findings.append(COEFFICIENT.finding(
            "timings.token_coefficient",
            f"token {timings.token} ms, coefficient {timings.token_coefficient} ms: {token_eff} ms on {nodes} nodes",
        ))  # fmt: skip
    if nodes > 2 and timings.consensus < formulas.CONSENSUS_FACTOR * token_eff:
        findings.append(SHORT_CONSENSUS.finding(
            "timings.consensus",
            f"consensus {timings.consensus} ms; 1.2 token is {formulas.consensus_default(token_eff)} ms",
        ))  # fmt: skip
    if formulas.pause_tolerated(token_eff) < THIN_PAUSE:
        refused = token_eff < formulas.LOWEST_TOKEN
        findings.append(SHORT_TOKEN.finding(
            "timings.token",
            f"token {token_eff} ms" + (": corosync refuses to start with it" if refused
            else f" tolerates a pause of {formulas.pause_tolerated(token_eff)} ms"),
            severity=Severity.ERROR if refused else None,
        ))  # fmt: skip
    return findings


def _timeouts(timings: Timings) -> list[Finding]:
    findings = []
    for name, operations in (("haproxy", timings.haproxy), ("api", timings.api)):
        if operations.monitor_timeout < THIN * MONITOR_RUN.typical:
            findings.append(THIN_TIMEOUT.finding(
                "timings.monitor_timeout", f"{name}: a monitor timeout of {operations.monitor_timeout} ms;"
                f" its monitor usually takes {MONITOR_RUN.typical:g} ms",
            ))  # fmt: skip
    if timings.checks.timeout < THIN * CHECK_RUN.typical:
        findings.append(THIN_TIMEOUT.finding(
            "haproxy", f"a check timeout of {timings.checks.timeout} ms; a check usually takes {CHECK_RUN.typical:g} ms"
        ))  # fmt: skip
    if timings.haproxy.interval < THIN * MONITOR_RUN.typical / 2:
        findings.append(BUSY_MONITOR.finding(
            "timings.monitor_interval", f"every {timings.haproxy.interval} ms a process is started for each resource,"
            f" of {MONITOR_RUN.typical:g} ms for one that is not well",
        ))  # fmt: skip
    longest = max(
        max(each.start_timeout, each.stop_timeout, each.monitor_timeout)
        for each in (timings.vip, timings.haproxy, timings.api, timings.ports, timings.database, timings.messaging)
    )
    if timings.failure_timeout <= longest:
        findings.append(SHORT_MEMORY.finding(
            "failure-timeout", f"{show_ms(timings.failure_timeout)}; the longest operation may take {show_ms(longest)}"
        ))  # fmt: skip
    return findings


def _ports(site: Site, timings: Timings) -> list[Finding]:
    shape = Shape.of(site)
    if not shape.bonded:
        return []
    token_eff = formulas.token_effective(timings.token, timings.token_coefficient, shape.nodes)
    switch = round(sum(term.worst_s for term in bond_switch(shape)) * 1000)
    if switch <= token_eff - formulas.retransmit(token_eff):
        return []
    return [SLOW_BOND.finding("bond", f"the bond takes up to {switch} ms to switch, the token is {token_eff} ms")]
