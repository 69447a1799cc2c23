"""The drill's writers and auditors against a real Galera cluster and real clustered brokers that lose members."""

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from clustered_daemons import NODES, VIP, Cluster
from single_daemons import until

from vimha.drill.faults import CLUSTERED
from vimha.drill.outage import Attempt, longest, windows
from vimha.drill.stores import Books, Database, Front, Messaging

pytestmark = pytest.mark.agents
STEADY = 50


@pytest.fixture(scope="module")
def cluster(root_user: None) -> Iterator[Cluster]:
    with Cluster() as made:
        made.hold("n1")
        yield made


@pytest.fixture(scope="module")
def members(cluster: Cluster) -> Database:
    cluster.start_member("n1", "--wsrep-new-cluster")
    for node in NODES[1:]:
        cluster.start_member(node)
    return Database(Front(VIP, 3306), cluster.runners)


@pytest.fixture(scope="module")
def brokers(cluster: Cluster) -> Messaging:
    for node in NODES:
        cluster.start_broker(node)
    return Messaging(Front(VIP, 5672), cluster.runners)


def attempts(books: Books) -> Sequence[Attempt]:
    (found,) = books.read().values()
    return found


def steady(books: Books) -> None:
    """Wait for an unbroken row of good attempts."""
    seen = len(attempts(books))

    def good() -> bool:
        recent = attempts(books)[seen:][-STEADY:]
        return len(recent) == STEADY and all(attempt.ok for attempt in recent)

    until(good, f"{STEADY} good attempts in a row")


def worst(books: Books) -> float:
    found = longest(windows(attempts(books)))
    return found.length_s if found else 0.0


def test_the_writers_member_is_killed(cluster: Cluster, members: Database, tmp_path: Path) -> None:
    cluster.hold("n1")
    with members.open(cluster.netns("cli"), tmp_path) as books:
        steady(books)
        assert books.serving() == "n1"
        cluster.kill("n1", CLUSTERED["database"])
        cluster.hold("n2")
        steady(books)
        assert books.serving() == "n2"
        cluster.start_member("n1")
        found = books.settle()
        print(f"outage {worst(books):.3f} s")
    assert (found.lost, found.problems) == (0, ())


def test_the_writers_member_is_frozen(cluster: Cluster, members: Database, tmp_path: Path) -> None:
    cluster.hold("n1")
    with members.open(cluster.netns("cli"), tmp_path) as books:
        steady(books)
        cluster.signal("n1", CLUSTERED["database"], signal.SIGSTOP)
        cluster.hold("n3")
        steady(books)
        cluster.signal("n1", CLUSTERED["database"], signal.SIGCONT)
        found = books.settle()
        print(f"outage {worst(books):.3f} s")
    assert (found.lost, found.problems) == (0, ())


def test_a_bystander_is_killed(cluster: Cluster, members: Database, tmp_path: Path) -> None:
    cluster.hold("n1")
    with members.open(cluster.netns("cli"), tmp_path) as books:
        steady(books)
        cluster.kill("n3", CLUSTERED["database"])
        steady(books)
        cluster.start_member("n3")
        found = books.settle()
        print(f"outage {worst(books):.3f} s")
    assert (found.lost, found.problems) == (0, ())


def test_a_row_that_one_member_lacks_is_lost(cluster: Cluster, members: Database, tmp_path: Path) -> None:
    cluster.hold("n1")
    with members.open(cluster.netns("cli"), tmp_path) as books:
        steady(books)
        members.sql(cluster.runner("n2"), "SET wsrep_on = OFF; DELETE FROM vimha_drill.writes WHERE id = 5;")
        found = books.settle()
    assert found.lost == 1
    assert found.problems[0] == "n2 lacks 1 acknowledged row (id 5)"
    assert found.problems[1].startswith("the members' tables differ: n1 ")


def test_a_member_that_is_down_is_told(cluster: Cluster, members: Database, tmp_path: Path) -> None:
    cluster.hold("n1")
    with members.open(cluster.netns("cli"), tmp_path) as books:
        steady(books)
        cluster.kill("n3", CLUSTERED["database"])
        steady(books)
        members.settle_s = 1.0
        found = books.settle()
    assert found.lost == 0
    assert found.problems[0].startswith("n3 cannot be read: ")


def test_the_leaders_broker_is_killed(cluster: Cluster, brokers: Messaging, tmp_path: Path) -> None:
    cluster.hold("n1")
    with brokers.open(cluster.netns("cli"), tmp_path) as books:
        steady(books)
        assert books.serving() == "n1"
        cluster.kill("n1", CLUSTERED["messaging"])
        cluster.hold("n2")
        steady(books)
        assert books.serving() in ("n2", "n3")
        cluster.start_broker("n1")
        found = books.settle()
        print(f"outage {worst(books):.3f} s")
    assert (found.lost, found.problems) == (0, ())


def test_the_leaders_broker_is_frozen(cluster: Cluster, brokers: Messaging, tmp_path: Path) -> None:
    cluster.hold("n1")
    with brokers.open(cluster.netns("cli"), tmp_path) as books:
        steady(books)
        leads = books.serving()
        cluster.signal(leads, CLUSTERED["messaging"], signal.SIGSTOP)
        cluster.hold(next(node for node in NODES if node != leads))
        steady(books)
        cluster.signal(leads, CLUSTERED["messaging"], signal.SIGCONT)
        cluster.wait_broker(leads)
        found = books.settle()
        print(f"outage {worst(books):.3f} s")
    assert (found.lost, found.problems) == (0, ())


def test_all_brokers_are_killed(cluster: Cluster, brokers: Messaging, tmp_path: Path) -> None:
    cluster.hold("n1")
    with brokers.open(cluster.netns("cli"), tmp_path) as books:
        steady(books)
        for node in NODES:
            cluster.kill(node, CLUSTERED["messaging"])
        for node in NODES:
            cluster.start_broker(node, wait=False)
            until(lambda name=node: run_beam(cluster, name), f"the broker of {node} runs")
        for node in NODES:
            cluster.wait_broker(node)
        steady(books)
        found = books.settle()
        print(f"outage {worst(books):.3f} s")
    assert (found.lost, found.problems) == (0, ())


def run_beam(cluster: Cluster, node: str) -> bool:
    return (cluster.folder / node / "pid").exists()
