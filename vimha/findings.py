"""Findings: what validation has to say, as data.

Invariant: every code that can be reported is a `Rule` in a room's `rules.py`; docs/findings.md is generated from
these, and a finding without a rule cannot be made. Codes are stable: S site, T timing, R rendered artefacts,
C cluster configuration (CIB, corosync), P policy (what the scheduler would do), F fencing.
"""

from dataclasses import asdict, dataclass
from enum import StrEnum


class Severity(StrEnum):
    """`error` refuses the site; `warning` is a risk that an operator may take; `info` only tells."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True)
class Finding:
    """One result of validation.

    `where` is `file:line` when a line is known, else the object's place (a CIB id, a node's name).
    """

    code: str
    severity: Severity
    where: str
    message: str
    remedy: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class Rule:
    """A kind of finding: its stable code, usual severity, what it is about and why it matters, and the remedy."""

    code: str
    severity: Severity
    title: str
    why: str
    remedy: str

    def finding(self, where: str, message: str, *, remedy: str = "", severity: Severity | None = None) -> Finding:
        """This rule's finding at `where`; `message` names the value that breaks it and says what is wrong."""
        return Finding(self.code, severity or self.severity, where, message, remedy or self.remedy)


def errors(findings: list[Finding]) -> list[Finding]:
    """Only the findings that refuse the site."""
    return [finding for finding in findings if finding.severity is Severity.ERROR]
