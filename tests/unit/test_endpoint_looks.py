"""Which members the health endpoint calls fit, and what it says of the others."""

import socket
from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path

import pytest

from resource_agents.endpoint import looks
from resource_agents.endpoint.kept import Kept
from resource_agents.endpoint.looks import GaleraLook, RabbitmqLook, judge
from resource_agents.endpoint.watch import Look
from resource_agents.mysql.client import Connection
from resource_agents.ocf.system import System
from resource_agents.wsrep.status import Status


def status(state: int = 4, comment: str = "Synced", *, ready: bool = True, cluster: str = "Primary") -> Status:
    return Status(
        ready=ready, cluster_status=cluster, local_state=state, state_comment=comment, cluster_size=3, uuid="u",
        last_committed=7,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "donor", "said"),
    [(status(), False, ""),
     (status(2, "Donor/Desynced"), False, "Donor/Desynced (2)"),
     (status(2, "Donor/Desynced"), True, ""),
     (status(3, "Joined"), False, "Joined (3)"),
     (status(3, "Joined"), True, ""),
     (status(2, "Donor/Desynced", cluster="non-Primary"), True,
      "non-Primary: it is not in the component that has quorum"),
     (status(1, "Joining: receiving State Transfer", ready=False), True,
      "wsrep_ready is OFF: Joining: receiving State Transfer"),
     (status(0, "Initialized", ready=False, cluster="non-Primary"), False,
      "non-Primary: it is not in the component that has quorum"),
     (status(4, cluster="Disconnected"), False, "Disconnected: it is not in the component that has quorum"),
     (status(4, ready=False), False, "wsrep_ready is OFF: Synced"),
     (status(4, ""), False, ""),
     (status(5, ""), False, "state unknown (5)")],
)  # fmt: skip
def test_who_is_fit(seen: Status, donor: bool, said: str) -> None:
    assert judge(seen, donor=donor) == said


def found(seen: Look) -> str:
    """What it finds, as the endpoint looks: quickly if that can be."""
    finding = seen.quick()
    return seen() if finding is None else finding


class FakeConnections:
    """Stands in for Connection and wsrep.status: `answers` are what the next reads give, an error is raised. `prompt`:
    the answer is there at once.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: Status | Exception, prompt: bool = False) -> None:
        self.answers = list(answers)
        self.made: list[tuple[object, ...]] = []
        self.closed = self.asked = 0
        monkeypatch.setattr(Connection, "connect", self._connect)
        monkeypatch.setattr(looks.status, "parse", lambda rows: rows)
        monkeypatch.setattr(looks, "arrives", lambda _: prompt)

    def ask(self, *_: object) -> None:
        self.asked += 1

    def _connect(self, *how: object) -> "FakeConnections":
        self.made.append(how)
        return self

    def close(self) -> None:
        self.closed += 1

    def answer(self, _: float) -> Status:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def look(clock: Callable[[], float] = lambda: 100.0, donor_s: float = 3.0) -> GaleraLook:
    return GaleraLook("/run/sock", "mysql", donor_s=donor_s, clock=clock)


DONOR, JOINED = status(2, "Donor/Desynced"), status(3, "Joined")


@pytest.mark.parametrize("prompt", [True, False], ids=["prompt", "slow"])
@pytest.mark.parametrize(
    ("steps", "fit"),
    [([(0, status()), (2, DONOR), (2.9, JOINED), (3.1, status()), (6, DONOR)], [True, True, True, True, True]),
     ([(0, status()), (1, DONOR), (3.1, DONOR), (3.2, JOINED), (3.3, status())], [True, True, False, False, True]),
     ([(0, status()), (1, TimeoutError()), (1.1, DONOR), (1.2, status())], [True, False, False, True]),
     ([(0, JOINED), (1, status())], [False, True]),
     ([(0, DONOR), (1, DONOR)], [False, False])],
    ids=["IST", "SST", "restarted", "joiner", "a donor from the first look on"],
)  # fmt: skip
def test_a_member_that_was_synced_stays_fit_for_a_while_as_a_donor(
    monkeypatch: pytest.MonkeyPatch, steps: list[tuple[float, Status | Exception]], fit: list[bool], prompt: bool
) -> None:
    now = 0.0
    answers = [each for _, answer in steps for each in ([answer] * (1 + (prompt and isinstance(answer, Exception))))]
    FakeConnections(monkeypatch, *answers, prompt=prompt)
    seen, said = look(lambda: now), []
    for now, _ in steps:  # noqa: B007 (the look's clock)
        said.append(found(seen) == "")
    assert said == fit


def test_where_nothing_blocks_a_donor_it_is_fit_as_long_as_it_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 100))
    FakeConnections(monkeypatch, JOINED, DONOR, DONOR, JOINED, status(1, "Joining"), JOINED)
    seen = look(lambda: next(clock), inf)
    assert [seen() for _ in range(6)] == ["Joined (3)", "", "", "", "Joining (1)", "Joined (3)"]


class FakeDisk(System):
    """A file system that has `mib` left."""

    def __init__(self, mib: int | None) -> None:
        super().__init__()
        self.mib = mib

    def free(self, path: str) -> int | None:
        return None if self.mib is None else self.mib << 20


def test_a_member_short_of_room_is_unfit_until_it_has_twice_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeConnections(monkeypatch, *[status()] * 6)
    disk, said = FakeDisk(64), []
    seen = GaleraLook("/run/sock", "mysql", donor_s=3.0, datadir="/data", system=disk)
    for disk.mib in (64, 63, 127, 128, 64, None):
        said.append(seen())
    short = "disk full: {} MiB free under /data, {} MiB needed"
    assert said == ["", short.format(63, 64), short.format(127, 128), "", "", ""]


def test_whatever_room_it_has_it_may_be_asked_for_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeConnections(monkeypatch, status(), status(5, "Inconsistent", cluster="Disconnected", ready=False))
    full, other = FakeDisk(0), status(5, "Inconsistent", cluster="Disconnected", ready=False)
    seen = GaleraLook("/run/sock", "mysql", donor_s=3.0, system=full)
    assert [seen(), seen()] == ["", judge(other, donor=True)]


def test_room_is_looked_at_by_a_call_alone_twice_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system may keep waiting whoever asks."""
    FakeConnections(monkeypatch, *[status()] * 6, prompt=True)
    disk, now = FakeDisk(64), 100.0
    seen = GaleraLook("/run/sock", "mysql", donor_s=3.0, datadir="/data", system=disk, clock=lambda: now)
    assert seen.quick() is None, "there is no connection yet"
    assert seen() == ""
    disk.mib = 1
    assert seen.quick() == ""
    now += looks.ROOM_S + 0.1
    assert seen.quick() is None
    assert seen().startswith("disk full")
    assert (seen.quick() or "").startswith("disk full")


def test_what_was_asked_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, seen = FakeConnections(monkeypatch, status(), status(1, "Joining"), status()), look()
    assert seen() == ""
    assert [seen.quick(), seen.quick(), seen()] == [None, None, "Joining (1)"]
    assert fake.asked == 2
    assert seen() == ""
    assert fake.asked == 3


def test_one_connection_serves_all_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, seen = FakeConnections(monkeypatch, status(), status(), status(1, "Joining")), look()
    assert [seen(), seen(), seen()] == ["", "", "Joining (1)"]
    assert fake.made == [("/run/sock", "mysql", "", looks.GIVE_UP_S)]


def test_a_connection_that_ended_meanwhile_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, seen = FakeConnections(monkeypatch, status(), ConnectionResetError(104, "gone"), status()), look()
    assert [seen(), seen()] == ["", ""]
    assert (len(fake.made), fake.closed) == (2, 1)


def test_a_connection_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, seen = FakeConnections(monkeypatch, status(), TimeoutError(110, "no answer in time"), status()), look()
    assert [seen(), seen(), seen()] == ["", "no answer in time", ""]
    assert (len(fake.made), fake.closed) == (2, 1)


def test_a_server_that_is_gone_has_a_reason(tmp_path: Path) -> None:
    assert GaleraLook(str(tmp_path / "sock"), "mysql", donor_s=3)() == "No such file or directory"


@pytest.fixture
def broker() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_broker_that_is_gone_has_a_reason(broker: socket.socket) -> None:
    port = broker.getsockname()[1]
    broker.close()
    assert RabbitmqLook(("127.0.0.1", port))() == "Connection refused"


class FakeBroker:
    """Stands in for the handshake and the connection to the management: what is wrong with each, and how often it was
    asked. `now` is the look's clock.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, prompt: bool = False) -> None:
        self.now = 100.0
        monkeypatch.setattr(looks, "arrives", lambda _: prompt)
        self.wrong: dict[str, Exception | None] = {"amqp": None, "call": None, "management": None}
        self.asked = {"amqp": 0, "call": 0, "management": 0}
        monkeypatch.setattr(looks.handshake, "check", lambda *_: self._ask("amqp"))
        monkeypatch.setattr(looks, "Kept", self._call)

    def _call(self, *_: object) -> "FakeBroker":
        self._ask("call")
        return self

    def ask(self, _: str) -> None:
        return

    def answer(self, _: float) -> None:
        self._ask("management")

    def close(self) -> None:
        return

    def _ask(self, what: str) -> None:
        self.asked[what] += 1
        if error := self.wrong[what]:
            raise error

    def look(self, *, management: bool = True) -> RabbitmqLook:
        return RabbitmqLook(("::1", 5672), ("::1", 15672) if management else None, lambda: self.now)


@pytest.mark.parametrize("prompt", [True, False], ids=["prompt", "slow"])
def test_a_fit_broker_is_asked_at_its_management_and_now_and_then_by_a_handshake(
    monkeypatch: pytest.MonkeyPatch, prompt: bool
) -> None:
    broker = FakeBroker(monkeypatch, prompt=prompt)
    seen = broker.look()
    assert [found(seen) for _ in range(5)] == [""] * 5
    assert broker.asked == {"amqp": 1, "call": 1, "management": 4}
    broker.now += looks.HANDSHAKE_S
    broker.wrong["amqp"] = ConnectionRefusedError(111, "Connection refused")
    assert [found(seen), found(seen)] == ["Connection refused"] * 2
    broker.wrong["amqp"] = None
    assert [found(seen), found(seen)] == [""] * 2
    assert broker.asked == {"amqp": 4, "call": 2, "management": 5}


def test_trouble_at_the_management_alone_makes_no_broker_unfit(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = FakeBroker(monkeypatch)
    seen = broker.look()
    assert seen() == ""
    broker.wrong["management"] = ConnectionResetError(104, "hung up")
    broker.wrong["call"] = ConnectionRefusedError(111, "Connection refused")
    assert [seen() for _ in range(3)] == [""] * 3
    assert broker.asked == {"amqp": 4, "call": 4, "management": 1}


def test_a_broker_that_ends_is_found_by_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = FakeBroker(monkeypatch)
    seen = broker.look()
    assert seen() == ""
    broker.wrong["management"] = ConnectionResetError(104, "hung up")
    broker.wrong["amqp"] = ConnectionRefusedError(111, "Connection refused")
    assert seen() == "Connection refused"


def test_without_management_each_look_is_a_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = FakeBroker(monkeypatch)
    seen = broker.look(management=False)
    assert [seen() for _ in range(3)] == [""] * 3
    assert broker.asked == {"amqp": 3, "call": 0, "management": 0}


@pytest.mark.parametrize(
    ("said", "outcome"),
    [(b"HTTP/1.1 401 Unauthorized\r\n\r\n", 401), (b"SSH-2.0-x\r\n\r\n", ValueError), (b"\r\n\r\n", ValueError),
     (b"x" * 9000, ValueError), (b"", ConnectionResetError)],
)  # fmt: skip
def test_what_a_kept_connection_hears(broker: socket.socket, said: bytes, outcome: int | type[Exception]) -> None:
    kept = Kept(broker.getsockname()[:2], 5)
    with broker.accept()[0] as peer:
        peer.sendall(said)
        peer.shutdown(socket.SHUT_WR)
        kept.ask("/")
        if isinstance(outcome, int):
            assert kept.answer(5) == outcome
        else:
            with pytest.raises(outcome):
                kept.answer(5)
    kept.close()


def test_looks_never_raise() -> None:
    assert looks.said(OSError()) == "OSError"
    assert looks.said(ValueError("not a broker")) == "not a broker"
