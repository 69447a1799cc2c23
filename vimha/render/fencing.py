"""Fence devices: one per node, on every other node, static and quick.

Invariant: a device fences exactly one node and never runs on it; no password is a parameter; nothing is found out at
fencing time that could be known before (`pcmk_host_check=static-list`: the default, dynamic-list, runs the agent's
`list` on every peer first).

Reboot or off. fence_vimha_redfish verifies off, asks for power-on and returns, so a reboot costs a failover nothing
and the node comes back by itself. The reboot of the other two waits until power-on is read back too, and hangs on it
when the node has lost its supply; they are told to switch off instead, and an operator switches the node on again.

Known limits of those two: fence_redfish takes no file of authorities, so a `ca_file` must be in each node's own trust
store; fence_ipmilan hands the password to ipmitool as an argument, where local users can see it for an instant.
"""

from vimha.render.cib import Level, Location, Op, Primitive
from vimha.site.model import FenceAgent, Node, Site
from vimha.timing.model import Timings

PASSWORD_SCRIPT = "/etc/vimha/bmc-password"  # noqa: S105 (a path)
PATIENCE = 3
"""How many times the planned time to off a device gets: nothing else can fence its node, so giving up early only
makes Pacemaker begin again."""
MONITOR_MS = 120_000
"""How often a device is asked whether it answers: 70 ms of CPU, and work for a BMC, which is slow."""
DEVICE_TIMEOUT_MS = 20_000
"""Pacemaker's own default for one look at a device."""


def device_timeout_s(timings: Timings) -> int:
    """How long a device may take before it counts as failed, in the whole seconds that Pacemaker counts in."""
    return -(-timings.fence_off * PATIENCE // 1000)


def devices(site: Site, timings: Timings) -> tuple[Primitive, ...]:
    """The device of each node that has a BMC."""
    ops = (
        Op("start", DEVICE_TIMEOUT_MS),
        Op("stop", DEVICE_TIMEOUT_MS),
        Op("monitor", DEVICE_TIMEOUT_MS, MONITOR_MS),
    )
    return tuple(
        Primitive(
            f"fence-{name}", f"stonith:{site.fencing.agent}",
            {**_agent(site, node, timings), **_pacemaker(site, name, node, timings)}, ops,
        )
        for name, node in site.nodes.items() if node.bmc
    )  # fmt: skip


def levels(site: Site) -> tuple[Level, ...]:
    """The topology: each node has its own device, and none other is asked."""
    return tuple(Level(f"fence-{name}.level", name, f"fence-{name}") for name, node in site.nodes.items() if node.bmc)


def locations(site: Site) -> tuple[Location, ...]:
    """No node holds its own device: a node that is to be fenced cannot be asked to do it."""
    return tuple(
        Location(f"fence-{name}.elsewhere", f"fence-{name}", name, "-INFINITY")
        for name, node in site.nodes.items() if node.bmc
    )  # fmt: skip


def _pacemaker(site: Site, name: str, node: Node, timings: Timings) -> dict[str, str]:
    timeout = f"{device_timeout_s(timings)}s"
    params = {
        "pcmk_host_list": name,
        "pcmk_host_check": "static-list",
        "pcmk_off_timeout": timeout,
        "pcmk_reboot_timeout": timeout,
    }
    if site.fencing.agent is not FenceAgent.VIMHA_REDFISH:
        params["pcmk_reboot_action"] = "off"
    if node.fencing_delay:
        params["pcmk_delay_base"] = f"{node.fencing_delay // 1000}s"
    return params


def _agent(site: Site, node: Node, timings: Timings) -> dict[str, str]:
    assert node.bmc  # noqa: S101
    params = {"ip": str(node.bmc.address), "username": site.fencing.username}
    if node.bmc.port:
        params["ipport"] = str(node.bmc.port)
    if site.fencing.agent is FenceAgent.IPMILAN:
        # Without a cipher ipmitool asks the BMC for its list first, in every command, and waits 10 s for one that has
        # none to give (ipmi_sim, for one).
        ipmi = {"password_script": PASSWORD_SCRIPT, "lanplus": "1", "cipher": str(node.bmc.cipher), "method": "onoff"}
        return params | ipmi | _polling()
    if node.bmc.system:
        params["systems_uri"] = node.bmc.system
    if site.fencing.agent is FenceAgent.REDFISH:
        tls = {"ssl": "1"} if site.fencing.ca_file else {"ssl": "1", "ssl_insecure": "1"}
        return params | {"password_script": PASSWORD_SCRIPT} | tls | _polling()
    tls = {"ssl_ca": site.fencing.ca_file} if site.fencing.ca_file else {"ssl_insecure": "1"}
    return params | tls | {
        "password_file": site.fencing.password_file,
        "node_addresses": " ".join(str(address) for address in node.addresses.values()),
        "power_timeout": str(device_timeout_s(timings) - 1),
    }  # fmt: skip


def _polling() -> dict[str, str]:
    """fence-agents' own pace, undone: it waits whole seconds between looks, and counts looks as if they were seconds.

    Without a pause between looks each costs what a process and a BMC's answer do (50-100 ms); without a count of
    looks, Pacemaker's timeout is the only limit.
    """
    return {"power_wait": "0", "stonith_status_sleep": "0", "power_timeout": "0"}
