"""A resource's operations, from its timings, and its parameters where they differ from node to node."""

from collections.abc import Mapping

from vimha.render.cib import Op
from vimha.timing.model import Operations


def ops(operations: Operations, *, watch: bool = False) -> tuple[Op, ...]:
    """Start, stop and monitor; a resource that only watches (`watch`) is left alone when its monitor fails."""
    return (
        Op("start", operations.start_timeout),
        Op("stop", operations.stop_timeout),
        Op("monitor", operations.monitor_timeout, operations.interval, "ignore" if watch else ""),
    )


def by_node(own: Mapping[str, dict[str, str]]) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """The parameters of the first node, which stand for all, and those of each node where they are others."""
    common, *_ = own.values()
    return common, {node: params for node, params in own.items() if params != common}
