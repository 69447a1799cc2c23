"""The rules that need the whole site: every finding about a `Site` that fits the model.

Invariant: a rule keeps silent about a place that is broken already (its value was told, and guessed or left out), so
that one mistake does not make two findings.
"""

from collections.abc import Iterable, Sequence
from itertools import chain

from vimha.findings import Finding
from vimha.site import check_alarms, check_network, check_nodes, check_services, check_spares, rules
from vimha.site.hits import Hit
from vimha.site.model import Site
from vimha.site.yamltext import Path, Places

_CHECKS = (*check_nodes.CHECKS, *check_network.CHECKS, *check_services.CHECKS, *check_spares.CHECKS,
           *check_alarms.CHECKS)  # fmt: skip
_NOT_COMPUTABLE = frozenset(
    rule.code
    for rule in (rules.ONE_NODE, rules.NO_ADDRESS, rules.FEW_PORTS, rules.NO_PLANE, rules.NO_VIP, rules.NOTHING)
)
"""After these a site names what is not there: its addresses, interfaces or VIPs cannot be worked out."""


def check(site: Site, places: Places, broken: Iterable[Path] = ()) -> list[Finding]:
    """All findings about `site`, except about places that touch a `broken` one."""
    bad = tuple(broken)
    hits = chain.from_iterable(rule(site) for rule in _CHECKS)
    return [_finding(hit, places) for hit in hits if not any(_touches(hit, path) for path in bad)]


def computable(findings: Sequence[Finding]) -> bool:
    """Whether a site with these findings can be handed to the rooms above."""
    return not any(finding.code in _NOT_COMPUTABLE for finding in findings)


def _finding(hit: Hit, places: Places) -> Finding:
    message = hit.message
    if hit.first is not None and (line := places.line(hit.first)):
        message += f" (line {line})"
    return hit.rule.finding(places.at(hit.path), message, remedy=hit.remedy)


def _touches(hit: Hit, broken: Path) -> bool:
    """Whether one of the places that `hit` is about is around or inside of the `broken` one."""
    for path in (hit.path, *hit.about):
        shorter = min(len(path), len(broken))
        if path[:shorter] == broken[:shorter]:
            return True
    return False
