"""What a store does by itself: it ends holds that are due, and removes what is too old.

Invariant: it stops within one transaction of `close`, and an error of the store does not end it.
"""

import logging
from collections import Counter
from collections.abc import Callable
from threading import Event as Flag
from threading import Thread

from vimha.alarms.store.errors import StoreError

PAUSE_S = 0.25
"""A hold ends at most that late."""
SWEEP_S = 60.0
LOG = logging.getLogger(__name__)


class Upkeep:
    """Calls `settle` all the time, and `sweep(goes_on)` every `SWEEP_S` seconds of `clock`, in a thread of its own."""

    def __init__(
        self, settle: Callable[[], object], sweep: Callable[[Callable[[], bool]], Counter[str]],
        clock: Callable[[], float],
    ) -> None:  # fmt: skip
        self._settle, self._sweep, self._clock = settle, sweep, clock
        self.aged: Counter[str] = Counter()
        """How many rows of each table were removed."""
        self._end = Flag()
        self._thread = Thread(target=self._work, name="upkeep", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        self._thread.join()

    def _work(self) -> None:
        swept, well = self._clock(), True
        while not self._end.wait(PAUSE_S):
            try:
                self._settle()
                if self._clock() - swept >= SWEEP_S:
                    swept = self._clock()
                    self.aged += self._sweep(lambda: not self._end.is_set())
            except StoreError as error:
                if well:
                    LOG.warning("the alarm store's upkeep waits: %s", error.message)
                well = False
            else:
                well = True
