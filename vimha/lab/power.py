"""The power switch of a lab's nodes, as its BMCs and its drills see it.

Invariant: `off` returns when nothing of the node runs or transmits any more; both calls may be repeated.
"""

from typing import Protocol


class Power(Protocol):
    """Power by node name. Calls may come from several threads, one at a time per node."""

    def is_on(self, node: str) -> bool:
        """Whether the node has power; False from the moment that `off` has returned."""
        ...

    def off(self, node: str) -> None:
        """Pull the plug; nothing happens to a node that is off."""
        ...

    def on(self, node: str) -> None:
        """Press the button; nothing happens to a node that is on. Does not wait for the boot."""
        ...
