"""The front-ends of the clustered services in a real haproxy, before made-up members: who gets connections, who keeps
them, and how many looks haproxy needs to know of a change.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from fake_members import FIT, FULL, SILENT, UNFIT, Client, FakeMember, Haproxy, session
from ocf_calls import free_port, wait_until

from vimha.process import run
from vimha.render.fronts import ENDPOINT_PORT, section
from vimha.site.loading import parse
from vimha.timing.solve import solve

pytestmark = pytest.mark.agents

SITE = """\
site: t
scale: large
vips: {{public: {{address: 127.77.1.100}}}}
nodes:
  c1: {{addresses: [127.77.1.11, 127.77.2.11], bmc: 127.77.9.11}}
  c2: {{addresses: [127.77.1.12, 127.77.2.12], bmc: 127.77.9.12}}
  c3: {{addresses: [127.77.1.13, 127.77.2.13], bmc: 127.77.9.13}}
database: {{port: {writer}, reader_port: {reader}}}
messaging: {{port: {broker}}}
"""
VIP = "127.77.1.100"
MEMBERS = ("c1", "c2", "c3")


class Front:
    """haproxy as it is rendered for node c1, and what stands behind it: a port that `members` share per service."""

    def __init__(self, folder: Path) -> None:
        self.writer, self.reader, self.broker = free_port(), free_port(), free_port()
        endpoint = free_port()
        site = parse(SITE.format(writer=self.writer, reader=self.reader, broker=self.broker).encode(), "site.yaml").site
        assert site
        self.checks = solve(site).members
        self.members = {
            name: FakeMember(name, str(site.nodes[name].addresses["a"]), (self.writer, self.broker), endpoint)
            for name in MEMBERS
        }
        text = section(site, "c1", self.checks, 250).decode()
        self.haproxy = Haproxy(text.replace(f"port {ENDPOINT_PORT} ", f"port {endpoint} "), folder)

    def close(self) -> None:
        self.haproxy.close()
        for member in self.members.values():
            member.close()

    def writes_to(self) -> str:
        """Who gets a new connection to the writer's port; empty when the connection is closed without a greeting."""
        with session(VIP, self.writer) as client:
            return client.member

    def settled(self, name: str, state: str) -> Callable[[], bool]:
        """True when haproxy is sure that the member `name` is UP or DOWN."""
        return lambda: self.haproxy.states("database")[name] == state

    def losses(self, name: str, answers: list[str]) -> int:
        """How often haproxy marks `name` down when its endpoint gives `answers`, and then says again what it did."""
        before = self.haproxy.downs("database")[name]
        member = self.members[name]
        member.script[:] = answers
        wait_until(lambda: not member.script)
        settled = len(member.checks) + 2 * len(MEMBERS) * (self.checks.fall + self.checks.rise)
        wait_until(lambda: len(member.checks) > settled)
        return self.haproxy.downs("database")[name] - before

    def sockets(self) -> list[str]:
        """haproxy's established connections of the broker's port, with their timers (ss(8))."""
        listed = run(["ss", "-Htnpo", "state", "established", f"( sport = :{self.broker} or dport = :{self.broker} )"])
        return [line for line in listed.out.splitlines() if f"pid={self.haproxy.process.pid}," in line]

    def lose(self, name: str, health: str = UNFIT) -> None:
        """`name`'s endpoint changes its mind, and haproxy knows."""
        self.members[name].health = health
        wait_until(self.settled(name, "DOWN"))

    def bring_back(self, name: str) -> None:
        self.members[name].health = FIT
        wait_until(self.settled(name, "UP"))


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    made = Front(tmp_path)
    try:
        wait_until(lambda: all(member.checks for member in made.members.values()))
        yield made
    finally:
        made.close()


def test_the_local_member_is_the_writer(front: Front) -> None:
    assert [front.writes_to() for _ in range(6)] == ["c1"] * 6


def test_the_writers_sessions_are_closed_when_it_is_unfit_and_go_on_elsewhere(front: Front) -> None:
    """It still accepts connections, as a frozen or a non-Primary one does."""
    with session(VIP, front.writer) as before:
        assert before.open()
        front.lose("c1")
        wait_until(lambda: not before.open())
    assert front.writes_to() == "c2"


def test_when_no_member_has_room_clients_get_one_that_answers(front: Front) -> None:
    for name in MEMBERS:
        front.lose(name, FULL)
    assert [front.writes_to() for _ in range(3)] == ["c1"] * 3
    with session(VIP, front.reader) as reader:
        assert (reader.member, reader.open()) == ("c1", True)
    front.bring_back("c2")
    assert front.writes_to() == "c2"
    front.lose("c2", FULL)
    front.lose("c1")
    wait_until(lambda: front.haproxy.states("database-any")["c1"] == "DOWN")
    assert front.writes_to() in ("c2", "c3"), "one that lacks more than room gets nobody"


def test_the_writer_does_not_fail_back(front: Front) -> None:
    front.lose("c1")
    with session(VIP, front.writer) as client:
        assert client.member == "c2"
        front.bring_back("c1")
        assert [front.writes_to() for _ in range(6)] == ["c2"] * 6
        assert client.open()
    front.lose("c2")
    assert front.writes_to() == "c1"
    front.bring_back("c2")
    assert front.writes_to() == "c1"


def test_there_are_never_two_writers_when_many_connect_while_it_changes(front: Front) -> None:
    """Connections of one moment fill the stick table's room; all of them, and all later ones, meet at one member."""
    with ExitStack() as stack:
        held = [stack.enter_context(session(VIP, front.writer)) for _ in range(40)]
        front.lose("c1")
        wait_until(lambda: not any(client.open() for client in held))
        held += [stack.enter_context(session(VIP, front.writer)) for _ in range(40)]
        front.bring_back("c1")
        held += [stack.enter_context(session(VIP, front.writer)) for _ in range(40)]
        assert {client.member for client in held if client.open()} == {"c2"}


def test_a_killed_writer_is_left_as_soon_as_a_connection_is_refused(front: Front) -> None:
    """The refusal is the first of the two failures, so that haproxy asks at once; and nobody is sent elsewhere before
    it is sure.
    """
    front.members["c1"].die()
    front.members["c1"].health = UNFIT
    greeted: list[str] = []
    wait_until(lambda: greeted.append(front.writes_to()) or greeted[-1])
    assert greeted[-1] == "c2"
    assert front.settled("c1", "DOWN")()


@pytest.mark.parametrize("health", [UNFIT, SILENT])
def test_haproxy_knows_of_a_change_after_two_looks_and_not_after_one(front: Front, health: str) -> None:
    """With the pauses between them (tests/unit/test_render_fronts.py), that is what bounds the time."""
    checks = front.checks
    assert front.losses("c2", [health] * (checks.fall - 1)) == 0
    assert front.losses("c2", [health] * checks.fall) == 1
    wait_until(front.settled("c2", "UP"))
    front.lose("c2", health)
    assert front.losses("c2", [FIT] * (checks.rise - 1)) == 0
    assert front.losses("c2", [FIT] * checks.rise) == 1


def test_readers_are_dealt_out_and_lose_only_the_sessions_of_who_is_unfit(front: Front) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(session(VIP, front.reader)) for _ in range(6)]
        assert sorted(client.member for client in clients) == sorted(2 * MEMBERS)
        front.lose("c2")
        wait_until(lambda: not any(client.open() for client in of(clients, "c2")))
        assert all(client.open() for client in of(clients, "c1") + of(clients, "c3"))
        later = [stack.enter_context(session(VIP, front.reader)) for _ in range(4)]
        assert {client.member for client in later} == {"c1", "c3"}


def test_brokers_are_dealt_out(front: Front) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(session(VIP, front.broker)) for _ in range(6)]
        assert sorted(client.member for client in clients) == sorted(2 * MEMBERS)


def test_sessions_have_keep_alive_on_both_sides(front: Front) -> None:
    with session(VIP, front.broker) as client:
        assert client.open()
        wait_until(lambda: sum("timer:(keepalive" in line for line in front.sockets()) == 2)


def of(clients: list[Client], member: str) -> list[Client]:
    return [client for client in clients if client.member == member]
