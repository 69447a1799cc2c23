"""Standing looks: real processes that repeat a made-up monitor in a folder of their own, and what ends them."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resource_agents.ocf import runtime, standing
from resource_agents.ocf.agent import DEGRADED, GENERIC, OK, Action, Agent
from resource_agents.ocf.process import parse_stat
from resource_agents.ocf.system import KILL, System

ENV = {"OCF_RESOURCE_INSTANCE": "thing:0", "OCF_RESKEY_CRM_meta_interval": "100", "HA_LOGFACILITY": "none"}
EVERY_S = 0.1


class Thing(Agent):
    """Its monitor ends with the code in the file /code and counts itself in /looks; it hangs while there is /hangs."""

    name = "thing"
    looks_s = 0.0
    actions = tuple(Action(name, 7) for name in ("start", "stop", "monitor"))

    def monitor(self) -> int:
        with Path(self.system.root + "/looks").open("a") as file:
            file.write("x")
        while self.system.read("/hangs") is not None:
            time.sleep(0.01)
        return int(self.system.read("/code") or OK)

    def main_pid(self) -> int:
        return int(self.system.read("/pid") or 0)

    def start(self) -> int:
        return int(self.system.read("/code") or OK)

    stop = start


class Seldom(Thing):
    looks_s = 0.3


class Alone(Thing):
    looks_s = None


@pytest.fixture
def host(tmp_path: Path) -> Iterator[System]:
    """The real host, but for what is read and written elsewhere than in /proc."""
    (tmp_path / "proc").symlink_to("/proc")
    host = System(str(tmp_path))
    yield host
    standing.end(ENV, host)
    wait_until(lambda: not children())


def children() -> list[int]:
    """Our own children that live."""
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return [int(pid) for pid in text.split() if parse_stat(Path(f"/proc/{pid}/stat").read_text())]


def wait_until(true: Callable[[], object], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds:g} s"
        time.sleep(0.005)


def act(host: System, action: str = "monitor", kind: type[Agent] = Thing, **env: str) -> int:
    return runtime.act(kind, action, {**ENV, **env}, host)[0]


def verdict(host: System) -> Path:
    return Path(f"{host.root}{standing.FOLDER}/thing")


def holder(host: System) -> int:
    """The process that the verdict names; 0: there is no verdict."""
    words = (host.read(f"{standing.FOLDER}/thing") or "").split()
    return int(words[1]) if words else 0


def valid(host: System) -> bool:
    words = (host.read(f"{standing.FOLDER}/thing") or "0").split()
    return int(words[0]) >= int(Path("/proc/uptime").read_text().split()[0].replace(".", ""))


def looks(host: System) -> int:
    return len(host.read("/looks") or "")


def put(host: System, name: str, text: str = "") -> None:
    Path(f"{host.root}/{name}").write_text(text)


def ended(pid: int) -> bool:
    """True once the process, a child of ours, has ended; it is collected."""
    return os.waitpid(pid, os.WNOHANG)[0] == pid


def test_a_monitor_that_ends_well_leaves_a_process_that_goes_on_looking(host: System) -> None:
    assert act(host) == OK
    pid = holder(host)
    assert children() == [pid]
    assert valid(host)
    wait_until(lambda: looks(host) > 3)
    assert valid(host)
    assert holder(host) == pid
    assert Path(f"/proc/{pid}/comm").read_text() == "vimha-looks\n"
    assert os.getsid(pid) == pid
    assert {str(Path(f"/proc/{pid}/fd/{number}").readlink()) for number in (0, 1, 2)} == {"/dev/null"}


def test_the_end_of_the_services_process_ends_the_verdict_long_before_the_next_look(host: System) -> None:
    service = subprocess.Popen(["/bin/sleep", "60"])
    put(host, "pid", str(service.pid))
    assert act(host, OCF_RESKEY_CRM_meta_interval="9000") == OK
    assert valid(host)
    service.kill()
    service.wait()
    wait_until(lambda: not verdict(host).exists(), seconds=3.0)
    assert looks(host) == 1


def test_it_looks_no_more_often_than_its_agent_allows(host: System) -> None:
    begun = time.monotonic()
    assert act(host, kind=Seldom) == OK
    wait_until(lambda: looks(host) == 4)
    assert time.monotonic() - begun >= 3 * 0.3


@pytest.mark.parametrize(
    ("kind", "env"),
    [(Thing, {"OCF_RESKEY_CRM_meta_interval": "0"}), (Thing, {"OCF_CHECK_LEVEL": "10"}),
     (Thing, {"OCF_RESKEY_CRM_meta_interval": "60000"}), (Thing, {"OCF_RESOURCE_INSTANCE": ""}),
     (Thing, {"OCF_RESOURCE_INSTANCE": "a/b"}), (Thing, {"OCF_RESOURCE_INSTANCE": ".."}), (Alone, {})],
)  # fmt: skip
def test_what_leaves_no_process(host: System, kind: type[Agent], env: dict[str, str]) -> None:
    assert act(host, kind=kind, **env) == OK
    assert children() == []


@pytest.mark.parametrize("code", [GENERIC, 7, DEGRADED])
def test_what_does_not_end_well_leaves_none(host: System, code: int) -> None:
    put(host, "code", str(code))
    assert act(host) == code
    assert children() == []


@pytest.mark.parametrize("code", [GENERIC, 7, DEGRADED])
def test_a_look_that_does_not_end_well_takes_the_verdict_away(host: System, code: int) -> None:
    act(host)
    pid = holder(host)
    put(host, "code", str(code))
    begun = time.monotonic()
    wait_until(lambda: not verdict(host).exists(), EVERY_S + standing.SLACK_S)
    assert time.monotonic() - begun < EVERY_S + standing.SLACK_S
    wait_until(lambda: ended(pid))
    assert list(verdict(host).parent.iterdir()) == []


def test_the_verdict_of_a_look_that_hangs_expires(host: System) -> None:
    act(host)
    wait_until(lambda: looks(host) > 2)
    before = looks(host)
    put(host, "hangs")
    wait_until(lambda: looks(host) > before)
    wait_until(lambda: not valid(host), EVERY_S + standing.SLACK_S)
    assert children() == [holder(host)]
    host.remove("/hangs")
    wait_until(lambda: valid(host))


def test_whoever_looks_himself_replaces_one_that_hangs(host: System) -> None:
    act(host)
    first = holder(host)
    put(host, "hangs")
    wait_until(lambda: not valid(host))
    host.remove("/hangs")
    os.kill(first, signal.SIGSTOP)
    assert act(host) == OK
    assert ended(first) or not Path(f"/proc/{first}").exists()
    wait_until(lambda: valid(host))
    assert children() == [holder(host)] != [first]


def test_a_look_that_hangs_for_good_is_ended_by_an_alarm(host: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "HUNG_S", 1)
    act(host)
    pid = holder(host)
    put(host, "hangs")
    begun = time.monotonic()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == -signal.SIGALRM
    assert time.monotonic() - begun < 3
    assert not valid(host)
    host.remove("/hangs")


@pytest.mark.parametrize("action", ["start", "stop"])
@pytest.mark.parametrize("code", [OK, GENERIC])
def test_a_start_or_stop_ends_it_whatever_comes_of_it(host: System, action: str, code: int) -> None:
    act(host)
    pid = holder(host)
    host.write("/code", str(code))
    assert act(host, action) == code
    assert children() == []
    assert not Path(f"/proc/{pid}").exists() or ended(pid)
    assert list(verdict(host).parent.iterdir()) == []


def test_a_stop_with_wrong_parameters_ends_it_too(host: System) -> None:
    act(host)

    class Wrong(Thing):
        def __init__(self, *_: object) -> None:
            raise RuntimeError

    assert act(host, "stop", Wrong) == GENERIC
    assert children() == []
    assert not verdict(host).exists()


def test_the_verdict_is_gone_before_the_service_is_stopped(host: System) -> None:
    seen: list[bool] = []

    class Watching(Thing):
        def stop(self) -> int:
            seen.append(verdict(self.system).exists() or bool(children()))  # type: ignore[arg-type]
            return OK

    act(host)
    act(host, "stop", Watching)
    assert seen == [False]


def test_it_ends_when_nobody_asks(host: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "QUIET_S", 0.5)
    act(host)
    pid = holder(host)
    asked = verdict(host).with_name("thing:asked")
    begun = time.monotonic()
    while time.monotonic() < begun + 1.0:
        asked.write_text("")
        time.sleep(0.02)
    assert valid(host)
    wait_until(lambda: ended(pid), 2.0)
    assert list(verdict(host).parent.iterdir()) == []


def test_it_ends_when_the_one_who_asked_is_another(host: System) -> None:
    """Pacemaker's executor was started anew: what an agent keeps for it must be told again."""
    stranger = os.posix_spawn("/bin/sleep", ["/bin/sleep", "60"], {})
    host.parent = stranger
    act(host)
    pid = holder(host)
    wait_until(lambda: looks(host) > 2)
    os.kill(stranger, KILL)
    os.waitpid(stranger, 0)
    wait_until(lambda: ended(pid))
    assert not verdict(host).exists()


def test_it_ends_when_other_code_is_installed(host: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "made_up.py"
    module.write_text("")
    made = type(os)("made_up")
    made.__file__ = str(module)
    monkeypatch.setitem(standing.sys.modules, "made_up", made)
    monkeypatch.setattr(standing, "CODE_S", 0.1)
    act(host)
    pid = holder(host)
    wait_until(lambda: looks(host) > 2)
    os.utime(module, (time.time() + 60,) * 2)
    wait_until(lambda: ended(pid))
    assert not verdict(host).exists()


def test_one_that_the_verdict_does_not_name_ends_and_leaves_it(host: System) -> None:
    act(host)
    pid = holder(host)
    text = f"{2**40} {os.getpid()} 1\n"
    host.write(f"{standing.FOLDER}/thing", text)
    wait_until(lambda: ended(pid))
    assert host.read(f"{standing.FOLDER}/thing") == text


def test_a_reused_number_is_nobodys(host: System) -> None:
    """The verdict names a process that is gone, and its number is another's now: ours."""
    host.write(f"{standing.FOLDER}/thing", f"{2**40} {os.getpid()} 1\n")
    standing.end(ENV, host)
    assert not verdict(host).exists()


def test_where_no_verdict_can_be_written_the_monitor_is_as_good(host: System) -> None:
    put(host, "run")
    assert act(host) == OK
    wait_until(lambda: not children())


def test_its_looks_get_the_environment_of_the_monitor(host: System) -> None:
    seen = Path(f"{host.root}/seen")

    class Telling(Thing):
        def monitor(self) -> int:
            seen.write_text(f"{self.env['OCF_RESKEY_x']} {self.deadline.left() > 2.5}")
            return OK

    act(host, kind=Telling, OCF_RESKEY_x="first", OCF_RESKEY_CRM_meta_timeout="3000")
    seen.unlink()
    wait_until(seen.exists)
    wait_until(lambda: seen.read_text() == "first True")
    act(host, kind=Telling, OCF_RESKEY_x="second", OCF_RESKEY_CRM_meta_timeout="3000")
    seen.unlink()
    wait_until(seen.exists)
    wait_until(lambda: seen.read_text() == "second True")
