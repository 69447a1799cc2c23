"""A smaller configuration that behaves like a large one: of many resources of a kind, some.

Invariant: two resources are of a kind only when the scheduler cannot tell them apart but by name: same agent,
container, meta attributes, operations and constraints, and nothing else depends on either. What others depend on,
fence devices and groups are always kept.
"""

from collections import Counter
from collections.abc import Iterator
from copy import deepcopy

from lxml import etree

from vimha.cluster.cib import Cib, Element, Primitive, attributes

Kind = tuple[object, ...]


def representative(cib: Cib, most: int) -> Cib:
    """`cib`, or a copy reduced towards `most` instances in all; two of each kind are kept at least."""
    if instances(cib) <= most:
        return cib
    sizes = {each.id: _size(cib, each) for each in cib.primitives.values()}
    mentions = _mentions(cib)
    kinds = {each.id: _kind(each, mentions) for each in cib.primitives.values() if _is_alone(cib, each)}
    count = Counter(kinds.values())
    fixed = sum(size for name, size in sizes.items() if name not in kinds)
    room = max(0, most - fixed) // max(1, len(count))
    dropped: set[str] = set()
    kept: Counter[Kind] = Counter()
    for name, kind in kinds.items():
        if kept[kind] < max(2, room // sizes[name]):
            kept[kind] += 1
        else:
            dropped.update(cib.primitives[name].names)
    return _without(cib, dropped)


def instances(cib: Cib) -> int:
    """How many instances of primitives `cib` can have at most."""
    return sum(_size(cib, each) for each in cib.primitives.values())


def _size(cib: Cib, primitive: Primitive) -> int:
    return len(cib.nodes) if primitive.clone is not None else 1


def _is_alone(cib: Cib, primitive: Primitive) -> bool:
    """Whether nothing but `primitive` itself would change if it were not there."""
    if primitive.is_fencing or len(primitive.parents) > 1 or any(each.tag == "group" for each in primitive.parents):
        return False
    return not any(cib.followers.get(name, set()) - set(primitive.names) for name in primitive.names)


def _mentions(cib: Cib) -> dict[str, list[Element]]:
    """The constraints that name each resource, in whatever part."""
    found: dict[str, list[Element]] = {}
    for each in cib.constraints:
        for name in cib.named(each, "rsc", "with-rsc", "first", "then"):
            found.setdefault(name, []).append(each)
    return found


def _kind(primitive: Primitive, mentions: dict[str, list[Element]]) -> Kind:
    return (
        primitive.agent,
        tuple(sorted(primitive.meta.items())),
        tuple(each.tag for each in primitive.parents),
        tuple((each.name, each.role, each.on_fail, each.interval, each.timeout) for each in primitive.operations),
        tuple(
            (each.tag, tuple(sorted(_shape(each, primitive.names))))
            for name in primitive.names for each in mentions.get(name, ())
        ),
    )  # fmt: skip


def _shape(constraint: Element, names: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    """What a constraint says, but for ids and for the resource's own names. A resource set says the same of all of
    its members, and stands for itself.
    """
    for each in constraint.iter("rule", "expression", "rsc_location", "rsc_colocation", "rsc_order"):
        for key, value in attributes(each).items():
            if key != "id":
                yield str(each.tag), key, "self" if value in names else value
    for each in constraint.iterfind("resource_set"):
        if any(reference.get("id") in names for reference in each.iterfind("resource_ref")):
            yield "resource_set", "of", each.get("id", "")


def _without(cib: Cib, dropped: set[str]) -> Cib:
    """A copy of `cib` without the resources `dropped`, and without what only they were named in."""
    root = deepcopy(cib.root)
    for each in list(root.iter(etree.Element)):
        parent = each.getparent()
        if parent is None:
            continue
        gone = each.get("id") in dropped and each.tag in ("primitive", "clone", "master", "resource_ref", "obj_ref")
        named = {each.get(key) for key in ("rsc", "with-rsc", "first", "then")} & dropped
        if gone or (named and parent.tag == "constraints"):
            parent.remove(each)
    for each in list(root.iter("resource_set")):
        parent = each.getparent()
        if len(each) == 0 and parent is not None:
            parent.remove(each)
    return Cib(root)
