"""What a drill asks of the cluster that it plays on: who is active, who is the DC, move, stand by, clean up.

Invariant: only Pacemaker's own tools, run on a node that has power; nothing here decides whether the cluster is
healthy, that is vimha.cluster.status's to say.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from lxml import etree

from vimha.errors import VimhaError
from vimha.lab.doors import Door
from vimha.lab.power import Power
from vimha.process import Result, Runner, checked
from vimha.site.model import Site

COMMAND_S = 30.0
"""Pacemaker's tools answer in milliseconds, or wait for a DC that is being elected."""
IDLE_S = 120.0
"""How long a whole node's stops or starts may take."""
POLL_S = 0.05


class Machines(Protocol):
    """What a drill needs of the place where the nodes run. The lab is one."""

    @property
    def site(self) -> Site: ...
    @property
    def power(self) -> Power: ...
    def runner(self, node: str) -> Runner: ...
    def freeze(self, node: str) -> None: ...
    def thaw(self, node: str) -> None: ...
    def port(self, node: str, port: str, up: bool) -> None: ...
    def active_port(self, node: str) -> str: ...
    def plane(self, plane: str, up: bool) -> None: ...
    def partition(self, groups: Sequence[Sequence[str]]) -> None: ...
    def heal(self) -> None: ...
    def netns(self, name: str) -> str: ...
    def alarm_door(self) -> Door: ...


@dataclass(frozen=True)
class Roles:
    """Who plays what before a fault: the DC, and the active node. That is the one which holds the stage's VIP, or, for
    a fault on a clustered service, the one whose member the writes go to."""

    dc: str
    active: str


def vip_resource(vip: str) -> str:
    """The CIB id of a VIP's primitive, as vimha renders it."""
    return f"vip-{vip}"


def roles(report: bytes, vip: str) -> Roles:
    """The roles in a crm_mon XML `report`; VimhaError when there is no DC or `vip` (its name) runs nowhere."""
    tree = etree.fromstring(report, etree.XMLParser(resolve_entities=False))
    dc = tree.xpath("string(//summary/current_dc/@name)")
    active = tree.xpath("string(//resource[@id=$id and @role='Started']/node/@name)", id=vip_resource(vip))
    if not dc or not active:
        raise VimhaError(f"no node holds the VIP {vip} in a cluster with a DC", "vimha status tells what is missing.")
    return Roles(str(dc), str(active))


def fenced_since(history: bytes, target: str, since_epoch: float) -> bool:
    """Does stonith_admin's XML `history` tell of a success against `target` since then (whole seconds)?"""
    tree = etree.fromstring(history, etree.XMLParser(resolve_entities=False))
    done = (event for event in tree.iter("fence_event") if event.get("target") == target)
    return any(
        event.get("state") == "success" and _epoch(event.get("completed", "")) >= int(since_epoch) for event in done
    )


def _epoch(stamp: str) -> float:
    return datetime.fromisoformat(stamp.strip().replace(" +", "+").replace("Z", "+00:00")).timestamp()


class Stage:
    """The cluster of `machines`, asked and moved through whichever node has power. `vip` (its name) is the one that the
    drill is about; empty: the first."""

    def __init__(
        self,
        machines: Machines,
        vip: str = "",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.machines, self.clock, self.sleep = machines, clock, sleep
        self.site = machines.site
        self.vip = vip or next(iter(self.site.vips))

    def nodes(self) -> tuple[str, ...]:
        """All nodes of the site, arbiters too."""
        return tuple(self.site.nodes)

    def ask(self, argv: Sequence[str], *, but: str = "", timeout_s: float = COMMAND_S) -> Result:
        """Run `argv` on the first node that has power and is not `but`; VimhaError when that fails."""
        able = [node for node in self.nodes() if node != but and self.machines.power.is_on(node)]
        if not able:
            raise VimhaError("no node has power", "Power the lab's nodes on, or take it down and up.")
        return checked(self.machines.runner(able[0])(argv, timeout_s=timeout_s))

    def roles(self) -> Roles:
        """Who is DC and who is active now."""
        return roles(self.ask(["crm_mon", "--output-as=xml", "--one-shot"]).out.encode(), self.vip)

    def standby(self, node: str, on: bool) -> None:
        """Put `node` in standby or take it out of it (forever lifetime, as an operator would)."""
        change = ["--update", "on"] if on else ["--delete"]
        self.ask(["crm_attribute", "--node", node, "--name", "standby", *change], but=node if on else "")

    def keep_off(self, resource: str, node: str, on: bool) -> None:
        """Stop `resource` on `node` alone and keep it off there, or let it run there again; the node's others go on."""
        change = "--ban" if on else "--clear"
        self.ask(["crm_resource", "--resource", resource, change, "--node", node])

    def places(self, resource: str) -> set[str]:
        """The nodes where Pacemaker runs `resource`."""
        said = self.ask(["crm_resource", "--resource", resource, "--locate"]).out
        return {line.rpartition(" on: ")[2].split()[0] for line in said.splitlines() if " on: " in line}

    def move_vip(self, node: str) -> None:
        """Move the stage's VIP, and what is grouped with it, to `node`; stickiness keeps it there afterwards.

        The constraint that moves it never outlives the call: it would draw the VIP back to `node` for good.
        """
        resource = vip_resource(self.vip)
        try:
            self.ask(["crm_resource", "--resource", resource, "--move", "--node", node])
            self.ask(["crm_resource", "--wait", "--timeout=20s"])
        finally:
            self.ask(["crm_resource", "--resource", resource, "--clear"])

    def yield_dc(self, node: str) -> None:
        """Make `node` give the DC role away, by a clean restart of Pacemaker on it."""
        checked(self.machines.runner(node)(["systemctl", "restart", "pacemaker"], timeout_s=COMMAND_S))

    def wait_idle(self) -> None:
        """Wait until Pacemaker has done all that it had to do; VimhaError when it takes longer than IDLE_S."""
        self.ask(["crm_resource", "--wait", f"--timeout={IDLE_S:g}s"], timeout_s=IDLE_S + COMMAND_S)

    def until(self, done: Callable[[], bool], what: str, timeout_s: float) -> None:
        """Wait until `done` (a VimhaError means not yet); VimhaError that names `what` when that is never."""
        end = self.clock() + timeout_s
        while True:
            with suppress(VimhaError):
                if done():
                    return
            if self.clock() > end:
                raise VimhaError(f"{what}: not within {timeout_s:g} s", "See vimha status.")
            self.sleep(POLL_S)

    def forget_failures(self) -> None:
        """Clear failed operations, and with them the bans that they made."""
        self.ask(["crm_resource", "--cleanup"])

    def clean_up(self) -> None:
        """Forget failures and the fencing history, so that the next round starts from a clean sheet."""
        self.forget_failures()
        self.ask(["stonith_admin", "--cleanup", "--history", "*"])

    def was_fenced(self, node: str, since_epoch: float) -> bool:
        """Was `node` verified off since then, by the cluster's own fencing history?"""
        history = self.ask(["stonith_admin", "--history", node, "--output-as=xml"])
        return fenced_since(history.out.encode(), node, since_epoch)
