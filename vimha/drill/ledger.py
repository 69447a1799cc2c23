"""What a writer was promised against what the stores hold: pure arithmetic on sets of ids.

Every write of a round carries an id of its own. Invariant: an id is in exactly one of four states, and only the
strongest word about it counts: acknowledged (it must be there, on every member), refused (the server said no before it
began: it must not be there), unknown (it was under way when its answer was lost: either is right), or never sent. An
answer that comes after the client gave up still is a promise. Nothing else may be there at all.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from vimha.drill.outage import Attempt

Outcome = Literal["acknowledged", "refused", "unknown", "unsent"]
SLOW_S = 0.1
"""A write that takes longer is an outage from its start on: time without an acknowledged write is what is measured,
and a commit that hangs raises no error. A healthy commit or confirm takes 2-20 ms."""
SHOWN = 5
"""So many ids are named in a problem; they are what one looks for in the logs."""


@dataclass(frozen=True)
class Write:
    """One write of a probe: its id, monotonic seconds from the call to its answer (or to when the client gave up), and
    what came of it.
    """

    id: int
    start: float
    end: float
    outcome: Outcome
    why: str = ""

    def attempt(self) -> Attempt:
        """The write as the outage's arithmetic sees it: good when it was acknowledged within SLOW_S."""
        took = self.end - self.start
        if self.outcome != "acknowledged":
            return Attempt(self.start, self.end, False, self.why or self.outcome)
        return Attempt(self.start, self.end, took <= SLOW_S, "" if took <= SLOW_S else f"answered after {took:.2f} s")


@dataclass
class Ledger:
    """The states of all writes of one round, and their attempts in the order in which they ended."""

    acknowledged: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    unknown: set[int] = field(default_factory=set)
    attempts: list[Attempt] = field(default_factory=list)

    def enter(self, record: Mapping[str, Any]) -> None:
        """Add a recorder's line: a finished `Write`, or `{"late": id}` for an answer that came after its client had
        given up."""
        if "late" in record:
            self.unknown.discard(record["late"])
            self.acknowledged.add(record["late"])
            return
        write = Write(**record)
        self.attempts.append(write.attempt())
        states = {"acknowledged": self.acknowledged, "refused": self.refused, "unknown": self.unknown}
        if write.outcome in states:
            states[write.outcome].add(write.id)


@dataclass(frozen=True)
class Member:
    """What one member of the database holds: its cluster's UUID, the table's checksum, and every id in it."""

    uuid: str
    checksum: str
    ids: frozenset[int]


@dataclass(frozen=True)
class Audit:
    """What a check of one store found: acknowledged writes that are gone, and every problem in words."""

    lost: int
    problems: tuple[str, ...] = ()


def audit_rows(ledger: Ledger, members: Mapping[str, Member], uuid: str) -> Audit:
    """Hold the tables of all `members` against the `ledger`; `uuid` is what the cluster was called before the fault.

    A row counts as lost when it is missing on any member: a client may be led to each of them.
    """
    missing = {node: sorted(ledger.acknowledged - member.ids) for node, member in members.items()}
    problems = [f"{node} lacks {_ids(ids, 'acknowledged row')}" for node, ids in missing.items() if ids]
    for node, member in members.items():
        problems += _surplus(node, member.ids, ledger)
        if member.uuid != uuid:
            problems.append(f"{node} belongs to the cluster {member.uuid}, which was {uuid} before the fault")
    if len({(len(member.ids), member.checksum) for member in members.values()}) > 1:
        told = ", ".join(f"{node} {len(m.ids)} rows, checksum {m.checksum}" for node, m in members.items())
        problems.append(f"the members' tables differ: {told}")
    if not members:
        problems.append("no member of the database could be read")
    return Audit(len(set().union(*missing.values())), tuple(problems))


def audit_messages(ledger: Ledger, consumed: Iterable[int]) -> Audit:
    """Hold what was `consumed` (once or more often) against the `ledger` of what was published."""
    seen = frozenset(consumed)
    missing = sorted(ledger.acknowledged - seen)
    problems = [f"never consumed: {_ids(missing, 'confirmed message')}"] if missing else []
    return Audit(len(missing), (*problems, *_surplus("the consumer", seen, ledger, "message")))


def _surplus(where: str, ids: frozenset[int], ledger: Ledger, what: str = "row") -> list[str]:
    refused = sorted(ids & ledger.refused)
    strange = sorted(ids - ledger.acknowledged - ledger.unknown - ledger.refused)
    found = [f"{where} has {_ids(refused, f'refused {what}')}"] if refused else []
    return found + ([f"{where} has {_ids(strange, what)} that nobody wrote"] if strange else [])


def _ids(ids: Sequence[int], what: str) -> str:
    named = ", ".join(map(str, ids[:SHOWN])) + (", ..." if len(ids) > SHOWN else "")
    return f"{len(ids)} {what}{'' if len(ids) == 1 else 's'} (id {named})"
