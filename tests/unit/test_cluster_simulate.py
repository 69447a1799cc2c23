"""A1, A8: what Pacemaker's scheduler would do, asked for states that a cluster has not been in."""

import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from pacemaker import needs_pacemaker
from test_cluster_traps import cib_of

from vimha.cluster import policy, sample, simulate, whatif
from vimha.cluster.attributes import published, satisfying
from vimha.cluster.cib import Cib
from vimha.cluster.document import parse_cib
from vimha.cluster.simulate import Action, Transition
from vimha.errors import ProcessError
from vimha.process import Result, run

NOW = 1_800_000_000
pytestmark = needs_pacemaker


@pytest.fixture(scope="module")
def formed() -> policy.Formed:
    """The clean CIB, started: VIP and web on one node, api and connected on all."""
    return policy.form(cib_of("clean"), run, NOW)


def codes(cib: Cib, expected: policy.Expected = policy.FOREIGN) -> list[str]:
    return [each.code for each in policy.check(cib, run, NOW, expected)]


def holder(formed: policy.Formed) -> str:
    (node,) = formed.placement["vip"]
    return node


def test_everything_starts_where_the_watchers_run(formed: policy.Formed) -> None:
    assert formed.placement["api"] == formed.placement["connected"] == {"c1", "c2", "c3"}
    assert formed.placement["web"] == formed.placement["vip"]
    assert all(values == {"pingd": "1000"} for values in formed.attributes.values())
    assert simulate.schedule(formed.root, run).actions == ()


def test_lost_node_is_fenced_and_its_vip_moves(formed: policy.Formed) -> None:
    lost = holder(formed)
    transition = simulate.schedule(whatif.without_node(formed.root, lost), run)
    assert transition.fenced == (lost,)
    assert transition.placement["vip"] and lost not in transition.placement["vip"]
    assert not [action for action in transition.actions if action.interrupts not in ("", lost)]


def test_failure_counts_towards_the_migration_threshold(formed: policy.Formed) -> None:
    (task,) = [each for each in formed.transition.tasks if each.resource == "vip" and each.interval_ms]
    stays = simulate.schedule(whatif.with_failure(formed.root, task, NOW), run)
    assert stays.placement["vip"] == {task.node}
    root = cib_of("clean", ('"migration-threshold" value="3"', '"migration-threshold" value="1"'))
    again = policy.form(root, run, NOW)
    (task,) = [each for each in again.transition.tasks if each.resource == "vip" and each.interval_ms]
    moves = simulate.schedule(whatif.with_failure(again.root, task, NOW), run)
    assert task.node not in moves.placement["vip"]


@pytest.mark.parametrize("value", ["0", None])
def test_node_without_ports_gives_the_vip_up(formed: policy.Formed, value: str | None) -> None:
    node = holder(formed)
    transition = simulate.schedule(whatif.with_attributes(formed.root, node, {"pingd": value}), run)
    assert transition.placement["vip"] and node not in transition.placement["vip"]


def test_what_is_fabricated_leaves_the_original_alone(formed: policy.Formed) -> None:
    before = simulate.serialised(formed.root)
    whatif.without_node(formed.root, "c1")
    whatif.with_attributes(formed.root, "c1", {"pingd": None})
    assert simulate.serialised(formed.root) == before


def test_files_are_private_and_gone_afterwards() -> None:
    seen: list[Path] = []

    def spy(
        argv: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> Result:
        path = Path(argv[argv.index("--xml-file") + 1])
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        seen.append(path)
        return run(argv, timeout_s=timeout_s, stdin=stdin, env=env)

    simulate.schedule(cib_of("clean").root, spy)
    assert seen and not seen[0].parent.exists()


def test_answer_that_is_no_answer() -> None:
    def liar(
        argv: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> Result:
        return Result(tuple(argv), 0, "not XML", "")

    with pytest.raises(ProcessError, match="not XML"):
        simulate.schedule(cib_of("clean").root, liar)


def test_placement_follows_actions() -> None:
    transition = Transition(
        {"vip": frozenset({"c1"}), "api": frozenset({"c1", "c2"}), "db": frozenset({"c2"}), "web": frozenset({"c2"})},
        ("c1",),
        (
            Action("move", "vip", "c2", "c1"),
            Action("stop", "api", "c1"),
            Action("restart", "db", "c2", "c2"),
            Action("stop", "web", "c2", blocked=True),
            Action("start", "new", "c3", blocked=True),
            Action("start", "other", "c3"),
        ),
    )
    assert transition.placement == {
        "vip": {"c2"}, "api": {"c2"}, "db": {"c2"}, "web": {"c2"}, "other": {"c3"},
    }  # fmt: skip
    assert [action.interrupts for action in transition.actions] == ["c1", "c1", "c2", "", "", ""]


def test_settings_that_let_everything_run() -> None:
    cib = cib_of("clean", ('operation="lt" type="number" value="1"', 'operation="gt" type="number" value="2000"'))
    assert satisfying(cib) == {"pingd": "1000"}
    cib = cib_of("clean", ('operation="lt" type="number" value="1"', 'operation="ne" value="up"'))
    assert satisfying(cib) == {"pingd": "up"}
    assert published(cib) == {"pingd": {"connected"}}


def test_vip_on_an_arbiter() -> None:
    alone = cib_of("policy-one-node")
    assert "P008" in codes(alone, policy.Expected(arbiters=frozenset({"c1"})))
    assert "P008" not in codes(alone, policy.Expected(arbiters=frozenset({"c2"})))


def test_vips_on_one_node_are_not_spread() -> None:
    second = """<primitive id="vip-2" class="ocf" provider="heartbeat" type="IPaddr2"><operations>
        <op id="vip-2-monitor" name="monitor" interval="1s" timeout="20s"/></operations></primitive></group>"""
    cib = cib_of("clean", ("</group>", second))
    assert "P009" in codes(cib, policy.Expected(spread=True))
    assert "P009" not in codes(cib)
    assert "P009" not in codes(cib, policy.Expected(spread=True, over=1))


def test_a_node_that_returns_has_no_history(formed: policy.Formed) -> None:
    lost = holder(formed)
    transition = simulate.schedule(whatif.without_node(formed.root, lost), run, tasks=True)
    root = whatif.fenced(whatif.done(formed.root, transition, NOW), lost)
    assert simulate.schedule(root, run).actions == ()
    again = simulate.schedule(whatif.returned(root, lost, formed.attributes[lost]), run)
    assert {(each.kind, each.node) for each in again.actions if not each.resource.startswith("fence")} == {
        ("start", lost)
    }


def test_cluster_that_cannot_be_fabricated() -> None:
    remote = """<primitive id="far" class="ocf" provider="pacemaker" type="remote"><operations>
        <op id="far-monitor" name="monitor" interval="1s" timeout="20s"/></operations></primitive></resources>"""
    assert codes(cib_of("clean", ("</resources>", remote))) == ["P013"]


def many(number: int) -> Cib:
    """The clean CIB with `number` more clones, all alike, of which one of a hundred has a constraint of its own."""
    clones = "".join(
        f"""<clone id="x{each}-clone"><primitive id="x{each}" class="ocf" provider="heartbeat" type="Dummy">
        <operations><op id="x{each}-monitor" name="monitor" interval="1s" timeout="20s"/></operations></primitive>
        </clone>""" for each in range(number)
    )  # fmt: skip
    constraints = "".join(
        f'<rsc_location id="x{each}-not-c3" rsc="x{each}-clone" node="c3" score="-INFINITY"/>'
        for each in range(0, number, 100)
    )
    return cib_of(
        "clean", ("</resources>", f"{clones}</resources>"), ("</constraints>", f"{constraints}</constraints>")
    )


def test_some_of_each_kind_stand_for_all() -> None:
    cib = many(1000)
    small = sample.representative(cib, 60)
    left = small.primitives.keys()
    assert len(left) < 40
    assert {"vip", "web", "connected", "fence-c1", "fence-c2", "fence-c3", "x0", "x1", "x2", "x100"} <= left
    named = {name for each in small.constraints for name in small.named(each, "rsc")}
    assert named <= {name for each in small.primitives.values() for name in each.names}
    assert sample.representative(small, 1000) is small


def test_large_configuration_is_checked_with_that_said() -> None:
    assert codes(many(300)) == ["P012"]


def test_defect_in_one_of_many_is_still_found() -> None:
    nowhere = b"""<rsc_location id="x77-nowhere" rsc="x77-clone"><rule id="x77-rule" score="-INFINITY">
        <expression id="x77-any" attribute="#uname" operation="defined"/></rule></rsc_location></constraints>"""
    text = simulate.serialised(many(300).root).replace(b"</constraints>", nowhere)
    found = policy.check(Cib(parse_cib(text, "odd")), run, NOW)
    assert ("P001", "x77") in [(each.code, each.where) for each in found]
