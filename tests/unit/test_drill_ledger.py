"""What was promised against what is there: no arithmetic may hide a lost write, nor invent one."""

from hypothesis import given
from hypothesis import strategies as st

from vimha.drill.ledger import SLOW_S, Ledger, Member, Outcome, Write, audit_messages, audit_rows
from vimha.drill.outage import longest, windows

OUTCOMES: tuple[Outcome, ...] = ("acknowledged", "refused", "unknown", "unsent")
writes = st.dictionaries(st.integers(1, 60), st.sampled_from(OUTCOMES))


def ledger_of(outcomes: dict[int, Outcome], late: frozenset[int] = frozenset()) -> Ledger:
    made = Ledger()
    for number, outcome in outcomes.items():
        made.enter({"id": number, "start": float(number), "end": number + 0.01, "outcome": outcome, "why": ""})
    for number in late:
        made.enter({"late": number})
    return made


def member(ids: frozenset[int], uuid: str = "u") -> Member:
    return Member(uuid, str(hash(ids)), ids)


def of(outcomes: dict[int, Outcome], *wanted: Outcome) -> frozenset[int]:
    return frozenset(number for number, outcome in outcomes.items() if outcome in wanted)


@given(outcomes=writes, data=st.data())
def test_the_acknowledged_and_any_of_the_unknown_are_right(outcomes: dict[int, Outcome], data: st.DataObject) -> None:
    unknown = of(outcomes, "unknown")
    kept = data.draw(st.frozensets(st.sampled_from(sorted(unknown)))) if unknown else frozenset()
    there = member(of(outcomes, "acknowledged") | kept)
    found = audit_rows(ledger_of(outcomes), {"c1": there, "c2": there, "c3": there}, "u")
    assert (found.lost, found.problems) == (0, ())
    assert audit_messages(ledger_of(outcomes), there.ids).problems == ()


@given(outcomes=writes, data=st.data())
def test_every_loss_is_counted_wherever_it_is(outcomes: dict[int, Outcome], data: st.DataObject) -> None:
    promised = of(outcomes, "acknowledged")
    gone = [data.draw(st.frozensets(st.sampled_from(sorted(promised)))) if promised else frozenset() for _ in range(3)]
    members = {f"c{n}": member(promised - lost) for n, lost in enumerate(gone)}
    found = audit_rows(ledger_of(outcomes), members, "u")
    assert found.lost == len(frozenset().union(*gone))
    assert bool(found.problems) == any(gone)
    assert audit_messages(ledger_of(outcomes), promised - gone[0]).lost == len(gone[0])


@given(outcomes=writes, strange=st.frozensets(st.integers(1, 70), min_size=1))
def test_whatever_nobody_was_promised_is_told(outcomes: dict[int, Outcome], strange: frozenset[int]) -> None:
    allowed = of(outcomes, "acknowledged", "unknown")
    there = member(of(outcomes, "acknowledged") | strange)
    for found in (audit_rows(ledger_of(outcomes), {"c1": there}, "u"), audit_messages(ledger_of(outcomes), there.ids)):
        assert found.lost == 0
        assert bool(found.problems) == bool(strange - allowed)


@given(outcomes=writes)
def test_a_late_answer_is_a_promise(outcomes: dict[int, Outcome]) -> None:
    late = of(outcomes, "unknown")
    found = audit_rows(ledger_of(outcomes, late), {"c1": member(of(outcomes, "acknowledged"))}, "u")
    assert found.lost == len(late)


def test_members_that_differ_in_content_alone_are_told() -> None:
    same = frozenset({1})
    members = {"c1": Member("u", "11", same), "c2": Member("u", "12", same)}
    (problem,) = audit_rows(ledger_of({1: "acknowledged"}), members, "u").problems
    assert problem == "the members' tables differ: c1 1 rows, checksum 11, c2 1 rows, checksum 12"


def test_a_second_cluster_is_told() -> None:
    members = {"c1": member(frozenset(), "old"), "c2": member(frozenset(), "new")}
    (problem,) = audit_rows(Ledger(), members, "old").problems
    assert problem == "c2 belongs to the cluster new, which was old before the fault"


def test_no_member_is_no_proof() -> None:
    assert audit_rows(Ledger(), {}, "u").problems == ("no member of the database could be read",)


def test_a_commit_that_hangs_is_an_outage_although_nothing_failed() -> None:
    made = Ledger()
    for number, (start, end) in enumerate([(1.0, 1.002), (1.01, 1.7), (1.701, 1.703)]):
        made.enter({"id": number, "start": start, "end": end, "outcome": "acknowledged", "why": ""})
    worst = longest(windows(made.attempts))
    assert worst is not None
    assert worst.start <= 1.01
    assert worst.end >= 1.7
    assert made.acknowledged == {0, 1, 2}


@given(took=st.floats(0, 1))
def test_only_a_quick_acknowledgement_is_good(took: float) -> None:
    for outcome in OUTCOMES:
        attempt = Write(1, 0.0, took, outcome).attempt()
        assert attempt.ok == (outcome == "acknowledged" and took <= SLOW_S)
        assert attempt.ok or attempt.why
