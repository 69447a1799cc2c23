"""A node that is called: a clustered service needs a member there, and Pacemaker runs none.

A spare may have what all members wait for. Who waits calls it: a transient attribute of the called node, which the
clone has a location rule for (vimha/render/clustered.py), so that Pacemaker stops an instance elsewhere and starts one
there.

Invariant: a call is a wish. It lifts no ban, and says nothing of what the called node may do: that its own agent
decides when it starts there. It ends with what it was for, and with the called node's stay in the cluster.
"""

from resource_agents.ocf.attribute import Attribute
from resource_agents.ocf.system import System


class Calls:
    """The calls for members of the service whose nodes speak by the attribute `service`: its name with `-called`."""

    def __init__(self, system: System, service: str) -> None:
        self._system = system
        self._name = f"{service}-called"

    def call(self, node: str, timeout_s: float) -> list[str]:
        """Have a member started on `node`; why that could not be asked for, if it could not. It may be repeated."""
        return Attribute(self._system, self._name, node=node).publish("1", timeout_s)

    def end(self, timeout_s: float) -> list[str]:
        """Take back all calls, whoever made them; why one may be left, if one may. Nothing moves for that."""
        try:
            called = Attribute(self._system, self._name).seen(timeout_s)
        except OSError as trouble:
            return [str(trouble)]
        return [
            trouble for node in sorted(called)
            for trouble in Attribute(self._system, self._name, node=node).clear(timeout_s)
        ]  # fmt: skip
