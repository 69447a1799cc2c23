"""The alarm service's client against the real service on loopback: what it asks, what it makes of errors and breaks."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from alarm_service import OPERATOR, READER, event, receiver, served, settings, until

from vimha.alarms.client import errors
from vimha.alarms.client.access import Access
from vimha.alarms.client.asking import wanted
from vimha.alarms.client.board import Board, Renewed
from vimha.alarms.client.client import Client, Json
from vimha.alarms.client.following import Broken, Connected, Told, follow
from vimha.alarms.service import listing
from vimha.alarms.words import AckState
from vimha.errors import UsageError
from vimha.lab.bmc.tls import make_ca, make_certificate


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with served(settings(tmp_path_factory.mktemp("service"))) as found:
        yield found


@pytest.fixture
def operator(port: int, tmp_path: Path) -> Iterator[Client]:
    with client(port, tmp_path, OPERATOR) as made:
        yield made
        for each in list(made.alarms()):
            made.clear(each["id"])


def client(port: int, folder: Path, token: str, **more: Any) -> Client:
    file = folder / f"{token[:40]}.token"
    file.write_text(token + "\n")
    file.chmod(0o600)
    return Client.open(Access(url=f"http://127.0.0.1:{port}", token_file=file, **more))


def raised(client: Client, *hosts: str, **more: Any) -> list[str]:
    """Raise an alarm of each host; their ids."""
    client.report([event(f"{host} {time.time_ns()}", host, **more) for host in hosts])
    known = {each["managedObjectId"]: each["id"] for each in client.alarms()}
    return [known[f"host/{host}"] for host in hosts]


# What the service answers


def test_pages_are_followed(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE", 2)
    ids = raised(operator, "p1", "p2", "p3", "p4", "p5")
    assert sorted(each["id"] for each in operator.alarms()) == sorted(ids)
    some = [each["managedObjectId"] for each in operator.alarms(wanted(hosts=["p2", "p4", "p9"]))]
    assert sorted(some) == ["host/p2", "host/p4"]


def test_acknowledged_cleared_and_found_in_the_history(operator: Client) -> None:
    (alarm_id,) = raised(operator, "h1")
    operator.acknowledge(alarm_id, AckState.ACKNOWLEDGED)
    assert operator.alarm(alarm_id)["acknowledgedBy"] == "operator"
    with pytest.raises(errors.ConflictError):
        operator.acknowledge(alarm_id, AckState.ACKNOWLEDGED)
    operator.clear(alarm_id)
    assert [each["id"] for each in operator.history(wanted=wanted(hosts=["h1"]))] == [alarm_id]
    assert list(operator.history(end="2000-01-01T00:00:00Z")) == []
    assert operator.find(alarm_id[:10])["perceivedSeverity"] == "CLEARED"


def test_the_beginning_of_an_id_will_do_when_it_is_one_alarms(operator: Client) -> None:
    ids = raised(operator, *(f"n{number}" for number in range(17)))
    assert operator.find(ids[0]) == operator.alarm(ids[0])
    assert operator.find(ids[3][:30])["id"] == ids[3]
    first = [each for each in ids if sum(other[0] == each[0] for other in ids) > 1]
    with pytest.raises(UsageError, match="alarms begin with") as several:
        operator.find(first[0][0])
    assert first[0] in several.value.message
    with pytest.raises(UsageError, match="there is no alarm"):
        operator.find("0" * 20)
    with pytest.raises(UsageError, match="is no id"):
        operator.find("x');(eq,id,'")


def test_errors_have_their_kind_and_the_services_words(operator: Client, port: int, tmp_path: Path) -> None:
    (alarm_id,) = raised(operator, "e1")
    with client(port, tmp_path, READER) as reader, pytest.raises(errors.ForbiddenError, match="reader"):
        reader.clear(alarm_id)
    with client(port, tmp_path, "wrong") as stranger, pytest.raises(errors.UnauthorizedError) as unknown:
        list(stranger.alarms())
    assert "--token-file" in unknown.value.remedy
    with pytest.raises(errors.NotFoundError, match="there is no alarm"):
        operator.alarm("00000000-0000-0000-0000-000000000000")
    with pytest.raises(errors.BadRequestError, match="is no operator"):
        list(operator.alarms("(like,id,1)"))


def test_a_subscription_is_made_once(operator: Client) -> None:
    with receiver() as subscriber:
        request = {"callbackUri": subscriber.url, "filter": {"minSeverity": "MAJOR"}}
        made, new = operator.subscribe(request)
        again, other = operator.subscribe(request)
        assert (again["id"], new, other) == (made["id"], True, False)
        assert operator.find_subscription(made["id"][:6]) == made
        operator.unsubscribe(made["id"])
    assert operator.subscriptions() == []
    with pytest.raises(UsageError, match="no subscription"):
        operator.find_subscription(made["id"][:6])


def test_retention_is_changed_in_part(operator: Client) -> None:
    assert operator.change_retention({"retentionPeriod": 30})["retentionPeriod"] == 30
    operator.change_retention({"retentionCounts": {"WARNING": 5, "MINOR": 6}})
    found = operator.change_retention({"retentionCounts": {"MINOR": None}})
    assert found == operator.retention() == {"retentionPeriod": 30, "retentionCounts": {"WARNING": 5}}


# What may be there instead of the service


def test_nothing_listens_there(tmp_path: Path) -> None:
    with client(1, tmp_path, OPERATOR) as nobody, pytest.raises(errors.UnreachableError) as raised:
        nobody.retention()
    assert "http://127.0.0.1:1: " in raised.value.message and "--url" in raised.value.remedy


def test_a_service_is_believed_by_its_certificate(tmp_path: Path) -> None:
    ca = make_ca(tmp_path)
    pair = make_certificate(tmp_path, ca, ["127.0.0.1"])
    listen = {"certificate": str(pair.certificate), "key": str(pair.key)}
    with served(settings(tmp_path, listen=listen)) as port:
        (tmp_path / "token").write_text(OPERATOR)
        (tmp_path / "token").chmod(0o600)
        access = Access(url=f"https://127.0.0.1:{port}", token_file=tmp_path / "token")
        with Client.open(access) as stranger, pytest.raises(errors.UnreachableError) as raised:
            list(stranger.alarms())
        assert "cannot be trusted" in raised.value.message and "--ca" in raised.value.remedy
        with Client.open(access.model_copy(update={"ca": ca.certificate})) as known:
            assert list(known.alarms()) == []
        other = {"ca": ca.certificate, "url": f"https://localhost:{port}"}
        with Client.open(access.model_copy(update=other)) as misnamed, pytest.raises(errors.UnreachableError):
            list(misnamed.alarms())
    with pytest.raises(UsageError, match="no PEM certificates"):
        Access(ca=tmp_path / "token").tls()


@pytest.fixture
def fake_server() -> Iterator[Callable[..., int]]:
    """A fake of what is not an alarm service: answers every GET alike."""
    running = []

    def start(status: int, body: str, **headers: str) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        running.append(server)
        return int(server.server_address[1])

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, "<html>", "not JSON"),
        (200, "[1]", "no object"),
        (502, "<html>", "answered 502 Bad Gateway"),
        (404, '{"detail": 5}', "answered 404"),
        (503, '{"detail": "the disk is full"}', "the disk is full"),
        (302, "", "answered 302"),
    ],
)
def test_something_else_answers(
    fake_server: Callable[..., int], tmp_path: Path, status: int, body: str, said: str
) -> None:
    port = fake_server(status, body, Location="http://127.0.0.1:1/")
    with client(port, tmp_path, OPERATOR) as other, pytest.raises(errors.ClientError, match=said):
        other.retention()
    with client(port, tmp_path, OPERATOR) as other, pytest.raises(errors.ClientError):
        next(follow(other))


def test_a_stream_of_something_else_ends(fake_server: Callable[..., int], tmp_path: Path) -> None:
    port = fake_server(200, "data: news\n\n", **{"Content-Type": "text/event-stream"})
    with client(port, tmp_path, OPERATOR) as other, pytest.raises(errors.ClientError, match="no notification"):
        list(islice(follow(other), 3))


def test_a_link_elsewhere_is_not_followed(fake_server: Callable[..., int], tmp_path: Path) -> None:
    port = fake_server(200, "[{}]", Link='<http://127.0.0.1:1/elsewhere?nextpage_opaque_marker=m>; rel="next"')
    with client(port, tmp_path, OPERATOR) as other:
        assert list(islice(other.alarms(), 3)) == [{}, {}, {}]


# The stream


class Followed:
    """A stream that is followed in a thread, until the end of a `with`."""

    def __init__(self, begin: Callable[[Callable[[float], None]], Iterator[Any]]) -> None:
        self.came: list[Any] = []
        self._ended = False
        self._thread = threading.Thread(target=self._follow, args=[begin(self._pause)], daemon=True)

    def __enter__(self) -> "Followed":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True

    def of(self, kind: type) -> list[Any]:
        return [each for each in self.came if isinstance(each, kind)]

    def objects(self) -> list[str]:
        return [each.body["managedObjectId"] for each in self.of(Told)]

    def _follow(self, events: Iterator[Any]) -> None:
        with suppress(InterruptedError):
            for each in events:
                self.came.append(each)

    def _pause(self, _: float) -> None:
        if self._ended:
            raise InterruptedError
        time.sleep(0.01)


def test_a_stream_goes_on_after_a_restart_and_misses_nothing(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    with ExitStack() as stack:
        with served(chosen) as port, client(port, tmp_path, OPERATOR) as asking:
            events = stack.enter_context(followed(port, tmp_path))
            until(lambda: events.of(Connected))
            raised(asking, "s1")
            until(lambda: events.objects() == ["host/s1"])
        until(lambda: events.of(Broken))
        with served(chosen) as other, client(other, tmp_path, OPERATOR) as asking:
            raised(asking, "s2")
        with served(chosen, port), client(port, tmp_path, OPERATOR) as asking:
            until(lambda: len(events.objects()) == 2)
            raised(asking, "s3")
            until(lambda: len(events.objects()) == 3)
        assert events.objects() == ["host/s1", "host/s2", "host/s3"]


def test_what_came_while_a_silent_stream_was_broken_is_told(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    with ExitStack() as stack:
        with served(chosen) as port:
            events = stack.enter_context(followed(port, tmp_path))
            until(lambda: events.of(Connected))
        until(lambda: events.of(Broken))
        with served(chosen) as other, client(other, tmp_path, OPERATOR) as asking:
            raised(asking, "q1")
        with served(chosen, port):
            until(lambda: events.objects() == ["host/q1"])


def followed(port: int, folder: Path) -> Followed:
    return Followed(lambda sleep: follow(client(port, folder, OPERATOR), sleep))


def test_a_stream_that_is_refused_is_no_failure_that_passes(port: int, tmp_path: Path) -> None:
    with client(port, tmp_path, "wrong") as stranger, pytest.raises(errors.UnauthorizedError):
        next(follow(stranger))
    with client(1, tmp_path, OPERATOR) as nobody, pytest.raises(errors.UnreachableError):
        next(follow(nobody))


def test_a_board_has_what_meets_its_filter(operator: Client, port: int, tmp_path: Path) -> None:
    raised(operator, "b1")
    board = Board(client(port, tmp_path, READER), wanted(hosts=["b1", "b2"], acknowledged=False))
    with Followed(board.changes) as changes:
        until(lambda: changes.of(Renewed))
        assert objects(board) == ["host/b1"]
        ids = raised(operator, "b2", "b3", "b1")
        until(lambda: objects(board) == ["host/b1", "host/b2"])
        operator.acknowledge(ids[0], AckState.ACKNOWLEDGED)
        until(lambda: objects(board) == ["host/b1"])
        operator.clear(ids[2])
        until(lambda: objects(board) == [])
        assert "host/b3" not in changes.objects()


def objects(board: Board) -> list[str]:
    found: list[Json] = list(board.alarms.values())
    return sorted(each["managedObjectId"] for each in found)
