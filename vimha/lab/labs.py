"""A lab: the machines, networks and BMCs of one site on this host, under one name.

Invariant: `Lab.up` returns a formed cluster or leaves nothing behind; labs with different names share nothing but the
image, even where their sites use the same addresses. The site is not applied here: that is vimha.cluster's.
Measured on 2 cores, image cached: three nodes formed in 5-7 s; down in 0.5 s; 260 MB for three nodes without services.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vimha.errors import UsageError, VimhaError
from vimha.files import write_atomic
from vimha.lab import bmc, image, library, nodes, remains
from vimha.lab.bmc import tls
from vimha.lab.cabling import BMCS, CLIENT, SWITCHES, Cabling
from vimha.lab.doors import Door
from vimha.lab.machines import Machines, start_time
from vimha.lab.network import Network
from vimha.lab.power import Power
from vimha.lab.remains import DISKS, STATE
from vimha.process import Result, Runner, spawn
from vimha.render import agents, alarms, render, secrets
from vimha.site.model import FenceAgent, Site
from vimha.timing.solve import solve

FORM_S = 60.0
"""The longest that a cluster may take to form on a loaded host; 5-7 s is usual."""
NEEDED_MB = 300
"""What three nodes write to their disks in an hour of drills is below 100 MB."""
BMC_NICE = -15
"""BMCs are hardware of their own: they do not wait for a busy host. launch.py takes it back for the machines that they
start."""
POST_S = 3.0
"""A machine that its BMC switched on tests itself before it boots. A real one takes a minute; here it must only not
boot on the cores that the survivors need to take over, since the lab's machines share those."""
TOOLS = {"systemd-nspawn": "systemd-container", "nft": "nftables", "ip": "iproute2", "openssl": "openssl",
         "mkfs.ext4": "e2fsprogs"}  # fmt: skip
_POLL_S = 0.1
Progress = Callable[[str], None]
"""Takes a line about what is being done, for a person to read."""


@dataclass(frozen=True)
class NodeState:
    """One machine of a lab."""

    node: str
    power: bool
    addresses: tuple[str, ...]
    active_port: str


class Lab:
    """A lab on this host. `Lab.up` makes one, `Lab.open` finds one."""

    def __init__(self, name: str, site: Site) -> None:
        self.name = name
        self.site = site
        self.folder = STATE / name
        self.disks = DISKS / name
        self.network = Network(Cabling(name, site), self.folder)
        self.machines = Machines(name, self.network, self.disks, self.folder / "machines")

    @classmethod
    def up(
        cls, site: Site, name: str = "lab", progress: Progress = lambda _: None, *, ephemeral: bool = False
    ) -> "Lab":
        """Boot `site` as the lab `name` and wait until its cluster has formed.

        An `ephemeral` lab belongs to this process: when that is gone, the next run removes what it left.
        VimhaError without root, disk or tools, when the name is taken, or when the cluster does not form; nothing of
        the lab is left then, nor after an interrupt.
        """
        remains.check_name(name)
        refuse(site)
        made = image.ensure(progress, clustered=bool(site.stateful))
        layers = (*((library.layer(progress),) if site.alarms else ()), made.path)
        for left in remains.sweep():
            progress(f"removed what was left of lab {left}")
        with remains.locked(name):
            if remains.record(name).exists():
                raise VimhaError(f"lab {name} is up already", f"vimha lab down {name}, or use another --name.")
            lab = cls(name, nodes.staged(site))
            try:
                lab._boot(layers, progress, ephemeral=ephemeral)
            except BaseException:
                remains.teardown(name)
                raise
        return lab

    @classmethod
    def open(cls, name: str) -> "Lab":
        """The lab called `name`; VimhaError when there is none."""
        remains.check_name(name)
        try:
            data = json.loads(remains.record(name).read_text())
        except FileNotFoundError:
            known = ", ".join(remains.names()) or "none is up"
            raise VimhaError(f"no lab {name}", f"vimha lab up SITE --name {name} makes it. Labs: {known}.") from None
        except PermissionError:
            raise VimhaError("labs can only be used by root", "Run it with sudo.") from None
        try:
            return cls(name, Site.model_validate(data["site"]))
        except ValidationError as error:
            message = f"lab {name} was made by another version of vimha: {error.errors()[0]['msg']}"
            raise VimhaError(message, "vimha lab down --all takes it down, with all others.") from error

    def down(self) -> None:
        """Remove the lab with all that it has on this host."""
        with remains.locked(self.name):
            remains.teardown(self.name)

    @property
    def power(self) -> Power:
        """The nodes' power switches."""
        return self.machines

    def power_loss(self, *, bmcs: bool = False) -> None:
        """Cut the power of the whole site at once; with `bmcs`, the standby power of its BMCs too."""
        if bmcs:
            for node in self.site.nodes:
                self.network.feed(node, up=False)
        _all(self.machines.off, self.site.nodes)

    def power_return(self) -> None:
        """Return the power of the whole site: BMCs first, then every node boots. Does not wait."""
        for node in self.site.nodes:
            self.network.feed(node, up=True)
        _all(self.machines.on, self.site.nodes)

    def runner(self, node: str) -> Runner:
        """A `Runner` that runs commands inside `node`, as root; VimhaError at the call when the node is off."""
        self.machines.places(node)

        def inside(
            argv: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "", env: Mapping[str, str] | None = None
        ) -> Result:
            return self.machines.run(node, argv, timeout_s=timeout_s, stdin=stdin, env=env)

        return inside

    def exec(self, node: str, argv: Sequence[str], *, timeout_s: float = 60.0) -> Result:
        """Run one command inside `node`."""
        return self.runner(node)(argv, timeout_s=timeout_s)

    def freeze(self, node: str) -> None:
        """Stop every process of `node` at once; its kernel goes on answering for it."""
        self.machines.freeze(node)

    def thaw(self, node: str) -> None:
        """Let a frozen node run on."""
        self.machines.thaw(node)

    def port(self, node: str, port: str, up: bool) -> None:
        """Pull (`up` False) or restore the cable of a node's port."""
        self.network.port(node, port, up=up)

    def active_port(self, node: str) -> str:
        """The port that carries the bond's traffic on `node` now."""
        return self.network.active_port(node)

    def plane(self, plane: str, up: bool) -> None:
        """Switch a network plane's fabric off (`up` False) or on."""
        self.network.plane(plane, up=up)

    def partition(self, groups: Sequence[Sequence[str]]) -> None:
        """Separate groups of nodes (and `cli`, the client) from each other on all planes."""
        self.network.partition(groups)

    def heal(self) -> None:
        """Undo all port, plane and partition faults."""
        self.network.heal()

    def netns(self, name: str) -> str:
        """The network namespace of a node, of the client (`cli`), the switches (`net`) or the BMCs (`bmc`)."""
        return self.network.cabling.netns(name)

    def alarm_door(self) -> Door:
        """How the site's alarm service is asked, as an operator."""
        token = alarms.token(secrets.corosync_authkey(self.folder), alarms.OPERATOR)
        secure = self.site.alarms is not None and self.site.alarms.certificate
        return Door(alarms.url(self.site), token, str(self.folder / "ca.pem") if secure else "")

    def status(self) -> tuple[NodeState, ...]:
        """Every machine's state."""
        cabling = self.network.cabling
        return tuple(
            NodeState(
                node,
                on := self.machines.is_on(node),
                tuple(str(address.ip) for _, address in cabling.addresses(node)),
                self.active_port(node) if on and self.site.bond else "",
            )
            for node in self.site.nodes
        )

    @cached_property
    def bmc_config(self) -> bmc.BmcConfig:
        """How the lab's BMCs are served."""
        fencing, folder = self.site.fencing, self.folder / "bmc"
        over_ipmi = fencing.agent is FenceAgent.IPMILAN
        endpoints = [
            bmc.Endpoint(
                node,
                str(declared.bmc.address),
                redfish_port=443 if over_ipmi else declared.bmc.port or 443,
                ipmi_port=declared.bmc.port or 623 if over_ipmi else 623,
            )
            for node, declared in self.site.nodes.items()
            if declared.bmc
        ]
        return bmc.BmcConfig(
            folder, tuple(endpoints), fencing.username, self.folder / "bmc.password",
            self.folder / "bmc.pem", self.folder / "bmc.key", self.netns(BMCS), POST_S,
        )  # fmt: skip

    def _boot(self, layers: tuple[Path, ...], progress: Progress, *, ephemeral: bool) -> None:
        began = time.monotonic()

        def tell(what: str) -> None:
            progress(f"lab {self.name}: {time.monotonic() - began:4.1f} s  {what}")

        for folder in (self.folder, self.folder / "machines", self.disks):
            folder.mkdir(parents=True, mode=0o700)
        self._record(ready=False, ephemeral=ephemeral)
        with ThreadPoolExecutor() as pool:
            network = pool.submit(self.network.build)
            self._make_disks(layers)
            network.result()
        tell("disks and networks made")
        _all(self.machines.on, self.site.nodes)
        tell("power on, booting")
        log = self.folder / "bmc.log"
        process = bmc.start(self.name, self.bmc_config, log) if self.bmc_config.endpoints else None
        if process:
            os.setpriority(os.PRIO_PROCESS, process.pid, BMC_NICE)
        if self.site.bond:
            argv = ["ip", "netns", "exec", self.netns(SWITCHES), sys.executable, "-m", "vimha.lab.switch", self.name]
            spawn(argv, log=str(self.folder / "switch.log"))
        if process:
            bmc.wait_ready(self.bmc_config, process, log)
            tell("BMCs answer")
        self.wait_formed()
        self._record(ready=True, ephemeral=ephemeral)
        tell(f"cluster formed, {len(self.site.nodes)} nodes online")

    def wait_formed(self, timeout_s: float = FORM_S) -> None:
        """Return when every node is online by the word of each (peers notice a quick power cycle late); VimhaError
        after `timeout_s`."""
        wanted, end = set(self.site.nodes), time.monotonic() + timeout_s
        while lacking := next((node for node in self.site.nodes if _online(self.runner(node)) != wanted), ""):
            if time.monotonic() > end:
                missing = ", ".join(sorted(wanted - _online(self.runner(lacking))))
                raise VimhaError(f"lab {self.name}: {lacking} still misses {missing} after {timeout_s:g} s")
            time.sleep(_POLL_S)

    def _make_disks(self, layers: tuple[Path, ...]) -> None:
        """Every node's overlay: the image and what is laid over it (`layers`, topmost first), the agents, the node's
        own files; a volume for its database.
        """
        toolkit = self.disks / ".toolkit"
        toolkit.mkdir()
        agents.install(toolkit)
        if self.site.alarms:
            library.install(toolkit)
        write_atomic(self.folder / "bmc.password", bmc.new_password() + "\n", 0o600)
        authority = tls.make_ca(self.folder)
        tls.make_certificate(self.folder, authority, [str(address) for address in self.network.cabling.bmcs.values()])
        timings = solve(self.site)
        rendered = render.render(self.site, timings, secrets.corosync_authkey(self.folder))
        private = {self.site.fencing.password_file: (self.folder / "bmc.password").read_bytes()}
        if self.site.fencing.ca_file:
            private[self.site.fencing.ca_file] = authority.certificate.read_bytes()
        public: dict[str, bytes] = {}
        if self.site.alarms and self.site.alarms.certificate:
            private[self.site.alarms.certificate] = self._alarm_certificate(authority)
            public[self.site.alarms.ca_file] = authority.certificate.read_bytes()
        pairs: dict[str, tls.KeyPair] = {}
        if self.site.encryption:
            (self.folder / "members").mkdir()
            public[self.site.encryption.ca_file] = authority.certificate.read_bytes()
            pairs = {node: self._member_certificate(authority, node) for node in self.site.nodes}
        furniture = nodes.Furniture(self.name, self.site, rendered, private, nodes.seed(timings), public, pairs)

        def make(node: str) -> None:
            nodes.furnish(self.machines.insert_disk(node, (toolkit, *layers)), node, furniture)
            if self.site.database and node in self.site.full_nodes():
                self.machines.insert_volume(node, self.site.database.datadir)

        _all(make, self.site.nodes)

    def _alarm_certificate(self, authority: tls.KeyPair) -> bytes:
        """What haproxy shows the alarm service's clients, with its key."""
        vip = self.site.vips[self.site.vip_of(alarms.ALARMS)]
        names = [*(self.site.address_of(node) for node in self.site.nodes), str(vip.address)]
        made = tls.make_certificate(self.folder, authority, names, "alarms")
        return made.certificate.read_bytes() + made.key.read_bytes()

    def _member_certificate(self, authority: tls.KeyPair, node: str) -> tls.KeyPair:
        """What `node`'s members of clustered services show their peers, and their clients, who connect to the VIPs."""
        names = [self.site.address_of(node), *(str(vip.address) for vip in self.site.vips.values())]
        return tls.make_certificate(self.folder / "members", authority, names, node, member=True)

    def _record(self, *, ready: bool, ephemeral: bool) -> None:
        owner = {"pid": os.getpid(), "start": start_time(os.getpid())} if ephemeral else None
        data: dict[str, Any] = {"ready": ready, "owner": owner, "site": self.site.model_dump(mode="json")}
        write_atomic(remains.record(self.name), json.dumps(data), 0o600)


def refuse(site: Site) -> None:
    """VimhaError or UsageError when this host, or `site`, cannot be a lab, before anything is made."""
    if os.geteuid() != 0:
        raise VimhaError("a lab can only be made by root", "Run it with sudo.")
    if taken := {CLIENT, SWITCHES, BMCS} & set(site.nodes):
        raise UsageError(f"in a lab no node can be called {', '.join(sorted(taken))}", "Rename it in the site.")
    for tool, package in TOOLS.items():
        if shutil.which(tool) is None:
            raise VimhaError(f"{tool} is not installed", f"apt install {package}")
    place = next(path for path in (DISKS, *DISKS.parents) if path.exists())
    free = shutil.disk_usage(place).free // 10**6
    if free < NEEDED_MB:
        raise VimhaError(f"{place} has {free} MB left; a lab needs {NEEDED_MB} MB", "Free some space.")


def _online(runner: Runner) -> set[str]:
    """The nodes that are online in a cluster with a DC, as one of them sees it; nobody while it cannot tell."""
    from lxml import etree

    try:
        shown = runner(["crm_mon", "--one-shot", "--output-as=xml"], timeout_s=5)
    except VimhaError:
        return set()
    if not shown.ok:
        return set()
    tree = etree.fromstring(shown.out.encode(), etree.XMLParser(resolve_entities=False))
    if tree.find("summary/current_dc[@present='true']") is None:
        return set()
    return {node.get("name", "") for node in tree.iterfind("nodes/node[@online='true'][@pending='false']")}


def _all(work: Callable[[str], object], names: Sequence[str] | Mapping[str, object]) -> None:
    """Do `work` for every name at once; the first failure is raised after all have ended."""
    with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
        for done in [pool.submit(work, name) for name in names]:
            done.result()
