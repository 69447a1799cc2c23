"""The drill's writers against a real database and a real broker that are killed, frozen and started again."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from single_daemons import Daemon, Mariadb, Namespace, Rabbit, until

from vimha.drill.outage import Attempt, longest, windows
from vimha.drill.stores import Books, Database, Front, Messaging, Store

pytestmark = pytest.mark.agents
STEADY = 50


@pytest.fixture(scope="module")
def namespace(root_user: None) -> Iterator[Namespace]:
    with Namespace() as made:
        yield made


@pytest.fixture(scope="module")
def mariadb(namespace: Namespace) -> Mariadb:
    daemon = Mariadb(namespace)
    daemon.start()
    return daemon


@pytest.fixture(scope="module")
def rabbit(namespace: Namespace) -> Rabbit:
    daemon = Rabbit(namespace)
    daemon.start()
    return daemon


@pytest.fixture
def database(namespace: Namespace, mariadb: Mariadb) -> Database:
    return Database(Front("127.0.0.1", 3306), {"localhost": namespace.run}, socket=mariadb.socket)


@pytest.fixture
def messaging(namespace: Namespace, rabbit: Rabbit) -> Messaging:
    return Messaging(Front("127.0.0.1", 5672), {"localhost": namespace.run})


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


def kill(daemon: Daemon) -> float:
    """Kill and start; the shortest that the outage can have been."""
    daemon.kill()
    gone = time.monotonic()
    time.sleep(0.3)
    least = time.monotonic() - gone
    daemon.start()
    return least


def freeze(daemon: Daemon) -> float:
    """Freeze for a while; the shortest that the outage can have been."""
    daemon.signal(signal.SIGSTOP)
    begun = time.monotonic()
    time.sleep(1.2)
    frozen = time.monotonic() - begun
    daemon.signal(signal.SIGCONT)
    return frozen


def play(store: Store, daemon: Daemon, hit: Callable[[Daemon], float], netns: str, work: Path) -> None:
    """One round: whatever is done to the daemon, the outage is seen and nothing that was promised is lost."""
    with store.open(netns, work) as books:
        steady(books)
        at_least = hit(daemon)
        steady(books)
        worst = longest(windows(attempts(books)))
        found = books.settle()
    assert worst is not None
    assert worst.closed
    assert worst.length_s >= at_least
    assert found.lost == 0
    assert found.problems == ()


@pytest.mark.parametrize("hit", [kill, freeze])
def test_rows_survive(
    hit: Callable[[Daemon], float], database: Database, mariadb: Mariadb, namespace: Namespace, tmp_path: Path
) -> None:
    play(database, mariadb, hit, namespace.name, tmp_path)


@pytest.mark.parametrize("hit", [kill, freeze])
def test_messages_survive(
    hit: Callable[[Daemon], float], messaging: Messaging, rabbit: Rabbit, namespace: Namespace, tmp_path: Path
) -> None:
    play(messaging, rabbit, hit, namespace.name, tmp_path)


def test_a_row_that_is_taken_away_is_missed(
    database: Database, namespace: Namespace, mariadb: Mariadb, tmp_path: Path
) -> None:
    with database.open(namespace.name, tmp_path) as books:
        steady(books)
        database.everywhere(
            "DELETE FROM vimha_drill.writes WHERE id = 7; INSERT INTO vimha_drill.writes VALUES (-1, '');"
        )
        found = books.settle()
    assert found.lost == 1
    assert found.problems == (
        "localhost lacks 1 acknowledged row (id 7)",
        "localhost has 1 row (id -1) that nobody wrote",
    )


def test_messages_that_are_taken_away_are_missed(
    messaging: Messaging, namespace: Namespace, rabbit: Rabbit, tmp_path: Path
) -> None:
    with messaging.open(namespace.name, tmp_path) as books:
        steady(books)
        books._consumer.stop()  # type: ignore[attr-defined]
        steady(books)
        namespace.run(["rabbitmqctl", "--node=rabbit@localhost", "purge_queue", books._queue])  # type: ignore[attr-defined]
        steady(books)
        messaging.drain_s = 0.0
        found = books.settle()
    assert found.lost > 0
    assert "never consumed" in found.problems[0]


def test_a_store_whose_account_is_gone_refuses_and_nothing_is_called_lost(
    database: Database, namespace: Namespace, mariadb: Mariadb, tmp_path: Path
) -> None:
    with database.open(namespace.name, tmp_path) as books:
        steady(books)
        database.everywhere("REVOKE INSERT ON vimha_drill.* FROM 'vimha_drill'@'%'; KILL USER vimha_drill;")
        seen = len(attempts(books))
        until(lambda: any("denied" in attempt.why for attempt in attempts(books)[seen:]), "a refusal")
        found = books.settle()
    assert found.problems == ()


def test_the_password_is_in_no_argument_and_its_file_is_private(
    database: Database, messaging: Messaging, namespace: Namespace, tmp_path: Path
) -> None:
    with database.open(namespace.name, tmp_path), messaging.open(namespace.name, tmp_path):
        secrets = [file.read_text().strip() for file in tmp_path.glob("*.password")]
        assert len(secrets) == 2
        assert {file.stat().st_mode & 0o777 for file in tmp_path.glob("*.password")} == {0o600}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                told = (process / "cmdline").read_text() + (process / "environ").read_text()
            except OSError:
                continue
            assert not any(secret in told for secret in secrets)
