"""A resource's operations, from its timings."""

from vimha.render.cib import Op
from vimha.timing.model import Operations


def ops(operations: Operations, *, watch: bool = False) -> tuple[Op, ...]:
    """Start, stop and monitor; a resource that only watches (`watch`) is left alone when its monitor fails."""
    return (
        Op("start", operations.start_timeout),
        Op("stop", operations.stop_timeout),
        Op("monitor", operations.monitor_timeout, operations.interval, "ignore" if watch else ""),
    )
