"""The command line's root: exit codes and messages that scripts rely on."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def vimha(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "vimha_cli.main", *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["drill", "run", "--help"], 0),
        (["validate", str(EXAMPLES / "bad" / "one-node.yaml")], 1),
        (["budget", str(EXAMPLES / "bad" / "objective-impossible.yaml")], 1),
        (["validate", "no-such-file.yaml"], 2),
        (["budget", "no-such-file.yaml"], 2),
        (["no-such-command"], 2),
        (["drill", "run", "no-such-fault", "--site", "x"], 2),
    ],
)
def test_exit_code_is_as_documented(words: list[str], code: int) -> None:
    done = vimha(*words)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_a_typing_mistake_gets_a_message_not_a_traceback() -> None:
    done = vimha("validat", "x")
    assert done.returncode == 2
    assert "No such command" in done.stderr


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_command_that_is_told_to_end_cleans_up_first(number: str) -> None:
    command = f"""
import os, signal, time
from vimha_cli import main

def work(**_):
    try:
        os.kill(os.getpid(), signal.{number})
        time.sleep(10)
    finally:
        print("cleaned up")

main.cli = work
main.main()
"""
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "cleaned up\n", "vimha: interrupted\n")
