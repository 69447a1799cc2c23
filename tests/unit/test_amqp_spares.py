"""N+M brokers: when a lost member is forgotten, what a node without a broker says, and when it joins anew."""

import re
from pathlib import Path

import pytest
from fake_host import FakeHost

from resource_agents.amqp import spares
from resource_agents.amqp.database import Database
from resource_agents.amqp.management import judge, lost
from resource_agents.amqp.membership import Cluster, ask
from resource_agents.amqp.spares import Spares, needing, removal
from resource_agents.amqp.word import ELECT, SPARE, UP, Word, decode, encode
from resource_agents.ocf import runtime
from resource_agents.ocf.agent import NOT_RUNNING, OK, Deadline
from resource_agents.ocf.attribute import Attribute
from resource_agents.rabbitmq import RabbitMQ

SITE = ["n1", "n2", "n3", "n4", "n5"]


def nodes(running: str, stopped: str = "") -> list[dict[str, object]]:
    """Rows of /api/nodes."""
    return [{"name": f"rabbit@n{number}", "running": number in running} for number in running + stopped]


def queue(members: str, online: str, *, name: str = "q", kind: str = "quorum", leader: str = "rabbit@n2",
          node: str = "2") -> dict[str, object]:  # fmt: skip
    """A row of /api/queues; `members` is empty for one that is not replicated."""
    row: dict[str, object] = {"vhost": "/", "name": name, "type": kind, "node": f"rabbit@n{node}"}
    if members:
        row |= {"members": [f"rabbit@n{each}" for each in members], "online": [f"rabbit@n{each}" for each in online],
                "leader": leader}  # fmt: skip
    return row


@pytest.mark.parametrize(
    ("running", "stopped", "active", "forgets"),
    [
        ("234", "1", 3, {"n2": ["n1"]}), ("245", "13", 3, {"n2": ["n1", "n3"]}),
        # too few of them run
        ("34", "12", 3, {}), ("24", "1", 3, {}),
        # no majority of the cluster, as far as it goes
        ("245", "136", 3, {}),
        # none is lost, or there are no spares: who is gone comes back
        ("234", "", 3, {}), ("1234", "5", 5, {}),
    ],
)  # fmt: skip
def test_one_broker_forgets_when_as_many_run_as_are_to(
    running: str, stopped: str, active: int, forgets: dict[str, list[str]]
) -> None:
    told = {name: lost(nodes(running, stopped), name, SITE, active) for name in SITE}
    assert {name: names for name, names in told.items() if names} == forgets


def test_a_spare_is_not_missed_but_a_member_that_is_to_be_forgotten_is_told_of() -> None:
    assert judge(nodes("123"), "n1", SITE, 3) == ([], [])
    assert judge(nodes("234", "1"), "n2", SITE, 3) == ([], ["not in its cluster now: n1"])
    assert judge(nodes("23"), "n2", SITE, 3) == ([], ["not in its cluster now: n1, n4, n5"])


@pytest.mark.parametrize(
    ("row", "needed"),
    [
        (queue("123", "23"), False), (queue("234", "234"), False), (queue("12345", "245"), False),
        # it has the last majority, or there is nobody to agree
        (queue("123", "2"), True), (queue("12", "2"), True), (queue("1", ""), True),
        (queue("123", "23", leader=""), True),
        # not replicated: the messages are there alone
        (queue("", "", kind="classic", node="1"), True), (queue("", "", kind="classic", node="2"), False),
        (queue("123", "23", kind="stream"), False), (queue("12", "2", kind="stream"), True),
    ],
)  # fmt: skip
def test_a_queue_that_needs_the_lost_one(row: dict[str, object], needed: bool) -> None:
    assert bool(needing([row], "n1")) == needed


def test_a_name_is_data() -> None:
    evil = '">>, halt(), <<"\u00e9'
    program = removal([("/", evil)], "n1")
    told = re.findall(r"<<([\d,]*)>>", program)
    assert [bytes(map(int, each.split(","))).decode() for each in told] == ["rabbit@n1", "/", evil]
    assert "halt" not in program


class FakeBroker:
    """rabbit@n2, whose rabbitmqctl does what it is told."""

    name = "n2"

    def __init__(self) -> None:
        self.queues: list[dict[str, object]] = []
        self.told: list[str] = []
        self.trouble = ""

    def ctl(self, _deadline: object, *words: str, node: str = "") -> tuple[int, str]:
        if words[0] == "forget_cluster_node":
            self.told.append(f"forget {words[1]}")
            return 0, ""
        keys = [bytes(map(int, each.split(","))).decode() for each in re.findall(r"<<([\d,]*)>>", words[1])]
        names = keys[2::2]
        self.told.append(f"remove {keys[0]} {' '.join(names)}")
        for row in self.queues if not self.trouble else ():
            if row["name"] in names:
                row["members"] = [each for each in row["members"] if each != keys[0]]  # type: ignore[attr-defined]
        return 0, "\n".join([self.trouble or "ok"] * len(names) + ["done", ""])


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> FakeBroker:
    found = FakeBroker()
    monkeypatch.setattr(spares, "all_queues", lambda *_, **__: found.queues)
    return found


def forget(tmp_path: Path, broker: FakeBroker, word: str = "") -> str:
    """What was said of it, where n1's word is `word`."""
    host, said = FakeHost(tmp_path), [""]
    host.answers["attrd_updater"] = (0, f'name="x" host="n1" value="{word}"\n' if word else "")
    values = {"management": "127.0.0.1:9", "management_auth": "/none"}
    Spares(host, broker, values, Attribute(host, "x", private=True), said.append).forget(["n1"])  # type: ignore[arg-type]
    return said[-1]


def test_its_replicas_go_first_and_then_it_is_forgotten(tmp_path: Path, broker: FakeBroker) -> None:
    broker.queues = [queue("123", "23", name=f"q{number}") for number in range(6)] + [queue("234", "234", name="not")]
    assert forget(tmp_path, broker).startswith("n1 was lost and is forgotten")
    assert broker.told == ["remove rabbit@n1 q0 q1 q2 q3 q4", "remove rabbit@n1 q5", "forget rabbit@n1"]
    forget(tmp_path, broker, encode(Word(SPARE)))
    assert broker.told[3:] == ["forget rabbit@n1"]


def test_while_a_queue_needs_it_nothing_is_touched(tmp_path: Path, broker: FakeBroker) -> None:
    broker.queues = [queue("123", "23"), queue("12", "2", name="two")]
    assert forget(tmp_path, broker) == "n1 is lost and stays a member: 1 queues need what it has: two"
    assert not broker.told


def test_while_raft_does_not_give_up_a_replica_it_stays_a_member(tmp_path: Path, broker: FakeBroker) -> None:
    broker.queues, broker.trouble = [queue("123", "23")], "{error,timeout}"
    assert "its replicas stay: {error,timeout}" in forget(tmp_path, broker)
    assert broker.told == ["remove rabbit@n1 q"]
    broker.trouble = ""
    forget(tmp_path, broker)
    assert broker.told[-1] == "forget rabbit@n1"


@pytest.mark.parametrize("phase", [ELECT, UP])
def test_one_that_comes_up_is_not_forgotten(tmp_path: Path, broker: FakeBroker, phase: str) -> None:
    forget(tmp_path, broker, encode(Word(phase)))
    assert not broker.told


@pytest.mark.parametrize(
    ("running", "members", "me", "blank", "may"),
    [
        ("23", "123", "n4", True, True), ("3", "123", "n4", True, False), ("24", "1234", "n5", True, False),
        ("3", "123", "n1", False, True), ("234", "234", "n1", False, True), ("2", "234", "n1", False, False),
    ],
)  # fmt: skip
def test_a_cluster_takes_a_new_member_while_a_majority_runs_and_its_own_always(
    running: str, members: str, me: str, blank: bool, may: bool
) -> None:
    who = [frozenset(f"n{number}" for number in numbers) for numbers in (members, running)]
    assert (Cluster("n2", *who, serves=True).obstacle(me, blank=blank) == "") == may
    assert (Cluster("n2", *who, serves=False).obstacle(me, blank=blank) == "") == (not blank and me in who[0])


def test_a_broker_is_asked_for_its_cluster() -> None:
    class Told(FakeBroker):
        def ctl(self, _deadline: object, *words: str, node: str = "") -> tuple[int, str]:
            return 0, f"{{{node},['rabbit@n-1',rabbit@n2,\n  rabbit@n3],\n [rabbit@n2,rabbit@n3]}}\n"

    deadline = Deadline(1.0, lambda: 0.0)
    cluster = ask(Told(), "true", deadline)  # type: ignore[arg-type]
    assert cluster
    assert (cluster.members, cluster.running) == ({"n-1", "n2", "n3"}, {"n2", "n3"})
    assert cluster.serves
    paused = ask(Told(), "false", deadline)  # type: ignore[arg-type]
    assert paused
    assert not paused.serves
    assert ask(Told(), "Error: unable to perform an operation", deadline) is None  # type: ignore[arg-type]


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    """A node with a database, on which no broker runs."""
    host = FakeHost(tmp_path)
    fill(host, "first")
    host.put("/etc/vimha/erlang.cookie", "secret", 0o600)
    return host


def fill(host: FakeHost, text: str) -> None:
    folder = "/var/lib/rabbitmq/mnesia/rabbit@n1"
    host.put(f"{folder}/schema.DAT", text)
    host.put(f"{folder}/cluster_nodes.config", "{[rabbit@n1,rabbit@n2,rabbit@n3],[rabbit@n1,rabbit@n2,rabbit@n3]}.")
    host.put(f"{folder}/nodes_running_at_shutdown", "[rabbit@n1,rabbit@n2].")


def test_a_database_is_set_aside_and_the_last_one_is_kept(host: FakeHost) -> None:
    database = Database(host, "/var/lib/rabbitmq/mnesia", "n1")
    assert not database.blank()
    for text in ("first", "second"):
        fill(host, text)
        database.set_aside()
        assert database.blank()
        assert host.read(f"{database.aside}/schema.DAT") == text
    assert set(host.names("/var/lib/rabbitmq/mnesia")) == {"vimha-set-aside@n1"}


def said(host: FakeHost, action: str) -> tuple[int, list[str]]:
    """The action's code, and the options of the last call of attrd_updater."""
    env = {"OCF_RESKEY_amqp": "127.0.0.1:9", "OCF_RESKEY_members": "n1=10.0.0.1 n2=10.0.0.2 n3=10.0.0.3 n4=10.0.0.4",
           "OCF_RESKEY_CRM_meta_on_node": "n1", "OCF_RESKEY_CRM_meta_interval": "0"}  # fmt: skip
    host.commands.clear()
    code = runtime.invoke(RabbitMQ, action, env, host)[0]
    calls = [command[1:] for command in host.commands if command[0].endswith("attrd_updater")]
    return code, calls[-1] if calls else []


def test_a_node_without_a_broker_tells_its_database(host: FakeHost) -> None:
    for action, code in (("monitor", NOT_RUNNING), ("stop", OK)):
        done, options = said(host, action)
        assert done == code
        if action == "monitor":
            assert options[:3] == ["--name", "vimha-rabbitmq", "--update"]
            assert options[-1] == "--private"
            word = decode(options[3])
            assert word
            assert (word.phase, word.ran, word.of) == (SPARE, {"n1", "n2"}, {"n1", "n2", "n3"})


@pytest.mark.parametrize("damage", ["cluster_nodes.config", "nodes_running_at_shutdown", "cookie"])
def test_a_node_whose_database_cannot_be_told_says_nothing(host: FakeHost, damage: str) -> None:
    """Else it would be taken for a blank one, or for the one that ran last."""
    path = "/etc/vimha/erlang.cookie" if damage == "cookie" else f"/var/lib/rabbitmq/mnesia/rabbit@n1/{damage}"
    host.put(path, "")
    code, options = said(host, "monitor")
    assert code == NOT_RUNNING
    assert options == ["--name", "vimha-rabbitmq", "--delete"]
