"""Sites that the timing room's tests share."""

from typing import Any

from vimha.site.model import Site


def site(objective: str = "5s", count: int = 3, **changes: Any) -> Site:
    """A site of `count` full nodes with a bond over two planes."""
    declared = {
        "site": "test",
        "objective": objective,
        "planes": {"a": {"subnet": "10.0.0.0/24"}, "b": {"subnet": "10.0.1.0/24"}},
        "nodes": {
            f"n{i}": {"addresses": {"a": f"10.0.0.{i}", "b": f"10.0.1.{i}"}, "bmc": {"address": f"10.9.0.{i}"}}
            for i in range(1, count + 1)
        },
        "vips": {"public": {"address": "10.0.0.100"}},
        **changes,
    }
    return Site.model_validate(declared)
