"""Differences in meaning: what Pacemaker would treat alike is alike, everything else is told."""

import re
from copy import deepcopy
from random import Random

import pytest
from fake_cluster import data
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from vimha.cluster.diff import compare, objects
from vimha.cluster.document import parse_cib

CIB = """<cib><configuration>
<crm_config><cluster_property_set id="o">
 <nvpair id="o1" name="stonith-enabled" value="true"/><nvpair id="o2" name="dc-version" value="2.1.5"/>
</cluster_property_set></crm_config><nodes/>
<resources>
 <primitive id="f1" class="stonith" type="fence_x"><instance_attributes id="f1p">
  <nvpair id="f1a" name="passwd" value="s3cret"/><nvpair id="f1b" name="password_file" value="/etc/x"/>
 </instance_attributes></primitive>
 <group id="g">
  <primitive id="vip" class="ocf" provider="heartbeat" type="IPaddr2">
   <instance_attributes id="vp"><nvpair id="vp1" name="ip" value="10.0.0.1"/></instance_attributes>
   <operations><op id="vm" name="monitor" interval="500ms" timeout="2s"/></operations></primitive>
  <primitive id="lb" class="ocf" provider="vimha" type="haproxy">
   <operations><op id="lm" name="monitor" interval="1s"/><op id="ls" name="monitor" interval="5s"/></operations>
  </primitive>
 </group>
</resources>
<constraints>
 <rsc_location id="l" rsc="g"><rule id="r" score="-INFINITY" boolean-op="or">
  <expression id="e1" attribute="p" operation="not_defined"/>
  <expression id="e2" attribute="p" operation="lt" value="1"/></rule></rsc_location>
</constraints>
<fencing-topology><fencing-level id="t" target="n1" index="1" devices="f1"/></fencing-topology>
<rsc_defaults><meta_attributes id="d">
 <nvpair id="d1" name="failure-timeout" value="120s"/></meta_attributes></rsc_defaults>
</configuration></cib>"""


def told(*edits: tuple[str, str]) -> list[str]:
    """What compare() tells after each `old` text in CIB was replaced by `new`."""
    changed = CIB
    for old, new in edits:
        assert old in changed
        changed = changed.replace(old, new)
    found = compare(parse_cib(CIB.encode(), "old"), parse_cib(changed.encode(), "new"))
    return [f"{each.action} {each.kind} {each.name}: {'; '.join(map(str, each.details))}" for each in found]


@pytest.mark.parametrize(
    "edits",
    [
        [('id="vp1"', 'id="other"')],
        [('timeout="2s"', 'timeout="2000ms"')],
        [('interval="1s"', 'interval="1000ms"')],
        [('value="120s"', 'value="120000ms"')],
        [('value="2.1.5"', 'value="3.0.0"')],
        [('<expression id="e1" attribute="p" operation="not_defined"/>', ""),
         ("</rule>", '<expression id="x" attribute="p" operation="not_defined"/></rule>')],
    ],
)  # fmt: skip
def test_what_pacemaker_treats_alike_is_no_change(edits: list[tuple[str, str]]) -> None:
    assert told(*edits) == []


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (('value="10.0.0.1"', 'value="10.0.0.2"'), "change resource vip: parameter ip: 10.0.0.1 -> 10.0.0.2"),
        (('interval="500ms"', 'interval="250ms"'), "change resource vip: operation monitor interval: 500ms -> 250ms"),
        ((' timeout="2s"', ""), "change resource vip: operation monitor timeout: 2s -> nothing"),
        (('name="stonith-enabled" value="true"', 'name="stonith-enabled" value="false"'),
         "change property stonith-enabled: value: true -> false"),
        (('score="-INFINITY"', 'score="0"'),
         "change constraint l: rule: p lt 1 or p not_defined (score -INFINITY) -> p lt 1 or p not_defined"),
        (('devices="f1"', 'devices="f1,f2"'), "change fencing level n1 1: devices: f1 -> f1,f2"),
        (('name="failure-timeout" value="120s"', 'name="failure-timeout" value="60s"'),
         "change resource default failure-timeout: value: 120s -> 60s"),
        (('type="fence_x"', 'type="fence_y"'), "change resource f1: type: stonith:fence_x -> stonith:fence_y"),
    ],
)  # fmt: skip
def test_one_changed_value_is_one_change(edit: tuple[str, str], expected: str) -> None:
    assert told(edit) == [expected]


def test_a_groups_order_counts() -> None:
    members = re.findall(r'<primitive id="(?:vip|lb)".*?</primitive>', CIB, re.DOTALL)
    swapped = CIB.replace(members[0], "@").replace(members[1], members[0]).replace("@", members[1])
    found = compare(parse_cib(CIB.encode(), ""), parse_cib(swapped.encode(), ""))
    assert [(each.name, str(each.details[0])) for each in found] == [("g", "members: vip, lb -> lb, vip")]


def test_an_added_object_is_told_whole_and_a_removed_one_too() -> None:
    extra = '<primitive id="new" class="ocf" provider="pacemaker" type="Dummy"/>'
    with_it, without = CIB.replace("</resources>", extra + "</resources>"), CIB
    old, new = parse_cib(without.encode(), ""), parse_cib(with_it.encode(), "")
    assert [(each.action, each.name) for each in compare(old, new)] == [("add", "new")]
    assert [(each.action, each.name) for each in compare(new, old)] == [("remove", "new")]


def test_a_secret_is_compared_and_never_shown() -> None:
    (line,) = told(("s3cret", "0ther"))
    assert "(hidden)" in line
    assert "s3cret" not in line and "0ther" not in line


def test_a_password_files_path_is_no_secret() -> None:
    assert told(("/etc/x", "/etc/y")) == ["change resource f1: parameter password_file: /etc/x -> /etc/y"]


def test_two_monitors_are_told_apart_by_their_interval() -> None:
    (line,) = told(
        ('<op id="ls" name="monitor" interval="5s"/>', '<op id="ls" name="monitor" interval="5s" on-fail="stop"/>')
    )
    assert line == "change resource lb: operation monitor every 5s on-fail = stop"


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_resources_properties_and_parameters_does_not_count(random: Random) -> None:
    root = parse_cib(data("healthy.cib.xml").encode(), "healthy")
    shuffled = deepcopy(root)
    for path in ("resources", "constraints", "fencing-topology", "crm_config/cluster_property_set"):
        section = shuffled.find(f"configuration/{path}")
        assert section is not None
        section[:] = random.sample(list(section), len(section))
    for attributes in shuffled.iter("instance_attributes"):
        pairs = attributes.findall("nvpair")
        for pair in random.sample(pairs, len(pairs)):
            attributes.append(pair)
    assert compare(root, shuffled) == ()


def test_every_object_of_a_real_configuration_is_known() -> None:
    root = parse_cib(data("healthy.cib.xml").encode(), "healthy")
    found = dict(objects(root))
    named = {("resource", each.get("id")) for each in root.iter("primitive", "group", "clone")}
    named |= {("constraint", each.get("id")) for each in root.iterfind("configuration/constraints/*")}
    assert named <= found.keys()
    assert found["resource", "glance-api"]["parameter url where #uname eq control-2"].endswith(".12:19292/healthcheck")
    assert etree.tostring(root)  # comparing has changed nothing
