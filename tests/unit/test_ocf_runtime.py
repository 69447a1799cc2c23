"""The OCF runtime: exit codes for every combination of action and environment, reasons, deadlines, the log line."""

import socket
from pathlib import Path

import pytest
from fake_host import FakeHost

from resource_agents.ocf import agent, runtime
from resource_agents.ocf.agent import Action, Agent, Deadline, OcfError, Parameter


class Probed(Agent):
    """An agent whose every action ends as the test says."""

    name = "probed"
    parameters = (
        Parameter("fail", "the code to fail with", "0: none", default="0", kind="integer"),
        Parameter("needed", "a required one", "", required=True),
    )
    actions = tuple(Action(name, 7) for name in ("start", "stop", "monitor", "validate-all"))

    def _end(self) -> int:
        if int(self.values["fail"]):
            raise OcfError(int(self.values["fail"]), "because\nof this")
        self.reason = f"{self.deadline.left():g}"
        return agent.OK

    start = stop = monitor = validate_all = _end


def invoke(host: FakeHost, action: str, **env: str) -> tuple[int, str]:
    return runtime.invoke(Probed, action, {"OCF_RESKEY_needed": "x", **env}, host)


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


@pytest.mark.parametrize("code", [agent.ARGS, agent.PERM, agent.INSTALLED, agent.CONFIGURED])
@pytest.mark.parametrize(
    ("action", "interval", "expected"),
    [("stop", "0", 0), ("monitor", "0", 7), ("monitor", None, 7), ("monitor", "1000", 1), ("start", "0", None),
     ("validate-all", "0", None)],
)  # fmt: skip
def test_where_the_service_cannot_exist(
    host: FakeHost, code: int, action: str, interval: str | None, expected: int | None
) -> None:
    env = {"OCF_RESKEY_fail": str(code)} | ({"OCF_RESKEY_CRM_meta_interval": interval} if interval else {})
    assert invoke(host, action, **env) == (code if expected is None else expected, "because of this")


@pytest.mark.parametrize("action", ["start", "stop", "monitor"])
def test_a_real_failure_is_told_as_it_is(host: FakeHost, action: str) -> None:
    env = {"OCF_RESKEY_fail": "1", "OCF_RESKEY_CRM_meta_interval": "0"}
    assert invoke(host, action, **env) == (agent.GENERIC, "because of this")


def test_a_missing_required_parameter_is_wrong_everywhere(host: FakeHost) -> None:
    code, reason = runtime.invoke(Probed, "start", {}, host)
    assert (code, reason) == (agent.CONFIGURED, "parameter needed is required: a required one")
    assert runtime.invoke(Probed, "stop", {}, host)[0] == agent.OK


@pytest.mark.parametrize("value", ["", "-1", "1.5", "٣", "0x10", "many"])
def test_an_integer_parameter_takes_nothing_else(host: FakeHost, value: str) -> None:
    assert invoke(host, "start", OCF_RESKEY_fail=value)[0] == agent.CONFIGURED


def test_an_unknown_action_is_not_implemented(host: FakeHost) -> None:
    code, reason = invoke(host, "reload")
    assert code == agent.UNIMPLEMENTED
    assert "start, stop, monitor, validate-all" in reason


def test_a_defect_is_a_failure_with_a_reason_not_a_traceback(host: FakeHost) -> None:
    class Broken(Probed):
        def start(self) -> int:
            raise ZeroDivisionError("a defect")

    code, reason = runtime.invoke(Broken, "start", {"OCF_RESKEY_needed": "x"}, host)
    assert (code, reason) == (agent.GENERIC, "start: ZeroDivisionError: a defect")


@pytest.mark.parametrize(("text", "seconds"), [("2500", "2.5"), ("", "7"), ("0", "7"), ("20s", "7"), ("-5", "7")])
def test_the_deadline_is_pacemakers_or_the_advised_one(host: FakeHost, text: str, seconds: str) -> None:
    assert invoke(host, "monitor", OCF_RESKEY_CRM_meta_timeout=text) == (0, seconds)


def test_a_deadline_never_grows(host: FakeHost) -> None:
    deadline = Deadline(2.0, host.monotonic)
    later = deadline.sooner(60.0)
    host.sleep(1.5)
    assert (deadline.left(), later.left(), deadline.sooner(0.1).left()) == (0.5, 0.5, pytest.approx(0.1))
    host.sleep(5)
    assert deadline.left() == 0.0


@pytest.mark.parametrize(
    ("env", "priority"), [({}, 30), ({"HA_LOGFACILITY": "local3"}, 158), ({"HA_logfacility": "?"}, 30)]
)
def test_the_log_line_goes_to_the_syslog_socket(tmp_path: Path, env: dict[str, str], priority: int) -> None:
    path = str(tmp_path / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(path)
        log.settimeout(1)
        runtime.log({"OCF_RESOURCE_INSTANCE": "lb", **env}, "haproxy", runtime.INFO, "started", path)
        line = log.recv(500).decode()
    assert line.startswith(f"<{priority}>")
    assert " vimha-haproxy(lb)[" in line
    assert line.endswith("]: started")


def test_logging_never_fails_and_never_waits(tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    runtime.log({}, "haproxy", runtime.INFO, "nobody listens", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(path)
        for _ in range(5000):
            runtime.log({}, "haproxy", runtime.INFO, "nobody reads", path)


@pytest.mark.parametrize(("name", "known"), [("ports:1", "ports"), ("ports", "ports"), ("", "")])
def test_a_clones_instances_share_a_name(host: FakeHost, name: str, known: str) -> None:
    made = Probed({"OCF_RESKEY_needed": "x", "OCF_RESOURCE_INSTANCE": name}, "start", Deadline(1, host.monotonic), host)
    assert made.instance == known


def test_ocf_testers_switch_hides_binaries(host: FakeHost) -> None:
    host.put("/usr/bin/x", "", 0o755)
    env = {"OCF_RESKEY_needed": "x"}
    Probed(env, "start", Deadline(1, host.monotonic), host).need_binary("/usr/bin/x")
    hidden = Probed({**env, "OCF_TESTER_FAIL_HAVE_BINARY": "1"}, "start", Deadline(1, host.monotonic), host)
    with pytest.raises(OcfError) as caught:
        hidden.need_binary("/usr/bin/x")
    assert caught.value.code == agent.INSTALLED
