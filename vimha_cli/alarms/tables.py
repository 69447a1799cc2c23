"""How alarms look on a terminal: tables, one alarm in full, one line for each notification.

Invariant: what others wrote (an alarm's texts) is shown as text: no control character of it reaches the terminal, and
nothing in it is markup. Severities differ by their words; colour only helps.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vimha.alarms.words import NotificationType, Severity
from vimha_cli.output import table

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

STYLES = {
    "CRITICAL": "bold white on red", "MAJOR": "bold red", "MINOR": "yellow", "WARNING": "cyan",
    "INDETERMINATE": "magenta", "CLEARED": "green",
}  # fmt: skip
SHORT = 8
"""Digits of an id that are shown, if no other one begins so."""
NARROW = 110
"""Columns of a terminal; on fewer than these an alarm takes two lines."""

Json = Mapping[str, Any]


def alarms(found: Sequence[Json], width: int, *, folded: bool = True) -> "Table":
    """The alarms in their order, on `width` columns; cleared ones say until when they lasted. What is too long for its
    column is folded, or else cut.
    """
    shown, cut = table(""), shorts([each["id"] for each in found])
    shown.expand = shown.collapse_padding = True
    over = any("alarmClearedTime" in each for each in found)
    texts = _narrow if width < NARROW else _wide
    for name in ("id", "severity", "raised", *(["cleared"] * over)):
        shown.add_column(name, no_wrap=True)
    for name in texts(None):
        ratio = 1 if name == "details" else None
        shown.add_column(name, overflow="fold" if folded else "ellipsis", no_wrap=not folded, ratio=ratio)
    for each in found:
        when = [_brief(each["alarmRaisedTime"]), *([_brief(each.get("alarmClearedTime"))] * over)]
        shown.add_row(cut[each["id"]], severity(graded(each)), *when, *map(text, texts(each)))
    return shown


def alarm(found: Json, meaning: str) -> "Table":
    """One alarm in full. `meaning` is the catalogue's."""
    shown = table(f"{found['faultType']} of {plain(found['managedObjectId'])}")
    shown.show_header = False
    shown.add_column(style="bold", no_wrap=True)
    shown.add_column(overflow="fold")
    for name, value in _attributes(found, meaning):
        if value:
            shown.add_row(name, severity(value) if name in ("severity", "before") else text(value))
    return shown


def count(found: Sequence[Json]) -> str:
    """How many there are, and how bad they are or were."""
    numbers = Counter(graded(each) for each in found)
    parts = [f"{numbers[each]} {each.lower()}" for each in Severity if numbers[each] and each is not Severity.CLEARED]
    many = "1 alarm" if len(found) == 1 else f"{len(found)} alarms"
    return f"{many}: {', '.join(parts)}" if parts else many


def line(kind: str, body: Json) -> str:
    """One notification as a line: when, how bad, what happened."""
    if kind == NotificationType.CLEARED:
        when, word = body.get("alarmClearedTime"), "CLEARED"
    else:
        when, word = body.get("alarmChangedTime") or body["alarmRaisedTime"], body["perceivedSeverity"]
    told = [moment(when), f"{word:13}", body["id"][:SHORT], body["faultType"], body["managedObjectId"]]
    return plain("  ".join([*told, *filter(None, [acknowledged(body), details(body)])]))


def filters(wanted: Json | None) -> str:
    """A subscription's filter in words."""
    said = [f"{name}: {value if isinstance(value, str) else _listed(value)}" for name, value in (wanted or {}).items()]
    return "; ".join(said) or "everything"


def shorts(ids: Sequence[str]) -> dict[str, str]:
    """Each id's beginning: SHORT digits, or as many more as make all of them differ."""
    length = SHORT
    while len({each[:length] for each in ids}) < len(set(ids)):
        length += 1
    return {each: each[:length] for each in ids}


def graded(found: Json) -> str:
    """How bad an alarm is; of a cleared one, how bad it was."""
    return str(found.get("lastPerceivedSeverity", found["perceivedSeverity"]))


def severity(word: str) -> "Text":
    """A severity in its colour."""
    from rich.text import Text

    return Text(plain(word), style=STYLES.get(word, ""))


def text(value: object) -> "Text":
    """A value, of several lines perhaps, as nothing but text."""
    from rich.text import Text

    return Text("\n".join(plain(each) for each in str(value).split("\n")))


def plain(value: object) -> str:
    """A value without what a terminal would obey."""
    return "".join(each if each.isprintable() else "?" for each in str(value))


def moment(when: str | None) -> str:
    """A time of the service's by this machine's clock, to the second; now, if there is none."""
    found = datetime.fromisoformat(when) if when else datetime.now().astimezone()
    return found.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def acknowledged(found: Json) -> str:
    """By whom; empty when it is not."""
    if found["ackState"] != "ACKNOWLEDGED":
        return ""
    return f"by {found['acknowledgedBy']}" if found.get("acknowledgedBy") else "yes"


def details(found: Json) -> str:
    """What is special about this one."""
    often = [f"flapping, {found['eventCount']} times"] if found.get("flapping") else []
    return "; ".join([*often, *filter(None, [found.get("specificProblem")]), *found.get("faultDetails", [])])


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else json.dumps(value)


def _attributes(found: Json, meaning: str) -> list[tuple[str, str]]:
    where = found.get("location", {})
    return [
        ("id", found["id"]),
        ("severity", found["perceivedSeverity"]),
        ("before", found.get("lastPerceivedSeverity", "")),
        ("meaning", meaning),
        ("repair", found.get("proposedRepairAction", "")),
        ("details", "\n".join(found.get("faultDetails", []))),
        ("problem", found.get("specificProblem", "")),
        ("object", found["managedObjectId"]),
        ("location", ", ".join(f"{name} {value}" for name, value in where.items())),
        ("fault domain", found.get("faultDomain", "")),
        ("observed", _exact(found["eventTime"])),
        ("raised", _exact(found["alarmRaisedTime"])),
        ("changed", _exact(found.get("alarmChangedTime"))),
        ("acknowledged", " ".join(filter(None, [_exact(found.get("alarmAcknowledgedTime")), acknowledged(found)]))),
        ("cleared", _exact(found.get("alarmClearedTime"))),
        ("clearing", found.get("clearingType", "")),
        ("observed times", f"{found['eventCount']}{', flapping' if found.get('flapping') else ''}"),
        ("event type", found["eventType"]),
        ("probable cause", found["probableCause"]),
        ("service affecting", "yes" if found.get("serviceAffecting") else "no"),
        ("root cause", "yes" if found["isRootCause"] else ""),
        ("correlated", "\n".join(found.get("correlatedAlarmIds", []))),
        ("reported by", found.get("detector", "")),
    ]


def _wide(found: Json | None) -> tuple[str, ...]:
    """What is told of an alarm beside its severity and times; of None, the headings."""
    if found is None:
        return "object", "type", "acknowledged", "details"
    return found["managedObjectId"], found["faultType"], acknowledged(found), details(found)


def _narrow(found: Json | None) -> tuple[str, ...]:
    """The same for a narrow terminal, in two columns."""
    if found is None:
        return "object, type", "details"
    care = f"acknowledged {acknowledged(found)}" if acknowledged(found) else ""
    return f"{found['managedObjectId']}\n{found['faultType']}", "; ".join(filter(None, [care, details(found)]))


def _brief(when: str | None) -> str:
    """The time of day of what was today; else the date and the minute."""
    if when is None:
        return ""
    shown = moment(when)
    return shown[11:] if shown[:10] == moment(None)[:10] else shown[:16]


def _exact(when: str | None) -> str:
    return datetime.fromisoformat(when).astimezone().isoformat(" ", "microseconds") if when else ""
