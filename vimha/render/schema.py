"""Checks a CIB's form against Pacemaker's own RELAX NG schema, before any cluster sees it.

Invariant: no entity is expanded and nothing is fetched; what the schema's processor does not check, that ids are
unique and references lead somewhere, is checked here.
"""

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from vimha.findings import Finding
from vimha.render import rules

if TYPE_CHECKING:
    from lxml import etree

SCHEMAS = Path("/usr/share/pacemaker")
_NAMED = re.compile(r"pacemaker-(\d+)\.(\d+)")
_REFERENCES = {
    "rsc_location": ("rsc",),
    "rsc_colocation": ("rsc", "with-rsc"),
    "rsc_order": ("first", "then"),
    "resource_ref": ("id",),
}
"""Attributes that hold a resource's id, by element. (Lists of fence devices are a rule of their own: cluster traps.)"""
_RESOURCES = ("primitive", "group", "clone", "master", "bundle", "template")
_IGNORED = frozenset({"node", "resource_ref", "obj_ref"})
"""Elements whose id is not theirs alone: a node's number, and references."""


def check_schema(xml: bytes, where: str = "cib.xml", schemas: Path = SCHEMAS) -> list[Finding]:
    """What is wrong with the form of the CIB `xml`, each finding at `where`:line."""
    from lxml import etree

    try:
        root = etree.fromstring(xml, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True))
    except etree.XMLSyntaxError as error:
        return [rules.NOT_XML.finding(f"{where}:{error.lineno or 1}", error.msg or "not XML")]
    names = [*_duplicates(root, where), *_dangling(root, where)]
    return [*_against_schema(root, where, schemas, names), *names]


def schema_path(named: str, schemas: Path = SCHEMAS) -> Path | None:
    """The installed schema that `named` (a CIB's validate-with) asks for, else the newest; None without any."""
    installed = {
        (int(match[1]), int(match[2])): path
        for path in schemas.glob("pacemaker-*.rng") if (match := _NAMED.fullmatch(path.stem))
    }  # fmt: skip
    asked = schemas / f"{named}.rng"
    if _NAMED.fullmatch(named) and asked in installed.values():
        return asked
    return installed[max(installed)] if installed else None


def _against_schema(root: "etree._Element", where: str, schemas: Path, known: list[Finding]) -> list[Finding]:
    """The schema's complaint. libxml2 stops at the first error and reports each element around it too, so the innermost
    is the one to read. What it says of ids has no line; it is left out when the findings `known` say it better.
    """
    path = schema_path(root.get("validate-with", ""), schemas)
    if path is None:
        return [rules.NO_SCHEMA.finding(where, f"{schemas} has no schema, so the CIB was not checked against one")]
    schema = _load(path)
    if schema.validate(root):
        return []
    depths = {_line(element): len(list(element.iterancestors())) for element in root.iter("*")}
    worst = max(schema.error_log, key=lambda entry: depths.get(entry.line, -1))
    place = f"{where}:{worst.line or 1}"
    if known and (not worst.line or place in {finding.where for finding in known}):
        return []
    return [rules.SCHEMA.finding(place, f"{worst.message} ({path.name}{_near(root, worst.line)})")]


@cache
def _load(path: Path) -> "etree.RelaxNG":
    from lxml import etree

    return etree.RelaxNG(etree.parse(path))


def _near(root: "etree._Element", line: int) -> str:
    """The id of the element at `line`, for a message; empty when it has none."""
    named = [element.get("id", "") for element in root.iter() if _line(element) == line]
    return f", near id {named[0]}" if named and named[0] else ""


def _duplicates(root: "etree._Element", where: str) -> list[Finding]:
    first: dict[str, int] = {}
    found = []
    for element in _configuration(root).iter("*"):
        name, line = element.get("id"), _line(element)
        if name is None or element.tag in _IGNORED:
            continue
        if name in first:
            found.append(rules.DUPLICATE_ID.finding(f"{where}:{line}", f"id {name} is used at line {first[name]} too"))
        first.setdefault(name, line)
    return found


def _configuration(root: "etree._Element") -> "etree._Element":
    """What the operator wrote; in the status section ids repeat per node."""
    found = root.find("configuration")
    return root if found is None else found


def _line(element: "etree._Element") -> int:
    return cast("int", element.sourceline)


def _dangling(root: "etree._Element", where: str) -> list[Finding]:
    configuration = _configuration(root)
    known = {element.get("id") for element in configuration.iter(*_RESOURCES, "tag")}
    return [
        rules.DANGLING.finding(f"{where}:{_line(element)}", f"{element.tag} names {name}, which does not exist")
        for element in configuration.iter(*_REFERENCES) for attribute in _REFERENCES[str(element.tag)]
        if (name := element.get(attribute)) is not None and name not in known
    ]  # fmt: skip
