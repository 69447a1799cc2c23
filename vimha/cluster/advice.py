"""What agents' authors advise: the timeouts in the metadata of the agents that are installed here.

Invariant: an agent is run only for its metadata, through crm_resource, and only when its name is a plain one: a name
from a foreign file must not lead out of the agents' folders.
"""

import os
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from lxml import etree

from vimha.cluster import durations, rules
from vimha.cluster.cib import Cib, Primitive
from vimha.cluster.traps_operations import listed
from vimha.errors import ProcessError
from vimha.findings import Finding, Severity
from vimha.process import Runner

MOST = 40
"""How many agents are asked; each costs a process or two, some 20 ms."""
TIMEOUT_S = 5.0
PLAIN = re.compile(r"ocf:[A-Za-z0-9_-][A-Za-z0-9_.-]*:[A-Za-z0-9_-][A-Za-z0-9_.-]*")
COSTLY = ("start", "stop", "promote", "demote")
"""Actions whose time-out costs more than a repeat: a ban from the node, or the node itself."""

Advice = dict[str, int]
"""An action's name -> the advised timeout, in milliseconds."""


def check(cib: Cib, run: Runner) -> list[Finding]:
    """Where `cib` gives an operation less time than its agent's metadata advises."""
    agents = sorted({each.agent for each in cib.primitives.values() if each.agent.startswith("ocf:")})
    advised = ask(agents[:MOST], run)
    found = [finding for each in cib.primitives.values() for finding in _judge(each, advised.get(each.agent))]
    unknown = [agent for agent in agents if advised.get(agent) is None]
    if unknown:
        found.append(rules.NO_METADATA.finding("resources", f"no metadata of {listed(unknown)}"))
    return found


def ask(agents: Iterable[str], run: Runner) -> dict[str, Advice | None]:
    """Each agent's advice; None for one that is not installed here, or tells nothing that can be read."""
    names = list(agents)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(names, pool.map(lambda name: _ask(name, run), names), strict=True))


def _ask(agent: str, run: Runner) -> Advice | None:
    if not PLAIN.fullmatch(agent):
        return None
    try:
        done = run(["crm_resource", "--show-metadata", agent], timeout_s=TIMEOUT_S)
        root = etree.fromstring(done.out.encode(), etree.XMLParser(resolve_entities=False, no_network=True))
    except (ProcessError, etree.XMLSyntaxError):
        return None
    return {
        each.get("name", ""): durations.timeout_ms(each.get("timeout"))
        for each in root.iterfind("actions/action") if each.get("timeout")
    }  # fmt: skip


def _judge(primitive: Primitive, advised: Advice | None) -> Iterator[Finding]:
    for name, least in (advised or {}).items():
        given = primitive.timeout_ms(name)
        operation = primitive.operation(name)
        if 0 < given < least and (operation or name in ("start", "stop")) and name in (*COSTLY, "monitor"):
            where = operation.id if operation else primitive.id
            yield rules.ADVICE.finding(
                where,
                f"{name} of {primitive.id} may take {durations.show(given)}, {primitive.agent} advises"
                f" {durations.show(least)}",
                severity=Severity.WARNING if name in COSTLY else Severity.INFO,
            )
