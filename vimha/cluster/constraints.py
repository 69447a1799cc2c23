"""What a constraint says of two resources at a time, resource sets included.

Invariant: a set's own order counts as Pacemaker Explained ("Resource Sets") has it: in a sequential set each member
depends on the one before; an ordering goes from set to set; a colocated set depends on the sets that follow it.
"""

from collections.abc import Iterator
from itertools import pairwise

from lxml import etree

Element = etree._Element
Pair = tuple[str, str]


def ordered(constraint: Element) -> Iterator[Pair]:
    """(first, then) of an <rsc_order> that holds on its own: an optional one only sorts what happens anyway."""
    if constraint.get("kind") == "Optional" or constraint.get("score") == "0":
        return
    if constraint.get("first"):
        yield constraint.get("first", ""), constraint.get("then", "")
    sets = list(constraint.iterfind("resource_set"))
    for each in sets:
        yield from _within(each)
    for before, after in pairwise(sets):
        yield from ((first, then) for first in _members(before) for then in _members(after))


def colocated(constraint: Element) -> Iterator[Pair]:
    """(dependent, anchor) of an <rsc_colocation>."""
    if constraint.get("rsc"):
        yield constraint.get("rsc", ""), constraint.get("with-rsc", "")
    sets = list(constraint.iterfind("resource_set"))
    for each in sets:
        yield from ((dependent, anchor) for anchor, dependent in _within(each))
    for dependents, anchors in pairwise(sets):
        yield from ((dependent, anchor) for dependent in _members(dependents) for anchor in _members(anchors))


def _members(each: Element) -> list[str]:
    return [reference.get("id", "") for reference in each.iterfind("resource_ref")]


def _within(each: Element) -> Iterator[Pair]:
    return pairwise(_members(each)) if each.get("sequential", "true") == "true" else iter(())
