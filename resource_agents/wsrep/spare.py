"""What a node tells of its data while Pacemaker runs no member there, so that no member that starts waits for it.

To recover the position after a crash may take longer than a probe has, so a process is left behind that does it and
then says SPARE (word.py).

Invariant: nothing is said here once a member may be started. The process says nothing before its pid is recorded, and
every action that may start a member first ends it, with all that it runs.
"""

import os

from resource_agents.ocf.agent import Deadline, OcfError
from resource_agents.ocf.process import Daemon, leave
from resource_agents.ocf.system import System
from resource_agents.wsrep.council import Council
from resource_agents.wsrep.member import Member
from resource_agents.wsrep.word import SPARE, Word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

RECOVERY_S = 3600.0
"""The longest that recovering the position may take; nobody waits for it but those that miss this node's data."""
SAY_S = 5.0
"""How long the attribute daemon may take to show what was said."""
RECORDED_S = 1.0
POLL_S = 0.01


class Teller:
    """The process, known by `pid_file`; `council` makes this node's seat for a deadline, `note` is told what failed."""

    def __init__(
        self, system: System, member: Member, council: "Callable[[Deadline], Council]", pid_file: str,
        note: "Callable[[str], object]",
    ) -> None:  # fmt: skip
        self._system, self._member, self._council, self._note = system, member, council, note
        self._pid_file = pid_file
        self._process = Daemon(system, ["-", "known by its pid file alone"], pid_file)

    def begin(self) -> None:
        """Tell, when this action has ended, what this node's data are."""
        self._process.record(leave(self._run))

    def end(self, deadline: Deadline) -> None:
        """The process is gone when this returns, and nothing that it ran is left; OcfError when something is."""
        if self._process.reported():
            self._process.stop(0.0, deadline)

    def _run(self) -> None:
        recorded = self._deadline(RECORDED_S)
        while self._process.reported() != os.getpid():
            if not recorded.left():
                return
            self._system.sleep(POLL_S)
        try:
            word = self._data(self._deadline(RECOVERY_S))
        except (OcfError, OSError) as trouble:
            self._note(f"this node's data are not told: {trouble}")
        else:
            self._say(word)
        self._system.remove(self._pid_file)

    def _data(self, deadline: Deadline) -> Word:
        """What this node's data are. Where a clean stop left the position in grastate.dat, no database is opened."""
        self._member.check()
        datadir = self._member.datadir
        if datadir.empty():
            return Word(SPARE)
        saved = datadir.saved()
        clean = saved is not None and saved.seqno >= 0
        word = datadir.word(saved, (saved.uuid, saved.seqno)) if saved and clean else self._member.recover(deadline)
        return word.said(SPARE)

    def _say(self, word: Word) -> None:
        end = self._deadline(SAY_S)
        council = self._council(end)
        while not council.heard(word):
            if not end.left():
                self._note("this node's data are not told: the attribute daemon does not show them")
                return
            self._system.sleep(POLL_S)

    def _deadline(self, seconds: float) -> Deadline:
        return Deadline(seconds, self._system.monotonic)
