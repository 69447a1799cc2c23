"""The drill's order of things: healthy before, healed after whatever happens, roles as asked for."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fake_lab import SITE, FakeLab

from vimha.drill import clients, run
from vimha.drill.clients import targets
from vimha.drill.faults import FAULTS
from vimha.drill.injection import Injection
from vimha.drill.ledger import Audit
from vimha.drill.outage import Attempt
from vimha.drill.run import Drill, Tools
from vimha.drill.split_brain import Sighting
from vimha.drill.stage import Roles, Stage
from vimha.errors import VimhaError
from vimha.timing.budget import budget
from vimha.timing.solve import solve

VIP = "10.77.0.100"
BUDGET = budget(SITE, solve(SITE))


class World:
    """A clock that moves when somebody sleeps, a service that is down for `outage_s` after c1 loses power."""

    def __init__(self, outage_s: float = 2.0) -> None:
        self.now = 1000.0
        self.outage_s = outage_s
        self.lab = FakeLab()
        self.off_at = float("inf")
        self.late = False
        """Whether a writer hears of its failures only when the outage is over."""
        self.blip_at = float("inf")
        """When the service fails once more, for 0.2 s."""
        self.dc = "c1"
        self.active = "c1"
        self.problems: list[str] = []
        self.said: list[str] = []

    def tools(self, health: Callable[[], list[str]] | None = None) -> Tools:
        return Tools(
            health or (lambda: self.problems), self.said.append, lambda: self.now, lambda: self.now, self.sleep
        )

    def sleep(self, seconds: float) -> None:
        if self.lab.dark and self.off_at == float("inf"):
            self.off_at = self.now
        self.now += seconds

    def attempts(self) -> list[Attempt]:
        known = self.off_at if self.late and self.off_at < self.now < self.off_at + self.outage_s else self.now
        starts = [990 + step * 0.02 for step in range(int((known - 990) / 0.02))]
        down = lambda at: self.off_at < at < self.off_at + self.outage_s or self.blip_at < at < self.blip_at + 0.2  # noqa: E731
        return [Attempt(at, at + 0.005, not down(at)) for at in starts]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()

    class FakeRecorder:
        def __init__(self, *_: object) -> None: ...

        def __enter__(self) -> "FakeRecorder":
            return self

        def __exit__(self, *_: object) -> None: ...

    class FakeProber(FakeRecorder):
        def read(self) -> dict[str, list[Attempt]]:
            return {"glance-api http": made.attempts()}

    class FakeWatch(FakeRecorder):
        def read(self) -> list[Sighting]:
            seen = [Sighting(990, "hold", "c1", VIP), Sighting(990, "ready", "")]
            if made.off_at < made.now:
                seen += [Sighting(made.off_at, "cut", "c1"), Sighting(made.off_at + 1.5, "hold", "c2", VIP)]
            return seen

    monkeypatch.setattr(clients, "Prober", FakeProber)
    monkeypatch.setattr(run, "Watch", FakeWatch)
    monkeypatch.setattr(Stage, "roles", lambda _: Roles(made.dc, made.active))
    monkeypatch.setattr(Stage, "was_fenced", lambda *_: made.off_at < made.now)
    return made


def drill(world: World, fault: str = "node-power-off", tools: Tools | None = None) -> Drill:
    return Drill(Stage(world.lab), FAULTS[fault], BUDGET, tools or world.tools())


def test_a_round_measures_judges_and_heals(world: World) -> None:
    outcome = drill(world).run(1)
    (entry,) = outcome.rounds
    assert outcome.verdict == "pass", entry.problems
    assert 2.0 <= entry.outage_s <= 2.1
    assert entry.limits.fault_class == "node-power-loss-dc"
    assert entry.fenced
    assert entry.moved
    assert not world.lab.dark


def test_an_outage_beyond_the_budget_fails(world: World) -> None:
    world.outage_s = 6.0
    outcome = drill(world).run(1)
    assert outcome.verdict == "fail"
    assert any("budget" in problem for problem in outcome.rounds[0].problems)


def test_a_probe_that_says_nothing_is_waited_for(world: World) -> None:
    world.outage_s, world.late = 8.0, True
    (entry,) = drill(world).run(1).rounds
    assert entry.returned
    assert entry.outage_s >= 8.0


def test_a_fault_that_takes_long_is_watched_from_its_end_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An outage late in a procedure is no service that never returns."""

    def procedure() -> None:
        world.sleep(40.0)
        world.blip_at = world.now - 0.1

    slow = replace(FAULTS["switchover"], prepare=lambda *_: Injection("c1", procedure, lambda: None))
    monkeypatch.setitem(FAULTS, "switchover", slow)
    (entry,) = drill(world, "switchover").run(1).rounds
    assert entry.returned
    assert 0.2 <= entry.outage_s <= 0.3


def test_a_service_that_never_returns_is_given_up_and_said(world: World) -> None:
    world.outage_s = 1e6
    (entry,) = drill(world).run(1).rounds
    assert not entry.returned
    assert not world.lab.dark


def test_a_failure_that_nobody_knew_of_when_the_watching_ended_belongs_to_the_healing(world: World) -> None:
    (first,) = drill(world).run(1).rounds
    world.now, world.off_at = 1000.0, float("inf")
    world.blip_at = first.ended_at - 0.001
    starts = lambda: ["glance-api starts"] if world.blip_at < world.now < world.blip_at + 1 else []  # noqa: E731
    (entry,) = drill(world, tools=world.tools(starts)).run(1).rounds
    assert entry.returned
    assert entry.outage_s == first.outage_s
    assert 0.2 <= entry.heal_outage_s <= 0.3
    assert max(dict(entry.heal_outages).values()) == entry.heal_outage_s


def test_a_slow_cluster_is_helped_ever_more_rarely(world: World) -> None:
    """Forgetting failures makes Pacemaker plan anew: often enough for a ban, not so often that nothing starts."""
    slow = lambda: ["glance-api starts"] if world.off_at < world.now < world.off_at + 60 else []  # noqa: E731
    outcome = drill(world, tools=world.tools(slow)).run(1)
    assert outcome.rounds[0].healed
    helped = [each for each in world.lab.done if "--cleanup" in each and "crm_resource" in each]
    assert 4 <= len(helped) <= 6, "at 3, 9, 21 and 45 s, and when it is well"


def test_an_unhealthy_cluster_is_refused_before_anything_is_hit(world: World) -> None:
    world.problems = ["fence-c1 is stopped"]
    with pytest.raises(VimhaError, match="fence-c1 is stopped"):
        drill(world).run(1)
    assert world.lab.done == []


def test_the_fault_is_undone_on_an_interrupt(world: World) -> None:
    tools = world.tools()

    def interrupted(seconds: float) -> None:
        if world.lab.dark:
            raise KeyboardInterrupt
        world.sleep(seconds)

    with pytest.raises(KeyboardInterrupt):
        drill(world, tools=Tools(tools.health, tools.say, tools.clock, tools.epoch, interrupted)).run(1)
    assert not world.lab.dark


def test_a_killed_services_failure_is_forgotten_after_an_interrupt_too(world: World) -> None:
    """Pacemaker notices the kill a moment later; a failure that it kept would count for days."""
    tools = world.tools()
    world.lab.answers = {"pgrep": "7\n"}
    killed_at: list[float] = []

    def interrupted(seconds: float) -> None:
        if not killed_at and any("pkill" in done for done in world.lab.done):
            killed_at.append(world.now)
            raise KeyboardInterrupt
        world.sleep(seconds)

    with pytest.raises(KeyboardInterrupt):
        drill(world, "service-kill", Tools(tools.health, tools.say, tools.clock, tools.epoch, interrupted)).run(1)
    assert [done[1] for done in world.lab.done[-2:]] == ["crm_resource", "stonith_admin"]
    assert world.now >= killed_at[0] + 1.0


def test_a_cluster_that_does_not_heal_ends_the_drill_and_is_said(world: World) -> None:
    outcome = drill(world, tools=world.tools(lambda: ["c1 is offline"] if world.off_at < world.now else [])).run(3)
    assert len(outcome.rounds) == 1
    assert f"after {run.HEALTHY_S:g} s still: c1 is offline" in world.said
    assert any("healthy again" in problem for problem in outcome.rounds[0].problems)


def test_a_service_that_is_down_before_the_fault_is_not_hit(world: World) -> None:
    world.off_at, world.outage_s = 0.0, 1e6
    with pytest.raises(VimhaError, match="before the fault"):
        drill(world).run(1)
    assert world.lab.done == []


def test_the_roles_are_brought_together_by_moving_the_vip(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.dc = "c2"
    monkeypatch.setattr(Stage, "move_vip", lambda _, node: setattr(world, "active", node))
    assert drill(world).run(1, want_dc=True).rounds[0].target == "c2"
    assert drill(world).run(1, want_dc=False).rounds[0].dc != world.active


def test_site_power_loss_counts_from_the_return_of_power(world: World) -> None:
    world.outage_s = 8.0
    (entry,) = drill(world, "site-power-loss").run(1).rounds
    assert 5.9 <= entry.outage_s <= 6.1
    assert entry.limits.budget_worst_s is None
    assert not entry.problems


def test_a_staggered_return_counts_from_its_last_node(world: World) -> None:
    world.outage_s = 20.0
    stage = Stage(world.lab, clock=lambda: world.now, sleep=world.sleep)
    (entry,) = Drill(stage, FAULTS["site-power-loss-random"], BUDGET, world.tools()).run(1).rounds
    waited = sum(map(float, re.findall(r"after (\d\.\d) s", " ".join(world.said))))
    assert entry.outage_s == pytest.approx(18.0 - waited, abs=0.3)


def test_the_client_asks_every_service_through_its_vip() -> None:
    assert [(target.kind, target.address, target.port) for target in targets(SITE)] == [
        ("http", VIP, 9292),
        ("tcp", VIP, 9292),
    ]


class FakeStore:
    """A store whose writer ends up on `serving`, and whose books say `audit`."""

    def __init__(self, world: World, serving: str = "c1", audit: Audit | None = None) -> None:
        self.world, self.node, self.audit = world, serving, audit or Audit(0)
        self.settled = 0

    def open(self, netns: str, work: Path) -> "FakeStore":
        assert netns == "vh-fake-cli"
        assert work.is_dir()
        return self

    def __enter__(self) -> "FakeStore":
        return self

    def __exit__(self, *_: object) -> None: ...

    def read(self) -> dict[str, list[Attempt]]:
        return {"database sql": self.world.attempts()}

    def serving(self) -> str:
        return self.node

    def settle(self) -> Audit:
        assert not self.world.lab.dark
        self.settled += 1
        return self.audit


def with_store(world: World, store: FakeStore, tools: Tools | None = None) -> Drill:
    stage, tools = Stage(world.lab), tools or world.tools()
    return Drill(stage, FAULTS["node-power-off"], BUDGET, tools, service="database", stores={"database": store})


def test_what_was_acknowledged_is_looked_for_after_healing(world: World) -> None:
    (entry,) = with_store(world, FakeStore(world)).run(1).rounds
    assert entry.lost_writes == 0
    assert not entry.problems
    assert dict(entry.outages)["database sql"] >= world.outage_s


def test_a_lost_write_fails_the_round(world: World) -> None:
    (entry,) = with_store(world, FakeStore(world, audit=Audit(2, ("c3 lacks 2 rows",)))).run(1).rounds
    assert entry.lost_writes == 2
    assert entry.problems == ("2 acknowledged writes cannot be read back", "c3 lacks 2 rows")


def test_a_fault_on_a_clustered_service_hits_the_member_that_the_writes_go_to(world: World) -> None:
    (entry,) = with_store(world, FakeStore(world, serving="c3")).run(1).rounds
    assert ("off", "c3") in world.lab.done
    assert entry.target == "c3"


def test_a_cluster_that_did_not_heal_is_not_asked_what_it_holds(world: World) -> None:
    store = FakeStore(world)
    tools = world.tools(lambda: ["c1 is offline"] if world.off_at < world.now else [])
    (entry,) = with_store(world, store, tools).run(1).rounds
    assert store.settled == 0
    assert entry.lost_writes is None


def test_no_recorder_file_is_left_behind(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    drill(world).run(1)
    assert list(tmp_path.iterdir()) == []
