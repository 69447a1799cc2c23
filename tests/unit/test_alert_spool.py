"""vimha-alert and its drain: what Pacemaker says is kept, sent in order, never lost, however either is killed."""

import json
import os
import random
import resource
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from fake_host import FakeHost

import resource_agents
from resource_agents import haproxy
from resource_agents.alert import agent, drain
from resource_agents.alert.drain import Config, Drain, RefusedError, Service
from resource_agents.ocf import runtime
from vimha.process import checked, run
from vimha.render.agents import PYTHON

LIBRARY = str(Path(resource_agents.__path__[0]).parent)
ALERT = [PYTHON, "-IS", "-c", f"import sys; sys.path.insert(0, {LIBRARY!r}); "
         "from resource_agents.alert.agent import main; main()"]  # fmt: skip
RUN_DRAIN = (
    f"import sys; sys.path.insert(0, {LIBRARY!r}); from pathlib import Path; "
    "from resource_agents.alert.drain import Config, Drain, Service; "
    "Drain(Path(sys.argv[1]), Service(Config((sys.argv[2],), 'secret'), 'c1').post).run()"
)
TURNS = 6
FIRST_US = 1_800_000_000_000_000


def alert(number: int, **more: str) -> dict[str, str]:
    """Pacemaker's environment for the alert of an event, `number` microseconds after the first."""
    seconds, micros = divmod(FIRST_US + number, 1_000_000)
    return {
        "CRM_alert_kind": "resource", "CRM_alert_node": "c1", "CRM_alert_rsc": "vip", "CRM_alert_task": "monitor",
        "CRM_alert_rc": "7", "CRM_alert_target_rc": "0", "CRM_alert_desc": f"event {number}",
        "CRM_alert_timestamp_epoch": str(seconds), "CRM_alert_timestamp_usec": f"{micros:06d}",
        "CRM_alert_node_sequence": str(number), **more,
    }  # fmt: skip


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name[0].isdigit())


class Receiver:
    """A real HTTP server in the alarm service's place; `status` is what it answers, by the number of a request."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.tokens: set[str] = set()
        self.status: Callable[[int], int] = lambda _: 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.tokens.add(str(self.headers["Authorization"]))
                status = receiver.status(len(receiver.requests))
                receiver.requests.append({"path": self.path, "status": status, **body})
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def taken(self) -> list[str]:
        """The ids of what it took, each once, in the order of their first coming."""
        told = (each["id"] for request in self.requests if request["status"] == 200 for each in request["records"])
        return list(dict.fromkeys(told))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def test_what_is_kept_is_let_go_of(spool: Path) -> None:
    put(spool, 1)
    before = len(list(Path("/proc/self/fd").iterdir()))
    put(spool, *range(2, 12))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def put(spool: Path, *numbers: int) -> None:
    for number in numbers:
        assert agent.run(alert(number, CRM_alert_recipient=str(spool))) == 0


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


def test_an_event_is_kept_for_its_user_alone(spool: Path) -> None:
    put(spool, 1)
    (name,) = kept(spool)
    assert name == f"{FIRST_US + 1}-000001-{os.getpid()}"
    assert stat.S_IMODE(spool.stat().st_mode) == 0o700
    assert stat.S_IMODE((spool / name).stat().st_mode) == 0o600
    assert drain.fields(name, (spool / name).read_bytes()) == {
        "id": name, "at_us": FIRST_US + 1, "kind": "resource", "node": "c1", "rsc": "vip", "task": "monitor", "rc": "7",
        "target_rc": "0", "desc": "event 1",
    }  # fmt: skip


def test_the_clock_tells_the_time_when_pacemaker_does_not(spool: Path) -> None:
    before = time.time_ns() // 1000
    assert agent.run({"CRM_alert_kind": "node", "CRM_alert_recipient": str(spool)}) == 0
    (name,) = kept(spool)
    assert before <= int(name.partition("-")[0]) <= time.time_ns() // 1000


def test_run_by_hand_it_keeps_nothing(spool: Path) -> None:
    assert agent.run({"CRM_alert_recipient": str(spool)}) == 0
    assert not spool.exists()


@pytest.mark.parametrize("text", ["two\nlines", "kind=forged", "\udcff\udcfe", "a" * 100_000, "\N{SNOWMAN}"])
def test_no_text_of_an_agent_confuses_a_record(spool: Path, text: str) -> None:
    assert agent.run(alert(1, CRM_alert_recipient=str(spool), CRM_alert_desc=text)) == 0
    (name,) = kept(spool)
    said = drain.fields(name, (spool / name).read_bytes())
    assert said["kind"] == "resource"
    assert said["desc"][:5] == text.encode(errors="surrogateescape").decode(errors="replace")[:5]
    json.dumps(said).encode()


def reasons(spool: Path) -> list[str]:
    """The reasons in the records, in their order."""
    return [drain.fields(name, (spool / name).read_bytes()).get("reason", "") for name in kept(spool)]


def test_the_reason_that_an_agent_left_is_told(spool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pacemaker itself tells alert agents no reasons."""
    monkeypatch.setattr(agent, "REASON", str(tmp_path / "{resource}.reason"))
    left = tmp_path / "vip.reason"
    left.write_text("monitor 7 the address is gone")
    put(spool, 1)
    left.write_text("monitor 1 something else")
    put(spool, 2)
    left.write_text("monitor 7 long ago")
    os.utime(left, (1, 1))
    put(spool, 3)
    left.unlink()
    put(spool, 4)
    env = alert(5, CRM_alert_recipient=str(spool), CRM_alert_rsc="../vip")
    assert agent.run(env) == 0
    assert reasons(spool) == ["the address is gone", "", "", "", ""]


def test_a_resource_agent_leaves_its_reason_where_the_alert_agent_looks(tmp_path: Path) -> None:
    assert agent.REASON == runtime.REASON
    host, path = FakeHost(tmp_path), tmp_path / runtime.REASON.format(resource="front").lstrip("/")
    recurring = {"OCF_RESOURCE_INSTANCE": "front:1", "OCF_RESKEY_CRM_meta_interval": "1000"}
    missing = {**recurring, "OCF_RESKEY_binary": "/none"}
    assert runtime.invoke(haproxy.AGENT, "monitor", {**missing, "OCF_RESKEY_CRM_meta_interval": "0"}, host)[0] == 7
    assert not path.exists(), "a probe says nothing of a failure"
    usual = os.umask(0o026)  # as Pacemaker's executor has it
    try:
        code, reason = runtime.invoke(haproxy.AGENT, "monitor", missing, host)
    finally:
        os.umask(usual)
    assert code != 0
    assert path.stat().st_mode & 0o777 == 0o644, "hacluster reads it"
    assert path.read_text() == f"monitor {code} {reason}"
    path.unlink()
    path.mkdir(parents=True)
    assert runtime.invoke(haproxy.AGENT, "monitor", missing, host) == (code, reason), "it fails no otherwise"


def test_events_are_sent_in_their_order_and_leave_when_they_were_taken(spool: Path, receiver: Receiver) -> None:
    put(spool, 3, 1, 2)
    names = kept(spool)
    Drain(spool, Service(Config((receiver.url,), "secret"), "c1").post).work()
    assert receiver.taken() == names
    assert kept(spool) == []
    assert receiver.tokens == {"Bearer secret"}
    assert {(each["path"], each["node"]) for each in receiver.requests} == {("/pacemaker", "c1")}


def test_while_the_service_is_away_events_wait(spool: Path) -> None:
    gone = Receiver()
    gone.close()
    put(spool, *range(250))
    names = kept(spool)
    working = Drain(spool, Service(Config((gone.url,), "secret"), "c1").post)
    assert [working.work() for _ in range(4)] == [0.1, 0.2, 0.5, 0.5]
    assert kept(spool) == names
    back = Receiver()
    try:
        assert Drain(spool, Service(Config((gone.url, back.url), "secret"), "c1").post).work() == drain.LOOK_S
        assert back.taken() == names
        assert [len(each["records"]) for each in back.requests] == [100, 100, 50]
    finally:
        back.close()


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_what_another_day_may_be_taken_stays(spool: Path, receiver: Receiver, status: int) -> None:
    put(spool, 1)
    receiver.status = lambda _: status
    working = Drain(spool, Service(Config((receiver.url,), "secret"), "c1").post)
    assert working.work() == drain.RETRY_S[0]
    assert len(kept(spool)) == 1
    receiver.status = lambda _: 200
    working.work()
    assert kept(spool) == []


def test_a_bad_record_does_not_take_others_with_it(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(spool, 1, 2, 3)
    first, bad, last = kept(spool)
    told: list[str] = []
    logged: list[str] = []
    monkeypatch.setattr(drain, "log", lambda _env, _name, _severity, text: logged.append(text))

    def post(records: Any) -> None:
        if any(each["id"] == bad for each in records):
            raise RefusedError("the service answers 400")
        told.extend(each["id"] for each in records)

    Drain(spool, post).work()
    assert told == [first, last]
    assert kept(spool) == []
    assert bad in logged[0]
    assert "event 2" in logged[0]


def test_a_service_that_never_answers_is_left_for_the_next(spool: Path, receiver: Receiver,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    import socket

    monkeypatch.setattr(drain, "ANSWER_S", 0.2)
    put(spool, 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        urls = (f"http://127.0.0.1:{silent.getsockname()[1]}", receiver.url)
        Drain(spool, Service(Config(urls, "secret"), "c1").post).work()
    assert len(receiver.taken()) == 1


def test_an_alert_wakes_the_drain(spool: Path, receiver: Receiver) -> None:
    """It looks by itself only every five seconds."""
    process = subprocess.Popen([PYTHON, "-IS", "-c", RUN_DRAIN, str(spool), receiver.url])
    try:
        until((spool / agent.WAKE).exists)
        time.sleep(0.2)
        begun = time.monotonic()
        put(spool, 1)
        until(lambda: len(receiver.taken()) == 1)
        assert time.monotonic() - begun < drain.LOOK_S / 2
    finally:
        process.kill()
        process.wait()


def test_a_drain_that_is_killed_again_and_again_loses_nothing(spool: Path, receiver: Receiver) -> None:
    """Events come meanwhile; the service answers late, so that it often dies between the answer and the removal."""
    chance = random.Random(4)  # noqa: S311
    receiver.status = lambda number: (time.sleep(chance.random() / 50), 503 if number % 7 == 3 else 200)[1]
    names: list[str] = []
    for turn in range(TURNS):
        process = subprocess.Popen([PYTHON, "-IS", "-c", RUN_DRAIN, str(spool), receiver.url])
        put(spool, *range(turn * 150, turn * 150 + 150))
        time.sleep(0.1 + chance.random() / 5)
        process.kill()
        process.wait()
        names = sorted({*names, *kept(spool), *receiver.taken()})
    process = subprocess.Popen([PYTHON, "-IS", "-c", RUN_DRAIN, str(spool), receiver.url])
    try:
        until(lambda: not kept(spool))
    finally:
        process.kill()
        process.wait()
    assert receiver.taken() == names
    assert len(names) == TURNS * 150


def test_an_alert_agent_that_is_killed_leaves_a_whole_record_or_none(spool: Path) -> None:
    chance = random.Random(4)  # noqa: S311
    well = 0
    for number in range(40):
        env = {**alert(number), "CRM_alert_recipient": str(spool)}
        process = subprocess.Popen(ALERT, env=env)
        time.sleep(chance.random() / 15)
        process.kill()
        well += process.wait() == 0
    told: list[dict[str, Any]] = []
    Drain(spool, told.extend).work()
    assert well <= len(told) <= 40
    assert [each["desc"] for each in told] == sorted((each["desc"] for each in told), key=lambda text: int(text[6:]))
    assert all(each["task"] == "monitor" for each in told)


def test_what_was_never_finished_is_removed_after_a_while(spool: Path) -> None:
    put(spool, 1)
    (spool / ".1800000000000009-000009-1").write_bytes(b"kind=node\0")
    (spool / "1800000000000008-000008-1").write_bytes(b"")
    told: list[dict[str, Any]] = []
    Drain(spool, told.extend).work()
    assert len(told) == 1
    assert len(list(spool.iterdir())) == 3, "a writer may still be at them"
    for path in spool.iterdir():
        os.utime(path, (1, 1))
    Drain(spool, lambda _: None).work()
    assert [path.name for path in spool.iterdir()] == [agent.LOST]


def limited() -> None:
    """No file may grow: a write fails as it does on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def test_a_loss_is_marked_and_told_once_there_is_room(spool: Path) -> None:
    put(spool, 1)
    env = {**alert(2), "CRM_alert_recipient": str(spool)}
    before = time.time_ns() // 1000
    assert subprocess.run(ALERT, env=env, preexec_fn=limited, check=False).returncode == 1
    assert len(kept(spool)) == 1, "nothing is left of what had no room"
    told: list[dict[str, Any]] = []
    working = Drain(spool, told.extend)
    working.work()
    working.work()
    assert [each["kind"] for each in told] == ["resource", "lost"]
    assert before <= told[1]["at_us"] <= time.time_ns() // 1000


def test_the_spool_is_bounded(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "MOST", 5)
    codes = [agent.run(alert(number, CRM_alert_recipient=str(spool))) for number in range(8)]
    assert sum(codes) == 8 - len(kept(spool))
    assert 3 <= len(kept(spool)) <= 5
    assert codes == sorted(codes), "the first ones are kept"
    told: list[dict[str, Any]] = []
    Drain(spool, told.extend).work()
    assert told[-1]["kind"] == "lost"


def test_the_alert_agent_imports_nothing_heavy() -> None:
    program = f"import sys; sys.path.insert(0, {LIBRARY!r}); import resource_agents.alert.agent; print(*sys.modules)"
    loaded = set(checked(run([PYTHON, "-IS", "-c", program])).out.split())
    assert {name for name in loaded if name.startswith("resource_agents")} == {
        "resource_agents", "resource_agents.alert", "resource_agents.alert.agent",
    }  # fmt: skip
    assert not {"collections", "json", "pathlib", "re", "socket", "errno", "typing"} & loaded


def test_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "drain.json"
    path.write_text(json.dumps({"urls": ["https://10.0.0.10:8780"], "token": "s3cret"}))
    path.chmod(0o600)
    found = drain.load(path)
    assert found.urls == ("https://10.0.0.10:8780",)
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [('{"urls": ["https://a"], "token": "t"}', 0o640, "chmod 600"), ("[]", 0o600, "expected an object"),
     ('{"urls": [], "token": "t"}', 0o600, "urls"), ('{"urls": ["ftp://a"], "token": "t"}', 0o600, "urls"),
     ('{"urls": ["http://a:b"], "token": "t"}', 0o600, "urls"), ('{"urls": ["http://a"], "token": ""}', 0o600, "token"),
     ('{"urls": ["http://a"], "token": "a\\nb"}', 0o600, "token"),
     ('{"urls": ["http://a"], "token": "\u00e9"}', 0o600, "token"),
     ('{"urls": ["http://a..b"], "token": "t"}', 0o600, "urls"),
     ('{"urls": ["http://a/\u00e9"], "token": "t"}', 0o600, "urls"),
     ('{"url": "http://a"}', 0o600, "expected an object"),
     ("{", 0o600, "line 1")],
)  # fmt: skip
def test_a_bad_configuration_is_told(tmp_path: Path, text: str, mode: int, said: str) -> None:
    path = tmp_path / "drain.json"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(ValueError, match=said):
        drain.load(path)
