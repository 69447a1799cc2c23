"""What is wrong with this node, found after start had returned.

A monitor that finds it can only say "failed" (1), which Pacemaker mends by a stop and a start; for ever, where each
start returns before the fault shows again. Invariant: the start that follows repeats the finding, so that the node is
banned (5) and shows why; and only that one, for before the start after it an operator has been here.
"""

from resource_agents.ocf.agent import INSTALLED, OcfError
from resource_agents.ocf.system import System

FOLLOWS_S = 120.0
"""How soon Pacemaker's start follows a failed monitor: a stop's time-out (60 s at most), with time to spare."""


class Refusal:
    """The finding, kept in the file `path`."""

    def __init__(self, system: System, path: str) -> None:
        self._system = system
        self._path = path

    def keep(self, failure: OcfError) -> None:
        """Remember `failure`, if it is this node's."""
        if failure.code == INSTALLED:
            self._system.write(self._path, failure.reason)

    def repeat(self) -> None:
        """OcfError(INSTALLED) with what was kept, if that is recent; it is forgotten."""
        age, reason = self._system.age(self._path), self._system.read(self._path)
        self._system.remove(self._path)
        if reason and age is not None and 0 <= age < FOLLOWS_S:
            raise OcfError(INSTALLED, reason)
