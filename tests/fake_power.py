"""A fake of the nodes' power supply, for BMCs that have no lab behind them."""

import time
from collections.abc import Iterable
from pathlib import Path


class FakePower:
    """`nodes` that obey at once, or `takes` seconds later; `broken` fails every change. Remembers the changes, and the
    network namespaces that it was called in.
    """

    def __init__(self, nodes: Iterable[str]) -> None:
        self.state = dict.fromkeys(nodes, True)
        self.takes = 0.0
        self.broken = False
        self.namespaces: set[str] = set()
        self.changes: list[tuple[str, bool]] = []

    def is_on(self, node: str) -> bool:
        return self.state[node]

    def off(self, node: str) -> None:
        self._change(node, False)

    def on(self, node: str) -> None:
        self._change(node, True)

    def _change(self, node: str, on: bool) -> None:
        if self.broken:
            raise OSError("the switch is stuck")
        self.namespaces.add(str(Path("/proc/thread-self/ns/net").readlink()))
        time.sleep(self.takes)
        self.changes.append((node, on))
        self.state[node] = on
