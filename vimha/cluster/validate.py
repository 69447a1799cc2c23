"""Everything that can be said about a site, or about a foreign cluster, before a fault says it.

Invariant: all findings at once, and never a finding that only follows from another: what an earlier room calls an
error is not judged again further on. What could not be checked is a finding too.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from vimha.cluster import advice, policy, rules, rules_policy, traps
from vimha.cluster.cib import Cib
from vimha.cluster.corosync_conf import Conf, parse
from vimha.cluster.document import MAX_CIB, MAX_COROSYNC, parse_cib, read_bytes
from vimha.cluster.live import read_cib
from vimha.errors import ProcessError
from vimha.findings import Finding, errors
from vimha.process import PATH, Runner, run
from vimha.render.render import render
from vimha.render.schema import check_schema
from vimha.site.loading import load
from vimha.site.model import Role, Scale, Site
from vimha.timing import rules as timing_rules
from vimha.timing.budget import budget
from vimha.timing.model import Timings
from vimha.timing.solve import solve

COROSYNC_CONF = "/etc/corosync/corosync.conf"
READ_S = 10.0

Installed = Callable[[], bool]


def has_simulator() -> bool:
    """Whether Pacemaker's scheduler can be asked on this machine."""
    return shutil.which("crm_simulate", path=PATH) is not None


def validate_site(path: Path, *, runner: Runner = run, installed: Installed = has_simulator) -> list[Finding]:
    """Every finding about the site.yaml at `path`: the file, its timings, what is rendered from it, and what Pacemaker
    would do with that. UsageError when the file cannot be read.
    """
    loaded = load(path)
    if loaded.site is None:
        return loaded.findings
    site, timings = loaded.site, solve(loaded.site)
    found = [*loaded.findings, *loaded.place(timing_rules.check(site, timings, budget(site, timings)))]
    return found if errors(found) else [*found, *check_rendered(site, timings, runner, installed)]


def check_rendered(
    site: Site, timings: Timings, runner: Runner = run, installed: Installed = has_simulator
) -> list[Finding]:
    """Every finding about what `site` renders to; a good site has none."""
    rendered = render(site, timings, b"")
    found = check_schema(rendered.cib.content)
    if errors(found):
        return found
    cib = Cib(parse_cib(rendered.cib.content, "cib.xml"))
    artefacts = next(iter(rendered.nodes.values()))
    conf = next(parse(each.content.decode()) for each in artefacts if each.path == COROSYNC_CONF)
    found += traps.check(cib, conf, objective_ms=site.objective, budgeted=True)
    expected = policy.Expected(
        frozenset(name for name, node in site.nodes.items() if node.role is Role.ARBITER),
        spread=site.scale is Scale.LARGE,
        over=site.vip_nodes(),
    )
    return [*found, *_policy(cib, found, runner, installed, expected)]


def validate_files(
    cib_path: Path | None,
    corosync_path: Path | None,
    *,
    runner: Runner = run,
    installed: Installed = has_simulator,
) -> list[Finding]:
    """Every finding about a foreign CIB, corosync.conf, or both; UsageError when one cannot be read."""
    content = read_bytes(cib_path, MAX_CIB) if cib_path else None
    conf = parse(read_bytes(corosync_path, MAX_COROSYNC).decode(errors="replace")) if corosync_path else None
    if content is None:
        return traps.check(None, conf, where=str(corosync_path))
    cib = Cib(parse_cib(content, str(cib_path)))
    found = check_schema(content, str(cib_path))
    return [*found, *_foreign(cib, conf, str(corosync_path), runner, installed, broken=bool(errors(found)))]


def validate_live(
    node: Runner, corosync_path: Path | None = None, *, runner: Runner = run, installed: Installed = has_simulator
) -> list[Finding]:
    """Every finding about the cluster that `node` is in: its CIB, and corosync.conf as that node has it unless
    `corosync_path` names another. VimhaError when no cluster answers there.
    """
    content = read_cib(node).encode()
    if corosync_path:
        text, where = read_bytes(corosync_path, MAX_COROSYNC).decode(errors="replace"), str(corosync_path)
    else:
        answer = node(["cat", COROSYNC_CONF], timeout_s=READ_S)
        text, where = answer.out if answer.ok else "", COROSYNC_CONF
    cib = Cib(parse_cib(content, "the live CIB"))
    return _foreign(cib, parse(text) if text else None, where, runner, installed)


def _foreign(
    cib: Cib, conf: Conf | None, where: str, runner: Runner, installed: Installed, *, broken: bool = False
) -> list[Finding]:
    """Every finding about a cluster that vimha did not render; `broken`: its CIB is not valid."""
    found = traps.check(cib, conf, where=where)
    if conf is None:
        found.append(rules.NO_COROSYNC.finding(COROSYNC_CONF, "it was not given, or cannot be read"))
    if broken:
        reason = "the CIB breaks Pacemaker's schema"
        return [*found, rules_policy.NOT_SIMULATED.finding("cib", reason, remedy="Correct what breaks it first.")]
    if installed():
        found += advice.check(cib, runner)
    return [*found, *_policy(cib, found, runner, installed)]


def _policy(
    cib: Cib, told: list[Finding], runner: Runner, installed: Installed, expected: policy.Expected = policy.FOREIGN
) -> list[Finding]:
    """What the scheduler says, without what was `told` already: monitors that do not run for their interval's sake."""
    if not installed():
        return [rules_policy.NOT_SIMULATED.finding("crm_simulate", "Pacemaker's tools are not installed here")]
    try:
        found = policy.check(cib, runner, int(time.time()), expected)
    except ProcessError as error:
        return [rules_policy.REFUSED.finding("crm_simulate", error.message)]
    known = {each.where for each in told if each.code in (rules.INTERVAL.code, rules.SAME_INTERVAL.code)}
    explained = {
        operation.id for each in cib.primitives.values() for operation in each.operations
        if known.intersection(other.id for other in each.operations)
    }  # fmt: skip
    monitor = rules_policy.NO_SCHEDULED_MONITOR.code
    return [each for each in found if each.code != monitor or each.where not in explained]
