"""What Pacemaker tells becomes the alarms that an operator expects, and none is left when all is well."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vimha.alarms import machine
from vimha.alarms.machine import Entry, Rules
from vimha.alarms.model import Alarm
from vimha.alarms.sources import pacemaker
from vimha.alarms.sources.event import matches
from vimha.alarms.sources.pacemaker import Record, Report
from vimha.alarms.sources.settings import Cluster, Node
from vimha.alarms.times import SECOND
from vimha.alarms.words import Severity

START = 1_800_000_000 * SECOND
CLUSTER = Cluster(
    site="north", single=frozenset({"vip"}), nodes={"c1": Node(rack="r1", ports=2), "c2": Node(rack="r2", ports=2)}
)
NEVER_HELD = Rules(changes=1_000_000)


def record(number: int, **said: str) -> Record:
    return Record(id=str(number), at_us=START + number * SECOND, **said)


def result(
    number: int, node: str, task: str, rc: int, *, target: int = 0, interval: int = 0, rsc: str = "vip"
) -> Record:
    return record(
        number, kind="resource", node=node, rsc=rsc, task=task, rc=str(rc), target_rc=str(target),
        interval=str(interval), status="0" if rc == target else "4", desc="as it was",
    )  # fmt: skip


def active(reports: Iterable[Report], cluster: Cluster = CLUSTER) -> dict[tuple[str, str, str], Alarm]:
    """The alarms that stand after reports: by definition, managed object and specific problem."""
    entries: dict[str, Entry] = {}
    for report in reports:
        events = pacemaker.events(report, cluster)
        assert len({each.id for each in events}) == len(events), "of two with one id the store takes the first alone"
        for each in events:
            assert matches(each.definition, each.managed_object)
            assert each.severity is Severity.CLEARED or each.severity in each.definition.severities
            entry = entries.get(each.key, Entry())
            entries[each.key] = machine.observe(entry, each, each.event_us, NEVER_HELD).entry
    standing = [entry.alarm for entry in entries.values() if entry.alarm]
    return {(each.definition.id, each.managed_object, each.specific_problem): each for each in standing}


def told(*records: Record, by: str = "c1", cluster: Cluster = CLUSTER) -> set[tuple[str, ...]]:
    """What stands after records of one node: definition, managed object and, if it has one, specific problem."""
    return {
        tuple(word for word in key if word) for key in active([Report(node=by, records=list(records))], cluster)
    }  # fmt: skip


LOST = record(1, kind="node", node="c2", desc="lost")
MEMBER = record(9, kind="node", node="c2", desc="member")


def fencing(number: int, operation: str, rc: int, node: str = "c2") -> Record:
    """As Pacemaker 2.1.5 tells it: see test_a_real_cluster_is_told_as_it_was."""
    desc = (
        f"Operation {operation} of {node} by c1 for pacemaker-controld.49@c1: {'OK' if rc == 0 else 'Error'} (ref=b01)"
    )
    return record(number, kind="fencing", node=node, task="st_notify_fence", rc=str(rc), desc=desc)


FENCED = fencing(2, "reboot", 0)
NOT_FENCED = fencing(3, "off", -62)


@pytest.mark.parametrize(
    ("records", "left"),
    [([LOST], {("control.node.lost", "host/c2")}),
     ([LOST, FENCED], {("control.node.lost", "host/c2"), ("control.node.fenced", "host/c2")}),
     ([LOST, FENCED, MEMBER], set()),
     ([LOST, NOT_FENCED], {("control.node.lost", "host/c2"), ("control.fencing.failed", "host/c2")}),
     ([NOT_FENCED, fencing(4, "off", 0)], {("control.node.fenced", "host/c2")}),
     ([LOST, NOT_FENCED, MEMBER], set()),
     ([MEMBER, LOST], set()),  # late: it was lost before it came back
     ([fencing(1, "on", 0)], set()),
     ([record(1, kind="fencing", node="c2", task="off", rc="0")], {("control.node.fenced", "host/c2")}),
     ([record(1, kind="fencing", node="c2", desc="Operation")], set()),
     ([record(1, kind="novelty", node="c2")], set()),
     ([record(1, kind="lost")], {("alarms.spool.overflow", "spool/c1")})],
)  # fmt: skip
def test_nodes_and_fencing(records: list[Record], left: set[tuple[str, ...]]) -> None:
    assert told(*records) == left


def test_all_members_tell_of_one_loss() -> None:
    reports = [
        Report(node=teller, records=[record(1, kind="node", node="c3", desc="lost")]) for teller in ("c1", "c2")
    ]  # fmt: skip
    (alarm,) = active(reports).values()
    assert alarm.events == 2
    assert alarm.changed_us is None, "the second report is no news"
    assert len({each.id for report in reports for each in pacemaker.events(report, CLUSTER)}) == 2


@pytest.mark.parametrize("late", [False, True])
def test_what_a_node_believed_that_was_cut_off_does_not_stand(late: bool) -> None:
    """c3 was alone for a moment, and was fenced by the others."""
    belief = Report(node="c3", records=[record(1, kind="node", node=node, desc="lost") for node in ("c1", "c2")])
    truth = [
        Report(node=teller, records=[record(1, kind="node", node="c3", desc="lost"), fencing(2, "reboot", 0, "c3")])
        for teller in ("c1", "c2")
    ]  # fmt: skip
    back = Report(node="c1", records=[record(30, kind="node", node="c3", desc="member")])
    during = [*truth, belief] if late else [belief, *truth]
    assert {key[:2] for key in active(during)} == {("control.node.lost", "host/c3"), ("control.node.fenced", "host/c3")}
    assert active([*truth, back, belief] if late else [belief, *truth, back]) == {}


PROBE_OF_NOTHING = result(1, "c1", "monitor", 7, target=7)
PROBE_OF_ACTIVE = result(1, "c1", "monitor", 0, target=7)


@pytest.mark.parametrize(
    ("records", "left"),
    [([result(1, "c1", "monitor", 7, interval=1000)], {("control.service.failed", "service/vip")}),
     ([result(1, "c1", "start", 1)], {("control.service.failed", "service/vip")}),
     ([result(1, "c1", "start", 1), result(2, "c2", "start", 0)], set()),  # healthy elsewhere is healthy
     ([result(1, "c1", "monitor", 7, interval=1000), result(2, "c1", "stop", 0)],
      {("control.service.failed", "service/vip")}),  # not yet recovered
     ([result(1, "c1", "stop", 1)], {("control.service.stop.failed", "service/vip")}),
     ([result(1, "c1", "stop", 1), result(2, "c1", "stop", 0)], set()),
     ([result(1, "c1", "stop", 1), result(2, "c2", "start", 0)], set()),
     ([result(1, "c1", "monitor", 190, interval=1000)], {("control.service.degraded", "service/vip")}),
     ([result(1, "c1", "monitor", 190, interval=1000), result(2, "c1", "monitor", 0, interval=1000)], set()),
     ([result(1, "c1", "monitor", 190, interval=1000), result(2, "c1", "monitor", 1, interval=1000)],
      {("control.service.failed", "service/vip")}),
     ([result(1, "c1", "monitor", 190, interval=1000), result(2, "c1", "stop", 0)], set()),
     ([result(1, "c1", "monitor", 191, target=8, interval=1000)], {("control.service.degraded", "service/vip")}),
     ([result(1, "c1", "monitor", 0, target=8, interval=1000)], {("control.service.failed", "service/vip")}),
     ([PROBE_OF_NOTHING], set()), ([PROBE_OF_ACTIVE], set()), ([result(1, "c1", "monitor", 8, target=7)], set()),
     ([result(1, "c1", "monitor", 5, target=7)], set()),  # not installed on this node
     ([result(1, "c1", "monitor", 1, target=7)], {("control.service.failed", "service/vip/c1", "probe")}),
     ([result(1, "c1", "monitor", 1, target=7), result(2, "c1", "stop", 0)], set()),
     ([result(1, "c1", "notify", 1)], set()), ([result(1, "c1", "meta-data", 1)], set())],
)  # fmt: skip
def test_results_of_a_resource_in_one_place(records: list[Record], left: set[tuple[str, ...]]) -> None:
    assert told(*records) == left


def test_every_instance_of_a_clone_has_alarms_of_its_own() -> None:
    fails = [result(each, f"c{each}", "monitor", 7, interval=1000, rsc="glance-api:0") for each in (1, 2)]
    assert told(*fails) == {("control.service.failed", f"service/glance-api/{node}") for node in ("c1", "c2")}
    well = result(3, "c2", "start", 0, rsc="glance-api")
    assert told(*fails, well) == {("control.service.failed", "service/glance-api/c1")}


@pytest.mark.parametrize("status", ["1", "-1"])
def test_what_pacemaker_cancelled_says_nothing(status: str) -> None:
    for task in ("monitor", "stop", "start"):
        cancelled = result(1, "c1", task, 1, interval=1000).model_copy(update={"status": status})
        assert told(cancelled) == set()
        before = result(0, "c1", "monitor", 1, interval=1000)
        assert told(before, cancelled.model_copy(update={"rc": "0"})) == told(before)


def test_a_failed_start_is_worse_and_its_reason_is_told() -> None:
    (alarm,) = active([Report(node="c1", records=[result(1, "c1", "start", 5)])]).values()
    assert alarm.severity is Severity.CRITICAL
    assert alarm.details == ("start on c1: as it was", "it exited 5, 0 was expected")
    assert alarm.detector == "pacemaker@c1"
    assert (alarm.location.site, alarm.location.rack, alarm.location.host) == ("north", "r1", "c1")


def test_an_agents_reason_is_told() -> None:
    failed = result(1, "c1", "monitor", 1, interval=1000).model_copy(update={"reason": "no answer\nin 0.5 s"})
    (alarm,) = active([Report(node="c1", records=[failed])]).values()
    assert alarm.details[-1] == "no answer in 0.5 s"


def value(number: int, text: str, name: str = "vimha-ports", node: str = "c1") -> Record:
    return record(number, kind="attribute", node=node, attribute_name=name, attribute_value=text)


@pytest.mark.parametrize(
    ("records", "left"),
    [([value(1, "2")], set()), ([value(1, "1")], {("control.ports.degraded", "bond/c1", "vimha-ports")}),
     ([value(1, "1"), value(2, "0")], {("control.ports.lost", "bond/c1", "vimha-ports")}),
     ([value(1, "0"), value(2, "1")], {("control.ports.degraded", "bond/c1", "vimha-ports")}),
     ([value(1, "1"), value(2, "0"), value(3, "2")], set()),
     ([value(1, "0"), value(2, "")], {("control.ports.lost", "bond/c1", "vimha-ports")}),  # nobody watches
     ([value(1, "0", name="fail-count-vip")], set()), ([value(1, "0", name="vimha-portside")], set()),
     ([value(1, "-1")], set()), ([value(1, "9" * 5000)], set()), ([value(1, "INFINITY")], set()),
     ([value(1, "0", name="vimha-ports-a")], {("control.ports.lost", "bond/c1", "vimha-ports-a")}),
     ([result(1, "c1", "monitor", 190, interval=1000, rsc="ports")], set()),  # the attribute says it
     ([result(1, "c1", "monitor", 1, interval=1000, rsc="ports")], set()),
     ([result(1, "c1", "start", 5, rsc="ports")], {("control.service.failed", "service/ports/c1")})],
)  # fmt: skip
def test_ports(records: list[Record], left: set[tuple[str, ...]]) -> None:
    assert told(*records) == left


def test_a_record_from_the_future_is_of_now() -> None:
    ahead = Report(node="c1", records=[record(100, kind="node", node="c2", desc="lost")])
    (event,) = pacemaker.events(pacemaker.past(ahead, START), CLUSTER)
    assert event.event_us == START


def test_the_same_record_is_the_same_event_and_another_nodes_is_not() -> None:
    records = [result(1, "c1", "monitor", 0, interval=1000)]

    def ids(teller: str) -> list[str]:
        return [each.id for each in pacemaker.events(Report(node=teller, records=records), CLUSTER)]

    assert ids("c1") == ids("c1")
    assert len({*ids("c1"), *ids("c2")}) == 2 * len(ids("c1"))


CODES = st.sampled_from([0, 1, 2, 5, 6, 7, 8, 9, 124, 190, 191, -1])
RESULTS = st.builds(
    result, number=st.just(0), node=st.sampled_from(["c1", "c2"]),
    task=st.sampled_from(["start", "stop", "monitor", "promote", "demote", "notify"]), rc=CODES,
    target=st.sampled_from([0, 7, 8]), interval=st.sampled_from([0, 1000]), rsc=st.sampled_from(["vip", "api"]),
)  # fmt: skip
ANY = st.one_of(
    RESULTS,
    st.builds(value, number=st.just(0), text=st.sampled_from(["0", "1", "2", ""]), node=st.sampled_from(["c1", "c2"])),
    st.builds(
        record, number=st.just(0), kind=st.sampled_from(["node", "fencing"]), node=st.sampled_from(["c1", "c2"]),
        desc=st.sampled_from(["lost", "member", "Operation off of it"]), task=st.sampled_from(["reboot", "on"]),
        rc=st.sampled_from(["0", "1", ""]),
    ),
)  # fmt: skip
HEALTH = [
    *(result(0, node, "monitor", 0, interval=1000, rsc=rsc) for node in ("c1", "c2") for rsc in ("vip", "api")),
    *(value(0, "2", node=node) for node in ("c1", "c2")),
    *(record(0, kind="node", node=node, desc="member") for node in ("c1", "c2")),
]


def numbered(records: Sequence[Record]) -> list[Record]:
    """The records in this order."""
    return [
        each.model_copy(update={"id": str(place), "at_us": START + place * SECOND})
        for place, each in enumerate(records)
    ]


@given(st.lists(ANY, max_size=30), st.permutations(HEALTH))
def test_whatever_was_nothing_is_left_when_all_is_well(before: list[Record], health: list[Record]) -> None:
    assert told(*numbered([*before, *health])) == set()


@given(st.lists(RESULTS, max_size=20), st.sampled_from([0, 190]))
def test_a_healthy_result_ends_what_it_contradicts(before: list[Record], rc: int) -> None:
    last = result(0, "c1", "monitor", rc, interval=1000, rsc="vip")
    left = {each for each in told(*numbered([*before, last])) if each[1].startswith("service/vip")}
    elsewhere = {each for each in left if each[-1] == "probe"}
    assert left - elsewhere == ({("control.service.degraded", "service/vip")} if rc else set())
    assert all(each[1] == "service/vip/c2" for each in elsewhere), "a probe says nothing of another node"


@given(st.lists(ANY, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_count(records: list[Record], random: Any) -> None:
    """Nodes' spools come one after the other, hours late perhaps; each event has its time."""
    ordered = numbered(records)
    mixed = list(ordered)
    random.shuffle(mixed)
    assert told(*mixed) == told(*ordered)


REAL = Path(__file__).parent / "cluster_data" / "alerts.json"
"""What Pacemaker 2.1.5 told its alert agent on a lab of three nodes, in the order of events, while each of these was
done to it. `flaky` was a resource whose agent did as it was told; `at_us` counts from the first event.
"""
FLAKY, GLANCE, VIP = "service/flaky", "service/glance-api/control-1", "service/vip-public"
STORY: dict[str, tuple[set[tuple[str, str]], set[tuple[str, str]]]] = {
    "flaky-create": (set(), set()),
    "degraded": ({("control.service.degraded", FLAKY)}, set()),
    "died": ({("control.service.failed", FLAKY)}, set()),
    "monitor-fails-with-reason": ({("control.service.failed", FLAKY)}, set()),
    "cleanup": (set(), set()),
    "refresh": (set(), set()),
    "monitor-times-out": ({("control.service.failed", FLAKY)}, set()),
    "start-fails": ({("control.service.failed", FLAKY)}, set()),
    "standby": (set(), set()),
    "glance-killed": ({("control.service.failed", GLANCE)}, {("control.service.failed", GLANCE)}),
    "vip-removed": ({("control.service.failed", VIP)}, set()),
    "port-down": ({("control.ports.degraded", "bond/control-3")}, {("control.ports.degraded", "bond/control-3")}),
    "ports-down": (
        {("control.ports.lost", "bond/control-3"), ("control.node.fenced", "host/control-3"),
         *(("control.node.lost", f"host/control-{each}") for each in (1, 2, 3))},  # control-3 lost the others, it says
        {("control.ports.lost", "bond/control-3"), ("control.node.fenced", "host/control-3"),
         ("control.node.lost", "host/control-3")},
    ),
    "ports-up": (set(), set()),
    "fencing-fails": (
        {("control.fencing.failed", "host/nosuchnode"), ("control.node.fenced", "host/nosuchnode")},
        {("control.node.fenced", "host/nosuchnode")},  # an operator confirmed that it is off
    ),
    "stop-fails": (
        {("control.service.failed", FLAKY), ("control.service.stop.failed", FLAKY),
         ("control.node.lost", "host/control-1"), ("control.node.fenced", "host/control-1")},
        {("control.node.lost", "host/control-1"), ("control.node.fenced", "host/control-1"),
         ("control.node.fenced", "host/nosuchnode")},
    ),
    "power-return": (set(), {("control.node.fenced", "host/nosuchnode")}),
    "shutdown-of-one": (
        {("control.node.lost", "host/control-3")}, {("control.node.fenced", "host/nosuchnode")},
    ),
}  # fmt: skip
"""By what was done: the alarms that were raised then, and those that stood at its end."""


def told_by(teller: str, said: dict[str, Any], name: str) -> Report:
    return Report(node=teller, records=[Record(id=name, **{**said, "at_us": START + said["at_us"]})])


def test_a_real_cluster_is_told_as_it_was() -> None:
    single = frozenset({"flaky", "vip-public", *(f"fence-control-{each}" for each in (1, 2, 3))})
    cluster = Cluster(single=single, nodes={f"control-{each}": Node() for each in (1, 2, 3)})
    phases = json.loads(REAL.read_text())
    assert list(phases) == list(STORY)
    past: list[Report] = []
    for phase, records in phases.items():
        fresh = [told_by(said.pop("teller"), said, f"{phase} {place}") for place, said in enumerate(records)]
        past += fresh
        raised = {key[:2] for report in fresh for key in active([report], cluster)}
        assert (raised, {key[:2] for key in active(past, cluster)}) == STORY[phase], phase
