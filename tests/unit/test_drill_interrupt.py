"""Undoing a fault survives one more Ctrl-C, in a real process with real signals."""

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys, time
from vimha.drill.interrupt import insist
from vimha.errors import VimhaError

tries = []

def heal():
    tries.append(1)
    for number in sys.argv[1:]:
        os.kill(os.getpid(), int(number))
    del sys.argv[1:]
    if len(tries) == 1:
        raise VimhaError("the command was interrupted")
    print("healed")

try:
    insist(heal, print)
except KeyboardInterrupt:
    print("interrupted")
    sys.exit(130)
except VimhaError:
    print("failed")
"""
SAID = "undoes the fault first: a moment (interrupt once more to leave it as it is)"


@pytest.mark.parametrize(
    ("signals", "said"),
    [
        ([], ["failed"]),
        ([signal.SIGINT], [SAID, "healed", "interrupted"]),
        ([signal.SIGTERM], [SAID, "healed", "interrupted"]),
        ([signal.SIGINT, signal.SIGINT], [SAID, "interrupted"]),
    ],
    ids=["none", "ctrl-c", "terminated", "twice"],
)
def test_the_first_interrupt_waits_for_the_work_the_second_is_obeyed(
    signals: list[signal.Signals], said: list[str]
) -> None:
    argv = [sys.executable, "-c", PROGRAM, *(str(int(number)) for number in signals)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20)
    assert (done.stdout.splitlines(), done.stderr) == (said, "")
    assert done.returncode == (130 if signals else 0)
