"""Which quorum queues get a replica on this node, when, and that nothing in a queue's name is code."""

import json
import re
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from fake_host import FakeHost

from resource_agents.amqp.replicas import BATCH, DONE, SIZE, START, Replicas, addition, missing

SITE = ["n1", "n2", "n3"]


def queue(
    members: str, online: str | None = None, *, name: str = "q", brokers: str = "n", kind: str = "quorum",
    size: int | None = None, leader: str = "rabbit@n1",
) -> dict[str, object]:  # fmt: skip
    """A row of /api/queues: `members` and `online` are the nodes' numbers."""
    hosts = [f"rabbit@{brokers}{number}" for number in members]
    living = [f"rabbit@{brokers}{number}" for number in (members if online is None else online)]
    arguments = {"x-queue-type": kind} | ({SIZE: size} if size else {})
    return {"vhost": "/", "name": name, "type": kind, "arguments": arguments, "members": hosts, "online": living,
            "leader": leader}  # fmt: skip


@pytest.mark.parametrize(
    ("row", "brokers", "added"),
    [
        (queue("12"), 3, "3"), (queue("1"), 3, "2"), (queue("123"), 3, ""),
        # as it was declared
        (queue("1", size=1), 3, ""), (queue("12", size=2), 3, ""), (queue("12", size=5), 5, "3"),
        (queue("1", size=3), 2, "2"),
        # three by default; once an operator gave it more, an odd number
        (queue("12"), 5, "3"), (queue("123"), 5, ""), (queue("1234"), 5, "5"), (queue("2345"), 5, "1"),
        # a change of members needs all of them, and a leader
        (queue("12", "1"), 3, ""), (queue("12", leader=""), 3, ""), (queue("1", kind="classic"), 3, ""),
    ],
)  # fmt: skip
def test_one_broker_at_a_time_adds_itself(row: dict[str, object], brokers: int, added: str) -> None:
    names = [f"n{number}" for number in range(1, brokers + 1)]
    assert [name for name in names if missing([row], name, names)[1]] == [f"n{number}" for number in added]


def test_a_replica_that_is_listed_here_and_does_not_live_is_started_whoever_else_is_missing() -> None:
    assert missing([queue("123", "1")], "n3", SITE) == ([("/", "q")], [])
    assert missing([queue("123", "123")], "n3", SITE) == ([], [])


def test_without_brokers_nothing_changes() -> None:
    """The API did not tell of any: one of them is away."""
    assert missing([queue("12")], "n3", []) == ([], [])


def test_a_name_is_data() -> None:
    evil = '">>, halt(), <<"\u00e9'
    program = addition([("/", evil)])
    told = re.findall(r"<<([\d,]*)>>", program)
    assert [bytes(map(int, each.split(","))).decode() for each in told] == ["/", evil]
    assert "halt" not in program


class FakeBroker:
    """rabbit@n3, whose rabbitmqctl does what it is told to a list of queues."""

    name = "n3"

    def __init__(self, queues: list[dict[str, object]]) -> None:
        self.queues = queues
        self.brokers: list[dict[str, object]] = [{"name": f"rabbit@{name}", "running": True} for name in SITE]
        self.refuses: set[str] = set()
        self.starts = self.additions = 0

    def ctl(self, _deadline: object, _eval: str, program: str) -> tuple[int, str]:
        if program == START:
            idle = [each for each in self.queues if missing([each], self.name, SITE)[0]]
            for each in idle:
                each["online"] = each["members"]
            self.starts += 1
            return 0, f"[{','.join(str(each['name']) for each in idle)}]\n"
        keys = [bytes(map(int, each.split(","))).decode() for each in re.findall(r"<<([\d,]*)>>", program)]
        self.additions += 1
        return 0, "\n".join([*map(self._add, keys[1::2]), DONE, ""])

    def _add(self, name: str) -> str:
        if name in self.refuses:
            return "{error,cluster_change_not_permitted}"
        row = next(each for each in self.queues if each["name"] == name)
        row["members"] = row["online"] = [*row["members"], "rabbit@n3"]  # type: ignore[misc]
        return "ok"


@pytest.fixture
def api() -> Iterator[tuple[FakeBroker, int]]:
    """A fake management API of `FakeBroker`, and its port."""
    broker = FakeBroker([])

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            rows = broker.brokers if self.path.startswith("/api/nodes") else broker.queues
            self.wfile.write(json.dumps(rows).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with socketserver.TCPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield broker, server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def replicas(api: tuple[FakeBroker, int], said: list[str], tmp_path: Path) -> Replicas:
    host = FakeHost(tmp_path)
    host.put("/auth", "who:what", 0o600)
    values = {"management": f"127.0.0.1:{api[1]}", "management_auth": "/auth"}
    return Replicas(host, api[0], SITE, values, said.append)  # type: ignore[arg-type]


def test_all_that_is_missing_is_added_a_few_at_a_time(
    api: tuple[FakeBroker, int], replicas: Replicas, said: list[str]
) -> None:
    broker = api[0]
    broker.queues = [queue("12", name=f"q{number}") for number in range(BATCH * 2 + 1)] + [queue("123", name="whole")]
    replicas.repair()
    assert all(len(each["members"]) == 3 for each in broker.queues)  # type: ignore[arg-type]
    assert (broker.additions, broker.starts) == (3, 0)
    assert said[-1] == f"1 of 1 quorum queues were given their missing replica here: 'q{BATCH * 2}'"
    replicas.repair()
    assert len(said) == 3


def test_what_raft_refuses_is_left_to_the_next_repair(
    api: tuple[FakeBroker, int], replicas: Replicas, said: list[str]
) -> None:
    broker = api[0]
    broker.queues = [queue("12", name=f"q{number}") for number in range(BATCH + 1)]
    broker.refuses = {f"q{number}" for number in range(BATCH)}
    replicas.repair()
    assert broker.additions == 2
    assert f"0 of {BATCH}" in said[0]
    assert "cluster_change_not_permitted" in said[0]
    assert said[1].startswith("1 of 1")


def test_while_a_broker_is_away_no_queue_changes(api: tuple[FakeBroker, int], replicas: Replicas) -> None:
    broker = api[0]
    broker.queues = [queue("12")]
    broker.brokers[0]["running"] = False
    replicas.repair()
    broker.brokers[0] |= {"running": True, "disk_free_alarm": True}
    replicas.repair()
    assert broker.additions == 0


def test_what_a_boot_missed_is_started_even_while_a_broker_is_away(
    api: tuple[FakeBroker, int], replicas: Replicas, said: list[str]
) -> None:
    broker = api[0]
    broker.queues = [queue("123", "2")]
    broker.brokers[0]["running"] = False
    replicas.restore()
    assert "rabbit@n3" in broker.queues[0]["online"]  # type: ignore[operator]
    assert said == ["replicas of quorum queues that were not started here: [q]"]


def test_an_api_that_is_silent_is_the_monitors_to_tell(tmp_path: Path, said: list[str]) -> None:
    broker = FakeBroker([queue("12")])
    values = {"management": "127.0.0.1:9", "management_auth": "/none"}
    Replicas(FakeHost(tmp_path), broker, SITE, values, said.append).repair()  # type: ignore[arg-type]
    assert (broker.additions, said) == (0, [])
