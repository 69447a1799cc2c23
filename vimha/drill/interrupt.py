"""What must be done before a command may end, whatever interrupts it: undoing a fault, above all.

Invariant: a first interrupt waits until the work is done, and says so; a second one is obeyed.
"""

import signal
import threading
from collections.abc import Callable

from vimha.errors import VimhaError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def insist(work: Callable[[], object], say: Callable[[str], object]) -> None:
    """Do `work`, which may be repeated, to its end; KeyboardInterrupt then, if there was one meanwhile.

    Interrupted work is done once more: a terminal's Ctrl-C ends the commands that it was running too.
    """
    asked: list[int] = []

    def note(number: int, _frame: object) -> None:
        asked.append(number)
        if len(asked) > 1:
            raise KeyboardInterrupt
        say("undoes the fault first: a moment (interrupt once more to leave it as it is)")

    here = threading.current_thread() is threading.main_thread()
    heard = [number for number in SIGNALS if here and signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in heard}
    try:
        try:
            work()
        except VimhaError:
            if not asked:
                raise
        if asked:
            work()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if asked:
        raise KeyboardInterrupt
