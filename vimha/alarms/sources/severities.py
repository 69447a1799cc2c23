"""What other systems call a severity, in X.733's words.

Invariant: `severity` knows every word; one that is not in the table is INDETERMINATE, which ranks with a warning.
"""

from vimha.alarms.words import Severity

TABLE: dict[str, dict[Severity, tuple[str, ...]]] = {
    "X.733, SOL003": {each: (each.value.lower(),) for each in Severity},
    "Prometheus, Alertmanager": {
        Severity.CRITICAL: ("critical", "page"),
        Severity.MAJOR: ("error", "high"),
        Severity.MINOR: ("ticket", "low"),
        Severity.WARNING: ("warning", "info", "none"),
    },
    "Zabbix": {
        Severity.CRITICAL: ("disaster",),
        Severity.MAJOR: ("high",),
        Severity.MINOR: ("average",),
        Severity.WARNING: ("warning", "information"),
        Severity.INDETERMINATE: ("not classified",),
    },
    "Aodh": {Severity.CRITICAL: ("critical",), Severity.MAJOR: ("moderate",), Severity.MINOR: ("low",)},
    "IPMI sensors": {
        Severity.CRITICAL: ("nr", "non-recoverable"),
        Severity.MAJOR: ("cr",),
        Severity.MINOR: ("nc", "non-critical"),
    },
    "syslog": {
        Severity.CRITICAL: ("emerg", "alert", "crit"),
        Severity.MAJOR: ("err",),
        Severity.WARNING: ("warn", "notice", "debug"),
    },
    "Nagios, Icinga": {Severity.INDETERMINATE: ("unknown",), Severity.CLEARED: ("ok", "up")},
}  # fmt: skip
"""By system, what is called what; a word means the same in all of them."""
WORDS = {word: found for system in TABLE.values() for found, words in system.items() for word in words}


def severity(word: str) -> Severity:
    """The severity that another system's `word` means."""
    return WORDS.get(word.strip().lower(), Severity.INDETERMINATE)
