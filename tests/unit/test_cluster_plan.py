"""Plans: what would change, move and cost; made from one reading, changing nothing."""

from pathlib import Path

import pytest
from fake_cluster import FakeCluster, data

from vimha.cluster import patch
from vimha.cluster.diff import compare
from vimha.cluster.document import parse_cib
from vimha.cluster.live import Totem, Version, read
from vimha.cluster.plan import Plan, make
from vimha.errors import VimhaError
from vimha.process import run
from vimha.render.model import Artefact, Rendered
from vimha.site.loading import load_valid
from vimha.site.model import Pinned, Site

SITE = Path(__file__).parents[2] / "examples" / "site-small.yaml"
EXTRA = (
    '<primitive id="extra" class="ocf" provider="pacemaker" type="Dummy">'
    '<operations><op id="extra-m" name="monitor" interval="1s" timeout="5s"/></operations></primitive>'
)


@pytest.fixture(scope="module")
def site() -> Site:
    """The site with the token that the captured cluster ran with."""
    return load_valid(SITE).model_copy(update={"timings": Pinned.model_validate({"token": "300ms"})})


def rendered(*edits: tuple[str, str]) -> Rendered:
    """The captured configuration as if a site rendered to it, with `edits`."""
    text = data("healthy.cib.xml")
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return Rendered(Artefact("/cib.xml", text.encode(), 0o600, ""), {})


def planned(site: Site, *edits: tuple[str, str]) -> Plan:
    return make(site, rendered(*edits), FakeCluster())


def test_what_is_there_already_is_an_empty_plan(site: Site) -> None:
    plan = planned(site)
    assert plan.empty
    assert (plan.actions, plan.fenced, plan.notes) == ((), (), ())


def test_making_a_plan_changes_nothing(site: Site) -> None:
    cluster = FakeCluster()
    make(site, rendered(("</resources>", EXTRA + "</resources>")), cluster)
    assert cluster.patches == []
    assert {argv[0] for argv in cluster.asked} == {"cibadmin", "corosync-cmapctl"}


def test_a_new_resource_is_told_with_where_it_would_start(site: Site) -> None:
    plan = planned(site, ("</resources>", EXTRA + "</resources>"))
    assert [(change.action, change.name) for change in plan.changes] == [("add", "extra")]
    assert [(action.kind, action.resource) for action in plan.actions] == [("start", "extra")]


def test_a_changed_parameter_tells_the_restart_that_it_costs(site: Site) -> None:
    plan = planned(site, ('name="ip" value="10.77.1.100"', 'name="ip" value="10.77.1.101"'))
    assert {(action.kind, action.resource) for action in plan.actions} >= {("restart", "vip-public")}


def test_a_vip_of_another_agent_is_a_changed_type_and_one_restart(site: Site) -> None:
    """Pacemaker stops it by the agent that started it: the VIP is down between that stop and the new one's start."""
    plan = planned(
        site,
        ('provider="heartbeat" type="IPaddr2"', 'provider="vimha" type="vip"'),
        ('<nvpair id="vip-public-params-arp_bg" name="arp_bg" value="true"/>', ""),
    )
    (change,) = plan.changes
    assert (change.action, change.kind, change.name) == ("change", "resource", "vip-public")
    assert ("type", "ocf:heartbeat:IPaddr2", "ocf:vimha:vip") in [(d.name, d.old, d.new) for d in change.details]
    assert ("restart", "vip-public") in [(action.kind, action.resource) for action in plan.actions]
    assert {action.kind for action in plan.actions} == {"restart"}, "nothing moves, nobody is fenced"


def test_the_budget_before_is_the_running_clusters(site: Site) -> None:
    cluster = FakeCluster()
    cluster.answers["corosync-cmapctl"] = lambda: data("totem.txt").replace("token (u32) = 300", "token (u32) = 3650")
    plan = make(site, rendered(), cluster)
    assert plan.before is not None
    assert plan.before.named("partition").worst_s > plan.after.named("partition").worst_s + 3
    assert "corosync runs with token 3650 ms" in plan.notes[0]


def test_a_slower_monitor_in_the_cluster_is_in_the_budget_before(site: Site) -> None:
    cluster = FakeCluster()
    cluster.cib = cluster.cib.replace('name="monitor" interval="500ms"', 'name="monitor" interval="10s"')
    plan = make(site, rendered(), cluster)
    assert plan.before is not None
    assert plan.before.named("process-crash").worst_s > 10


def test_without_roots_rights_the_budget_before_is_unknown(site: Site) -> None:
    cluster = FakeCluster()
    del cluster.answers["corosync-cmapctl"]
    plan = make(site, rendered(), cluster)
    assert plan.before is None
    assert plan.as_dict()["budget"]["before"] is None


def test_another_cluster_is_refused(site: Site) -> None:
    cluster = FakeCluster()
    cluster.cib = cluster.cib.replace('uname="control-3"', 'uname="web-3"')
    with pytest.raises(VimhaError, match="web-3"):
        make(site, rendered(), cluster)


def test_a_live_reading_knows_its_version_and_timings() -> None:
    live = read(FakeCluster())
    assert live.version == Version(0, int(live.tree.get("epoch", "")))
    assert live.totem == Totem(300, 360)


def test_nodes_and_pacemakers_own_properties_are_kept() -> None:
    live = parse_cib(data("healthy.cib.xml").encode(), "live")
    wanted = parse_cib(b'<cib><configuration><crm_config><cluster_property_set id="s"><nvpair id="s1" name="dc-version"'
                       b' value="9"/></cluster_property_set></crm_config><nodes><node id="7" uname="x"/></nodes>'
                       b"<resources/><constraints/></configuration></cib>", "wanted")  # fmt: skip
    merged = patch.merged(live, wanted)
    properties = {pair.get("name"): pair.get("value") for pair in merged.iterfind(".//cluster_property_set/nvpair")}
    assert properties["dc-version"].startswith("2.1.5")  # type: ignore[union-attr]
    assert "stonith-enabled" not in properties
    assert [node.get("uname") for node in merged.iterfind("configuration/nodes/node")] == [
        "control-1", "control-2", "control-3"
    ]  # fmt: skip
    assert merged.find("configuration/fencing-topology") is None
    assert len(live.findall(".//primitive")) > 0


def test_capacity_for_vips_is_the_sites_and_other_utilization_the_operators() -> None:
    """A node without capacity could hold no VIP: it must come with the VIPs that need it, in one patch."""
    pair = '<nvpair id="u.{0}" name="{0}" value="{1}"/>'.format
    node = '<node id="1" uname="control-1"'
    text = data("healthy.cib.xml")
    (old,) = (line for line in text.splitlines() if node in line)
    plain = text.replace(old, node + "/>")

    def live(*pairs: str) -> str:
        return plain.replace(node + "/>", f'{node}><utilization id="u">{"".join(pairs)}</utilization></node>')

    def capacities(before: str, wanted: str) -> tuple[dict[str, str], list[str]]:
        root = parse_cib(before.encode(), "live")
        merged = patch.merged(root, parse_cib(wanted.encode(), "wanted"))
        found = merged.iterfind("configuration/nodes/node/utilization/nvpair")
        return (
            {each.get("name", ""): each.get("value", "") for each in found},
            [f"{change.action} {change.name}" for change in compare(root, merged)],
        )

    vips, cpus = pair("vimha-vips", 3), pair("cpu", 8)
    assert capacities(plain, live(vips)) == ({"vimha-vips": "3"}, ["add control-1 vimha-vips"])
    assert capacities(live(cpus), live(vips)) == ({"cpu": "8", "vimha-vips": "3"}, ["add control-1 vimha-vips"])
    assert capacities(live(pair("vimha-vips", 2), cpus), live(vips)) == (
        {"cpu": "8", "vimha-vips": "3"}, ["change control-1 vimha-vips"],
    )  # fmt: skip
    assert capacities(live(vips), plain) == ({}, ["remove control-1 vimha-vips"])
    assert capacities(live(vips, cpus), live(vips)) == ({"cpu": "8", "vimha-vips": "3"}, [])


def test_alerts_stay_unless_the_site_has_its_own() -> None:
    alert = '<alerts><alert id="a" path="/x"/></alerts>'
    live = parse_cib(data("healthy.cib.xml").replace("</configuration>", alert + "</configuration>").encode(), "live")
    wanted = parse_cib(data("healthy.cib.xml").encode(), "wanted")
    assert patch.merged(live, wanted).find("configuration/alerts/alert") is not None
    own = parse_cib(data("healthy.cib.xml").replace("</configuration>", "<alerts/></configuration>").encode(), "wanted")
    assert patch.merged(live, own).find("configuration/alerts/alert") is None


def test_a_patch_names_the_version_that_it_was_made_from_and_not_the_status() -> None:
    old = parse_cib(data("healthy.cib.xml").encode(), "old")
    new = parse_cib(data("healthy.cib.xml").replace("</resources>", EXTRA + "</resources>").encode(), "new")
    made = patch.make(old, new, run)
    assert made is not None
    assert f'<source admin_epoch="0" epoch="{old.get("epoch")}"/>'.encode() in made
    assert b"num_updates" not in made
    assert patch.make(old, old, run) is None


def test_a_patched_configuration_is_the_target(tmp_path: Path) -> None:
    """crm_diff's patch, applied by crm_diff itself, leads to the target's configuration."""
    old = parse_cib(data("healthy.cib.xml").encode(), "old")
    new = patch.merged(old, parse_cib(rendered(("</resources>", EXTRA + "</resources>"),
                                               ('"500ms"', '"750ms"')).cib.content, "new"))  # fmt: skip
    made = patch.make(old, new, run)
    assert made is not None
    (tmp_path / "old.xml").write_text(data("healthy.cib.xml"))
    (tmp_path / "patch.xml").write_bytes(made)
    done = run(["crm_diff", "--original", str(tmp_path / "old.xml"), "--patch", str(tmp_path / "patch.xml")])
    assert compare(parse_cib(done.out.encode(), "patched"), new) == ()
