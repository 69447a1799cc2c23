"""What a running cluster has now: its CIB with the version that was read, and corosync's timings in effect.

Invariant: reading changes nothing. The version (admin_epoch, epoch) belongs to the configuration that was read with
it: Pacemaker counts it up with every change of the configuration, and `apply` changes only what it has read.
"""

import re
from dataclasses import dataclass

from lxml import etree

from vimha.cluster.document import parse_cib
from vimha.errors import ProcessError, VimhaError
from vimha.process import Runner, checked

ANSWER_S = 30.0
"""Pacemaker's tools answer in milliseconds, or wait for a DC that is being elected."""
_TOTEM = re.compile(r"^runtime\.config\.totem\.(token|consensus) \(u32\) = (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Version:
    """A configuration's version; Pacemaker compares both numbers, in this order."""

    admin_epoch: int
    epoch: int

    def __str__(self) -> str:
        return f"{self.admin_epoch}.{self.epoch}"


@dataclass(frozen=True)
class Totem:
    """corosync's timings in effect, in milliseconds: the token includes its coefficient."""

    token: int
    consensus: int


@dataclass(frozen=True)
class Live:
    """A running cluster's whole CIB as it was read (`cib`), and corosync's timings where they can be read."""

    cib: bytes
    totem: Totem | None

    @property
    def tree(self) -> etree._Element:
        """The CIB's root, parsed anew: the caller may change it."""
        return parse_cib(self.cib, "the live CIB")

    @property
    def version(self) -> Version:
        """The version of the configuration that was read."""
        return version(self.tree)


def version(root: etree._Element) -> Version:
    """The version that a CIB's root element carries."""
    return Version(int(root.get("admin_epoch", "0")), int(root.get("epoch", "0")))


def read(runner: Runner) -> Live:
    """The cluster that `runner`'s node belongs to; VimhaError when Pacemaker does not run there."""
    return Live(read_cib(runner).encode(), read_totem(runner))


def read_cib(runner: Runner) -> str:
    """The whole CIB, status included, as the DC has it."""
    try:
        return checked(runner(["cibadmin", "--query"], timeout_s=ANSWER_S)).out
    except ProcessError as error:
        raise VimhaError(
            f"no cluster answers here: {error.message}",
            "Run this as root or hacluster on a node where Pacemaker runs, or name a lab with --lab.",
        ) from error


def read_totem(runner: Runner) -> Totem | None:
    """corosync's timings in effect; None where they cannot be read (only root may)."""
    try:
        answer = runner(["corosync-cmapctl", "runtime.config.totem."], timeout_s=ANSWER_S)
    except ProcessError:
        return None
    found = {name: int(value) for name, value in _TOTEM.findall(answer.out)}
    return Totem(found["token"], found["consensus"]) if len(found) == 2 else None
