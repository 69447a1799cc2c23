"""The CIB means what the profiles promise, seen as an XML reader sees it."""

import pytest
from render_sites import ARBITER, C3, TIMINGS, example, ids, made, params, site, tree

from vimha.render.schema import check_schema
from vimha.site.model import Site

VARIANTS = {
    "minimal": example("minimal"),
    "small": example("small"),
    "large": example("large"),
    "two nodes": site(node=""),
    "arbiter": site(node=ARBITER),
    "no bond": site("bond: null"),
    "external bond": site("bond: {mode: external}"),
    "active-standby": site("services: {glance-api: {policy: active-standby}}"),
    "large, one instance": site("scale: large", "services: {glance-api: {policy: active-standby}}"),
    "large, arbiter": site("scale: large", node=ARBITER),
    "redfish": site("fencing: {agent: fence_redfish}"),
    "ipmi": site("fencing: {agent: fence_ipmilan}"),
}


@pytest.mark.parametrize("of", VARIANTS.values(), ids=VARIANTS.keys())
def test_every_profile_satisfies_pacemakers_schema(of: Site) -> None:
    assert check_schema(made(of).cib.content) == []


@pytest.mark.parametrize("of", VARIANTS.values(), ids=VARIANTS.keys())
def test_times_are_whole_milliseconds(of: Site) -> None:
    times = ids(tree(of), "//op/@interval | //op/@timeout")
    assert times and all(time.removesuffix("ms").isdigit() and time.endswith("ms") for time in times)


def test_small_is_one_group_of_vips_where_a_haproxy_runs() -> None:
    root = tree(example("small"))
    assert ids(root, "//group[@id='front']/primitive") == ["vip-public"]
    assert ids(root, "//clone") == ["haproxy-clone", "glance-api-clone", "ports-clone"]
    assert ids(root, "//rsc_colocation[@rsc='front']/@with-rsc") == ["haproxy-clone"]


def test_an_only_instance_is_in_the_group_behind_the_vips() -> None:
    root = tree(VARIANTS["active-standby"])
    assert ids(root, "//group/primitive") == ["vip-public", "glance-api"]
    assert ids(root, "//clone") == ["haproxy-clone", "ports-clone"]


def test_large_spreads_vips_over_nodes_and_ties_them_to_a_running_haproxy() -> None:
    root = tree(example("large"))
    assert not ids(root, "//group")
    homes = ids(root, "//rsc_location[starts-with(@rsc, 'vip-')]/@node")
    assert homes == ["control-1", "control-2", "control-3"]
    assert ids(root, "//rsc_colocation/@with-rsc") == ["haproxy-clone"] * 3


@pytest.mark.parametrize("of", VARIANTS.values(), ids=VARIANTS.keys())
def test_no_order_makes_one_resources_restart_another(of: Site) -> None:
    assert set(ids(tree(of), "//rsc_order/@kind")) == {"Optional"}


@pytest.mark.parametrize("of", VARIANTS.values(), ids=VARIANTS.keys())
def test_the_ports_are_watched_from_first_to_last(of: Site) -> None:
    """Their attribute makes Pacemaker plan anew, and wait for whatever is under way: nothing may be."""
    root = tree(of)
    assert ids(root, "//rsc_order[@id='ports.first']/@symmetrical") == ["true"]
    first, then = (ids(root, f"//resource_set[@id='ports.first.{side}']/resource_ref") for side in ("first", "then"))
    everything = ids(root, "//resources/*[not(@class='stonith')]")
    assert sorted(first + then) == sorted(everything) and all(name.startswith("ports") for name in first)


def test_a_preference_is_weaker_than_staying() -> None:
    root = tree(example("large"))
    scores = ids(root, "//rsc_location[starts-with(@rsc, 'vip-')]/@score")
    stickiness = ids(root, "//rsc_defaults//nvpair[@name='resource-stickiness']/@value")
    assert max(map(int, scores)) < int(stickiness[0])


def test_a_vip_needs_a_working_port() -> None:
    root = tree(example("small"))
    rules = root.findall(".//rsc_location[@rsc='front']/rule")
    assert [rule.get("score") for rule in rules] == ["-INFINITY"]
    assert [(each.get("attribute"), each.get("operation")) for each in rules[0]] == [
        ("vimha-ports", "not_defined"),
        ("vimha-ports", "lt"),
    ]


def test_without_a_bond_each_plane_is_watched_and_a_vip_needs_its_own() -> None:
    root = tree(site("bond: null", node=C3.replace("bmc:", "ports: [ens1, ens2], bmc:")))
    assert ids(root, "//clone")[2:] == ["ports-a-clone", "ports-b-clone"]
    assert params(root, "ports-b") == {
        "bond": "", "ports": "eth1", "attribute": "vimha-ports-b", "min_ports": "1",
    }  # fmt: skip
    assert set(ids(root, "//rsc_location/rule/expression/@attribute")) == {"vimha-ports-a"}


def test_a_node_with_other_ports_has_its_own_parameters() -> None:
    root = tree(site("bond: null", node=C3.replace("bmc:", "ports: [ens1, ens2], bmc:")))
    assert params(root, "vip-public")["nic"] == "eth0"
    assert params(root, "vip-public", "c3") == {"nic": "ens1"}
    assert params(root, "ports-b", "c3") == {"ports": "ens2"}
    assert ids(root, "//instance_attributes[@id='vip-public.params.c3']/rule/expression/@value") == ["c3"]


def test_each_instance_is_checked_at_its_own_address() -> None:
    root = tree(example("small"))
    urls = [params(root, "glance-api", node)["url"] for node in ("", "control-2", "control-3")]
    assert urls == [f"http://10.77.1.1{number}:19292/healthcheck" for number in (1, 2, 3)]


@pytest.mark.parametrize(("mode", "bond"), [("active-backup", "bond0"), ("external", "")])
def test_the_ports_watcher_knows_the_bond_that_the_kernel_has(mode: str, bond: str) -> None:
    assert params(tree(site(f"bond: {{mode: {mode}}}")), "ports") == {
        "bond": bond, "ports": "eth0 eth1", "attribute": "vimha-ports", "min_ports": "2",
    }  # fmt: skip


def test_a_lost_port_never_stops_the_watcher() -> None:
    root = tree(example("small"))
    assert ids(root, "//op[@on-fail]") == ["ports.monitor"]
    assert ids(root, "//op[@id='ports.monitor']/@on-fail") == ["ignore"]


def test_an_arbiter_runs_and_probes_nothing_but_fence_devices() -> None:
    root = tree(VARIANTS["arbiter"])
    assert ids(root, "//rsc_location[@resource-discovery='never']/@node") == ["arb"]
    everything = ids(root, "//resources/*[not(@class='stonith')]")
    assert ids(root, "//rsc_location[@node='arb']//resource_ref") == everything
    assert set(ids(root, "//clone//nvpair[@name='clone-max']/@value")) == {"2"}


@pytest.mark.parametrize("of", VARIANTS.values(), ids=VARIANTS.keys())
def test_every_node_is_fenced_by_its_own_static_device_elsewhere(of: Site) -> None:
    root = tree(of)
    for node in of.nodes:
        given = params(root, f"fence-{node}")
        assert (given["pcmk_host_list"], given["pcmk_host_check"]) == (node, "static-list")
        assert ids(root, f"//fencing-level[@target='{node}']/@devices") == [f"fence-{node}"]
        assert ids(root, f"//rsc_location[@rsc='fence-{node}']/@node") == [node]
    assert ids(root, "//nvpair[@name='stonith-enabled']/@value") == ["true"]
    assert ids(root, "//nvpair[@name='concurrent-fencing']/@value") == ["true"]


@pytest.mark.parametrize("of", VARIANTS.values(), ids=VARIANTS.keys())
def test_no_parameter_is_a_password(of: Site) -> None:
    names = {name for node in of.nodes for name in params(tree(of), f"fence-{node}")}
    assert not names & {"passwd", "password", "action"}


def test_a_slow_bmc_gets_longer_than_planned_before_it_counts_as_failed() -> None:
    given = params(tree(example("small")), "fence-control-1")
    timeout = int(given["pcmk_reboot_timeout"].removesuffix("s")) * 1000
    assert timeout > TIMINGS.fence_off
    assert int(given["power_timeout"]) * 1000 < timeout, "the agent must say why before Pacemaker ends it"


def test_two_nodes_are_fenced_one_later_than_the_other() -> None:
    root = tree(VARIANTS["two nodes"])
    assert [params(root, f"fence-{node}").get("pcmk_delay_base") for node in ("c1", "c2")] == [None, "1s"]


def test_the_agents_whose_reboot_waits_for_power_on_are_told_to_switch_off() -> None:
    assert "pcmk_reboot_action" not in params(tree(example("small")), "fence-control-1")
    for name in ("redfish", "ipmi"):
        given = params(tree(VARIANTS[name]), "fence-c1")
        assert given["pcmk_reboot_action"] == "off"
        assert {given["power_wait"], given["stonith_status_sleep"], given["power_timeout"]} == {"0"}
        assert given["password_script"] == "/etc/vimha/bmc-password"


def test_a_bmcs_cipher_suite_is_the_sites() -> None:
    assert params(tree(VARIANTS["ipmi"]), "fence-c1")["cipher"] == "3"
    node = "  c3: {addresses: [10.77.1.13, 10.77.2.13], bmc: {address: 10.77.9.13, cipher: 17}}\n"
    newer = site("fencing: {agent: fence_ipmilan}", node=node)
    assert params(tree(newer), "fence-c3")["cipher"] == "17"


def test_certificates_are_checked_unless_the_site_has_no_authority() -> None:
    assert "ssl_insecure" not in params(tree(VARIANTS["redfish"]), "fence-c1")
    for agent in ("fence_redfish", "fence_vimha_redfish"):
        given = params(tree(site(f"fencing: {{agent: {agent}, ca_file: ''}}")), "fence-c1")
        assert given["ssl_insecure"] == "1" and "ssl_ca" not in given


def test_a_known_redfish_system_and_port_are_passed_on() -> None:
    node = C3.replace("10.77.9.13", "{address: 10.77.9.13, port: 8443, system: /redfish/v1/Systems/1}")
    given = params(tree(site(node=node)), "fence-c3")
    assert (given["ipport"], given["systems_uri"]) == ("8443", "/redfish/v1/Systems/1")
