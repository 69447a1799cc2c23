"""Which broker may start, and how: single decisions. (test_amqp_model.py hunts for their violation.)"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resource_agents.amqp.election import Begin, Boot, Call, Join, confirmed, decide
from resource_agents.amqp.word import CLAIM, ELECT, JOIN, PAUSED, PHASES, SPARE, UP, Word, decode, encode
from resource_agents.ocf.peers import Decision, Refuse, Wait

A, B, C = MEMBERS = ("a", "b", "c")


def word(ran: str = "", phase: str = ELECT, served: int = 0, cookie: str = "k", of: str = "abc") -> Word:
    return Word(phase, ran=frozenset(ran), of=frozenset(of if ran else ""), served=served, cookie=cookie)


def told(me: str, seen: dict[str, Word], **options: bool) -> Decision:
    return decide(me, MEMBERS, seen, active=3, **options)


def decisions(seen: dict[str, Word], **options: bool) -> dict[str, Decision]:
    return {me: told(me, seen, **options) for me in seen}


def kinds(seen: dict[str, Word], **options: bool) -> str:
    return " ".join(type(each).__name__ for each in decisions(seen, **options).values())


def test_a_first_start_is_begun_by_the_first_member_when_all_are_there() -> None:
    assert kinds({A: word(), B: word(), C: word()}) == "Begin Wait Wait"
    assert kinds({A: word(), B: word()}, hopeful=False) == "Wait Wait"
    assert "waits for c" in told(A, {A: word(), B: word()}).reason


def test_after_an_orderly_stop_the_last_begins_without_force() -> None:
    found = decisions({A: word("a"), B: word("ab"), C: word("abc")})
    assert isinstance(found[A], Begin)
    assert not found[A].force
    assert isinstance(found[B], Wait)
    assert isinstance(found[C], Wait)


def test_after_a_loss_of_all_one_begins_and_does_not_wait_for_the_others_tables() -> None:
    found = decisions({A: word("abc"), B: word("abc"), C: word("abc")})
    assert isinstance(found[A], Begin)
    assert found[A].force
    assert [type(found[name]) for name in (B, C)] == [Wait, Wait]


def test_who_was_left_behind_does_not_begin() -> None:
    """a was killed first; b and c saw it go and went on."""
    assert kinds({A: word("abc"), B: word("bc"), C: word("bc")}) == "Wait Begin Wait"
    assert kinds({A: word("abc"), B: word("bc")}, hopeful=False) == "Wait Begin"


def test_of_two_that_outlived_each_other_who_served_last_begins() -> None:
    """a was cut off and paused; b and c went on, then each alone."""
    assert kinds({A: word("a", served=100), B: word("bc", served=200), C: word("c", served=201)}) == "Wait Wait Begin"


def test_an_absent_member_that_ran_at_the_end_is_waited_for_as_long_as_it_may_come() -> None:
    seen = {A: word("abc"), B: word("abc")}
    assert kinds(seen) == "Wait Wait"
    assert "c, which ran beside a at the end" in told(A, seen).reason
    assert kinds(seen, hopeful=False) == "Begin Wait"
    assert kinds({A: word("ab"), B: word("ab")}) == "Begin Wait"


@pytest.mark.parametrize("seen", [{A: word("abc")}, {A: word("a")}, {A: word("abc"), B: word()}])
def test_without_a_majority_of_databases_nobody_begins(seen: dict[str, Word]) -> None:
    assert set(kinds(seen, hopeful=False).split()) == {"Wait"}


def test_the_operator_can_vouch_for_the_absent_but_not_for_who_is_there() -> None:
    assert isinstance(told(A, {A: word("abc")}, forced=True), Begin)
    assert isinstance(told(A, {A: word("abc"), B: word("b")}, forced=True), Wait)
    assert isinstance(told(A, {A: word("abc"), B: word("abc", UP)}, forced=True), Boot)


def test_beside_a_broker_that_runs() -> None:
    assert isinstance(told(A, {A: word("a"), B: word("abc", UP)}), Join)
    assert isinstance(told(A, {A: word("ab"), B: word("ab", UP)}), Boot)
    joins = told(A, {A: word(), B: word(phase=UP)})
    assert isinstance(joins, Join)
    assert joins.peer == B


def test_a_paused_broker_takes_its_own_back_but_no_new_one() -> None:
    assert isinstance(told(A, {A: word("abc"), B: word("b", PAUSED)}), Boot)
    assert isinstance(told(A, {A: word(), B: word("b", PAUSED)}), Wait)


@pytest.mark.parametrize("phase", [JOIN, CLAIM])
def test_one_after_another(phase: str) -> None:
    seen = {A: word("abc"), B: word("abc", phase), C: word("abc", UP)}
    assert isinstance(told(A, seen), Wait)


def test_another_cookie_is_another_site() -> None:
    seen = {A: word("abc"), B: word("abc", cookie="other"), C: word("abc", UP)}
    refused = told(A, seen)
    assert isinstance(refused, Refuse)
    assert "cookie differs from b's" in refused.reason


def test_who_is_no_member_counts_for_nothing() -> None:
    assert isinstance(told(A, {A: word("abc"), "x": word("x", UP), "y": word("y", UP)}), Wait)


D, E = "d", "e"


def of_spares(me: str, seen: dict[str, Word], *, members: str = "abcd", **options: bool) -> Decision:
    """The decision where three of the members are to run."""
    return decide(me, members, seen, active=3, **options)


def test_a_spare_without_a_database_is_no_absent_member() -> None:
    first = {A: word(phase=SPARE), B: word(), C: word(), D: word()}
    assert [type(of_spares(me, first)) for me in "bcd"] == [Begin, Wait, Wait]
    del first[A]
    assert "waits for a: a first start needs all members" in of_spares(B, first).reason


def test_a_spare_that_ran_last_is_called_and_waited_for() -> None:
    """a and b were stopped; c went on, and d joined it. Pacemaker starts the others now."""
    seen = {A: word("abc"), B: word("bc"), C: word("c", SPARE, served=9), D: word()}
    for me in "abd":
        decision = of_spares(me, seen)
        assert isinstance(decision, Call)
        assert decision.nodes == ["a", "b", "c"]
    started = {**seen, C: word("c", served=9), D: word(phase=SPARE)}
    assert isinstance(of_spares(C, started), Begin)


def test_a_majority_goes_on_without_a_spare_that_does_not_come() -> None:
    seen = {A: word("ac", of="abc"), B: word("abc"), C: word("c", SPARE, served=9), D: word()}
    assert isinstance(of_spares(A, seen), Call)
    assert isinstance(of_spares(A, seen, hopeful=False), Begin)
    lone = {A: word("ac"), B: word(), C: word("c", SPARE, served=9), D: word()}
    assert isinstance(of_spares(A, lone, hopeful=False), Call)


def test_of_those_that_ran_to_the_end_a_started_one_begins_and_the_lost_one_is_not_waited_for() -> None:
    seen = {A: word("abc", SPARE, served=9), B: word("abc", served=8), C: word("abc", served=7), D: word()}
    assert isinstance(of_spares(B, seen), Begin)
    assert isinstance(of_spares(C, seen), Wait)


def test_members_of_the_cluster_are_called_where_too_few_of_them_were_started() -> None:
    """c is lost; of the cluster's two others Pacemaker started one, beside two that never had a part in it."""
    seen = {A: word("abc"), B: word("abc", SPARE), D: word(), E: word()}
    decision = of_spares(A, seen, members="abcde", hopeful=False)
    assert isinstance(decision, Call)
    assert decision.nodes == ["a", "b"]
    assert "waits for b, c: 1 of 3 databases are no majority" in decision.reason


def test_a_majority_is_one_of_the_cluster_not_of_the_site() -> None:
    """d took a's part, a was forgotten; e never had one. a's and e's words are worth nothing against b, c and d."""
    old = {A: word("abc"), E: word()}
    assert isinstance(of_spares(A, {**old, D: word("d", of="bcd", served=9)}, members="abcde", hopeful=False), Wait)
    seen = {**old, B: word("bcd", of="bcd"), C: word("bcd", of="bcd")}
    assert isinstance(of_spares(B, seen, members="abcde", hopeful=False), Begin)


def test_a_paused_cluster_calls_its_own() -> None:
    seen = {A: word("abc", SPARE), B: word("bd", PAUSED, of="abcd"), D: word("bd", PAUSED, of="abcd"), E: word()}
    decision = of_spares(E, seen, members="abcde")
    assert isinstance(decision, Call)
    assert decision.nodes == ["a", "b", "d"]


words = st.builds(
    Word, st.sampled_from(sorted(PHASES)), ran=st.frozensets(st.sampled_from(MEMBERS)),
    of=st.frozensets(st.sampled_from(MEMBERS)), served=st.integers(0, 3), cookie=st.just("k"), turn=st.integers(0),
)  # fmt: skip


waiting = words.map(lambda each: each.said(ELECT, 0))


@given(st.dictionaries(st.sampled_from(MEMBERS), waiting, min_size=1), st.booleans())
def test_at_most_one_begins(seen: dict[str, Word], hopeful: bool) -> None:
    begin = [me for me in seen if isinstance(told(me, seen, hopeful=hopeful), Begin)]
    assert len(begin) <= 1


@given(st.dictionaries(st.sampled_from(MEMBERS), words, min_size=1), st.booleans())
def test_nobody_goes_through_beside_another_that_starts_or_runs(seen: dict[str, Word], hopeful: bool) -> None:
    through = [
        me for me in seen
        if seen[me].phase in (CLAIM, JOIN) and confirmed(me, MEMBERS, seen, active=3, hopeful=hopeful)
    ]  # fmt: skip
    assert len(through) <= 1
    if through and seen[through[0]].phase == CLAIM:
        assert not [name for name, each in seen.items() if name != through[0] and each.phase not in (ELECT, SPARE)]


@given(words)
def test_a_word_is_read_as_it_was_said(said: Word) -> None:
    heard = decode(encode(said))
    assert heard
    assert encode(heard) == encode(said)
    assert (heard.ran, heard.of, heard.turn) == (said.ran, said.of, said.turn)


@given(st.text(max_size=60))
def test_any_value_is_a_word_or_none(value: str) -> None:
    decode(value)
