"""A Galera cluster of three for benchmarks, and how the alarm service on this host reaches its members."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vimha.process import checked, run

ROOT = Path(__file__).parents[2]
sys.path += [str(ROOT / "tests" / "agents"), str(ROOT / "tests")]
HOST, PASSWORD = "10.77.9.1", "bench-only"


class Members:
    """Three real members; `Nodes` (tests/agents/galera_nodes.py) with a way to them from this host."""

    def __init__(self, nodes: "Nodes") -> None:  # type: ignore[name-defined]  # noqa: F821
        self._nodes = nodes

    def url(self, number: int, *, fallback: int | None = None) -> str:
        """The store's URL for a service whose own member is the one of this number."""
        other = f"?fallback={self._nodes.nodes[fallback].address}:3306" if fallback is not None else ""
        return f"mysql+pymysql://bench:{PASSWORD}@{self._nodes.nodes[number].address}:3306/alarms{other}"

    def kill(self, number: int) -> None:
        """As a power loss does it: SIGKILL."""
        self._nodes.nodes[number].kill()

    def bring_back(self, number: int) -> None:
        """Start it again, and wait until all three are one cluster."""
        from ocf_calls import wait_until

        answer = self._nodes.nodes[number].start()
        if answer.code:
            raise SystemExit(f"member {number + 1} does not start: {answer.reason}")
        wait_until(self._nodes.whole, 60)

    def begin(self) -> None:
        """Start them; a wire from this host to their bridge; the service's account."""
        from ocf_calls import wait_until

        self._nodes.start()
        wait_until(self._nodes.whole, 60)
        hub, wire = f"{self._nodes.prefix}hub", self._nodes.prefix
        checked(run(["ip", "link", "add", wire, "type", "veth", "peer", "name", "host0", "netns", hub]))
        checked(run(["ip", "-n", hub, "link", "set", "host0", "master", "hub0", "up"]))
        checked(run(["ip", "address", "add", f"{HOST}/24", "dev", wire]))
        checked(run(["ip", "link", "set", wire, "up"]))
        for statement in (
            "CREATE DATABASE alarms",
            f"CREATE USER bench@'{HOST}' IDENTIFIED BY '{PASSWORD}'",
            f"GRANT ALL ON alarms.* TO bench@'{HOST}'",
        ):
            self._nodes.nodes[0].sql(statement)


@contextmanager
def galera_of_three() -> Iterator[Members]:
    """The members, and afterwards nothing of them: the wire goes with its bridge's namespace."""
    from galera_nodes import galera_nodes
    from installation import installed_agents

    with installed_agents(), galera_nodes(3) as nodes:
        members = Members(nodes)
        members.begin()
        yield members
