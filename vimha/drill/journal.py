"""What the nodes' own logs say about a failover: corosync's and Pacemaker's journal lines as events.

Invariant: stamps are the journal's monotonic ones. The lab's machines share the host's clock, so these compare with
the probes' stamps to the millisecond, whatever happens to the wall clock. Texts are those of Corosync 3.1 and
Pacemaker 2.1; a line that is not understood is no event, never an error.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vimha.errors import VimhaError
from vimha.process import Runner

IDENTIFIERS = ("corosync", "pacemakerd", "pacemaker-controld", "pacemaker-fenced", "pacemaker-schedulerd")
READ_S = 20.0
"""How long reading one node's journal may take; it is a few hundred lines."""


@dataclass(frozen=True)
class Event:
    """Something that happened at `at` (monotonic seconds) on `node` (empty: outside the nodes)."""

    at: float
    kind: str
    node: str
    text: str


@dataclass(frozen=True)
class _Pattern:
    kind: str
    text: re.Pattern[str]
    says: str


def _pattern(kind: str, text: str, says: str) -> _Pattern:
    return _Pattern(kind, re.compile(text), says)


PATTERNS = (
    _pattern("link-down", r"\[KNET *\] link: host: (?P<host>\d+) link: (?P<link>\d+) is down",
             "link {link} to node {host} is down"),
    _pattern("token-lost", r"A processor failed, forming new configuration|token timed out",
             "corosync lost the token"),
    _pattern("membership", r"A new membership \((?P<ring>[^)]+)\) was formed\.(?P<change>.*)",
             "new membership {ring}{change}"),
    _pattern("dc-lost", r"Our DC node \((?P<dc>\S+)\) left the cluster|Our peer on the DC \((?P<peer>\S+)\) is dead",
             "the DC is gone: election"),
    _pattern("dc-elected", r"State transition S_ELECTION -> S_INTEGRATION|Taking over DC status",
             "won the DC election"),
    _pattern("noticed", r"Result of monitor operation for (?P<rsc>\S+) on (?P<on>\S+): (?!ok)(?P<result>[^|(]+)",
             "monitor of {rsc} on {on}: {result}"),
    _pattern("fence-requested", r"Requesting fencing \((?P<action>\w+)\) (?:targeting|of) (?:node )?(?P<target>\S+)",
             "asked to fence {target} ({action})"),
    _pattern("fence-verified", r"Operation '(?P<action>\w+)' targeting (?P<target>\S+) by (?P<by>\S+) for \S+: OK",
             "{by} verified that {target} is off"),
    _pattern("fence-failed", r"Operation '\w+' targeting (?P<target>\S+) by \S+ for \S+: (?!OK)(?P<how>.+)",
             "fencing {target} failed: {how}"),
    _pattern("stopped", r"Result of stop operation for (?P<rsc>\S+) on (?P<on>\S+): (?P<result>[^|(]+)",
             "{rsc} stopped on {on}: {result}"),
    _pattern("started", r"Result of start operation for (?P<rsc>\S+) on (?P<on>\S+): (?P<result>[^|(]+)",
             "{rsc} started on {on}: {result}"),
)  # fmt: skip
"""What is worth a place on the timeline, in the order in which a line is tried."""


def event(at: float, node: str, message: str) -> Event | None:
    """The event that a log line is; None for a line that says nothing about a failover."""
    for pattern in PATTERNS:
        if found := pattern.text.search(message):
            words = {name: (value or "").strip() for name, value in found.groupdict().items()}
            change = words.get("change", "")
            return Event(
                at, pattern.kind, node, pattern.says.format(**{**words, "change": f": {change}" if change else ""})
            )
    return None


def parse(node: str, lines: Iterable[str], since: float) -> tuple[Event, ...]:
    """The events in `node`'s journal (`journalctl --output=json` lines) from `since` (monotonic seconds) on."""
    found = []
    for line in lines:
        try:
            record = json.loads(line)
            at, message = int(record["__MONOTONIC_TIMESTAMP"]) / 1e6, record["MESSAGE"]
        except (ValueError, KeyError, TypeError):
            continue
        if isinstance(message, list):  # journald's spelling of text that is not UTF-8
            message = bytes(message).decode(errors="replace")
        if at >= since and isinstance(message, str) and (known := event(at, node, message)):
            found.append(known)
    return tuple(found)


def read(runner: Runner, node: str, since: float, age_s: float) -> tuple[Event, ...]:
    """`node`'s events since the monotonic time `since`, which is `age_s` seconds ago; none when it cannot be asked."""
    tags = [word for name in IDENTIFIERS for word in ("-t", name)]
    ago = f"-{int(age_s) + 2}s"
    try:
        result = runner(["journalctl", "--output=json", "--no-pager", f"--since={ago}", *tags], timeout_s=READ_S)
    except VimhaError:  # the node lost its power meanwhile: its story is the others' to tell
        return ()
    return parse(node, result.out.splitlines(), since) if result.ok else ()


def of_kind(events: Sequence[Event], kind: str) -> tuple[Event, ...]:
    """The events of one kind."""
    return tuple(entry for entry in events if entry.kind == kind)
