"""The check of a CIB's form finds what Pacemaker would refuse, at its line, and trusts no input."""

from pathlib import Path

import pytest
from render_sites import example, made

from vimha.findings import Severity
from vimha.render.schema import check_schema, schema_path

GOOD = made(example("small")).cib.content


def line_of(xml: bytes, text: bytes) -> int:
    return xml[: xml.index(text)].count(b"\n") + 1


def broken(old: bytes, new: bytes) -> bytes:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def test_what_vimha_renders_has_no_findings() -> None:
    assert check_schema(GOOD) == []


@pytest.mark.parametrize("xml", [b"", b"<cib", b"no xml", b"<cib></bic>", b"\xff\xfe\x00"])
def test_what_is_not_xml_is_one_finding(xml: bytes) -> None:
    assert [finding.code for finding in check_schema(xml, "x.xml")] == ["R002"]


def test_a_misspelt_element_is_found_at_its_line() -> None:
    xml = broken(b'operation="lt"', b'operation="less"')
    found = check_schema(xml, "x.xml")
    assert {finding.code for finding in found} == {"R003"}
    assert f"x.xml:{line_of(xml, b'less')}" in {finding.where for finding in found}


def test_an_id_used_twice_is_found_with_the_other_place() -> None:
    xml = broken(b'<primitive id="haproxy"', b'<primitive id="front"')
    found = [finding for finding in check_schema(xml) if finding.code == "R004"]
    again = line_of(xml, b'<group id="front"')
    assert [finding.where for finding in found] == [f"cib.xml:{again}"]
    first = line_of(xml, b'<primitive id="front"')
    assert f"line {first}" in found[0].message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'rsc="front"', b'rsc="frnt"'),
        (b'<rsc_location id="fence-control-1.elsewhere" rsc="fence-control-1"',
         b'<rsc_order id="o" first="gone" then="front"/><rsc_location id="l" rsc="front"'),
    ],
)  # fmt: skip
def test_a_constraint_on_nothing_is_found(old: bytes, new: bytes) -> None:
    assert [finding.code for finding in check_schema(broken(old, new))] == ["R005"]


def test_history_may_repeat_ids() -> None:
    history = b'<status><node_state id="1" uname="a"/><node_state id="2" uname="b"/><x id="haproxy"/></status>'
    assert {finding.code for finding in check_schema(broken(b"<status/>", history))} <= {"R003"}


def test_entities_are_not_expanded() -> None:
    bomb = b'<!DOCTYPE cib [<!ENTITY a SYSTEM "file:///etc/passwd">]><cib validate-with="pacemaker-3.9">&a;</cib>'
    assert "root:" not in str(check_schema(bomb))


def test_without_a_schema_the_rest_is_still_checked(tmp_path: Path) -> None:
    found = check_schema(broken(b'<primitive id="haproxy"', b'<primitive id="front"'), schemas=tmp_path)
    assert [(finding.code, finding.severity) for finding in found] == [
        ("R001", Severity.WARNING),
        ("R004", Severity.ERROR),
    ]


def test_the_schema_is_the_one_named_or_else_the_newest(tmp_path: Path) -> None:
    for name in ("pacemaker-3.9.rng", "pacemaker-3.10.rng", "pacemaker-next.rng", "pacemaker.rng", "other-4.0.rng"):
        (tmp_path / name).touch()
    found = [schema_path(name, tmp_path) for name in ("pacemaker-3.9", "pacemaker-4.2", "", "../pacemaker-3.9")]
    assert [path.name for path in found if path] == ["pacemaker-3.9.rng", *["pacemaker-3.10.rng"] * 3]
