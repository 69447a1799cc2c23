"""The catalogue of faults: what each does, how it is undone, which class of the budget it is, what it must lead to."""

from collections.abc import Callable
from contextlib import suppress

from vimha.drill.injection import FAILED, GONE, KEPT, RETURN_OBJECTIVE_S, Fault, Injection, power_on_all
from vimha.drill.member_faults import MEMBER_FAULTS
from vimha.drill.stage import Roles, Stage
from vimha.drill.verdict import Expectation
from vimha.errors import VimhaError
from vimha.process import checked
from vimha.site.model import Site

POWER_GAP_S = 2.0
"""How long the whole site stays dark in site-power-loss: longer than any token, so that every node has lost all."""
STOPPED_S = 10.0
HAPROXY = "haproxy"
CLUSTERED = {
    "database": "^/usr/sbin/mariadbd ",
    "messaging": r"^/usr/lib/erlang/[^ ]+/beam\.smp .* -s rabbit boot",
}
"""The daemons of clustered services; rabbitmqctl is an Erlang VM too, but does not boot a broker."""


def _power_off(stage: Stage, roles: Roles, service: str) -> Injection:
    del service
    return Injection(roles.active, lambda: stage.machines.power.off(roles.active), lambda: power_on_all(stage))


def _freeze(stage: Stage, roles: Roles, service: str) -> Injection:
    del service

    def heal() -> None:
        with suppress(VimhaError):  # a fenced machine is gone, and its freezer with it
            stage.machines.thaw(roles.active)
        power_on_all(stage)

    return Injection(roles.active, lambda: stage.machines.freeze(roles.active), heal)


def daemons(site: Site, service: str) -> str:
    """The pattern of `service`'s command lines for pgrep(1) -f: its daemon's own, never those of the agent, whose
    process goes by the same name while it looks at the daemon. VimhaError when the site has no such service.
    """
    if service == HAPROXY:
        return "^/usr/sbin/haproxy "
    if service in CLUSTERED and service in site.stateful:
        return CLUSTERED[service]
    if service == "alarms" and site.alarms:
        return "^/opt/vimha/bin/python[^ ]* .*/opt/vimha/bin/vimha alarms serve"
    if service in site.services:
        return f"^/usr/bin/python3 /usr/bin/{site.services[service].kind} .*/etc/vimha/{service}\\.conf"
    raise VimhaError(
        f"the site has no service {service}", f"There are {', '.join((HAPROXY, *site.services, *site.fronted))}."
    )


def _signal(signal: str) -> Callable[[Stage, Roles, str], Injection]:
    def prepare(stage: Stage, roles: Roles, service: str) -> Injection:
        runner = stage.machines.runner(roles.active)
        pattern = daemons(stage.site, service)
        if not runner(["pgrep", "-f", pattern], timeout_s=STOPPED_S).out:
            raise VimhaError(f"no process of {service} runs on {roles.active}", "See vimha status.")

        def inject() -> None:
            checked(runner(["pkill", f"-{signal}", "-f", pattern], timeout_s=STOPPED_S))

        def heal() -> None:
            power_on_all(stage)
            runner(["pkill", "-CONT", "-f", pattern], timeout_s=STOPPED_S)

        return Injection(roles.active, inject, heal)

    return prepare


def _port_down(stage: Stage, roles: Roles, service: str) -> Injection:
    del service
    port = active_port(stage, roles.active)
    return Injection(
        roles.active,
        lambda: stage.machines.port(roles.active, port, False),
        lambda: stage.machines.port(roles.active, port, True),
    )


def active_port(stage: Stage, node: str) -> str:
    """The port of `node` that carries the first VIP's traffic: the bond's active leg, or the plane's own port."""
    site = stage.site
    return stage.machines.active_port(node) if site.bond else site.interface(node, site.plane_of(stage.vip))


def _plane_down(stage: Stage, roles: Roles, service: str) -> Injection:
    del service
    plane = stage.site.plane_of(stage.vip)
    return Injection(
        roles.active, lambda: stage.machines.plane(plane, False), lambda: stage.machines.plane(plane, True)
    )


def _partition(stage: Stage, roles: Roles, service: str) -> Injection:
    del service
    others = [node for node in stage.nodes() if node != roles.active]

    def heal() -> None:
        stage.machines.heal()
        power_on_all(stage)

    return Injection(roles.active, lambda: stage.machines.partition([[roles.active], others]), heal)


def _switchover(stage: Stage, roles: Roles, service: str) -> Injection:
    del service
    return Injection(
        roles.active, lambda: stage.standby(roles.active, True), lambda: stage.standby(roles.active, False)
    )


def _site_power(stage: Stage, roles: Roles, service: str) -> Injection:
    del service

    def inject() -> None:
        for node in stage.nodes():
            stage.machines.power.off(node)

    return Injection(roles.active, inject, lambda: power_on_all(stage))


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("node-power-off", "power of the active node cut",
              "Cuts the power of the node that holds the first VIP, as sudden as a pulled plug. --dc and --not-dc "
              "choose whether it is also the DC. It must be fenced, and its services must move.",
              "node-power-loss", GONE, _power_off, dc_class="node-power-loss-dc"),
        Fault("node-freeze", "active node frozen",
              "Freezes every process of the active node while its kernel still answers ARP and TCP. It must be fenced "
              "before its VIP starts elsewhere, and may never serve again unfenced.",
              "node-freeze", GONE, _freeze),
        Fault("service-kill", "service killed (SIGKILL)",
              "Kills all processes of a service on the active node (haproxy unless --service names another).",
              "process-crash", FAILED, _signal("KILL")),
        Fault("service-freeze", "service frozen (SIGSTOP)",
              "Stops all processes of a service on the active node: connections are still accepted, nothing answers.",
              "process-hang", FAILED, _signal("STOP")),
        Fault("port-down", "active leg of the active node down",
              "Takes the carrier from the port that carries the VIP's traffic. The bond, or the VIP, must move; no "
              "node may be fenced for it.",
              "port-loss", Expectation(fenced=False, alarm="control.ports."), _port_down),
        Fault("plane-down", "first network plane down",
              "Takes a whole switch fabric away, for all nodes at once. No node may be fenced for it.",
              "plane-loss", KEPT, _plane_down),
        Fault("partition", "active node cut off on all planes",
              "Separates the active node from all others and from the client on every plane, while its services run "
              "on. It must be fenced before its VIP starts elsewhere.",
              "partition", GONE, _partition),
        Fault("switchover", "planned switchover (standby)",
              "Puts the active node in standby, as before maintenance. Nothing is fenced.",
              "switchover", Expectation(fenced=False, moved=True), _switchover),
        Fault("site-power-loss", "whole site without power, then back",
              "Cuts the power of all nodes at once and returns it after 2 s. Measured from the return of power to the "
              "first good answer, against an objective of its own.",
              "", Expectation(), _site_power, undone_after_s=POWER_GAP_S, objective_s=RETURN_OBJECTIVE_S),
        *MEMBER_FAULTS,
    )
}  # fmt: skip
"""Every fault that a drill can inject, by name."""
