"""A CIB as its readers need it: resources with what they inherit, operations, nodes, constraints, properties.

Invariant: reading only, and the same answer that Pacemaker's scheduler gives for everything that carries no rule:
templates and id-refs followed, meta attributes inherited from group, clone and rsc_defaults, the first of several
values taken. Sets that hold under a rule only are left out, except where a caller asks for all values.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from lxml import etree

from vimha.cluster import constraints, durations

Element = etree._Element
CONTAINERS = ("group", "clone", "master", "bundle")
"""What a primitive can be inside of; `master` is a promotable clone's name before Pacemaker 2."""
VIP_AGENTS = frozenset({"ocf:vimha:vip", "ocf:heartbeat:IPaddr2", "ocf:heartbeat:IPaddr", "ocf:heartbeat:IPv6addr"})
"""Agents that hold a VIP: vimha's own, and those of clusters that others made."""
TRUE = ("true", "on", "yes", "y", "1")
"""How Pacemaker spells true (lib/common/strings.c, crm_str_to_boolean)."""


@dataclass(frozen=True)
class Operation:
    """One <op> with its defaults; durations as written, and as Pacemaker reads them, in milliseconds."""

    id: str
    name: str
    role: str
    on_fail: str
    interval: str
    timeout: str | None
    enabled: bool

    @property
    def interval_ms(self) -> int:
        return durations.interval_ms(self.interval)

    @property
    def timeout_ms(self) -> int:
        return durations.timeout_ms(self.timeout)


@dataclass(frozen=True)
class Primitive:
    """One primitive: its agent, parameters, inherited meta attributes, operations, and what it is inside of, inner
    first. `all_params` has the values of every set, those that hold under a rule included.
    """

    id: str
    agent: str
    params: Mapping[str, str]
    all_params: tuple[tuple[str, str, str], ...]
    meta: Mapping[str, str]
    operations: tuple[Operation, ...]
    parents: tuple[Element, ...]

    @property
    def is_fencing(self) -> bool:
        return self.agent.startswith("stonith:")

    @property
    def is_vip(self) -> bool:
        return self.agent in VIP_AGENTS

    @property
    def names(self) -> tuple[str, ...]:
        """The ids by which a constraint can mean it: its own, and those of what it is inside of."""
        return (self.id, *(parent.get("id", "") for parent in self.parents))

    @property
    def top(self) -> str:
        """The id of the outermost resource that this one is part of: its clone's, its group's, or its own."""
        return self.parents[-1].get("id", "") if self.parents else self.id

    @property
    def clone(self) -> Element | None:
        """The clone that this is an instance of, if any."""
        return next((each for each in self.parents if each.tag in ("clone", "master")), None)

    def operation(self, name: str) -> Operation | None:
        """The first operation called `name`."""
        return next((each for each in self.operations if each.name == name), None)

    @property
    def is_on(self) -> bool:
        """Whether it is meant to run: neither switched off nor unmanaged, by itself or by what it is inside of."""
        return self.meta.get("target-role", "Started").lower() != "stopped" and is_true(
            self.meta.get("is-managed", "true")
        )

    def timeout_ms(self, name: str) -> int:
        """How long `name` may take, in milliseconds."""
        operation = self.operation(name)
        return operation.timeout_ms if operation else durations.DEFAULT_TIMEOUT


def attributes(element: Element) -> dict[str, str]:
    """An element's XML attributes, as text."""
    return {str(name): str(value) for name, value in element.attrib.items()}


def is_true(text: str | None) -> bool:
    """Whether Pacemaker reads `text` as true."""
    return (text or "").strip().lower() in TRUE


class Cib:
    """The configuration below a <cib>, read once. `root` stays the caller's, and is not changed."""

    def __init__(self, root: Element) -> None:
        self.root = root
        configuration = root.find("configuration")
        assert configuration is not None  # noqa: S101 (parse_cib saw it)
        self.configuration = configuration

    @cached_property
    def _by_id(self) -> dict[str, Element]:
        return {each.get("id", ""): each for each in self.configuration.iter(etree.Element) if each.get("id")}

    @cached_property
    def nodes(self) -> dict[str, dict[str, str]]:
        """The cluster's own nodes by name, with their permanent attributes; remote nodes are not among them."""
        return {
            node.get("uname", ""): self._values(node, "instance_attributes")
            for node in self.configuration.iterfind("nodes/node")
            if node.get("type", "member") in ("member", "normal")
        }

    @cached_property
    def properties(self) -> dict[str, str]:
        """The cluster properties that are set."""
        found = self.configuration.find("crm_config")
        return {} if found is None else self._values(found, "cluster_property_set")

    @cached_property
    def version(self) -> tuple[int, ...]:
        """Pacemaker's version as its DC wrote it, such as (2, 1, 5); 2.1 where no DC has run yet."""
        numbers = re.findall(r"\d+", self.properties.get("dc-version", "").partition("-")[0])
        return tuple(int(number) for number in numbers[:3]) or (2, 1)

    @property
    def is_fencing(self) -> bool:
        """Whether fencing is on; Pacemaker 3.0.2 calls it fencing-enabled, and reads both names."""
        return is_true(
            self.properties.get("fencing-enabled" if self.version >= (3, 0, 2) else "", "")
            or self.properties.get("stonith-enabled", "true")
        )

    def property_id(self, name: str) -> str:
        """The id of the nvpair that sets property `name`, or `crm_config` where it is left at its default."""
        for pair in self.configuration.iterfind("crm_config/cluster_property_set/nvpair"):
            if pair.get("name") == name:
                return pair.get("id") or "crm_config"
        return "crm_config"

    @cached_property
    def primitives(self) -> dict[str, Primitive]:
        """Every primitive by id, in the CIB's order."""
        found = self.configuration.iterfind("resources//primitive")
        return {each.get("id", ""): self._primitive(each) for each in found}

    @cached_property
    def constraints(self) -> tuple[Element, ...]:
        found = self.configuration.find("constraints")
        return () if found is None else tuple(found)

    @cached_property
    def levels(self) -> tuple[Element, ...]:
        """The fencing topology's levels."""
        return tuple(self.configuration.iterfind("fencing-topology/fencing-level"))

    @cached_property
    def located(self) -> dict[str, list[Element]]:
        """The location constraints by the resource that they name."""
        found: dict[str, list[Element]] = {}
        for each in self.constraints:
            if each.tag == "rsc_location":
                for name in self.named(each, "rsc"):
                    found.setdefault(name, []).append(each)
        return found

    @cached_property
    def anchors(self) -> dict[str, set[str]]:
        """For each resource what must be on its node first: what it is colocated with at INFINITY, the members of a
        group before it, a clone's or group's members for the whole.
        """
        found: dict[str, set[str]] = {}
        for each in self.constraints:
            if each.tag == "rsc_colocation" and score(each.get("score")) >= score("INFINITY"):
                for dependent, anchor in constraints.colocated(each):
                    for name in self.tagged(dependent):
                        found.setdefault(name, set()).update(self.tagged(anchor))
        for primitive in self.primitives.values():
            for parent in primitive.parents:
                found.setdefault(parent.get("id", ""), set()).add(primitive.id)
                if parent.tag == "group":
                    before = [each.get("id", "") for each in parent.iterfind("primitive")]
                    found.setdefault(primitive.id, set()).update(before[: before.index(primitive.id)])
        return found

    @cached_property
    def followers(self) -> dict[str, set[str]]:
        """For each resource those that may have to stop or move with it: what it anchors, and what comes after it."""
        found: dict[str, set[str]] = {}
        for name, anchors in self.anchors.items():
            for anchor in anchors:
                found.setdefault(anchor, set()).add(name)
        for each in self.constraints:
            if each.tag == "rsc_order":
                for first, then in constraints.ordered(each):
                    for name in self.tagged(first):
                        found.setdefault(name, set()).update(self.tagged(then))
        return found

    def named(self, constraint: Element, *attributes: str) -> set[str]:
        """The ids that `constraint` names in `attributes` (rsc, with-rsc, ...) and in resource sets, tags resolved."""
        found = {constraint.get(each, "") for each in attributes}
        found |= {each.get("id", "") for each in constraint.iterfind("resource_set/resource_ref")}
        if constraint.get("rsc-pattern"):
            found |= {name for each in self.primitives.values() for name in each.names}
        return {name for each in found - {""} for name in self.tagged(each)}

    def tagged(self, name: str) -> set[str]:
        """What `name` stands for: a tag's resources, or itself."""
        return self._tags.get(name) or {name}

    @cached_property
    def _tags(self) -> dict[str, set[str]]:
        return {
            tag.get("id", ""): {each.get("id", "") for each in tag.iterfind("obj_ref")}
            for tag in self.configuration.iterfind("tags/tag")
        }

    def _primitive(self, element: Element) -> Primitive:
        template = self._by_id.get(element.get("template", ""))
        sources = [element] if template is None else [element, template]
        parents = tuple(each for each in element.iterancestors() if each.tag in CONTAINERS)
        meta = dict(self._defaults("rsc_defaults"))
        for source in (*reversed(parents), *reversed(sources)):
            meta |= self._values(source, "meta_attributes")
        params: dict[str, str] = {}
        for source in reversed(sources):
            params |= self._values(source, "instance_attributes")
        named = [
            next((value for source in sources if (value := source.get(key))), "")
            for key in ("class", "provider", "type")
        ]
        return Primitive(
            element.get("id", ""),
            ":".join(part for part in named if part),
            params,
            tuple(self._all_values(sources)),
            meta,
            tuple(operation for source in sources for operation in self._operations(source)),
            parents,
        )

    def _operations(self, source: Element) -> Iterator[Operation]:
        for block in source.iterfind("operations"):
            for op in self._followed(block).iterfind("op"):
                own = self._followed(op)
                values = {**self._defaults("op_defaults"), **self._values(own, "meta_attributes"), **attributes(own)}
                yield Operation(
                    own.get("id", ""),
                    own.get("name", ""),
                    values.get("role", ""),
                    values.get("on-fail", ""),
                    values.get("interval", "0"),
                    values.get("timeout"),
                    is_true(values.get("enabled", "true")),
                )

    def _followed(self, element: Element) -> Element:
        return self._by_id.get(element.get("id-ref", ""), element)

    def _defaults(self, section: str) -> dict[str, str]:
        found = self.configuration.find(section)
        return {} if found is None else self._values(found, "meta_attributes")

    def _values(self, holder: Element, tag: str) -> dict[str, str]:
        """The values in `holder`'s sets called `tag` that hold under no rule; the highest score comes first."""
        sets = [self._followed(each) for each in holder.iterfind(tag)]
        sets.sort(key=lambda each: score(each.get("score")))
        values: dict[str, str] = {}
        for each in sets:
            if each.find("rule") is None:
                pairs = [self._followed(pair) for pair in each.iterfind("nvpair")]
                values |= {pair.get("name", ""): pair.get("value", "") for pair in reversed(pairs)}
        return values

    def _all_values(self, sources: list[Element]) -> Iterator[tuple[str, str, str]]:
        """(id, name, value) of every parameter in `sources`, whether a rule guards it or not."""
        for source in sources:
            for each in source.iterfind("instance_attributes"):
                for pair in self._followed(each).iterfind("nvpair"):
                    own = self._followed(pair)
                    yield own.get("id", ""), own.get("name", ""), own.get("value", "")


def score(text: str | None) -> int:
    """A score as a number; INFINITY is 1,000,000 (Pacemaker Explained, "Scores")."""
    given = (text or "0").strip()
    if given.lstrip("+-") == "INFINITY":
        return -1_000_000 if given.startswith("-") else 1_000_000
    try:
        return max(-1_000_000, min(1_000_000, int(given)))
    except ValueError:
        return 0
