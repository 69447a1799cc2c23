"""Attribute filters as conditions of SQL: columns where there are some, else the body's JSON.

Invariant: the same alarms as filters.matches, on SQLite and on MariaDB (10.6 or later, for JSON_TABLE); values are
always bound, never spelt into the statement. On table history the severity is the last one before the clearing.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Integer, String, Table, and_, func, literal, or_, select, type_coerce
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from vimha.alarms import times
from vimha.alarms.filters import ATTRIBUTES, ONE, Expression, Kind, Tree, grouped

COLUMNS: Mapping[str, str] = {
    "id": "id",
    "managedObjectId": "managed_object",
    "rootCauseFaultyResource/faultyResource/resourceId": "managed_object",
    "rootCauseFaultyResource/faultyResourceType": "resource_type",
    "alarmRaisedTime": "raised_us",
    "alarmClearedTime": "cleared_us",
    "ackState": "ack",
    "perceivedSeverity": "severity",
    "eventTime": "event_us",
    "eventType": "event_type",
    "faultType": "definition",
    "probableCause": "probable_cause",
    "alarmDefinitionId": "definition",
    "faultDomain": "fault_domain",
    "location/host": "host",
}
"""Path -> column that repeats it (store/schema.py)."""
COLLATION = "utf8mb4_nopad_bin"
"""That of the tables: texts are equal when they are the same."""


class JsonValue(FunctionElement[Any]):
    """A scalar of a JSON text at a path such as `$.location.rack`; NULL when there is none."""

    inherit_cache = True


class JsonElements(FunctionElement[Any]):
    """The elements of a JSON array of texts, as rows of one column `value`."""

    inherit_cache = True


@compiles(JsonValue, "sqlite")
def _sqlite_value(element: JsonValue, compiler: Any, **how: Any) -> str:
    return f"json_extract({compiler.process(element.clauses, **how)})"


@compiles(JsonValue, "mysql", "mariadb")
def _mariadb_value(element: JsonValue, compiler: Any, **how: Any) -> str:
    return f"JSON_VALUE({compiler.process(element.clauses, **how)})"


@compiles(JsonElements, "sqlite")
def _sqlite_elements(element: JsonElements, compiler: Any, **how: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **how)})"


@compiles(JsonElements, "mysql", "mariadb")
def _mariadb_elements(element: JsonElements, compiler: Any, **how: Any) -> str:
    column = f"`value` TEXT CHARACTER SET utf8mb4 COLLATE {COLLATION} PATH '$'"
    return f"JSON_TABLE(JSON_EXTRACT({compiler.process(element.clauses, **how)}), '$[*]' COLUMNS ({column}))"


def to_sql(tree: Tree, table: Table) -> list[ColumnElement[bool]]:
    """Conditions on the rows of `table` (schema.ALARM or schema.HISTORY)."""
    return [_condition(path, group, table) for path, group in grouped(tree).items()]


def _condition(path: str, group: list[Expression], table: Table) -> ColumnElement[bool]:
    known, name = ATTRIBUTES[path], COLUMNS.get(path)
    if known.many:
        elements = JsonElements(table.c.body, literal(f"$.{path}")).table_valued("value", name="element")
        holds = [_compare(each, elements.c.value, Kind.TEXT) for each in group]
        return select(literal(1)).select_from(elements).where(*holds).correlate(table).exists()
    if name is not None and name in table.c:
        column = table.c[name]
        there = [column != ""] if name == "host" else []
        return and_(*there, *(_compare(each, column, Kind.NUMBER) for each in group))
    kind = Integer() if known.kind in (Kind.FLAG, Kind.NUMBER) else String()
    value = type_coerce(JsonValue(table.c.body, literal("$." + path.replace("/", "."))), kind)
    return and_(*(_compare(each, value, known.kind) for each in group))


def _compare(expression: Expression, value: Any, kind: Kind) -> ColumnElement[bool]:
    wanted = [_bound(each, kind) for each in expression.values]
    match expression.operation:
        case "in":
            return value.in_(wanted)  # type: ignore[no-any-return]
        case "nin":
            return value.not_in(wanted)  # type: ignore[no-any-return]
        case "cont":
            return or_(*(func.instr(value, part) > 0 for part in wanted))
        case "ncont":
            # Not `= 0`: MariaDB takes two such conditions for one when their texts differ in case alone.
            return and_(*(func.instr(value, part) < 1 for part in wanted))
        case one:
            found: ColumnElement[bool] = ONE[one](value, wanted[0])
            return found


def _bound(wanted: Any, kind: Kind) -> Any:
    """A value as the database has it: of JSON's times the text, whose order is theirs, of its flags 1 or 0."""
    if kind is Kind.TIME:
        return times.text(wanted)
    return int(wanted) if kind is Kind.FLAG else wanted
