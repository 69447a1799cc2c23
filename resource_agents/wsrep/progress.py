"""How far a member's coming up has got, kept between an agent's actions in a file: what was reached, and when.

Invariant: no process's memory is needed to tell a member that gets nowhere from a slow one, and the clock is the boot's
own: a time of an earlier boot counts as none.
"""

from resource_agents.ocf.system import System


class Progress:
    """The progress that the file `path` holds."""

    def __init__(self, system: System, path: str) -> None:
        self._system = system
        self._path = path

    def idle(self, amount: int) -> float:
        """Seconds since `amount` last changed."""
        known, since, ended = self._recorded()
        now = self._system.monotonic()
        if known != amount or since > now:
            self._system.write(self._path, f"{amount} {now:.3f} {ended}\n")
            return 0.0
        return now - since

    def end(self) -> int:
        """One more start that ended by itself; how many there were."""
        _, _, ended = self._recorded()
        self._system.write(self._path, f"-1 {self._system.monotonic():.3f} {ended + 1}\n")
        return ended + 1

    def forget(self) -> None:
        """Nothing is under way."""
        self._system.remove(self._path)

    def _recorded(self) -> tuple[int, float, int]:
        words = (self._system.read(self._path) or "").split()
        try:
            return int(words[0]), float(words[1]), int(words[2])
        except (IndexError, ValueError):
            return -3, 0.0, 0
