"""The site's stateful services as a drill uses them: an account, a client that writes, and the books afterwards.

Invariant: passwords are random, live for one round, and travel on stdin and in files of mode 0600 only. What a round
wrote stays in the database until the next round begins, for whoever looks into a failure.
"""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vimha.drill.amqp_link import QUEUES
from vimha.drill.ledger import Audit, Ledger, Member, audit_messages, audit_rows
from vimha.drill.outage import Attempt
from vimha.drill.recorder import Recorder
from vimha.drill.sql_writer import DATABASE, TABLE
from vimha.errors import VimhaError
from vimha.files import write_atomic
from vimha.process import Result, Runner, checked
from vimha.site.model import Site

ACCOUNT = "vimha_drill"
COMMAND_S = 30.0
"""A statement or a rabbitmqctl (0.5 s) on a host that is busy booting machines."""
GREETING_S = 3
"""How long mariadb waits for a member's greeting: a frozen one accepts connections and says nothing."""
SETTLE_S = 60.0
"""How long after healing a member may still take its state from another: a full transfer takes 5 s here."""
DRAIN_S = 60.0
"""How long after healing every confirmed message may still take: a queue's members catch up, a consumer reconnects."""
BEGIN_S = 20.0
POLL_S = 0.25
UNAVAILABLE = 69
"""What RabbitMQ's tools exit with when no broker runs on the node (EX_UNAVAILABLE of sysexits.h)."""
SOCKET = "/run/mysqld/mysqld.sock"
Runners = Mapping[str, Runner]
"""A way into every node that has a member of the service, by name."""


@dataclass(frozen=True)
class Front:
    """Where clients of a service connect: an address (the VIP) and a port."""

    address: str
    port: int


class Books(Protocol):
    """One round of a store, under way. Leaving it ends its clients."""

    def read(self) -> dict[str, list[Attempt]]:
        """The attempts that have ended by now, by probe."""
        ...

    def serving(self) -> str:
        """The node whose member the writer's work ends up on now: the one that a fault must hit to be felt."""
        ...

    def settle(self) -> Audit:
        """End the writing and hold what is there against what was promised. The cluster must be healthy."""
        ...


class Store(Protocol):
    """A stateful service that a drill can write to."""

    def open(self, netns: str, work: Path) -> AbstractContextManager[Books]:
        """Begin a round: clients start in the namespace `netns`, and keep their files in `work`."""
        ...


def first_to_answer(runners: Runners, ask: Callable[[str, Runner], str]) -> str:
    """What `ask` got from the first node that could tell; the last one's VimhaError when none could."""
    failure = VimhaError("there is no node to ask")
    for node, runner in runners.items():
        try:
            return ask(node, runner)
        except VimhaError as error:
            failure = error
    raise failure


class Database:
    """The site's MariaDB, written to through `front` and read on every node through its socket, as root there. So many
    nodes as it has `spares` need no member.
    """

    def __init__(
        self, front: Front, runners: Runners, spares: int = 0, *, socket: str = SOCKET, settle_s: float = SETTLE_S
    ) -> None:
        self.front, self.runners, self.spares, self.settle_s = front, runners, spares, settle_s
        plain = ["--no-defaults", "--batch", "--skip-column-names", f"--connect-timeout={GREETING_S}"]
        self._argv = ["mariadb", *plain, f"--socket={socket}"]

    def open(self, netns: str, work: Path) -> "DatabaseBooks":
        return DatabaseBooks(self, netns, work)

    def sql(self, runner: Runner, statements: str) -> str:
        """What `statements` answer on a node; VimhaError with the server's words when one fails."""
        return checked(runner(self._argv, stdin=statements, timeout_s=COMMAND_S)).out

    def everywhere(self, statements: str) -> str:
        """Run `statements` on the first node that answers; the cluster replicates them."""
        return first_to_answer(self.runners, lambda _, runner: self.sql(runner, statements))

    def member(self, runner: Runner) -> Member:
        """What a node holds, once it has applied all that the cluster had committed; VimhaError when it is not one
        of the cluster's synchronized members."""
        return parse_member(self.sql(runner, READ))

    def members(self) -> tuple[dict[str, Member], dict[str, str]]:
        """What every member's node holds, and of those that are no synchronized members within `settle_s`, why not; of
        nobody, when all that are to be members are.
        """
        found: dict[str, Member] = {}
        silent = dict.fromkeys(self.runners, "")
        end = time.monotonic() + self.settle_s
        while silent:
            for node in list(silent):
                try:
                    found[node] = self.member(self.runners[node])
                    del silent[node]
                except VimhaError as error:
                    silent[node] = error.message
            if len(silent) <= self.spares:
                return found, {}
            if time.monotonic() > end:
                break
            time.sleep(POLL_S)
        return found, silent


READ = f"""
SET SESSION wsrep_sync_wait = 1;
SELECT 'status', LOWER(variable_name), variable_value FROM information_schema.global_status
  WHERE variable_name IN ('wsrep_cluster_state_uuid', 'wsrep_local_state_comment', 'wsrep_cluster_status');
SELECT 'sum', COALESCE(BIT_XOR(CRC32(CONCAT_WS(':', id, note))), 0) FROM {DATABASE}.{TABLE};
SELECT 'id', id FROM {DATABASE}.{TABLE};
"""  # noqa: S608 (no input)


WRITERS = f"SELECT COUNT(*) FROM information_schema.processlist WHERE user = '{ACCOUNT}';"  # noqa: S608 (no input)


def parse_member(answer: str) -> Member:
    """The member that `answer` (of READ) tells of; VimhaError when it is no synchronized member."""
    rows = [line.split("\t") for line in answer.splitlines()]
    status = {row[1]: row[2] for row in rows if row[0] == "status"}
    state = status.get("wsrep_local_state_comment", "Synced")
    if status.get("wsrep_cluster_status", "Primary") not in ("Primary", "Disconnected") or state != "Synced":
        raise VimhaError(f"it is {state} in a cluster that is {status.get('wsrep_cluster_status')}")
    ids = frozenset(int(row[1]) for row in rows if row[0] == "id")
    return Member(status.get("wsrep_cluster_state_uuid", ""), next(r[1] for r in rows if r[0] == "sum"), ids)


class DatabaseBooks:
    """A round of SQL writes."""

    def __init__(self, database: Database, netns: str, work: Path) -> None:
        self._database, self._netns, self._work = database, netns, work
        self._ledger = Ledger()
        self._uuid = ""

    def __enter__(self) -> "DatabaseBooks":
        password = secrets.token_hex(16)
        self._database.everywhere(
            f"CREATE DATABASE IF NOT EXISTS {DATABASE};"
            f"CREATE OR REPLACE USER '{ACCOUNT}'@'%' IDENTIFIED BY '{password}';"
            f"GRANT SELECT, INSERT ON {DATABASE}.* TO '{ACCOUNT}'@'%';"
            f"CREATE OR REPLACE TABLE {DATABASE}.{TABLE} (id BIGINT PRIMARY KEY, note VARCHAR(40) NOT NULL)"
            " ENGINE=InnoDB;"
        )
        members, silent = self._database.members()
        if silent or len({member.uuid for member in members.values()}) != 1:
            told = [
                *(f"{node}: {why}" for node, why in silent.items()),
                *(f"{n}: {m.uuid}" for n, m in members.items()),
            ]
            raise VimhaError(f"the database is not whole before the fault: {', '.join(told)}", "See vimha status.")
        self._uuid = next(iter(members.values())).uuid
        order = json.dumps(_order(self._database.front, password, self._work / "sql.password"))
        self._writer = Recorder("vimha.drill.sql_writer", [order], self._work / "sql", self._netns)
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.stop()
        with suppress(VimhaError):
            self._database.everywhere(f"DROP USER IF EXISTS '{ACCOUNT}'@'%';")

    def read(self) -> dict[str, list[Attempt]]:
        for record in self._writer.fresh():
            self._ledger.enter(record)
        return {"database sql": self._ledger.attempts}

    def serving(self) -> str:
        for node, runner in self._database.runners.items():
            with suppress(VimhaError):  # a member that is down serves nobody
                if int(self._database.sql(runner, WRITERS)):
                    return node
        raise VimhaError("the drill's writer is connected to no member of the database")

    def settle(self) -> Audit:
        self._writer.stop()
        self.read()
        members, silent = self._database.members()
        found = audit_rows(self._ledger, members, self._uuid)
        return Audit(found.lost, found.problems + tuple(f"{n} cannot be read: {why}" for n, why in silent.items()))


class Messaging:
    """The site's RabbitMQ, written to and consumed from through `front`; accounts are made on the nodes. So many nodes
    as it has `spares` need no broker.
    """

    def __init__(self, front: Front, runners: Runners, spares: int = 0, *, drain_s: float = DRAIN_S) -> None:
        self.front, self.runners, self.spares, self.drain_s = front, runners, spares, drain_s

    def open(self, netns: str, work: Path) -> "MessagingBooks":
        return MessagingBooks(self, netns, work)

    def account(self, password: str) -> None:
        """Make the drill's account anew, which may touch drills' queues alone; VimhaError when no broker does."""
        queue = rf"^({QUEUES}[0-9a-f]+|amq\.default)$"

        def make(node: str, runner: Runner) -> str:
            control(runner, node, "delete_user", ACCOUNT)
            checked(control(runner, node, "add_user", ACCOUNT, stdin=f"{password}\n"))
            return checked(control(runner, node, "set_permissions", ACCOUNT, queue, queue, queue)).out

        first_to_answer(self.runners, make)

    def leader(self, queue: str) -> str:
        """The node that leads `queue`; VimhaError when there is none."""
        for node, runner in self.runners.items():
            with suppress(VimhaError):  # a broker that is down leads nothing
                if leads(runner, node, queue):
                    return node
        raise VimhaError(f"no broker leads the queue {queue}")

    def critical(self) -> str:
        """A node without which a quorum queue would have no majority; empty when every queue has all its replicas, and
        where there is one broker alone. One whose broker does not run is such a node too, unless it may be a spare.
        """
        if len(self.runners) - self.spares == 1:
            return ""
        absent = []
        for node, runner in self.runners.items():
            said = control(runner, node, "check_if_node_is_quorum_critical", tool="rabbitmq-queues")
            if said.code == UNAVAILABLE:
                absent.append(node)
            elif not said.ok:
                return node
        return absent[-1] if len(absent) > self.spares else ""

    def delete(self, queue: str) -> None:
        """Delete `queue`, if a broker answers; it expires in the end."""
        with suppress(VimhaError):
            first_to_answer(
                self.runners, lambda node, runner: checked(control(runner, node, "delete_queue", queue)).out
            )


def lacking(site: Site, node: str, runners: Runners) -> str:
    """What keeps `node` from being a whole member of every clustered service; empty when nothing does, and of a service
    with spares when it has all the members that it is to have.
    """
    for service in site.stateful:
        lacks = {"database": _member_lacks, "messaging": _broker_lacks}[service]
        wanted = site.instances_of(service)
        if why := lacks(node, runners[node]):
            others = [name for name in runners if name != node] if wanted < len(runners) else []
            if sum(not lacks(name, runners[name]) for name in others) < wanted:
                return why
    return ""


def _member_lacks(node: str, runner: Runner) -> str:
    try:
        said = Database(Front("", 0), {}).sql(runner, "SHOW GLOBAL STATUS LIKE 'wsrep_local_state_comment';").split()
    except VimhaError as error:
        return f"its member of the database is down: {error.message}"
    return "" if said[-1:] == ["Synced"] else f"its member of the database is {said[-1] if said else 'down'}"


def _broker_lacks(node: str, runner: Runner) -> str:
    return "" if control(runner, node, "await_startup", "--timeout", "1").ok else "its broker has not started"


def control(runner: Runner, node: str, *words: str, stdin: str = "", tool: str = "rabbitmqctl") -> Result:
    """Run `rabbitmqctl`, or another of RabbitMQ's tools, for the broker of `node` on it."""
    return runner([tool, "--quiet", f"--node=rabbit@{node}", *words], stdin=stdin, timeout_s=COMMAND_S)


def leads(runner: Runner, node: str, queue: str) -> bool:
    """Does the broker of `node` lead `queue`? Only local queues are asked for: for others every broker would
    have to reach rabbitmqctl, which hangs while one of them cannot.
    """
    return queue in checked(control(runner, node, "list_queues", "--local", "name")).out.split()


class MessagingBooks:
    """A round of messages, published and consumed."""

    def __init__(self, messaging: Messaging, netns: str, work: Path) -> None:
        self._messaging, self._netns, self._work = messaging, netns, work
        self._queue = QUEUES + secrets.token_hex(4)
        self._ledger = Ledger()
        self._consumed: set[int] = set()
        self._ready = False
        self._stack = ExitStack()

    def __enter__(self) -> "MessagingBooks":
        password = secrets.token_hex(16)
        self._messaging.account(password)
        known = _order(self._messaging.front, password, self._work / "amqp.password")
        order = json.dumps({**known, "queue": self._queue})
        with ExitStack() as stack:
            self._consumer = self._start("vimha.drill.amqp_consumer", order, "consumer", stack)
            end = time.monotonic() + BEGIN_S
            while not self._ready:
                if time.monotonic() > end:
                    raise VimhaError("the drill's queue could not be made", "See vimha status for the brokers.")
                time.sleep(POLL_S)
                self._consume()
            self._whole()
            self._publisher = self._start("vimha.drill.amqp_publisher", order, "publisher", stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def read(self) -> dict[str, list[Attempt]]:
        self._consume()
        for record in self._publisher.fresh():
            self._ledger.enter(record)
        return {"messaging amqp": self._ledger.attempts}

    def serving(self) -> str:
        return self._messaging.leader(self._queue)

    def settle(self) -> Audit:
        self._publisher.stop()
        end = time.monotonic() + self._messaging.drain_s
        while True:
            self.read()
            if self._ledger.acknowledged <= self._consumed or time.monotonic() > end:
                self._messaging.delete(self._queue)
                return audit_messages(self._ledger, self._consumed)
            time.sleep(POLL_S)

    def _start(self, module: str, order: str, log: str, stack: ExitStack) -> Recorder:
        return stack.enter_context(Recorder(module, [order], self._work / log, self._netns))

    def _consume(self) -> None:
        for record in self._consumer.fresh():
            self._ready = self._ready or "ready" in record
            if "consumed" in record:
                self._consumed.add(record["consumed"])

    def _whole(self) -> None:
        """Wait until the queue has all its replicas: without, one broker's death is two."""
        end = time.monotonic() + BEGIN_S
        while node := self._messaging.critical():
            if time.monotonic() > end:
                raise VimhaError(f"a queue would lose its majority with {node}", "See rabbitmq-queues quorum_status.")
            time.sleep(POLL_S)


def _order(front: Front, password: str, file: Path) -> dict[str, str | int]:
    """What every writer is told: where to connect and as whom."""
    write_atomic(file, password + "\n", 0o600)
    return {"address": front.address, "port": front.port, "user": ACCOUNT, "password_file": str(file)}
