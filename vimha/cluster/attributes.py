"""Node attributes that placement hangs on: which agents publish them, and values that let everything run.

Invariant: a value chosen here makes no ban apply that it could avoid; so what does not start then, never starts.
"""

from collections.abc import Iterator

from vimha.cluster.cib import Cib, Element, score

PLENTY = "1000"
"""More than any count of ports or reachable hosts that a rule asks for."""


def published(cib: Cib) -> dict[str, set[str]]:
    """The attributes that agents in `cib` publish, each with the resources that do."""
    found: dict[str, set[str]] = {}
    for each in cib.primitives.values():
        params, kind = each.params, each.agent.rpartition(":")[2]
        name = ""
        if each.agent == "ocf:vimha:bond":
            name = params.get("attribute", "vimha-ports")
        elif kind in ("ping", "pingd"):
            name = params.get("name", "pingd")
        elif kind == "ethmonitor":
            name = params.get("name") or f"ethmonitor-{params.get('interface', '')}"
        if name:
            found.setdefault(name, set()).add(each.id)
    return found


def satisfying(cib: Cib) -> dict[str, str]:
    """A value for every transient attribute that location rules ban nodes by: one with which the fewest bans hold."""
    wanted: dict[str, list[Element]] = {}
    for constraint in cib.constraints:
        if constraint.tag == "rsc_location":
            for rule in constraint.iterfind("rule"):
                if score(rule.get("score")) < 0:
                    for each in rule.iter("expression"):
                        wanted.setdefault(each.get("attribute", "#"), []).append(each)
    permanent = {name for attributes in cib.nodes.values() for name in attributes}
    return {
        name: min(_candidates(found), key=lambda value: sum(_holds(each, value) for each in found))
        for name, found in wanted.items() if not name.startswith("#") and name not in permanent
    }  # fmt: skip


def _candidates(expressions: list[Element]) -> Iterator[str]:
    yield PLENTY
    for each in expressions:
        value = each.get("value", "")
        yield value
        if value.lstrip("-").isdecimal():
            yield str(int(value) + 1)
            yield str(int(value) - 1)


def _holds(expression: Element, value: str) -> bool:
    """Whether `expression` is true of an attribute that is `value`."""
    operation, other = expression.get("operation", ""), expression.get("value", "")
    if operation in ("defined", "not_defined"):
        return operation == "defined"
    order = _compared(value, other)
    return {
        "lt": order < 0, "lte": order <= 0, "eq": order == 0, "ne": order != 0, "gte": order >= 0, "gt": order > 0,
    }.get(operation, False)  # fmt: skip


def _compared(one: str, other: str) -> int:
    """Their order: as numbers where both are, else as text."""
    try:
        left, right = float(one), float(other)
    except ValueError:
        return (one > other) - (one < other)
    return (left > right) - (left < right)
