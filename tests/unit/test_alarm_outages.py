"""Outages as Pacemaker's records show them: measured from failure to recovery, told when they were too long."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vimha.alarms.model import Event
from vimha.alarms.sources import outages
from vimha.alarms.sources.outages import Memory
from vimha.alarms.sources.pacemaker import Record
from vimha.alarms.sources.settings import Cluster
from vimha.alarms.times import SECOND

START = 1_800_000_000 * SECOND
CLUSTER = Cluster(objective=5, single=frozenset({"vip"}))


class Book:
    """The store's settings, as JSON keeps them; `crash` makes the next write fail."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.told: list[Event] = []
        self.crash = False

    def learn(self, *records: Record, teller: str = "c9", cluster: Cluster = CLUSTER) -> list[str]:
        """What was told of, all in all, after these records."""
        for record in records:
            outages.learn(record, teller, cluster, Memory(self.read, self.write), self.told.append)
        return [each.details[0] for each in {each.id: each for each in self.told}.values()]

    def read(self, name: str, default: Any) -> Any:
        return json.loads(self.texts[name]) if name in self.texts else default

    def write(self, name: str, value: Any) -> None:
        if self.crash:
            raise ConnectionError("the service was killed")
        self.texts[name] = json.dumps(value)


def at(second: float, node: str, task: str, rc: int = 0, rsc: str = "vip") -> Record:
    interval = "1000" if task == "monitor" else "0"
    return Record(
        id=f"{second}", at_us=START + round(second * SECOND), kind="resource", node=node, rsc=rsc, task=task,
        rc=str(rc), target_rc="0", interval=interval, status="0",
    )  # fmt: skip


def node(second: float, name: str, desc: str) -> Record:
    return Record(id=f"{second}", at_us=START + round(second * SECOND), kind="node", node=name, desc=desc)


BEGIN = at(0, "c1", "start")
FAILED = [BEGIN, at(100, "c1", "monitor", 7), at(100.1, "c1", "stop")]
LOST = [BEGIN, node(100, "c1", "lost"), node(100.2, "c1", "lost")]


@pytest.mark.parametrize(
    ("records", "told"),
    [([*FAILED, at(107.5, "c1", "start")], ["away for 7.500 s, on c1; the objective is 5 s"]),
     ([*FAILED, at(105, "c1", "start")], []),
     ([*FAILED, at(101, "c1", "start", 1), at(106, "c2", "start")],
      ["away for 6.000 s, from c1 to c2; the objective is 5 s"]),
     ([*FAILED, at(106, "c1", "monitor")], ["away for 6.000 s, on c1; the objective is 5 s"]),
     ([*FAILED, node(101, "c1", "lost"), at(106, "c2", "start")],
      ["away for 6.000 s, from c1 to c2; the objective is 5 s"]),
     ([*LOST, at(109, "c2", "start")], ["away for 9.000 s, from c1 to c2; the objective is 5 s"]),
     ([*LOST, at(103, "c2", "start")], []),
     ([*LOST, node(130, "c1", "member"), at(140, "c1", "start")], ["away for 40.000 s, on c1; the objective is 5 s"]),
     ([BEGIN, node(100, "c2", "lost"), at(200, "c1", "monitor")], []),  # another node
     ([BEGIN, at(100, "c1", "stop"), at(900, "c2", "start")], []),  # an operator stopped it
     ([BEGIN, at(100, "c1", "stop"), node(101, "c1", "lost"), at(900, "c2", "start")], []),  # a node was shut down
     ([BEGIN, at(100, "c2", "start")], []),  # moved alive
     ([BEGIN, node(100, "c1", "lost"), node(130, "c1", "member"), at(9000, "c1", "monitor")], []),  # c2 was cut off
     ([at(1, "c1", "monitor", 7, rsc="api"), at(100, "c1", "start", rsc="api")], []),  # others' instances served
     ([*FAILED, at(103, "c1", "start"), at(50, "c1", "monitor", 7), at(120, "c1", "monitor")], [])],  # late
)  # fmt: skip
def test_an_outage(records: list[Record], told: list[str]) -> None:
    assert Book().learn(*records) == told


@pytest.mark.parametrize("late", [False, True])
def test_what_a_node_believed_that_was_cut_off_is_no_loss(late: bool) -> None:
    """c3 was alone, and believed that it had lost c1, where the VIP is; c1 saw c3 fenced. Hours later c1 is lost."""
    memory = Book()
    memory.learn(BEGIN)
    if not late:
        memory.learn(node(100, "c1", "lost"), teller="c3")
    memory.learn(node(101, "c3", "member"), teller="c1")
    if late:
        memory.learn(node(100, "c1", "lost"), teller="c3")
    told = memory.learn(node(9000, "c1", "lost"), at(9009, "c2", "start"), teller="c2")
    assert told == ["away for 9.000 s, from c1 to c2; the objective is 5 s"]


def test_the_event_is_of_the_service_at_its_recovery() -> None:
    memory = Book()
    memory.learn(*FAILED, at(110, "c2", "start"))
    (event,) = memory.told
    assert (event.definition.id, event.managed_object) == ("control.service.slow.recovery", "service/vip")
    assert event.event_us == START + 110 * SECOND
    assert event.location.host == "c2"


def test_the_objective_is_the_sites() -> None:
    assert Book().learn(*FAILED, at(103, "c1", "start"), cluster=CLUSTER.model_copy(update={"objective": 2.5})) != []


def test_a_crash_before_it_is_remembered_tells_the_same_again() -> None:
    memory = Book()
    memory.learn(*FAILED)
    memory.crash = True
    with pytest.raises(ConnectionError):
        memory.learn(at(110, "c2", "start"))
    memory.crash = False
    assert len(memory.learn(at(110, "c2", "start"))) == 1
    assert len(memory.told) == 2


RECORDS = st.lists(
    st.one_of(
        st.builds(at, st.integers(0, 300), st.sampled_from(["c1", "c2"]), st.sampled_from(["start", "stop", "monitor"]),
                  st.sampled_from([0, 1, 7, 190])),
        st.builds(node, st.integers(0, 300), st.sampled_from(["c1", "c2"]), st.sampled_from(["lost", "member"])),
    ), max_size=20,
)  # fmt: skip


@given(RECORDS)
def test_the_same_records_again_change_nothing(records: list[Record]) -> None:
    """A spool is sent again after a crash, from any of its records on."""
    ordered = sorted(records, key=lambda each: each.at_us)
    memory = Book()
    told = memory.learn(*ordered)
    texts = dict(memory.texts)
    assert memory.learn(*ordered) == told
    assert memory.texts == texts


@given(RECORDS)
def test_an_outage_lies_between_a_fault_and_a_healthy_result(records: list[Record]) -> None:
    ordered = sorted(records, key=lambda each: each.at_us)
    memory = Book()
    memory.learn(*ordered)
    for event in memory.told:
        assert any(each.at_us == event.event_us and each.task in ("start", "monitor") for each in ordered)
        away = float(event.details[0].split()[2])
        begun = event.event_us - round(away * SECOND)
        assert any(each.at_us == begun and (each.desc == "lost" or each.rc not in ("", "0")) for each in ordered)
