"""A5: N active members of a service, and N nodes with VIPs, on N+M nodes, by Pacemaker's own scheduler.

Every single node is lost, and every two, at once and one after the other. The scheduler is asked as if the survivors
had quorum, which two of five lost leave, and two of three do not.
"""

from collections import Counter
from functools import cache
from itertools import combinations, permutations
from random import Random

import pytest
from lxml import etree
from pacemaker import needs_pacemaker
from render_sites import example, ids, made, params, text, tree

from vimha.cluster import policy, simulate, whatif
from vimha.cluster.cib import Cib, Element
from vimha.cluster.document import parse_cib
from vimha.cluster.simulate import Transition
from vimha.process import run
from vimha.render.clustered import CALLED
from vimha.render.node import balanced
from vimha.render.schema import check_schema
from vimha.site.loading import parse
from vimha.site.model import Site

NOW = 1_800_000_000
Placement = dict[str, frozenset[str]]


@cache
def site(full: int, active: int, vips: int, scale: str = "large") -> Site:
    """`active` of `full` nodes work, for each service, the clustered ones too, and, in large, for the VIPs."""
    spares = f"{{active: {active}, spare: {full - active}}}"
    nodes = "".join(
        f"  c{n}: {{addresses: [10.77.1.{10 + n}, 10.77.2.{10 + n}], bmc: 10.77.9.{10 + n}}}\n"
        for n in range(1, full + 1)
    )
    loaded = parse(
        f"site: t\nscale: {scale}\nnodes:\n{nodes}"
        f"vips: {{{', '.join(f'v{n}: 10.77.1.{100 + n}' for n in range(vips))}}}\n"
        f"services: {{{', '.join(f's{n}: {{port: {9000 + n}, policy: {spares}}}' for n in range(vips))}}}\n"
        f"database: {{policy: {spares}}}\nmessaging: {{policy: {spares}}}\n"
        f"{f'vip_policy: {spares}' if scale == 'large' else ''}\n".encode(),
        "f",
    )
    assert loaded.site, loaded.findings
    return loaded.site


def formed(of: Site) -> policy.Formed:
    return started(made(of).cib.content)


@cache
def started(content: bytes) -> policy.Formed:
    return policy.form(Cib(parse_cib(content, "cib.xml")), run, NOW)


def members(of: Site, placement: Placement) -> dict[str, frozenset[str]]:
    """Where the instances are of what has spares."""
    return {name: placement[name] for name in (*of.services, *of.stateful)}


def held(of: Site, placement: Placement) -> dict[str, str]:
    """The one node of each VIP."""
    found = {}
    for name in of.vips:
        (found[name],) = placement[f"vip-{name}"]
    return found


def hurt(transition: Transition, lost: tuple[str, ...]) -> list[str]:
    """What is interrupted on nodes that are well."""
    return [each.resource for each in transition.actions if each.interrupts not in ("", *lost)]


def lose(root: Element, *nodes: str) -> tuple[Element, Transition]:
    """The CIB after these nodes have vanished at once, were fenced, and all has been done about it."""
    for node in nodes:
        root = whatif.without_node(root, node)
    transition = simulate.schedule(root, run, tasks=True)
    root = whatif.done(root, transition, NOW)
    for node in nodes:
        root = whatif.fenced(root, node)
    assert set(transition.fenced) == set(nodes)
    return root, transition


def give_back(of: Site, root: Element, node: str) -> tuple[Element, Transition]:
    root = whatif.returned(root, node, formed(of).attributes[node])
    transition = simulate.schedule(root, run, tasks=True)
    return whatif.done(root, transition, NOW), transition


def judge(of: Site, before: Placement, transition: Transition, lost: tuple[str, ...]) -> None:
    """What must be so when a transition after losses is done; `lost`: all nodes that are away."""
    assert hurt(transition, lost) == []
    left = set(of.nodes) - set(lost)
    after = transition.placement
    for name, nodes in members(of, after).items():
        assert len(nodes) == min(of.instances_of(name), len(left)) and nodes <= left, name
        assert nodes >= before[name] & left, name
    was, now = held(of, before), held(of, after)
    assert set(now.values()) <= left
    assert all(now[vip] == node for vip, node in was.items() if node in left)
    counts = Counter(now.values())
    least = min(counts[node] for node in left)
    assert all(counts[now[vip]] <= least + 1 for vip in now if now[vip] != was[vip]), counts
    if len(of.vips) <= len(left):
        assert len(of.vips) > of.vip_nodes() or max(counts.values()) == 1


SITES = [(5, 3, 3), (5, 3, 6), (5, 2, 3), (3, 2, 2), (3, 2, 3)]


@needs_pacemaker
@pytest.mark.parametrize("shape", SITES, ids=str)
def test_n_members_start_and_the_vips_are_on_n_nodes(shape: tuple[int, int, int]) -> None:
    of = site(*shape)
    placement = formed(of).placement
    assert {name: len(nodes) for name, nodes in members(of, placement).items()} == dict.fromkeys(
        (*of.services, *of.stateful), of.vip_nodes()
    )
    counts = Counter(held(of, placement).values())
    assert len(counts) == min(of.vip_nodes(), len(of.vips)) and max(counts.values()) - min(counts.values()) <= 1
    assert placement["haproxy"] == placement["health"] == set(of.nodes)
    assert simulate.schedule(formed(of).root, run).actions == ()


@needs_pacemaker
@pytest.mark.parametrize("shape", SITES, ids=str)
def test_spares_take_over_for_any_node_and_any_two_one_after_the_other(shape: tuple[int, int, int]) -> None:
    of = site(*shape)
    for first in of.nodes:
        root, transition = lose(formed(of).root, first)
        judge(of, formed(of).placement, transition, (first,))
        for second in set(of.nodes) - {first}:
            _, further = lose(root, second)
            judge(of, transition.placement, further, (first, second))


@needs_pacemaker
@pytest.mark.parametrize("shape", SITES, ids=str)
def test_spares_take_over_for_any_two_nodes_at_once(shape: tuple[int, int, int]) -> None:
    of = site(*shape)
    for lost in combinations(of.nodes, 2):
        _, transition = lose(formed(of).root, *lost)
        judge(of, formed(of).placement, transition, lost)


@needs_pacemaker
@pytest.mark.parametrize("shape", SITES, ids=str)
def test_a_node_that_returns_is_a_spare_and_nothing_moves(shape: tuple[int, int, int]) -> None:
    of = site(*shape)
    for first, second in permutations(list(of.nodes)[:3], 2):
        root, _ = lose(formed(of).root, first)
        root, transition = lose(root, second)
        for node in (first, second):
            before = transition.placement
            root, transition = give_back(of, root, node)
            assert hurt(transition, ()) == []
            assert held(of, transition.placement) == held(of, before)
            for name, nodes in members(of, before).items():
                full = len(nodes) == of.instances_of(name)
                assert transition.placement[name] == nodes if full else transition.placement[name] > nodes


@needs_pacemaker
@pytest.mark.parametrize("seed", range(3))
def test_spares_take_over_after_many_losses_and_returns(seed: int) -> None:
    """With no more VIPs than nodes to hold them there are never two on one node while another is free."""
    of, random = site(5, 3, 3), Random(seed)  # noqa: S311 (no secret)
    root, placement, away = formed(of).root, formed(of).placement, list[str]()
    for _ in range(12):
        if away and (len(away) == 2 or random.random() < 0.5):
            root, transition = give_back(of, root, away.pop(0))
        else:
            away.append(random.choice(sorted(set(of.nodes) - set(away))))
            root, transition = lose(root, away[-1])
        judge(of, placement, transition, tuple(away))
        placement = transition.placement


@needs_pacemaker
@pytest.mark.parametrize("of", [site(5, 3, 3), site(3, 2, 1, "small")], ids=["large", "small"])
def test_a_spare_starts_instances_after_the_vips(of: Site) -> None:
    """On a busy node Pacemaker starts one resource at a time."""
    (lost,) = formed(of).placement["vip-v0"]
    _, transition = lose(formed(of).root, lost)
    assert [each.resource for each in transition.actions if each.resource == "vip-v0"]
    first, then = (
        ids(tree(of), f"//resource_set[@id='spares.last.{side}']/resource_ref") for side in ("first", "then")
    )
    assert first == ([f"vip-{name}" for name in of.vips] if len(of.vips) > 1 else ["front"])
    assert then == [*(f"{name}-clone" for name in of.services), "database-clone", "messaging-clone"]
    assert ids(tree(of), "//rsc_order[@id='spares.last']/@symmetrical") == ["false"]


@needs_pacemaker
def test_spares_of_a_small_site_take_over_too() -> None:
    of = site(3, 2, 1, "small")
    assert len(formed(of).placement["s0"]) == 2
    for lost in of.nodes:
        _, transition = lose(formed(of).root, lost)
        assert hurt(transition, (lost,)) == [] and len(transition.placement["s0"]) == 2


@needs_pacemaker
@pytest.mark.parametrize("shape", [(4, 3, 3), *SITES], ids=str)
@pytest.mark.parametrize("service", ["database", "messaging"])
def test_a_member_moves_to_a_node_that_is_called_and_stays_there(shape: tuple[int, int, int], service: str) -> None:
    of = site(*shape)
    before = formed(of).placement
    for called in set(of.nodes) - before[service]:
        root = whatif.with_attributes(formed(of).root, called, {CALLED[service]: "1"})
        transition = simulate.schedule(root, run, tasks=True)
        after = transition.placement
        assert called in after[service] and len(after[service] & before[service]) == of.instances_of(service) - 1
        assert {**after, service: None} == {**before, service: None}
        root = whatif.done(root, transition, NOW)
        assert simulate.schedule(root, run).actions == ()
        settled = simulate.schedule(whatif.with_attributes(root, called, {CALLED[service]: None}), run)
        assert settled.actions == () and settled.placement == after


@needs_pacemaker
def test_a_call_for_who_has_a_member_or_for_a_banned_node_moves_nothing() -> None:
    of = site(5, 3, 3)
    for called in formed(of).placement["database"]:
        root = whatif.with_attributes(formed(of).root, called, {CALLED["database"]: "1"})
        assert simulate.schedule(root, run).actions == ()
    spare = min(set(of.nodes) - formed(of).placement["database"])
    root = whatif.with_attributes(formed(of).root, spare, {CALLED["database"]: "1"})
    constraints = root.find("configuration/constraints")
    assert constraints is not None
    etree.SubElement(constraints, "rsc_location", id="ban", rsc="database-clone", node=spare, score="-INFINITY")
    assert simulate.schedule(root, run).actions == ()


def test_who_has_no_spares_is_called_nowhere() -> None:
    assert ids(tree(site(5, 3, 3)), "//rsc_location[contains(@id, '.called')]") == [
        "database-clone.called", "messaging-clone.called"
    ]  # fmt: skip
    assert ids(tree(example("stateful")), "//rsc_location[contains(@id, '.called')]") == []


@needs_pacemaker
def test_an_arbiter_is_no_spare() -> None:
    arbiter = "  arb: {addresses: [10.77.1.30, 10.77.2.30], bmc: 10.77.9.30, role: arbiter}\n"
    text = (
        "site: t\nscale: large\nvips: {v0: 10.77.1.100, v1: 10.77.1.101}\nvip_policy: {active: 2, spare: 1}\n"
        "services: {s0: {port: 1, policy: {active: 2, spare: 1}}, s1: {port: 2}}\nnodes:\n" + arbiter
    ) + "".join(f"  c{n}: {{addresses: [10.77.1.{n}, 10.77.2.{n}], bmc: 10.77.9.{n}}}\n" for n in (1, 2, 3))
    of = parse(text.encode(), "f").site
    assert of
    _, transition = lose(formed(of).root, "c1")
    assert transition.placement["s0"] == {"c2", "c3"}
    assert {node for vip in of.vips for node in transition.placement[f"vip-{vip}"]} == {"c2", "c3"}


@pytest.mark.parametrize("shape", SITES, ids=str)
def test_spares_satisfy_pacemakers_schema(shape: tuple[int, int, int]) -> None:
    assert check_schema(made(site(*shape)).cib.content) == []


def test_a_clone_has_as_many_instances_as_are_active() -> None:
    root = tree(site(5, 3, 3))
    sizes = {name: ids(root, f"//clone[@id='{name}-clone']//nvpair[@name='clone-max']/@value")[0]
             for name in ("s0", "database", "messaging", "haproxy", "health", "ports")}  # fmt: skip
    assert sizes == {"s0": "3", "database": "3", "messaging": "3", "haproxy": "5", "health": "5", "ports": "5"}


def test_every_node_knows_all_that_may_become_members() -> None:
    of = site(5, 3, 3)
    assert len(params(tree(of), "database")["members"].split()) == 5
    config = text(of, "c5", "/etc/vimha/galera.cnf")
    assert all(f"10.77.1.{10 + n}" in config for n in range(1, 6))
    for node in of.nodes:
        servers = balanced(of, node)[0].servers
        assert [server.node for server in servers] == list(of.nodes)
        assert not any(server.backup for server in servers)


def test_one_active_instance_is_where_its_vip_is() -> None:
    """As with active-standby, haproxy's servers included: elsewhere each haproxy would have to find it first."""
    of = parse(
        b"site: t\nvip: 10.77.1.100\nservices: {s0: {policy: {active: 1, spare: 1}}}\nnodes:\n"
        b"  c1: {addresses: [10.77.1.11, 10.77.2.11], bmc: 10.77.9.11}\n"
        b"  c2: {addresses: [10.77.1.12, 10.77.2.12], bmc: 10.77.9.12, fencing_delay: 1s}\n",
        "f",
    ).site
    assert of
    assert ids(tree(of), "//group[@id='front']/primitive") == ["vip-public", "s0"]
    assert [server.node for server in balanced(of, "c2")[0].servers] == ["c2"]


def test_a_site_without_spares_has_no_utilization() -> None:
    root = tree(example("large"))
    assert ids(root, "//utilization") == [] and ids(root, "//nvpair[@name='placement-strategy']") == []
