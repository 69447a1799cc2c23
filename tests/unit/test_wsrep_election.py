"""The election's answers in words, and the files and words that it decides on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resource_agents.ocf.peers import Decision, Refuse, Wait
from resource_agents.wsrep.election import Bootstrap, Call, Join, Reform, confirmed, decide
from resource_agents.wsrep.state import Saved, View, parse_recovered, parse_saved, parse_view, render_saved
from resource_agents.wsrep.word import (
    ALONE,
    ARBITER,
    BLANK,
    CLAIM,
    ELECT,
    EMPTY,
    JOIN,
    PRIMARY,
    SPARE,
    STATE,
    TORN,
    Word,
    decode,
    encode,
)

U1, U2 = "3655aefa-e65e-11f1-9d62-83c42b644701", "2c0cdedd-e65e-11f1-9d62-83c42b644701"
NODES = ["c1", "c2", "c3"]


def gcomm(name: str) -> str:
    return f"0000000{name[1]}-e65e-11f1-8708-83b80f3f4594"


def view(me: str, *names: str, number: int = 7) -> View:
    return View(gcomm(me), gcomm(names[0]), number, tuple(sorted(gcomm(name) for name in names)))


def state(phase: str = ELECT, seqno: int = 10, uuid: str = U1, **more: object) -> Word:
    return Word(phase, kind=STATE, uuid=uuid, seqno=seqno, **more)  # type: ignore[arg-type]


def empty(kind: str = EMPTY) -> Word:
    return Word(ELECT, kind=kind)


def judge(me: str, **words: Word) -> Decision:
    return decide(me, NODES, words)


def test_a_first_start_waits_for_all_and_the_lowest_name_begins() -> None:
    answer = judge("c1", c1=empty(), c2=empty())
    assert isinstance(answer, Wait)
    assert answer.reason == "waits for c3: a first start needs all configured nodes"
    every = {"c1": empty(), "c2": empty(BLANK), "c3": empty()}
    assert isinstance(judge("c1", **every), Bootstrap)
    assert "c1 is to begin" in judge("c2", **every).reason


def test_a_servers_own_databases_begin_a_first_cluster_and_are_never_overwritten() -> None:
    every = {"c1": empty(), "c2": empty(ALONE), "c3": empty()}
    assert isinstance(judge("c2", **every), Bootstrap)
    assert isinstance(judge("c1", **every), Wait)
    both = {**every, "c3": empty(ALONE)}
    assert "c2, c3 hold databases of their own" in judge("c2", **both).reason
    refused = judge("c3", c3=empty(ALONE), c1=state(PRIMARY))
    assert isinstance(refused, Refuse)
    assert "would overwrite" in refused.reason


def test_whoever_is_primary_is_joined() -> None:
    assert isinstance(judge("c1", c1=state(seqno=99, safe=True), c2=state(PRIMARY)), Join)
    assert isinstance(judge("c1", c1=empty(TORN), c2=state(PRIMARY)), Join)


def test_a_foreign_cluster_is_not_joined() -> None:
    answer = judge("c1", c1=state(uuid=U2), c2=state(PRIMARY))
    assert isinstance(answer, Refuse)
    assert answer.reason.startswith(f"foreign cluster: the data here are of {U2}, c2 runs {U1}")


def test_nobody_begins_while_data_differ() -> None:
    words = {"c1": state(), "c2": state(uuid=U2, safe=True), "c3": state()}
    for name in NODES:
        reason = judge(name, **words).reason
        assert f"has {U1}" in reason
        assert f"c2 has {U2}" in reason
        assert isinstance(judge(name, **words), Wait)


def test_the_last_view_is_formed_again_when_all_its_members_are_there() -> None:
    words = {name: state(view=view(name, *NODES)) for name in NODES}
    assert all(isinstance(judge(name, **words), Reform) for name in NODES)
    words["c2"] = words["c2"].said(JOIN)
    assert isinstance(judge("c1", **words), Reform)
    assert isinstance(judge("c1", c1=words["c1"], c2=words["c2"]), Wait)


def test_an_arbiter_counts_as_a_member_of_the_view_but_holds_no_data() -> None:
    arbiter = Word(ARBITER, view=View(gcomm("c9"), "", 0, (gcomm("c9"),)))
    words = {"c1": state(view=view("c1", "c1", "c9")), "c9": arbiter}
    assert isinstance(judge("c1", **words), Reform)
    lost = Word(ELECT, kind=STATE, uuid=U1, seqno=10, view=view("c1", "c1", "c9"), restorable=False)
    assert isinstance(judge("c1", c1=lost, c9=arbiter), Bootstrap)
    assert isinstance(judge("c1", c1=lost), Wait)


def test_the_highest_begins_when_the_view_is_lost() -> None:
    words = {"c1": state(seqno=9), "c2": state(seqno=11), "c3": state(seqno=10)}
    assert isinstance(judge("c2", **words), Bootstrap)
    assert judge("c1", **words).reason == f"c2 is to begin the cluster: its position is {U1}:11"
    del words["c1"]
    assert judge("c2", **words).reason == "waits for c1, which may be ahead of c2 (at 11)"


def test_safe_to_bootstrap_needs_nobody_but_yields_to_who_is_ahead() -> None:
    assert isinstance(judge("c1", c1=state(safe=True)), Bootstrap)
    assert isinstance(judge("c1", c1=state(safe=True), c2=state(seqno=11)), Wait)
    assert isinstance(judge("c3", c1=state(), c2=state(), c3=state(safe=True)), Bootstrap)


def test_an_empty_disk_may_hide_who_was_ahead() -> None:
    words = {"c1": state(), "c2": state(), "c3": empty()}
    assert "c3 has no data (a new disk, or one not mounted?)" in judge("c1", **words).reason
    assert isinstance(decide("c1", NODES, words, forced=True), Bootstrap)


def test_an_operators_choice_is_not_above_who_is_present() -> None:
    assert isinstance(decide("c1", NODES, {"c1": state()}, forced=True), Bootstrap)
    assert isinstance(decide("c2", NODES, {"c1": state(), "c2": state()}, forced=True), Bootstrap)
    assert isinstance(decide("c1", NODES, {"c1": state(), "c2": state(seqno=11)}, forced=True), Wait)
    assert isinstance(decide("c1", NODES, {"c1": state(), "c2": state(PRIMARY)}, forced=True), Join)
    assert isinstance(decide("c1", NODES, {"c1": state(), "c2": state(uuid=U2)}, forced=True), Wait)


def test_a_first_start_needs_no_member_on_a_spare_that_tells_its_data() -> None:
    every = {"c1": Word(SPARE), "c2": empty(), "c3": empty()}
    assert isinstance(judge("c2", **every), Bootstrap)
    assert "c2 is to begin" in judge("c3", **every).reason


def test_a_spare_that_is_ahead_is_called_and_one_that_is_equal_is_not() -> None:
    words = {"c1": state(), "c2": state(), "c3": state(SPARE, seqno=11)}
    answer = judge("c1", **words)
    assert isinstance(answer, Call) and answer.node == "c3" and isinstance(judge("c2", **words), Call)
    assert answer.reason == (
        f"c3 has the latest data, {U1}:11, but Pacemaker runs no member there; if it starts none, end what keeps it "
        "off c3, a ban or failures (crm_resource --cleanup --node c3)"
    )
    assert isinstance(judge("c2", c1=state(SPARE), c2=state(), c3=state(SPARE)), Bootstrap)


@pytest.mark.parametrize("more", [{"safe": True}, {"view": view("c3", "c3", number=9)}], ids=["safe", "a later view"])
def test_a_spare_that_could_begin_alone_is_called_though_it_is_not_ahead(more: dict[str, object]) -> None:
    """Were it passed over, its disk would let it begin alone one day, behind those that began without it."""
    words = {"c1": state(view=view("c1", "c1", "c2")), "c2": state(view=view("c2", "c1", "c2"))}
    assert isinstance(judge("c1", **words), Reform)
    words = {"c1": state(), "c2": state(), "c3": state(SPARE, **more)}
    assert isinstance(judge("c1", **words), Call)
    assert isinstance(decide("c1", NODES, words, forced=True), Call), "not by an operator's choice either"


def test_who_may_be_ahead_of_a_spare_is_waited_for_and_the_spare_called_meanwhile() -> None:
    """Only its own member's reason can tell the command for an operator's choice."""
    answer = judge("c1", c1=state(), c3=state(SPARE, seqno=11))
    assert isinstance(answer, Call) and answer.node == "c3"
    assert answer.reason.startswith("waits for c2, which may be ahead of c3 (at 11); c3 has the latest data")


def test_the_last_view_is_not_re_formed_without_who_is_a_spare_now() -> None:
    """Galera would wait for it; but nobody else has to be ahead, so one begins."""
    words = {"c1": state(view=view("c1", *NODES)), "c2": state(view=view("c2", *NODES)),
             "c3": state(SPARE, view=view("c3", *NODES))}  # fmt: skip
    assert isinstance(judge("c1", **words), Bootstrap)
    assert "c1 is to begin" in judge("c2", **words).reason


def test_an_interrupted_transfer_never_begins() -> None:
    words = {"c1": empty(TORN), "c2": empty(TORN), "c3": empty(TORN)}
    assert "restore a backup" in judge("c1", **words).reason


def test_a_word_is_taken_back_when_another_was_first() -> None:
    words = {"c1": state(CLAIM, safe=True), "c2": state(CLAIM)}
    assert not confirmed("c1", NODES, words)
    assert confirmed("c1", NODES, {**words, "c2": state(seqno=9)})
    assert not confirmed("c1", NODES, {**words, "c2": state(PRIMARY)})
    assert confirmed("c2", NODES, {"c2": state(JOIN), "c1": state(PRIMARY)})
    assert not confirmed("c2", NODES, {"c2": state(JOIN), "c1": state(CLAIM)})


WORDS = st.builds(
    Word, st.sampled_from([ELECT, JOIN, CLAIM, PRIMARY]), kind=st.just(STATE), uuid=st.sampled_from([U1, U2]),
    seqno=st.integers(-1, 9), safe=st.booleans(),
    view=st.sampled_from([None, view("c1", "c1", "c2"), view("c2", *NODES)]), restorable=st.booleans(),
) | st.builds(
    Word, st.sampled_from([ELECT, JOIN, CLAIM]), kind=st.sampled_from([EMPTY, BLANK, TORN, ALONE]),
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(NODES), WORDS, min_size=1))
def test_of_the_same_words_two_nodes_never_decide_to_begin(words: dict[str, Word]) -> None:
    began = [name for name in words if isinstance(decide(name, NODES, words), Bootstrap)]
    assert len(began) <= 1
    for name in began:
        assert all(words[name].seqno >= word.seqno for word in words.values() if word.uuid == words[name].uuid)


@given(WORDS)
def test_a_word_survives_the_attribute(word: Word) -> None:
    again = decode(encode(word))
    assert again is not None
    assert encode(again) == encode(word)
    assert not set(encode(word)) & set(" \"'+&<>")


@given(st.text(max_size=60))
def test_other_values_are_no_words(text: str) -> None:
    decode(text)


GRASTATE = f"# GALERA saved state\nversion: 2.1\nuuid:    {U1}\nseqno:   -1\nsafe_to_bootstrap: 1\n"


def test_grastate_is_read_and_written_alike() -> None:
    saved = parse_saved(GRASTATE)
    assert (saved.uuid, saved.seqno, saved.safe) == (U1, -1, True)
    assert render_saved(Saved(U1, -1, True)) == GRASTATE


@pytest.mark.parametrize(
    "text", ["", "garbage", GRASTATE[:40], GRASTATE.replace("3655", "36"), GRASTATE.replace("-1", "many"),
             GRASTATE.replace(": 1", ": 2"), "\0" * 200],
)  # fmt: skip
def test_a_corrupt_grastate_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="its "):
        parse_saved(text)


def test_gvwstate() -> None:
    me = "36557053-e65e-11f1-8708-83b80f3f4594"
    text = f"my_uuid: {me}\n#vwbeg\nview_id: 3 {me} 1\nbootstrap: 0\nmember: {me} 0\n#vwend\n"
    seen = parse_view(text)
    assert seen is not None
    assert (seen.me, seen.name, seen.number, seen.members) == (me, me, 1, (me,))
    assert parse_view(text[:-8]) is None
    assert parse_view(text.replace("member", "number")) is None


def test_a_recovered_position_is_the_last_one_told() -> None:
    assert parse_recovered(f"... WSREP: Recovered position: {U1}:3\n") == (U1, 3)
    assert parse_recovered("WSREP: Recovered position: nothing") is None
