"""The one way from a BMC to the lab's Power: one change at a time per node.

Invariant: changes of one node happen in the order in which they were accepted, each whole: a power-off that was
accepted after a power-on is done after it, and so the state that it leaves stays. Off is done when it is
acknowledged; on is only accepted, as a real BMC's is, since a fencing agent that asks for it holds up recovery.
A machine that is on tests itself for a while before it boots; a power-off ends that at once.
"""

import logging
import threading
import time
from collections.abc import Iterable

from vimha.lab.power import Power

log = logging.getLogger("vimha.bmc")


class Switch:
    """Power with a lock per node, a self-test of `post_s` seconds at power-on, and a line in the log per change."""

    def __init__(self, power: Power, nodes: Iterable[str], post_s: float = 0.0) -> None:
        self._power = power
        self._post_s = post_s
        self._locks = {node: threading.Lock() for node in nodes}
        self._cut = {node: threading.Event() for node in self._locks}
        """Set while a power-off is wanted: it ends a self-test."""
        self._testing: set[str] = set()

    def is_on(self, node: str) -> bool:
        """What Power says now; a machine in its self-test is on."""
        return node in self._testing or self._power.is_on(node)

    def off(self, node: str) -> None:
        """Power off, done on return; raises what Power raises."""
        self._cut[node].set()
        with self._locks[node]:
            self._off(node)

    def on(self, node: str) -> None:
        """Accept a power-on, which follows after the self-test; a failure of it is only logged."""
        if node in self._testing:
            return
        self._locks[node].acquire()
        self._on_and_release(node)

    def cycle(self, node: str) -> None:
        """Off as `off`, then on as `on`, with nobody in between."""
        self._cut[node].set()
        self._locks[node].acquire()
        try:
            self._off(node)
        except BaseException:
            self._locks[node].release()
            raise
        self._on_and_release(node)

    def _off(self, node: str) -> None:
        self._cut[node].clear()
        began = time.monotonic()
        self._power.off(node)
        log.info("%s: power off in %.0f ms", node, 1000 * (time.monotonic() - began))

    def _on_and_release(self, node: str) -> None:
        """Power on in a thread of its own, which gives back the lock that its maker took."""

        self._testing.add(node)

        def work() -> None:
            try:
                if self._post_s and self._cut[node].wait(self._post_s):
                    log.info("%s: power cut during its self-test", node)
                    return
                began = time.monotonic()
                self._power.on(node)
                log.info("%s: power on in %.0f ms", node, 1000 * (time.monotonic() - began))
            except Exception:
                log.exception("%s: power on failed", node)
            finally:
                self._testing.discard(node)
                self._locks[node].release()

        threading.Thread(target=work, daemon=True).start()
