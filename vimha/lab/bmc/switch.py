"""The one way from a BMC to the lab's Power: one change at a time per node.

Invariant: two fencers that power off the same node at once do it one after the other, and a power-on that came
between them is not lost in the middle of a power-off.
"""

import logging
import threading
import time
from collections.abc import Iterable

from vimha.lab.power import Power

log = logging.getLogger("vimha.bmc")


class Switch:
    """Power with a lock per node, and a line in the log per change."""

    def __init__(self, power: Power, nodes: Iterable[str]) -> None:
        self._power = power
        self._locks = {node: threading.Lock() for node in nodes}

    def is_on(self, node: str) -> bool:
        return self._power.is_on(node)

    def off(self, node: str) -> None:
        self._change(node, "off")

    def on(self, node: str) -> None:
        self._change(node, "on")

    def cycle(self, node: str) -> None:
        """Off, then on, with nobody in between."""
        self._change(node, "off", "on")

    def _change(self, node: str, *wishes: str) -> None:
        with self._locks[node]:
            for wish in wishes:
                began = time.monotonic()
                (self._power.off if wish == "off" else self._power.on)(node)
                log.info("%s: power %s in %.0f ms", node, wish, 1000 * (time.monotonic() - began))
