"""Faults that clustered services must live through: members that are not the writer, lost quorum, lost state, restarts
in turn.

Invariant: as of all faults (vimha.drill.injection); those that are a procedure (a rolling restart, a stop in the middle
of a state transfer) are injected from their first act on, and the client is watched throughout.
"""

import random
from contextlib import suppress
from functools import partial
from pathlib import PurePosixPath

from vimha.drill.injection import KEPT, Fault, Injection, bystander, power_on_all
from vimha.drill.stage import Roles, Stage
from vimha.drill.stores import COMMAND_S, lacking
from vimha.drill.verdict import Expectation
from vimha.errors import VimhaError
from vimha.process import checked

QUORUM_GAP_S = 4.0
"""How long two of three nodes stay dark: longer than the third takes to notice it, in all its services."""
RETURN_GAP_S = 3.0
"""At most so long passes between two nodes that get their power back in random order: some meet, some come alone."""
WHOLE_OBJECTIVE_S = 60.0
"""From the last node's return of power to the first good answer of everything: a broker's start takes 4-9 s, and every
state is recovered first."""
WATCH_S = 5.0
ROOM_BYTES = 1 << 20
"""What may be left of a file system that counts as full: a table of some size grows by 1 MiB (an InnoDB extent)."""
FULL_S = 15.0
"""A member without room is taken out of the cluster when a table grows next: 300 rows later (measured)."""
JOIN_S = 120.0
"""How long a member may take to be whole again after a restart, a full state transfer included."""
TRANSFER_S = 60.0
TRANSFER = "wsrep_sst_[a-z]+ +--role"
"""The command line of MariaDB's script that moves a member's whole state."""
STOPPING = "/vimha/galera stop$"
"""The agent's own command line as Pacemaker calls it to end a member."""
WHOLE_STATE = "^seqno: *[0-9]"
"""What grastate.dat has of a member that was whole when it stopped; one that was not has -1."""
DATABASE = "database"


def _member_power(stage: Stage, roles: Roles, service: str) -> Injection:
    del service
    node = bystander(stage, roles)
    return Injection(node, lambda: stage.machines.power.off(node), lambda: power_on_all(stage))


def _member_partition(stage: Stage, roles: Roles, service: str) -> Injection:
    del service
    node = bystander(stage, roles)
    others = [other for other in stage.nodes() if other != node]

    def heal() -> None:
        stage.machines.heal()
        power_on_all(stage)

    return Injection(node, lambda: stage.machines.partition([[node], others]), heal)


def _quorum_loss(stage: Stage, roles: Roles, service: str) -> Injection:
    del service
    survivor = next(node for node in reversed(stage.nodes()) if node != roles.active)
    lost = [node for node in stage.nodes() if node != survivor]

    def inject() -> None:
        for node in lost:
            stage.machines.power.off(node)

    return Injection(roles.active, inject, lambda: power_on_all(stage), f"{survivor} stays on alone")


def _random_return(stage: Stage, roles: Roles, service: str) -> Injection:
    del service
    order = random.sample(stage.nodes(), len(stage.nodes()))
    gaps = [0.0, *(random.uniform(0, RETURN_GAP_S) for _ in order[1:])]  # noqa: S311 (a drill's dice)

    def inject() -> None:
        for node in stage.nodes():
            stage.machines.power.off(node)

    def heal() -> None:
        for node, gap_s in zip(order, gaps, strict=True):
            if not stage.machines.power.is_on(node):
                stage.sleep(gap_s)
                stage.machines.power.on(node)

    told = ", ".join(f"{node} after {gap_s:.1f} s" for node, gap_s in zip(order, gaps, strict=True))
    return Injection(roles.active, inject, heal, f"power returns to {told}")


def _state_lost(stage: Stage, roles: Roles, service: str) -> Injection:
    del service
    node, state = bystander(stage, roles), _state_file(stage)

    def inject() -> None:
        _remove(stage, node, state)
        stage.machines.power.off(node)

    return Injection(node, inject, lambda: power_on_all(stage))


def _datadir_full(stage: Stage, roles: Roles, service: str) -> Injection:
    del service
    node, filler = roles.active, _in_datadir(stage, "vimha-drill.filler")
    runner = stage.machines.runner(node)
    datadir = str(PurePosixPath(filler).parent)
    if not runner(["mountpoint", "--quiet", datadir], timeout_s=COMMAND_S).ok:
        raise VimhaError(f"{datadir} of {node} is on no file system of its own", "Filling it would hit the whole node.")

    def left() -> int:
        answer = checked(runner(["df", "--block-size=1", "--output=avail", datadir], timeout_s=COMMAND_S))
        return int(answer.out.split()[-1])

    def inject() -> None:
        # fallocate(1) takes what there is, and fails when the file system needs some of it for its own records
        said = runner(["fallocate", f"--length={left()}", filler], timeout_s=COMMAND_S).err
        if left() > ROOM_BYTES:
            raise VimhaError(f"{datadir} of {node} cannot be filled: {said}")

    def heal() -> None:
        power_on_all(stage)
        _remove(stage, node, filler)

    return Injection(node, inject, heal)


def _rolling_restart(stage: Stage, roles: Roles, service: str) -> Injection:
    del service
    order = sorted(stage.site.full_nodes(), key=lambda node: node == roles.active)

    def inject() -> None:
        for node in order:
            stage.standby(node, True)
            stage.wait_idle()
            stage.standby(node, False)
            stage.wait_idle()
            stage.until(partial(_whole, stage, node), f"{node} is whole", JOIN_S)

    return Injection(roles.active, inject, lambda: _active_all(stage), f"in the order {', '.join(order)}")


def _whole(stage: Stage, node: str) -> bool:
    return not lacking(stage.site, node, {name: stage.machines.runner(name) for name in stage.site.full_nodes()})


def _stop_in_transfer(stage: Stage, roles: Roles, service: str) -> Injection:
    del service
    node, state = bystander(stage, roles), _state_file(stage)
    runner = stage.machines.runner(node)

    def transfer(signal: str) -> bool:
        return runner(["pkill", "--signal", signal, "--full", TRANSFER], timeout_s=COMMAND_S).ok

    def stopping() -> bool:
        return runner(["pgrep", "--full", STOPPING], timeout_s=COMMAND_S).ok or node not in stage.places(DATABASE)

    def inject() -> None:
        # the member alone: among a whole node's starts the stop would wait for the slowest, and come after the transfer
        stage.keep_off(DATABASE, node, True)
        stage.wait_idle()
        _remove(stage, node, state)
        stage.keep_off(DATABASE, node, False)
        # a small database's transfer would be over before Pacemaker has decided: it is held until the stop has begun
        stage.until(partial(transfer, "STOP"), f"{node} takes its state from another member", TRANSFER_S)
        try:
            stage.keep_off(DATABASE, node, True)
            stage.until(stopping, f"{node}'s member is being stopped", TRANSFER_S)
        finally:
            transfer("CONT")
        stage.wait_idle()
        if runner(["grep", "--quiet", WHOLE_STATE, state], timeout_s=COMMAND_S).ok:
            raise VimhaError(f"{node} had its state before it was stopped", "More data make the transfer longer.")

    return Injection(node, inject, lambda: _let_join(stage, node))


def _let_join(stage: Stage, node: str) -> None:
    power_on_all(stage)
    stage.keep_off(DATABASE, node, False)


def _state_file(stage: Stage) -> str:
    return _in_datadir(stage, "grastate.dat")


def _in_datadir(stage: Stage, name: str) -> str:
    if not stage.site.database:
        raise VimhaError("the site has no database", "This fault is about a database's member.")
    return str(PurePosixPath(stage.site.database.datadir, name))


def _remove(stage: Stage, node: str, path: str) -> None:
    checked(stage.machines.runner(node)(["rm", "-f", path], timeout_s=COMMAND_S))


def _active_all(stage: Stage) -> None:
    power_on_all(stage)
    for node in stage.site.full_nodes():
        with suppress(VimhaError):  # it may not be back yet: healing is repeated until the cluster is well
            stage.standby(node, False)


MEMBER_FAULTS = (
    Fault("member-power-off", "power of a bystander cut",
          "Cuts the power of a node that neither holds the VIP nor gets the writes. Clustered services wait for it "
          "only as long as they need to know that it is gone.",
          "", Expectation(fenced=True), _member_power, watch_s=WATCH_S),
    Fault("member-partition", "bystander cut off on all planes",
          "Separates a node that neither holds the VIP nor gets the writes from all others, while its services run on: "
          "a minority that may not take writes. It must be fenced; nothing may be lost.",
          "", Expectation(fenced=True), _member_partition, watch_s=WATCH_S),
    Fault("quorum-loss", "all nodes but one without power, then back",
          "Cuts the power of all nodes but one, which may do nothing alone, and returns it after 4 s. Measured from "
          "the return of power to the first good answer of everything.",
          "", Expectation(), _quorum_loss, undone_after_s=QUORUM_GAP_S, objective_s=WHOLE_OBJECTIVE_S),
    Fault("site-power-loss-random", "whole site without power, then back in random order",
          "Cuts the power of all nodes at once, and returns it to one after the other in a random order, up to 3 s "
          "apart. Whoever has the newest state must lead, whoever comes first. Measured from the last node's return.",
          "", Expectation(), _random_return, undone_after_s=2.0, staggered=True, objective_s=WHOLE_OBJECTIVE_S),
    Fault("member-state-lost", "bystander loses power and its grastate.dat",
          "Removes the database's state file on a node that neither holds the VIP nor gets the writes, and cuts its "
          "power: it must come back by a full state transfer, and may not disturb the others.",
          "", Expectation(fenced=True), _state_lost, watch_s=WATCH_S),
    Fault("datadir-full", "file system of the writer's datadir full",
          "Fills the file system of the database on the node that gets the writes. Clients are sent to another member "
          "before a write is refused; the member may leave its cluster, and comes back when there is room again. "
          "Nothing is fenced.",
          "", KEPT, _datadir_full, watch_s=FULL_S),
    Fault("rolling-restart", "every node restarted in turn (standby)",
          "Puts one full node after the other in standby and back, the active one last, each when the one before is "
          "whole again. Nothing is fenced.",
          "switchover", KEPT, _rolling_restart),
    Fault("stop-in-transfer", "member stopped while it takes its state from another",
          "Forces a full state transfer on a member of the database and stops it in the middle of it. Its donor must "
          "go on, and nothing is fenced.",
          "", KEPT, _stop_in_transfer, watch_s=WATCH_S),
)  # fmt: skip
"""The faults of this module, for the catalogue."""
