"""The rules that need the whole site: every finding about a `Site` that fits the model.

Invariant: a rule keeps silent about a place that is broken already (its value was told, and guessed or left out), so
that one mistake does not make two findings.
"""

from collections.abc import Sequence

from vimha.findings import Finding
from vimha.site import rules
from vimha.site.model import Site
from vimha.site.yamltext import Path, Places


def check(site: Site, places: Places, broken: Sequence[Path] = ()) -> list[Finding]:
    return []


def computable(findings: Sequence[Finding]) -> bool:
    return True
