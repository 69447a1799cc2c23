"""What the alarm service knows of the cluster that its events come from: the section `cluster` of its configuration.

Invariant: all of it has a default, with which no event is refused; `vimha render` writes it from site.yaml.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from vimha.alarms.model import Location
from vimha.alarms.times import SECOND


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Node(Part):
    """A node: where it stands, and how many ports each of its watchers counts when all work."""

    zone: str = ""
    rack: str = ""
    slot: str = ""
    ports: Annotated[int, Field(ge=1, le=64)] = 2


class Cluster(Part):
    """The control plane's cluster."""

    site: str = ""
    objective: Annotated[float, Field(gt=0, le=3600)] = 5
    """Seconds that a service may be away; longer raises control.service.slow.recovery."""
    single: frozenset[str] = frozenset()
    """Resources that run in one place at a time, such as VIPs: healthy anywhere is healthy. Of all others each node has
    an instance of its own, with alarms of its own.
    """
    watchers: frozenset[str] = frozenset({"ports"})
    """Resources that publish how many ports work: the attribute's alarm says more than their monitor's."""
    nodes: dict[str, Node] = {}

    @property
    def objective_us(self) -> int:
        return round(self.objective * SECOND)

    def location(self, host: str) -> Location:
        """Where `host` is, as far as it is known; a host of others may be anywhere."""
        if host not in self.nodes:
            return Location(host=host)
        node = self.nodes[host]
        return Location(site=self.site, zone=node.zone, rack=node.rack, host=host, slot=node.slot)

    def ports(self, host: str) -> int:
        """How many ports of `host` work when all do."""
        return self.nodes.get(host, Node()).ports
