"""A1: constraints are read two resources at a time, sets included, as Pacemaker Explained has them."""

import pytest
from lxml import etree
from test_cluster_traps import cib_of

from vimha.cluster.constraints import colocated, ordered

A, B = '<resource_ref id="a"/>', '<resource_ref id="b"/>'
C, D = '<resource_ref id="c"/>', '<resource_ref id="d"/>'


@pytest.mark.parametrize(("text", "pairs"), [
    ('<rsc_order first="a" then="b"/>', {("a", "b")}),
    ('<rsc_order first="a" then="b" kind="Optional"/>', set()),
    ('<rsc_order first="a" then="b" score="0"/>', set()),
    (f"<rsc_order><resource_set>{A}{B}{C}</resource_set></rsc_order>", {("a", "b"), ("b", "c")}),
    (f'<rsc_order><resource_set sequential="false">{A}{B}</resource_set><resource_set>{C}</resource_set></rsc_order>',
     {("a", "c"), ("b", "c")}),
])  # fmt: skip
def test_order(text: str, pairs: set[tuple[str, str]]) -> None:
    assert set(ordered(etree.fromstring(text))) == pairs


@pytest.mark.parametrize(("text", "pairs"), [
    ('<rsc_colocation rsc="a" with-rsc="b"/>', {("a", "b")}),
    (f"<rsc_colocation><resource_set>{A}{B}</resource_set></rsc_colocation>", {("b", "a")}),
    (f'<rsc_colocation><resource_set sequential="false">{A}{B}</resource_set><resource_set>{C}{D}</resource_set>'
     "</rsc_colocation>", {("a", "c"), ("a", "d"), ("b", "c"), ("b", "d"), ("d", "c")}),
])  # fmt: skip
def test_colocation(text: str, pairs: set[tuple[str, str]]) -> None:
    assert set(colocated(etree.fromstring(text))) == pairs


def test_group_clone_and_tag_in_between() -> None:
    tags = '<tags><tag id="pair"><obj_ref id="api-clone"/><obj_ref id="connected-clone"/></tag></tags></configuration>'
    order = '<rsc_order id="o" first="pair" then="front"/></constraints>'
    cib = cib_of("clean", ("</constraints>", order), ("</configuration>", tags))
    assert cib.anchors["web"] == {"vip"}
    assert cib.anchors["front"] == {"vip", "web"}
    assert "front" in cib.followers["api-clone"] & cib.followers["connected-clone"]
