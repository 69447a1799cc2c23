"""What to say about a value that does not fit the model, in our words: what was found, what is expected, what was
probably meant.

Invariant: a message's length is bounded, whatever the file holds.
"""

import difflib
import json
from collections.abc import Sequence
from ipaddress import IPv4Network
from typing import Any

from vimha.findings import Finding
from vimha.site import rules, schema
from vimha.site.scalars import Name
from vimha.site.units import Milliseconds, parse_ms
from vimha.site.yamltext import Path, Places

LONGEST = 60
"""Characters of the file's own text in a message."""


def missing(path: Path, places: Places) -> Finding:
    """The finding about the key at `path`, which is required and not there."""
    message = f"{spell(path[:-1])} has no `{path[-1]}`; expected: {schema.expected(schema.hint_at(path))}"
    return rules.MISSING_KEY.finding(places.at(path[:-1]), message)


def unknown(path: Path, holder: dict[str, Any], places: Places) -> Finding:
    """The finding about the key at `path`, which the model does not know, in the mapping `holder`."""
    known = schema.keys_at(path[:-1])
    guess = guess_word(str(path[-1]), known)
    remedy = f"Did you mean `{guess}`?" if guess else f"Known here: {', '.join(known)}."
    if guess and guess in holder:
        remedy = f"Did you mean `{guess}`? It is already given in line {places.at((*path[:-1], guess)).split(':')[-1]}."
    message = f"{spell(path[:-1])} has no key `{cut(str(path[-1]))}`"
    return rules.UNKNOWN_KEY.finding(places.at(path), message, remedy=remedy)


def misfit(path: Path, value: Any, places: Places) -> tuple[Finding, Any]:
    """The finding about the `value` at `path`, and the value that was probably meant (None: no idea)."""
    hint = schema.hint_at(path)
    where = places.at(path)
    if schema.is_named(path[:-1]) and not schema.is_name(path[-1]):
        message = f"`{cut(str(path[-1]))}` cannot be a name; expected: {schema.expected(Name)}"
        return rules.BAD_VALUE.finding(where, message), None
    if schema.holds(hint, Milliseconds):
        return _duration(path, value, where)
    message = f"{spell(path)} is {show(value)}; expected: {schema.expected(hint)}"
    words = schema.words_of(hint)
    if isinstance(value, str) and (words or schema.holds(hint, IPv4Network)):
        guess = guess_word(value, words) if words else _network(value)
        return rules.BAD_VALUE.finding(where, message, remedy=f"Did you mean `{guess}`?" if guess else ""), guess
    if schema.takes(hint, value):
        return rules.BAD_VALUE.finding(where, message), None
    wrapped = [value] if schema.takes(hint, []) and isinstance(value, str) else None
    remedy = f"Write [{cut(value)}]." if wrapped else ""
    if schema.takes(hint, 0) and isinstance(value, str) and value.isdecimal():
        return rules.WRONG_TYPE.finding(where, message, remedy=f"Write {cut(value)} without quotes."), int(value[:9])
    return rules.WRONG_TYPE.finding(where, message, remedy=remedy), wrapped


def _network(value: str) -> str | None:
    """The subnet around an address with a prefix, which is how a host's own address is written."""
    try:
        return str(IPv4Network(value, strict=False))
    except ValueError:
        return None


def _duration(path: Path, value: Any, where: str) -> tuple[Finding, Any]:
    guess, remedy = None, ""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9:
        guess = f"{value}s" if value < 100 else f"{value}ms"
        remedy = f"Write {value}s or {value}ms, whichever is meant."
    try:
        parse_ms(value)
        problem = "out of range"
    except ValueError as error:
        problem = str(error)
    return rules.DURATION.finding(where, f"{spell(path)} is {show(value)}: {problem}", remedy=remedy), guess


def guess_word(word: str, known: Sequence[str]) -> str | None:
    """The one of `known` that `word` probably means; None when none is close."""
    close = difflib.get_close_matches(word.lower().replace("_", "-"), known, n=1, cutoff=0.6)
    close = close or difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return close[0] if close else None


def spell(path: Path) -> str:
    """`path` as a reader would write it: nodes.control-1.ports[0]."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{cut(step)}" for step in path)
    return f"`{text.lstrip('.')}`" if text else "the site"


def show(value: Any) -> str:
    """`value` in a message: its kind where that is what matters, cut short where it is long."""
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return json.dumps(cut(value) if isinstance(value, str) else value, ensure_ascii=False)


def cut(text: str) -> str:
    """`text` at a length that fits into a message."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
