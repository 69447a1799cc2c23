"""Actions and exit codes of an agent on the runtime, and where its password may come from."""

import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fence_agents.fencing import credentials
from fence_agents.fencing.agent import FAILED, IS_OFF, OK, Agent, Streams, run
from fence_agents.fencing.deadline import Clock
from fence_agents.fencing.errors import FenceError
from fence_agents.fencing.options import Option, Values
from fence_agents.fencing.power import Device
from fence_agents.vimha_redfish import AGENT

ROOT = Path(__file__).parents[2]
LOGIN = {"username": "admin", "password": "s3cret", "plug": "c1"}


class FakeSwitch(Device):
    """A power switch that obeys at once, or raises `failure`."""

    def __init__(self) -> None:
        self.power = True
        self.failure: FenceError | None = None
        self.passwords: list[str] = []

    def is_on(self, timeout_s: float) -> bool:
        return self.power

    def request(self, on: bool, timeout_s: float) -> str:
        if self.failure:
            raise self.failure
        self.power = on
        return ""

    def witness(self, timeout_s: float) -> str:
        return ""


class SleepLog(Clock):
    """Remembers how long it was asked to sleep."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def switch() -> FakeSwitch:
    return FakeSwitch()


@pytest.fixture
def act(switch: FakeSwitch) -> Callable[..., tuple[int, str, str]]:
    """Run one action of an agent over `switch`: exit code, standard output, standard error."""

    def connect(values: Values, password: str) -> Device:
        switch.passwords.append(password)
        return switch

    def check(values: Values) -> list[str]:
        return ["ip=x: no address"] if values.text("ip") == "x" else []

    agent = Agent(
        name="fence_fake",
        shortdesc="A fake",
        longdesc="",
        vendor_url="",
        options=(Option("ip", "Address"),),
        connect=connect,
        check=check,
    )

    def call(action: str, clock: Clock | None = None, **given: str) -> tuple[int, str, str]:
        streams = Streams(io.StringIO(), io.StringIO())
        code = run(agent, {**LOGIN, "action": action, **given}, clock or Clock(), streams)
        assert isinstance(streams.out, io.StringIO)
        assert isinstance(streams.err, io.StringIO)
        return code, streams.out.getvalue(), streams.err.getvalue()

    return call


Act = Callable[..., tuple[int, str, str]]


def test_exit_codes_are_those_of_fence_agents(act: Act, switch: FakeSwitch) -> None:
    assert act("status") == (OK, "Status: ON\n", "")
    assert act("off") == (OK, "", "")
    assert act("status") == (IS_OFF, "Status: OFF\n", "")
    assert act("monitor") == (OK, "", "")
    assert act("list-status") == (OK, "c1,,OFF\n", "")
    assert act("on") == (OK, "", "")
    assert act("reboot") == (OK, "", "")
    assert switch.power
    assert act("list") == (OK, "c1,\n", "")
    assert act("list", plug="") == (OK, "", "")
    assert act("validate-all") == (OK, "", "")
    assert act("diag")[0] == FAILED


def test_a_failure_is_one_line_that_names_action_and_node(act: Act, switch: FakeSwitch) -> None:
    switch.failure = FenceError("password refused")
    assert act("off") == (FAILED, "", "fence_fake: off c1: password refused\n")
    assert act("off", plug="") == (FAILED, "", "fence_fake: off: password refused\n")


def test_without_a_password_nothing_validates_and_nothing_is_tried(act: Act, switch: FakeSwitch) -> None:
    code, _, err = act("validate-all", password="", username="")
    assert code == FAILED
    assert err.splitlines() == [
        "fence_fake: username: required",
        "fence_fake: no password: give password_file, password_script or password",
    ]
    assert act("off", password="")[0] == FAILED
    assert not switch.passwords


def test_the_agents_own_check_counts(act: Act) -> None:
    assert act("validate-all", ip="x") == (FAILED, "", "fence_fake: ip=x: no address\n")


@pytest.mark.parametrize(("action", "slept"), [("off", [0.25]), ("reboot", [0.25]), ("on", []), ("status", [])])
def test_a_delay_may_be_a_fraction_and_holds_back_off_only(act: Act, action: str, slept: list[float]) -> None:
    clock = SleepLog()
    act(action, clock=clock, delay="0.25")
    assert clock.slept == slept


@pytest.mark.parametrize("action", ["metadata", "meta-data", "manpage"])
def test_metadata_needs_no_options(action: str, golden: Callable[[str, str], None]) -> None:
    streams = Streams(io.StringIO(), io.StringIO())
    assert run(AGENT, {"action": action}, Clock(), streams) == OK
    assert isinstance(streams.out, io.StringIO)
    golden("fence_vimha_redfish.xml", streams.out.getvalue())


def test_metadata_imports_nothing_of_a_connection() -> None:
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.argv = ['x', '-o', 'metadata']\n"
    program += "from fence_agents.vimha_redfish import main\ntry: main()\nexcept SystemExit: print(*sys.modules)"
    done = subprocess.run(["/usr/bin/python3", "-IS", "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "fence_agents.fencing.agent" in loaded
    assert not loaded & {"ssl", "http", "socket", "json", "re", "typing", "dataclasses", "subprocess", "collections"}


def test_password_sources_in_their_order(act: Act, switch: FakeSwitch, tmp_path: Path) -> None:
    file, script = tmp_path / "pw", tmp_path / "script"
    file.write_text("from file\n")
    script.write_text("#!/bin/sh\necho from script\n")
    file.chmod(0o600)
    script.chmod(0o700)
    act("status")
    act("status", password_file=str(file), password="")
    act("status", password_script=str(script), password="")
    assert switch.passwords == ["s3cret", "from file", "from script"]


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (None, 0, "No such file"),
        ("", 0o600, "empty"),
        ("a\nb\n", 0o600, "more than one line"),
        ("s3cret\n", 0o644, "readable by others (mode 0644)"),
    ],
)
def test_a_bad_password_file_is_told_without_its_content(
    tmp_path: Path, content: str | None, mode: int, words: str
) -> None:
    file = tmp_path / "pw"
    if content is not None:
        file.write_text(content)
        file.chmod(mode)
    values = Values(credentials.OPTIONS, {"username": "u", "password_file": str(file)})
    (problem,) = credentials.problems(values)
    assert words in problem
    assert "s3cret" not in problem


def test_a_password_file_that_others_may_read_still_fences(act: Act, switch: FakeSwitch, tmp_path: Path) -> None:
    file = tmp_path / "pw"
    file.write_text("from file\n")
    file.chmod(0o644)
    assert act("validate-all", password="", password_file=str(file))[0] == FAILED
    assert act("off", password="", password_file=str(file))[0] == OK


def test_a_password_script_has_a_deadline(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    script.chmod(0o700)
    values = Values(credentials.OPTIONS, {"password_script": str(script)})
    with pytest.raises(FenceError, match=r"no answer within 0\.1 s"):
        credentials.password(values, 0.1)
    script.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(FenceError, match="exit 3"):
        credentials.password(values, 5)
