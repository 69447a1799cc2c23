"""The alarm service, rendered: where it runs, that it holds up and moves nothing, and files that its readers accept."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pacemaker import needs_pacemaker
from render_sites import ARBITER, C3, KEY, example, ids, made, params, site, text, tree

from resource_agents.alert import drain
from vimha.alarms.config import parse
from vimha.alarms.service import users
from vimha.cluster import policy
from vimha.cluster.cib import Cib
from vimha.cluster.document import parse_cib
from vimha.process import run
from vimha.render import alarms
from vimha.render.schema import check_schema
from vimha.site.model import Site

NOW = 1_800_000_000
LARGE = ("scale: large", "database: {}")
SINGLE, EVERYWHERE = ("database: {}", "alarms: {}"), ("database: {}", "alarms: {policy: all-active}")
UNBONDED = (*SINGLE, "bond: null")


def placed(of: Site) -> dict[str, frozenset[str]]:
    return policy.form(Cib(parse_cib(made(of).cib.content, "cib.xml")), run, NOW).placement


@pytest.mark.parametrize("lines", [SINGLE, EVERYWHERE, ("alarms: {}",), (*LARGE, "alarms: {}"), UNBONDED])
@pytest.mark.parametrize("node", [C3, ARBITER], ids=["three", "arbiter"])
def test_pacemaker_takes_it(lines: tuple[str, ...], node: str) -> None:
    assert check_schema(made(site(*lines, node=node)).cib.content) == []


@needs_pacemaker
def test_an_only_one_is_with_the_vip_and_a_clone_is_everywhere() -> None:
    single, everywhere = placed(site(*SINGLE)), placed(site(*EVERYWHERE))
    assert single["alarms"] == single["vip-public"]
    assert everywhere["alarms"] == {"c1", "c2", "c3"}
    assert placed(site(*EVERYWHERE, node=ARBITER))["alarms"] == {"c1", "c2"}


def test_what_an_operator_adds_is_named_to_the_agent_and_is_not_rendered() -> None:
    of = site("alarms: {local: /etc/vimha/alarms.local.yaml}")
    assert params(tree(of), alarms.ALARMS)["local"] == "/etc/vimha/alarms.local.yaml"
    assert "local" not in params(tree(site("alarms: {}")), alarms.ALARMS)
    assert not [each.path for each in made(of).nodes["c1"] if "local" in each.path]


def test_its_failures_move_no_vip() -> None:
    root = tree(site(*SINGLE))
    assert ids(root, "//rsc_colocation[@rsc='alarms']/@with-rsc") == ["front"]
    assert ids(root, "//rsc_colocation[@rsc='alarms']/@influence") == ["false"]
    large = tree(site(*LARGE, "alarms: {policy: active-standby}"))
    assert ids(large, "//rsc_colocation[@rsc='alarms']/@with-rsc") == ["vip-public"]


def test_it_starts_after_the_vips_and_stops_with_nobody_waiting() -> None:
    root = tree(site(*EVERYWHERE))
    assert ids(root, "//rsc_order[@id='alarms.last']/@symmetrical") == ["false"]
    assert ids(root, "//resource_set[@id='alarms.last.first']/resource_ref") == ["front"]


def test_pacemaker_tells_of_nodes_fencing_resources_and_ports() -> None:
    root = tree(site(*SINGLE))
    assert ids(root, "//alert/@path") == ["/usr/lib/vimha/alerts/vimha-alert"]
    assert ids(root, "//alert/select/select_attributes/attribute/@name") == ["vimha-ports"]
    assert [each.tag for each in root.iterfind(".//alert/select/*")][1:] == [
        "select_fencing", "select_nodes", "select_resources",
    ]  # fmt: skip
    assert ids(tree(site(*UNBONDED)), "//alert//attribute/@name") == ["vimha-ports-a", "vimha-ports-b"]


@pytest.mark.parametrize("lines", [SINGLE, EVERYWHERE, ("alarms: {}",), UNBONDED])
def test_the_service_reads_its_configuration(lines: tuple[str, ...]) -> None:
    of = site(*lines)
    found = parse(text(of, "c1", alarms.CONFIG), "alarms.yaml")
    assert found.cluster.nodes.keys() == {"c1", "c2", "c3"}
    assert found.cluster.ports("c1") == (2 if of.bond else 1)
    assert found.cluster.watchers == ({"ports"} if of.bond else {"ports-a", "ports-b"})
    assert {"vip-public", "fence-c1"} <= found.cluster.single
    assert ("alarms" in found.cluster.single) is not of.alarms_everywhere
    assert found.base_url == "https://10.77.1.100:8780"
    assert found.store == (
        "mysql+pymysql://vimha_alarms@127.0.0.1:3306/vimha_alarms?fallback=10.77.1.11:3306" if of.database
        else "sqlite:////var/lib/vimha/alarms.db"
    )  # fmt: skip


def test_its_tokens_open_it_and_are_not_in_its_files(tmp_path: Path) -> None:
    of = site(*SINGLE)
    file = tmp_path / "users"
    file.write_text(text(of, "c1", alarms.USERS))
    file.chmod(0o600)
    known = users.Users([file])
    for who in (alarms.OPERATOR, alarms.SOURCE):
        token = alarms.token(KEY, who)
        assert token not in file.read_text()
        caller = known.token(token, 0)
        assert caller is not None
        assert caller.role == who
    assert text(of, "c1", alarms.OPERATOR_TOKEN).strip() == alarms.token(KEY, alarms.OPERATOR)


def test_the_drain_asks_its_own_node_first_and_an_arbiter_the_vip(tmp_path: Path) -> None:
    of = site(*SINGLE, node=ARBITER)
    file = tmp_path / "drain.json"
    for node, urls in (("c1", ("http://127.0.0.1:8780", "https://10.77.1.100:8780")),
                       ("arb", ("https://10.77.1.100:8780",))):  # fmt: skip
        file.write_text(text(of, node, alarms.DRAIN))
        file.chmod(0o600)
        assert drain.load(file).urls == urls
    assert not [each.path for each in made(of).nodes["arb"] if "alarms" in each.path]


def test_no_secret_is_readable_by_others() -> None:
    of = site(*SINGLE)
    modes = {each.path: each.mode for each in made(of).nodes["c1"] if "alarms" in each.path or "drain" in each.path}
    assert set(modes) == {
        alarms.CONFIG, alarms.USERS, alarms.PASSWORD, alarms.GRANTS, alarms.OPERATOR_TOKEN, alarms.DRAIN,
    }  # fmt: skip
    assert set(modes.values()) == {0o600}
    assert text(of, "c1", alarms.PASSWORD).strip() not in text(of, "c1", alarms.GRANTS)


def test_haproxy_gives_it_tls_and_its_own_nodes_database() -> None:
    several, single = (text(site(*each), "c1", "/etc/vimha/haproxy.cfg") for each in (EVERYWHERE, SINGLE))
    assert "bind 10.77.1.100:8780 ssl crt /etc/vimha/alarms.pem" in several
    assert "bind 10.77.1.11:18780 ssl crt /etc/vimha/alarms.pem" in several
    assert "ssl verify required ca-file /etc/vimha/alarms-ca.pem" in several
    assert "server c2 10.77.1.12:18780" in several
    assert "bind 127.0.0.1:3306" in several
    assert "18780" not in single
    assert "server here 127.0.0.1:8780" in single
    plain = text(site("database: {}", 'alarms: {certificate: "", policy: all-active}'), "c1", "/etc/vimha/haproxy.cfg")
    assert "ssl" not in plain
    assert "ca_file" not in json.loads(text(site("database: {}", 'alarms: {certificate: ""}'), "c1", alarms.DRAIN))


def test_a_site_without_it_has_nothing_of_it() -> None:
    of = example("stateful")
    assert not [each.path for each in made(of).nodes["control-1"] if "alarms" in each.path or "drain" in each.path]
    assert "alarms" not in made(of).cib.content.decode()
    assert params(tree(of), "alarms") == {}


def test_the_example_renders_as_before(golden: Callable[[str, str], None]) -> None:
    of = example("alarms")
    golden("render/alarms/cib.xml", made(of).cib.content.decode())
    for path in (alarms.CONFIG, "/etc/vimha/haproxy.cfg"):
        golden(f"render/alarms/control-1{path}", text(of, "control-1", path))
