"""The commands of an operator, against the real service on loopback: what they print, and what they end with."""

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pytest
from alarm_service import OPERATOR, event, receiver, served, settings, until
from click.shell_completion import ShellComplete
from rich.console import Console

from vimha.alarms.client.access import Access
from vimha.alarms.client.board import Board
from vimha.alarms.client.client import Client
from vimha.alarms.client.following import Broken, Connected
from vimha.alarms.words import AckState
from vimha_cli import main
from vimha_cli.alarms import alarms, tables
from vimha_cli.alarms.watching import Screen

Vimha = Callable[..., tuple[int, str, str]]
VIMHA = [sys.executable, "-m", "vimha_cli.main", "alarms"]
ASKING = [each for name, each in alarms.commands.items() if name not in ("serve", "entry")]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with served(settings(tmp_path_factory.mktemp("service"))) as found:
        yield found


@pytest.fixture
def user(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with a configuration of the service."""
    folder = tmp_path / "vimha"
    folder.mkdir()
    (folder / "token").write_text(OPERATOR)
    (folder / "token").chmod(0o600)
    (folder / "alarms.yaml").write_text(f"url: http://127.0.0.1:{port}\ntoken_file: {folder}/token\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return folder


@pytest.fixture
def client(port: int, user: Path) -> Iterator[Client]:
    with Client.open(Access(url=f"http://127.0.0.1:{port}", token_file=user / "token")) as made:
        yield made
        for each in list(made.alarms()):
            made.clear(each["id"])


@pytest.fixture
def vimha(client: Client, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Vimha:
    """Run `vimha alarms` in this process: its exit code, what it printed, and what on standard error."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["vimha", "alarms", *words])
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        try:
            with pytest.raises(SystemExit) as ended:
                main.main()
        finally:
            for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
                signal.signal(number, handler)
        code = ended.value.code
        return (code if isinstance(code, int) else 0), *capfd.readouterr()

    return run


def raised(client: Client, host: str, **more: Any) -> str:
    """Raise an alarm; its id."""
    client.report([event(os.urandom(8).hex(), host, **more)])
    return next(each["id"] for each in client.alarms() if each["managedObjectId"] == f"host/{host}")


# Looking


def test_an_empty_list_says_that_all_is_well(vimha: Vimha) -> None:
    assert vimha("list") == (0, "no active alarm: all is well\n", "")
    assert vimha("list", "--host", "x") == (0, "no active alarm is like that\n", "")
    assert json.loads(vimha("list", "--format", "json")[1]) == {"alarms": []}


def test_the_worst_come_first_and_are_counted(vimha: Vimha, client: Client) -> None:
    nic = {"alarmDefinitionId": "compute.host.nic.error"}
    ids = [
        raised(client, "w1", severity="MINOR", **nic),
        raised(client, "w2"),
        raised(client, "w3", severity="MAJOR", **nic),
    ]
    code, shown, _ = vimha("list")
    lines = shown.splitlines()
    assert code == 0
    assert [line.split()[0] for line in lines[2:5]] == [ids[1][:8], ids[2][:8], ids[0][:8]]
    assert lines[-1] == "3 alarms: 1 critical, 1 major, 1 minor"
    assert "\x1b" not in shown
    some = json.loads(vimha("list", "--sort", "object", "--limit", "2", "--format", "json")[1])["alarms"]
    assert [each["id"] for each in some] == ids[:2]


def test_options_say_what_is_looked_for(vimha: Vimha, client: Client) -> None:
    ids = [raised(client, host) for host in ("f1", "f2", "f3")]
    client.acknowledge(ids[0], AckState.ACKNOWLEDGED)

    def found(*words: str) -> list[str]:
        return [
            each["id"]
            for each in json.loads(vimha("list", "--format", "json", "--sort", "object", *words)[1])["alarms"]
        ]

    assert found("--host", "f1", "--host", "f3") == [ids[0], ids[2]]
    assert found("--no-ack") == ids[1:]
    assert found("--ack", "--type", "host.down", "--severity", "critical", "--domain", "host_hw") == ids[:1]
    assert found("--object", "st/f2") == ids[1:2]
    assert found("--filter", "(neq,location/host,f2)", "--ack") == ids[:1]
    assert found("--severity", "warning") == []


def test_one_alarm_is_shown_with_its_meaning_and_what_to_do(vimha: Vimha, client: Client) -> None:
    alarm_id = raised(client, "s1", faultDetails=["BMC says: power off"])
    code, shown, _ = vimha("show", alarm_id[:12])
    assert code == 0
    for part in (alarm_id, "A monitor says that a compute host is down.", "Check its power", "BMC says: power off"):
        assert part in shown
    assert json.loads(vimha("show", alarm_id, "--format", "json")[1])["id"] == alarm_id


def test_the_history_is_a_range_of_time(vimha: Vimha, client: Client) -> None:
    alarm_id = raised(client, "h1")
    client.clear(alarm_id)
    code, shown, _ = vimha("history", "--from", "10m", "--host", "h1")
    assert (code, shown.splitlines()[2].split()[:2]) == (0, [alarm_id[:8], "CRITICAL"])
    assert shown.splitlines()[-1] == "1 alarm: 1 critical"
    before = [line.split() for line in vimha("show", alarm_id)[1].splitlines()]
    assert ["severity", "CLEARED"] in before
    assert ["before", "CRITICAL"] in before
    assert vimha("history", "--to", "10m", "--host", "h1")[1] == "no cleared alarm is like that\n"
    client.clear(raised(client, "h1"))
    code, shown, said = vimha("history", "--host", "h1", "--limit", "1", "--format", "json")
    assert (code, len(json.loads(shown)["alarms"]), said) == (0, 1, "there are more than 1: --limit 0 shows all\n")
    assert vimha("history", "--from", "yesterday")[0] == 2


def test_the_catalogue_asks_nobody(vimha: Vimha, user: Path) -> None:
    (user / "alarms.yaml").write_text("url: http://127.0.0.1:1\n")
    code, shown, _ = vimha("catalogue", "compute.host")
    assert code == 0 and "compute.host.nic.error" in shown and "control" not in shown
    known = json.loads(vimha("catalogue", "--format", "json")[1])["definitions"]
    assert {"id", "meaning", "repair", "severities"} <= set(known[0])


# Acting


def test_acknowledged_once_taken_back_and_cleared(vimha: Vimha, client: Client) -> None:
    one, other = raised(client, "a1"), raised(client, "a2")
    code, shown, _ = vimha("ack", one, other[:12])
    assert code == 0
    assert shown == "".join(
        f"acknowledged {each}  CRITICAL compute.host.down host/{host}\n" for each, host in [(one, "a1"), (other, "a2")]
    )
    code, shown, said = vimha("ack", one, "0" * 12, "--format", "json")
    assert code == 2
    assert json.loads(shown)["acknowledged"] == [] and len(json.loads(shown)["failed"]) == 2
    code, _, said = vimha("ack", one)
    assert code == 1 and "ACKNOWLEDGED already" in said
    assert vimha("unack", one)[0] == 0 and client.alarm(one)["ackState"] == "UNACKNOWLEDGED"
    assert vimha("clear", one, other)[0] == 0 and list(client.alarms()) == []
    assert vimha("clear", one)[0] == 1


def test_an_event_by_hand_raises_and_ends_an_alarm(vimha: Vimha, client: Client) -> None:
    code, shown, _ = vimha("raise", "compute.vm.failed", "vm/7", "--detail", "a test", "--problem", "p")
    (alarm,) = client.alarms()
    assert code == 0 and shown.startswith("taken in\n" + alarm["id"])
    assert (alarm["perceivedSeverity"], alarm["faultDetails"], alarm["specificProblem"]) == ("MAJOR", ["a test"], "p")
    vimha("raise", "compute.vm.failed", "vm/7", "--problem", "p", "--severity", "cleared")
    assert list(client.alarms()) == []
    assert vimha("raise", "no.such", "vm/7")[0] == 2
    code, _, said = vimha("raise", "compute.host.down", "vm/7")
    assert code == 2 and "host/<name>" in said


def test_subscribed_listed_told_and_unsubscribed(vimha: Vimha, client: Client, user: Path) -> None:
    with receiver() as subscriber:
        password = user / "password"
        password.write_text("t0p\n")
        password.chmod(0o644)
        words = [
            "subscribe",
            subscriber.url,
            "--min-severity",
            "major",
            "--type",
            "compute.*",
            "--basic",
            "vim",
            str(password),
        ]
        code, _, said = vimha(*words)
        assert code == 2 and "others may read or change it" in said
        password.chmod(0o600)
        code, shown, _ = vimha(*words)
        assert code == 0 and shown.startswith("subscribed: ")
        assert vimha(*words)[1] == shown.replace("subscribed", "subscribed before")
        code, table, _ = vimha("subscriptions")
        assert "faultTypes: compute.*; minSeverity: MAJOR" in table and "t0p" not in table
        raised(client, "t1")
        until(lambda: subscriber.got)
        assert vimha("unsubscribe", shown.split()[1][:8])[0] == 0
    assert vimha("subscriptions")[1] == "no subscription\n"
    assert vimha("subscribe", "http://127.0.0.1:1/")[0] == 1


def test_retention_is_shown_and_changed(vimha: Vimha) -> None:
    assert vimha("retention", "--days", "30", "--most", "warning=10")[0] == 0
    assert vimha("retention")[1] == "cleared alarms are kept for 30 days\n  of WARNING at most the 10 newest\n"
    changed = json.loads(vimha("retention", "--most", "WARNING=any", "--days", "14", "--format", "json")[1])
    assert changed == {"retentionPeriod": 14, "retentionCounts": {}}
    for wrong in ("warning", "warning=-1", "fatal=1"):
        assert vimha("retention", "--most", wrong)[0] == 2


# Watching


def test_watching_a_pipe_is_a_line_for_each_notification(client: Client) -> None:
    raised(client, "l1", faultDetails=["smoke"])
    with ended(watching()) as watch:
        assert watch.stdout and watch.stderr
        assert watch.stdout.readline().split()[2:3] == ["CRITICAL"]
        client.clear(raised(client, "l2"))
        assert [watch.stdout.readline().split()[2] for _ in range(2)] == ["CRITICAL", "CLEARED"]
        watch.send_signal(signal.SIGINT)
        assert watch.wait(10) == 0
        assert watch.stderr.read() == "vimha: connected\n"


def test_watching_as_json(client: Client) -> None:
    raised(client, "j1")
    with ended(watching("--host", "j1", "--format", "json")) as watch:
        assert watch.stdout
        first = json.loads(watch.stdout.readline())
        assert [each["managedObjectId"] for each in first["alarms"]] == ["host/j1"]
        raised(client, "j2")
        client.clear(first["alarms"][0]["id"])
        told = json.loads(watch.stdout.readline())
        assert (told["kind"], told["alarm"]["managedObjectId"]) == ("AlarmClearedNotification", "host/j1")
        watch.terminate()
        assert watch.wait(10) == 0


@contextmanager
def ended(process: "subprocess.Popen[Any]") -> "Iterator[subprocess.Popen[Any]]":
    """The process, which does not outlive a test that fails in the middle."""
    with process:
        try:
            yield process
        finally:
            process.kill()


def watching(*words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([*VIMHA, "watch", *words], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_watching_a_terminal_is_a_table_that_lives(client: Client) -> None:
    screen, terminal = pty.openpty()
    shown = bytearray()

    def came(part: bytes) -> bool:
        if select.select([screen], [], [], 0.05)[0]:
            shown.extend(os.read(screen, 65536))
        return part in shown

    raised(client, "tty1")
    with ended(subprocess.Popen([*VIMHA, "watch"], stdin=terminal, stdout=terminal, stderr=terminal)) as watch:
        until(lambda: came(b"host/tty1"))
        until(lambda: came(b"live since"))
        raised(client, "tty2")
        until(lambda: came(b"host/tty2"))
        watch.send_signal(signal.SIGINT)
        until(lambda: came(b"\x1b[?1049l"))
        assert watch.wait(10) == 0
    os.close(screen)
    os.close(terminal)


def test_a_screen_says_whether_it_is_up_to_date_and_what_it_has_no_room_for(client: Client) -> None:
    for number in range(6):
        raised(client, f"r{number}")
    out = Console(record=True, width=120, height=10, file=io.StringIO())
    screen, board = Screen(out, "https://vip"), Board(client, None)
    board.alarms = {each["id"]: each for each in client.alarms()}

    def shown(*changes: Connected | Broken) -> str:
        for change in changes:
            screen.show(change, board)
        out.print(screen.drawn(board))
        return out.export_text()

    assert "https://vip  connecting" in shown()
    text = shown(Connected(again=False))
    assert "https://vip  live since" in text and "6 critical, of which the first 4 are shown" in text
    text = shown(Broken("no route", 1), Broken("refused", 1))
    assert "not up to date since" in text and "no route; trying again" in text
    assert "live since" in shown(Connected(again=True))


# What holds for all


@pytest.mark.parametrize("command", ASKING, ids=lambda command: str(command.name))
def test_each_command_has_an_example_and_prints_json(command: click.Command) -> None:
    assert f"vimha alarms {command.name}" in (command.help or "")
    if command.name != "catalogue":
        assert "--token-file" in {option for each in command.params for option in each.opts}
    assert "--format" in {option for each in command.params for option in each.opts}


def test_a_mistake_in_the_configuration_ends_with_2(vimha: Vimha, user: Path) -> None:
    (user / "alarms.yaml").write_text("uri: x\n")
    assert vimha("list") == (2, "", f"vimha: {user}/alarms.yaml:1: uri: unknown\n")


def test_an_option_goes_before_the_environment_and_that_before_the_file(
    vimha: Vimha, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIMHA_ALARMS_URL", "http://127.0.0.1:1")
    code, _, said = vimha("list")
    assert code == 1 and "127.0.0.1:1: Connection refused" in said
    assert "127.0.0.1:2: Connection refused" in vimha("list", "--url", "http://127.0.0.1:2")[2]


def test_a_shell_completes_ids_by_asking(client: Client, user: Path) -> None:
    alarm_id = raised(client, "k1")
    complete = ShellComplete(main.cli, {}, "vimha", "_VIMHA_COMPLETE")
    assert [each.value for each in complete.get_completions(["alarms", "show"], alarm_id[:3])] == [alarm_id]
    assert "compute.vm.failed" in [each.value for each in complete.get_completions(["alarms", "raise"], "comp")]
    (user / "alarms.yaml").write_text("url: http://127.0.0.1:1\n")
    assert complete.get_completions(["alarms", "show"], "") == []


def test_what_others_wrote_is_text() -> None:
    assert tables.plain("a\x1b[31mb\r\n\u202ec") == "a?[31mb???c"
    assert str(tables.text("[red]x[/red]\x07")) == "[red]x[/red]?"


def test_an_encoding_that_is_too_small_is_no_reason_to_fail(client: Client) -> None:
    raised(client, "u1", faultDetails=["90 °C"])
    small = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([*VIMHA, "list"], env=small, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "") and "90 \\xb0C" in done.stdout
    bad = [os.fsencode(each) for each in [*VIMHA, "list", "--host"]] + [b"\xff"]
    done = subprocess.run(bad, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith("vimha: what was given holds bytes")


def test_short_ids_differ() -> None:
    ids = ["3fa91c07-1", "3fa91c07-2", "77d0a2f1-1"]
    assert list(tables.shorts(ids).values()) == ids
    assert tables.shorts([ids[0], ids[2]]) == {ids[0]: "3fa91c07", ids[2]: "77d0a2f1"}


@pytest.mark.parametrize(
    ("local", "code", "says"),
    [
        ("{}", 0, "the configuration will do"),
        ("auth:\n  files: [/nowhere/users]\n", 2, "/nowhere/users: cannot be read"),
        ("auth:\n  keystone: {auth_url: https://k:5000/v3, username: v, password_file: /nowhere/p}\n", 2, "/nowhere/p"),
        ("listen:\n  certificate: /nowhere/c\n  key: /nowhere/k\n", 2, "listen: the certificate"),
        ("delivery:\n  oslo:\n    - {name: bus, url_file: /nowhere/url}\n", 2, "/nowhere/url"),
    ],
)
def test_a_configuration_is_looked_at_without_serving(
    vimha: Vimha, tmp_path: Path, local: str, code: int, says: str
) -> None:
    users, first, second = tmp_path / "users", tmp_path / "alarms.yaml", tmp_path / "local.yaml"
    users.touch(0o600)
    first.write_text(f"auth: {{files: [{users}]}}\nstore: sqlite:///{tmp_path}/alarms.db\n")
    second.write_text(local)
    found, out, err = vimha("serve", "--check", "--config", str(first), "--config", str(second))
    assert (found, says in out + err) == (code, True), err
    assert not (tmp_path / "alarms.db").exists()
