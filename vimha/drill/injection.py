"""What a fault is made of: an entry of the catalogue, a prepared injection, and the nodes that it may pick.

Invariant: preparing a fault finds everything out beforehand (processes, ports), so that injecting it is one act whose
moment is known; healing may be repeated and does no harm when the fault never happened.
"""

from collections.abc import Callable
from dataclasses import dataclass

from vimha.drill.stage import Roles, Stage
from vimha.drill.verdict import Expectation
from vimha.errors import VimhaError

GONE = Expectation(fenced=True, moved=True, alarm="control.node.lost")
FAILED = Expectation(fenced=False, alarm="control.service.failed")
KEPT = Expectation(fenced=False)
RETURN_OBJECTIVE_S = 30.0
"""Faults that take the quorum have an objective of their own, from the return of power to the first good answer: boots,
a first membership, start-up fencing where it is needed and every start are no failover."""


@dataclass(frozen=True)
class Injection:
    """A prepared fault: what it hits, how to inject it, and how to undo it. `note` tells what was left to chance."""

    target: str
    inject: Callable[[], None]
    heal: Callable[[], None]
    note: str = ""


@dataclass(frozen=True)
class Fault:
    """One entry of the catalogue. `fault_class` is the budget's name for it, `dc_class` when the DC is hit too."""

    name: str
    title: str
    about: str
    fault_class: str
    expected: Expectation
    prepare: Callable[[Stage, Roles, str], Injection]
    dc_class: str = ""
    undone_after_s: float = 0.0
    """When not 0, the fault itself ends after this time, and the outage counts from then."""
    staggered: bool = False
    """The fault ends bit by bit: the outage counts from when its healing has ended, not from when that began."""
    objective_s: float = 0.0
    """What a fault without a class in the budget is held to; 0: the site's objective."""
    watch_s: float = 0.0
    """The client is watched at least so long after the fault, which may be felt late."""

    def class_of(self, target: str, dc: str) -> str:
        """The budget's class for a round that hits `target` while `dc` is the DC."""
        return self.dc_class if self.dc_class and target == dc else self.fault_class


def power_on_all(stage: Stage) -> None:
    """Give every node without power its power back."""
    for node in stage.nodes():
        if not stage.machines.power.is_on(node):
            stage.machines.power.on(node)


def bystander(stage: Stage, roles: Roles) -> str:
    """A node that runs services and is no spare of a clustered one, and neither holds the VIP nor gets the writes; not
    the DC if there is another one. VimhaError when every node is needed.
    """
    busy, full = {roles.active, stage.roles().active}, stage.site.full_nodes()
    free = [node for node in full if node not in busy]
    for service in stage.site.stateful:
        if stage.site.instances_of(service) < len(full):
            places = stage.places(service)
            free = [node for node in free if node in places]
    if not free:
        raise VimhaError("every full node holds the VIP or gets the writes", "This fault needs one more full node.")
    return min(free, key=lambda node: node == roles.dc)
