"""A1, A7, A8: each known trap is found in a foreign CIB, by its code and place, and a good CIB has none.

tests/unit/cibs/*.xml: the first line of each says what is to be found in it.
"""

import re
from pathlib import Path

import pytest
from pacemaker import needs_pacemaker

from vimha.cluster import rules, rules_fencing, rules_policy, traps
from vimha.cluster.cib import VIP_AGENTS, Cib
from vimha.cluster.corosync_conf import parse
from vimha.cluster.document import parse_cib
from vimha.cluster.validate import validate_files

CIBS = sorted(Path(__file__).with_name("cibs").glob("*.xml"))
ELSEWHERE = {
    rules.ADVICE, rules.NO_METADATA, rules_fencing.WATCHDOG, rules_policy.NO_SCHEDULED_MONITOR, rules_policy.NOT_FENCED,
    rules_policy.VIP_ON_ARBITER, rules_policy.NOT_SPREAD, rules_policy.UNSETTLED, rules_policy.SAMPLED,
    rules_policy.REFUSED,
}  # fmt: skip
"""Rules that need more than a CIB; other tests find them."""


WHOLE = ("clean", "two-nodes", "interval-fraction", "monitor-same-interval", "timeout-fraction", "fencing-off")
"""Beside those with findings of policy: good ones, and those where a finding must not bring another with it."""


def expected(cib: Path) -> list[str]:
    """What `cib` says is to be found in it."""
    match = re.match(r"<!-- expect: ?(.*?) ?-->", cib.read_text())
    assert match
    return sorted(entry.strip() for entry in match[1].split(",") if entry.strip())


def cib_of(name: str, *changes: tuple[str, str]) -> Cib:
    """The CIB called `name`, with text replaced."""
    text = (Path(__file__).parent / "cibs" / f"{name}.xml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return Cib(parse_cib(text.encode(), name))


@pytest.mark.parametrize("cib", CIBS, ids=lambda path: path.stem)
def test_trap_is_found_and_nothing_else(cib: Path) -> None:
    found = {f"{each.code} {each.where}" for each in traps.check(cib_of(cib.stem), None)}
    assert sorted(found) == [entry for entry in expected(cib) if not entry.startswith("P")]


def test_every_agent_of_a_vip_is_known_as_one() -> None:
    for agent in VIP_AGENTS:
        _, provider, kind = agent.split(":")
        cib = cib_of(
            "vip-unwatched",
            ('provider="heartbeat" type="IPaddr2"', f'provider="{provider}" type="{kind}"'),
            ('name="migration-threshold"', 'name="resource-stickiness"'),
        )
        found = {(each.code, each.where) for each in traps.check(cib, None)}
        assert found >= {(rules.NO_CONNECTIVITY.code, "vip"), (rules.NO_THRESHOLD.code, "vip")}, agent


@needs_pacemaker
@pytest.mark.parametrize("name", [cib.stem for cib in CIBS if cib.stem in WHOLE or "P0" in str(expected(cib))])
def test_whole_validation_finds_that_and_nothing_else(name: str) -> None:
    (cib,) = [each for each in CIBS if each.stem == name]
    found = {f"{each.code} {each.where}" for each in validate_files(cib, None)}
    assert sorted(found - {"C116 /etc/corosync/corosync.conf"}) == expected(cib)


def test_every_rule_has_a_cib_that_breaks_it() -> None:
    shown = {entry.split()[0] for cib in CIBS for entry in expected(cib)}
    owed = {*rules.CIB_RULES, *rules_fencing.RULES, *rules_policy.RULES} - ELSEWHERE
    assert {rule.code for rule in owed} == shown


def test_codes_are_unique_and_texts_complete() -> None:
    codes = [rule.code for rule in rules.RULES]
    assert len(set(codes)) == len(codes)
    assert all(rule.title and rule.why.endswith(".") and rule.remedy.endswith(".") for rule in rules.RULES)


def test_secret_is_never_repeated() -> None:
    found = traps.check(cib_of("fencing-password"), None)
    assert found and not any("s3cr3t" in str(each.as_dict()) for each in found)


@pytest.mark.parametrize("name", ["passwd", "ssh_password", "snmp_priv_passwd", "secret_key", "os-password"])
def test_secrets_by_other_names(name: str) -> None:
    cib = cib_of("fencing-password", ('name="password"', f'name="{name}"'))
    assert "F008" in [each.code for each in traps.check(cib, None)]


@pytest.mark.parametrize(("name", "value"), [
    ("password_file", "/etc/bmc"), ("passwd_script", "/etc/bmc"), ("password", "lrm://"), ("password", ""),
    ("token_timeout", "5"),
])  # fmt: skip
def test_no_secret(name: str, value: str) -> None:
    cib = cib_of("fencing-password", ('name="password" value="s3cr3t"', f'name="{name}" value="{value}"'))
    assert "F008" not in [each.code for each in traps.check(cib, None)]


def test_watchdog_timeout_must_outlast_membership() -> None:
    option = '<nvpair id="options-watchdog" name="stonith-watchdog-timeout" value="{}"/></cluster_property_set>'
    conf = parse("totem {\n token: 1000\n token_coefficient: 0\n}\n")
    for value, codes in (("2s", ["F015"]), ("5s", [])):
        cib = cib_of("clean", ("</cluster_property_set>", option.format(value)))
        assert [each.code for each in traps.check(cib, conf) if each.code.startswith("F")] == codes


def test_templates_defaults_and_references_count() -> None:
    template = """<template id="address" class="ocf" provider="heartbeat" type="IPaddr2"><operations>
        <op id="address-monitor" name="monitor" interval="0.5s" timeout="20s"/></operations></template>
        <primitive id="second" template="address"/></resources>"""
    cib = cib_of("clean", ("</resources>", template))
    assert cib.primitives["second"].agent == "ocf:heartbeat:IPaddr2"
    assert ("C001", "address-monitor") in [(each.code, each.where) for each in traps.check(cib, None)]


def test_values_under_a_rule_do_not_count() -> None:
    ruled = """<meta_attributes id="night" score="5"><rule id="night-rule" score="0">
        <date_expression id="night-date" operation="gt" start="2030-01-01"/></rule>
        <nvpair id="night-threshold" name="migration-threshold" value="1"/></meta_attributes></rsc_defaults>"""
    cib = cib_of("clean", ("</rsc_defaults>", ruled))
    assert cib.primitives["vip"].meta["migration-threshold"] == "3"


@pytest.mark.parametrize("constraint", [
    '<rsc_location id="x" rsc="all" node="c1" score="100"/>',
    '<rsc_location id="x" rsc-pattern="a.*" node="c1" score="100"/>',
    '<rsc_location id="x" node="c1" score="100"><resource_set id="s"><resource_ref id="api-clone"/></resource_set>'
    "</rsc_location>",
])  # fmt: skip
def test_opt_in_through_tag_pattern_and_set(constraint: str) -> None:
    tags = '<tags><tag id="all"><obj_ref id="api-clone"/></tag></tags></configuration>'
    cib = cib_of("opt-in", ("</constraints>", f"{constraint}</constraints>"), ("</configuration>", tags))
    assert "C012" not in [each.code for each in traps.check(cib, None)]


@pytest.mark.parametrize(("constraint", "watched"), [
    ('<rsc_colocation id="x" rsc="front" with-rsc="connected-clone" score="INFINITY"/>', True),
    ('<rsc_colocation id="x" rsc="front" with-rsc="connected-clone" score="100"/>', False),
    ('<rsc_colocation id="x" rsc="connected-clone" with-rsc="front" score="INFINITY"/>', False),
])  # fmt: skip
def test_vip_that_follows_a_watcher(constraint: str, watched: bool) -> None:
    cib = cib_of("vip-unwatched", ("</constraints>", f"{constraint}</constraints>"))
    assert ("C015" not in [each.code for each in traps.check(cib, None)]) is watched


def test_later_versions_know_more() -> None:
    cib = cib_of("property-later", ("2.1.5-a3f44794f94", "2.1.7-1"))
    assert "C018" not in [each.code for each in traps.check(cib, None)]
    serial = cib_of("fencing-serial", ("2.1.5-a3f44794f94", "3.0.1-1"))
    assert "F013" not in [each.code for each in traps.check(serial, None)]
