"""What differs between two configurations in what they mean, not in how they are written.

Invariant: two configurations that Pacemaker would treat alike have no difference: ids of nested elements, the order of
what Pacemaker does not order, and the spelling of durations do not count; the order of a group's members does.
Values that may be secrets are compared, and never shown.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from lxml import etree

from vimha.cluster.durations import interval_ms, show, timeout_ms

Action = Literal["add", "remove", "change"]
Key = tuple[str, str]
Facts = dict[str, str]

OWN_PROPERTIES = frozenset({"have-watchdog", "dc-version", "cluster-infrastructure", "last-lrm-refresh"})
"""Properties that Pacemaker writes itself: they are the cluster's, not the site's."""
RESOURCES = ("primitive", "group", "clone", "master", "bundle", "template")
NVPAIRS = {"instance_attributes": "parameter", "meta_attributes": "meta", "utilization": "utilization"}
_SECRET = re.compile(r"passw|secret|token$|community|private_key", re.IGNORECASE)
_DURATION = re.compile(r"\d+(ms|s)")
_SCRIPT = re.compile(r"(_script|_file|_path)$")


@dataclass(frozen=True)
class Detail:
    """One value that differs; None: it is not there at all."""

    name: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        if self.old is None:
            return f"{self.name} = {self.new}"
        return f"{self.name}: {self.old} -> {'nothing' if self.new is None else self.new}"


@dataclass(frozen=True)
class Change:
    """One object that is added, removed or changed; `details` are in the order of their names."""

    action: Action
    kind: str
    name: str
    details: tuple[Detail, ...]

    def as_dict(self) -> dict[str, Any]:
        """The stable JSON shape in `vimha plan --format json`."""
        details = [{"name": each.name, "old": each.old, "new": each.new} for each in self.details]
        return {"action": self.action, "kind": self.kind, "name": self.name, "details": details}


def compare(old: etree._Element, new: etree._Element) -> tuple[Change, ...]:
    """How the CIB `new` differs from the CIB `old` (both roots), by kind and name."""
    before, after = dict(objects(old)), dict(objects(new))
    keys = sorted(before.keys() | after.keys())
    return tuple(change for key in keys if (change := _change(key, before.get(key), after.get(key))))


def _change(key: Key, old: Facts | None, new: Facts | None) -> Change | None:
    if old == new:
        return None
    action: Action = "change" if old is not None and new is not None else "add" if old is None else "remove"
    before, after = old or {}, new or {}
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return Change(action, *key, tuple(_detail(name, before.get(name), after.get(name)) for name in names))


def _detail(name: str, old: str | None, new: str | None) -> Detail:
    word = name.split(" ")[1] if " " in name else name
    if _SECRET.search(word) and not _SCRIPT.search(word):
        return Detail(name, old and "(hidden)", new and ("(hidden)" if old is None else "(hidden, another)"))
    return Detail(name, old, new)


def objects(root: etree._Element) -> Iterator[tuple[Key, Facts]]:
    """Every object of a CIB's configuration: its kind and name, and what it says."""
    configuration = root.find("configuration")
    if configuration is None:
        return
    for pair in configuration.iterfind("crm_config/cluster_property_set/nvpair"):
        if pair.get("name") not in OWN_PROPERTIES:
            yield ("property", pair.get("name", "")), {"value": _spelled(pair.get("value", ""))}
    yield from _capacities(configuration)
    for tag, kind in (("rsc_defaults", "resource default"), ("op_defaults", "operation default")):
        for name, value in _pairs(configuration.iterfind(f"{tag}/meta_attributes")):
            yield (kind, name), {"value": _spelled(value)}
    for resource in configuration.iterfind("resources//*"):
        if resource.tag in RESOURCES:
            yield ("resource", resource.get("id", "")), _resource(resource)
    for constraint in configuration.iterfind("constraints/*"):
        yield ("constraint", constraint.get("id", "")), _constraint(constraint)
    for level in configuration.iterfind("fencing-topology/fencing-level"):
        target = (
            level.get("target")
            or level.get("target-pattern")
            or f"{level.get('target-attribute')}={level.get('target-value')}"
        )
        yield ("fencing level", f"{target} {level.get('index')}"), _attributes(level)
    for section in ("alerts", "tags", "acls"):
        for entry in configuration.iterfind(f"{section}/*"):
            yield (section.rstrip("s"), entry.get("id", "")), {"content": canonical(entry)}


def _capacities(configuration: etree._Element) -> Iterator[tuple[Key, Facts]]:
    for node in configuration.iterfind("nodes/node"):
        for name, value in _pairs(node.iterfind("utilization")):
            yield ("node capacity", f"{node.get('uname')} {name}"), {"value": value}


def _attributes(element: etree._Element) -> Facts:
    return {str(name): str(value) for name, value in element.attrib.items() if name != "id"}


def _spelled(value: str) -> str:
    """A property's or default's value; a duration in the one spelling that its milliseconds have."""
    return show(interval_ms(value)) if _DURATION.fullmatch(value) else value


def _pairs(sets: Iterator[etree._Element]) -> Iterator[tuple[str, str]]:
    """The name and value of each nvpair of the sets; where a rule says when, the name says so too."""
    for entry in sets:
        rule = entry.find("rule")
        where = f" where {canonical(rule)}" if rule is not None else ""
        if "id-ref" in entry.attrib:
            yield f"set {entry.get('id-ref')}", "referred to"
        for pair in entry.iterfind("nvpair"):
            yield f"{pair.get('name') or pair.get('id-ref')}{where}", pair.get("value", "")


def _resource(element: etree._Element) -> Facts:
    facts = {"type": _type(element)}
    if "template" in element.attrib:
        facts["template"] = element.get("template", "")
    for tag, word in NVPAIRS.items():
        facts |= {f"{word} {name}": value for name, value in _pairs(element.iterfind(tag))}
    facts |= dict(_operations(element))
    members = [child.get("id", "") for child in element if child.tag in RESOURCES]
    if members:
        facts["members" if element.tag == "group" else "member"] = ", ".join(members)
    others = [child for child in element if child.tag not in (*NVPAIRS, *RESOURCES, "operations")]
    return facts | {str(child.tag): canonical(child) for child in others}


def _type(element: etree._Element) -> str:
    if element.tag != "primitive":
        return str(element.tag)
    return ":".join(filter(None, (element.get("class"), element.get("provider"), element.get("type"))))


def _operations(element: etree._Element) -> Iterator[tuple[str, str]]:
    """The operations' values, each named by its operation, and by its interval where several have the same name."""
    found = element.findall("operations/op")
    names = [_operation(each) for each in found]
    for each, name in zip(found, names, strict=True):
        shown = name if names.count(name) == 1 else f"{name} every {show(interval_ms(each.get('interval')))}"
        values = _attributes(each) | {"interval": show(interval_ms(each.get("interval")))}
        if "timeout" in values:
            values["timeout"] = show(timeout_ms(values["timeout"]))
        yield from ((f"{shown} {key}", value) for key, value in values.items() if key not in ("name", "role"))
        for tag, word in NVPAIRS.items():
            yield from ((f"{shown} {word} {key}", value) for key, value in _pairs(each.iterfind(tag)))


def _operation(element: etree._Element) -> str:
    return " ".join(filter(None, ("operation", element.get("name"), element.get("role"))))


def _constraint(element: etree._Element) -> Facts:
    facts = _attributes(element) | {"type": str(element.tag).removeprefix("rsc_")}
    unordered = element.tag == "rsc_location"
    for number, child in enumerate(element):
        name = str(child.tag) if len(element) == 1 else f"{child.tag!s} {number + 1}"
        facts[name] = canonical(child, unordered=unordered)
    return facts


def canonical(element: etree._Element, *, unordered: bool = False) -> str:
    """`element` as one line without nested ids; the parts of a rule have no order."""
    if element.tag == "expression" and element.get("operation") in ("defined", "not_defined"):
        return f"{element.get('attribute')} {element.get('operation')}"
    if element.tag == "expression":
        return f"{element.get('attribute')} {element.get('operation')} {element.get('value')}"
    if element.tag == "resource_ref":
        return str(element.get("id"))
    tag, parts = str(element.tag), [canonical(child, unordered=unordered) for child in element]
    if tag == "rule":
        joint = f" {element.get('boolean-op', 'and')} "
        score = element.get("score") or element.get("score-attribute") or ""
        return joint.join(sorted(parts)) + (f" (score {score})" if score not in ("", "0") else "")
    values = [f"{name}={value}" for name, value in sorted(_attributes(element).items())]
    text = " ".join([*values, *(sorted(parts) if unordered else parts)])
    return text if tag == "resource_set" else f"{tag}({text})"
