"""Traps in corosync.conf.

Invariant: the timings judged are those that corosync runs with, coefficient and defaults included; every place is a
line of the file.
"""

from collections.abc import Iterator

from vimha.cluster import durations, rules
from vimha.cluster.cib import Cib
from vimha.cluster.corosync_conf import Conf, Section
from vimha.findings import Finding, Severity
from vimha.timing import formulas

TOKEN, COEFFICIENT = 3000, 650
"""corosync 3's defaults, in milliseconds (corosync.conf(5))."""
SYNC_TIMEOUT = 30_000
"""The quorum device's default sync_timeout, in milliseconds (corosync-qdevice(8))."""
NUMBERS = {
    "totem": ("token", "token_coefficient", "consensus", "join", "token_retransmits_before_loss_const"),
    "quorum": ("expected_votes", "two_node", "wait_for_all"),
}
"""Keys that take a number, by section."""


class Judged:
    """A corosync.conf with what corosync makes of it. `where` is the file's name in findings."""

    def __init__(self, conf: Conf, where: str) -> None:
        self.conf, self.where = conf, where
        self.totem, self.quorum = conf.root.merged("totem"), conf.root.merged("quorum")
        self.nodes = list(conf.root.all("nodelist", "node"))
        self.device = self.quorum.merged("device")

    @property
    def token(self) -> int:
        """The token timeout in effect, in milliseconds."""
        coefficient = self.totem.number("token_coefficient", COEFFICIENT)
        return formulas.token_effective(self.totem.number("token", TOKEN), coefficient, len(self.nodes))

    @property
    def consensus(self) -> int:
        """The consensus timeout in effect, in milliseconds."""
        return self.totem.number("consensus", formulas.consensus_default(self.token))

    @property
    def detection(self) -> int:
        """How long a node's loss stays unseen, in milliseconds."""
        return self.token + self.consensus

    def at(self, section: Section, key: str = "") -> str:
        """The place of `key` in `section`: its line, the section's, or the file."""
        line = section.line_of(key) if key else section.line
        return f"{self.where}:{line}" if line else self.where


def check(judged: Judged, cib: Cib | None, objective_ms: int | None) -> Iterator[Finding]:
    """Every trap in a corosync.conf, and where it contradicts `cib`. `objective_ms` None: timings are judged
    elsewhere, against a whole budget.
    """
    for problem in judged.conf.problems:
        yield rules.BAD_LINE.finding(f"{judged.where}:{problem.line}", problem.message)
    yield from _numbers(judged)
    yield from _timings(judged, objective_ms)
    yield from _transport(judged)
    yield from _votes(judged, objective_ms)
    scheduling = judged.conf.root.merged("system")
    if scheduling.get("sched_rr") in ("no", "off"):
        yield rules.NOT_REALTIME.finding(judged.at(scheduling, "sched_rr"), "sched_rr is off")
    if cib is not None:
        yield from _against(judged, cib)


def _numbers(judged: Judged) -> Iterator[Finding]:
    for section in (judged.totem, judged.quorum):
        for key in NUMBERS[section.name]:
            text = section.get(key, "0")
            if not (text.isascii() and text.isdecimal()) or len(text) > 9:
                yield rules.NOT_A_NUMBER.finding(judged.at(section, key), f"{key}: `{text[:20]}`")


def _timings(judged: Judged, objective_ms: int | None) -> Iterator[Finding]:
    totem, token, nodes = judged.totem, judged.token, len(judged.nodes)
    lowest = -(-token * 12 // 10)
    if nodes > 2 and totem.find("token") and not totem.find("token_coefficient"):
        yield rules.COEFFICIENT.finding(
            judged.at(totem, "token"), f"token {totem.get('token')} is {token} ms in effect, with {nodes} nodes"
        )
    if nodes > 2 and judged.consensus < lowest:
        place = judged.at(totem, "consensus")
        yield rules.CONSENSUS.finding(place, f"consensus {judged.consensus} with a token of {token}: at least {lowest}")
    if token < formulas.LOWEST_TOKEN:
        yield rules.TOKEN_FLOOR.finding(judged.at(totem, "token"), f"token {token}")
    if totem.get("transport", "knet") == "knet":
        yield from _links(judged)
    if objective_ms is not None and judged.detection * 2 > objective_ms:
        over = judged.detection > objective_ms
        yield rules.SLOW_TOKEN.finding(
            judged.at(totem, "token"),
            f"token {token} + consensus {judged.consensus} = {judged.detection} ms before anything happens;"
            f" the objective is {durations.show(objective_ms)}",
            severity=Severity.ERROR if over else Severity.WARNING,
        )


def _links(judged: Judged) -> Iterator[Finding]:
    """knet's judgement of its links: by the token, where nothing else is set; with no `interface` all are alike."""
    token, totem = judged.token, judged.totem
    automatic = formulas.knet_timeout_default(token)
    for link in list(totem.all("interface")) or [totem]:
        timeout = link.number("knet_ping_timeout", automatic)
        ping = link.number("knet_ping_interval", automatic // 2)
        place = judged.at(link, "knet_ping_timeout")
        if timeout >= token and totem.get("link_mode", "passive") != "active":
            yield rules.LINK_TIMEOUT.finding(place, f"knet_ping_timeout {timeout}, token {token}, link_mode passive")
        if formulas.knet_flaps(ping, timeout):
            yield rules.LINK_FLAPS.finding(place, f"knet_ping_timeout {timeout}, knet_ping_interval {ping}")


def _transport(judged: Judged) -> Iterator[Finding]:
    totem = judged.totem
    if totem.get("transport", "knet") in ("udp", "udpu"):
        yield rules.OLD_TRANSPORT.finding(judged.at(totem, "transport"), f"transport {totem.get('transport')}")
        return
    if not judged.nodes and len(list(totem.all("interface"))) < 2:
        yield rules.ONE_LINK.finding(judged.at(totem), "no nodelist with a second address")
    for node in judged.nodes:
        if sum(bool(node.get(f"ring{link}_addr")) for link in range(8)) < 2:
            yield rules.ONE_LINK.finding(judged.at(node), f"node {node.get('name') or node.get('nodeid')} has one link")
    secure = totem.get("secauth") in ("on", "yes")
    cipher = totem.get("crypto_cipher", "aes256" if secure else "none")
    digest = totem.get("crypto_hash", "sha256" if secure else "none")
    if cipher == "none":
        yield rules.NO_CRYPTO.finding(
            judged.at(totem, "crypto_cipher"),
            "no encryption" if digest != "none" else "no encryption and no authentication",
            severity=Severity.WARNING if digest != "none" else Severity.ERROR,
        )


def _votes(judged: Judged, objective_ms: int | None) -> Iterator[Finding]:
    quorum, has_device = judged.quorum, judged.device.line > 0
    if len(judged.nodes) == 2 and not has_device and quorum.get("two_node") != "1":
        yield rules.TWO_NODES.finding(judged.at(quorum), "two nodes without two_node, quorum device or third vote")
    votes = sum(node.number("quorum_votes", 1) for node in judged.nodes)
    expected = quorum.number("expected_votes", votes)
    if judged.nodes and not has_device and expected != votes:
        place = judged.at(quorum, "expected_votes")
        yield rules.VOTES.finding(place, f"expected_votes {expected}, the node list has {votes}")
    wait = judged.device.number("sync_timeout", SYNC_TIMEOUT)
    if has_device and objective_ms is not None and wait > objective_ms:
        yield rules.QDEVICE_SLOW.finding(
            judged.at(judged.device, "sync_timeout"),
            f"sync_timeout is {durations.show(wait)}, the objective {durations.show(objective_ms)}",
        )


def _against(judged: Judged, cib: Cib) -> Iterator[Finding]:
    names = [node.get("name") for node in judged.nodes]
    if all(names) and names and cib.nodes and set(names) != set(cib.nodes):
        only = sorted(set(names) ^ set(cib.nodes))
        place = judged.at(judged.conf.root.merged("nodelist"))
        yield rules.OTHER_NODES.finding(place, f"only in one of corosync.conf and the CIB: {', '.join(only)}")
    watchdog = durations.interval_ms(cib.properties.get("stonith-watchdog-timeout"))
    shared = any(each.agent in ("stonith:fence_sbd", "stonith:external/sbd") for each in cib.primitives.values())
    if judged.device.line and watchdog and not shared:
        yield rules.QDEVICE_SBD.finding(judged.at(judged.device), "with stonith-watchdog-timeout set in the CIB")
