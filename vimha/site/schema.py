"""The model of site.yaml in words: which keys there are where, and what each expects.

Invariant: everything here is read off the model's own annotations, so that messages and the reference cannot differ
from what is accepted.
"""

import builtins
import re
import typing
from collections.abc import Sequence
from enum import EnumType
from ipaddress import IPv4Address, IPv4Network
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from vimha.site.model import Site
from vimha.site.scalars import (
    NAME_PATTERN,
    Cipher,
    Count,
    CountOrNone,
    FilePath,
    Interface,
    Megabytes,
    Name,
    Port,
    PortOrNone,
    Rack,
    Uri,
    User,
)
from vimha.site.units import Milliseconds

_WORDS: dict[Any, str] = {
    Name: "a name (lower-case letters, digits and dashes, a letter first, at most 31)",
    Interface: "an interface's name (at most 15 characters, such as eth0)",
    FilePath: "an absolute path of plain characters",
    Milliseconds: "a duration, such as 500ms or 5s",
    Rack: "a rack's name (letters, digits and . _ : / -, at most 64)",
    Uri: "a path such as /redfish/v1/Systems/1",
    User: "a user's name (letters, digits and . _ -, at most 32)",
    Port: "a port from 1 to 65535",
    PortOrNone: "a port from 1 to 65535, or 0",
    Cipher: "a cipher suite from 1 to 17",
    Megabytes: "a whole number of MB, 16 or more",
    Count: "a whole number, 1 or more",
    CountOrNone: "a whole number, 0 or more",
    IPv4Address: "an IPv4 address, such as 10.77.1.11",
    IPv4Network: "an IPv4 subnet, such as 10.77.1.0/24",
    str: "text",
    int: "a whole number",
    bool: "true or false",
}


def hints(model: type[BaseModel]) -> dict[str, Any]:
    """The annotation of each of `model`'s fields, in their order."""
    annotations = get_type_hints(model, include_extras=True)
    return {name: annotations[name] for name in model.model_fields}


def expected(hint: Any) -> str:
    """What a value of annotation `hint` has to be, in words."""
    branches = [branch for branch in _branches(hint) if branch is not NoneType]
    return " or ".join([_expected(branch) for branch in branches] + ["null"] * (NoneType in _branches(hint)))


def _expected(hint: Any) -> str:
    if hint in _WORDS:
        return _WORDS[hint]
    if words_of(hint):
        return _choice(words_of(hint))
    match get_origin(hint):
        case typing.Literal:
            return "empty text"
        case builtins.tuple:
            return f"a list, each entry {expected(get_args(hint)[0])}"
        case builtins.dict:
            return f"a mapping, each value {expected(get_args(hint)[1])}"
    return "a mapping with the keys " + ", ".join(hint.model_fields)


def _choice(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else "one of " + ", ".join(words)


def holds(hint: Any, kind: Any) -> bool:
    """Whether a value of annotation `hint` may be a `kind`."""
    return bool(hint == kind) or kind in _branches(hint)


def words_of(hint: Any) -> list[str]:
    """The words that a value of annotation `hint` is chosen from; empty where it is not chosen from words."""
    for branch in _branches(hint):
        if isinstance(branch, EnumType):
            return [str(member.value) for member in branch]  # type: ignore[var-annotated]
        if get_origin(branch) is Literal:
            return [word for word in get_args(branch) if word]
    return []


def takes(hint: Any, sample: object) -> bool:
    """Whether `sample` is of a YAML type (text, whole number, list, mapping) that `hint` is written in."""
    return any(_yaml_type(branch) is type(sample) for branch in _branches(hint))


def is_named(path: Sequence[str | int]) -> bool:
    """Whether the mapping at `path` has names of the operator's choice as keys."""
    return any(get_origin(branch) is dict for branch in _branches(hint_at(path)))


def is_name(word: object) -> bool:
    """Whether `word` can name a node, plane, VIP or service."""
    return isinstance(word, str) and re.fullmatch(NAME_PATTERN, word) is not None


def required(path: Sequence[str | int]) -> bool:
    """Whether the mapping around the value at `path` cannot do without it."""
    model = model_of(hint_at(path[:-1]))
    field = model.model_fields.get(str(path[-1])) if model else None
    return field is not None and field.is_required()


def has_inside(path: Sequence[str | int]) -> bool:
    """Whether the model knows of values inside of the one at `path`."""
    return takes(hint_at(path), []) or takes(hint_at(path), {})


def is_choice(path: Sequence[str | int]) -> bool:
    """Whether the value at `path` may be of several kinds that are written differently: a word or a mapping, say."""
    kinds = {_yaml_type(branch) for branch in _branches(hint_at(path))} - {NoneType}
    return len(kinds) > 1


def hint_at(path: Sequence[str | int]) -> Any:
    """The annotation of the value at `path` in a site; None where the model knows no such place."""
    hint: Any = Site
    for step in path:
        hint = _step(hint, step)
        if hint is None:
            return None
    return hint


def keys_at(path: Sequence[str | int]) -> list[str]:
    """The keys that a mapping at `path` may have; empty where any name is allowed, or none."""
    model = model_of(hint_at(path))
    return list(model.model_fields) if model else []


def model_of(hint: Any) -> type[BaseModel] | None:
    """The model in `hint`, through `| None`; None when it has none."""
    for candidate in _branches(hint):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _branches(hint: Any) -> tuple[Any, ...]:
    """The alternatives of a union; any other annotation alone."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _yaml_type(hint: Any) -> type:
    origin = get_origin(hint)
    if origin is Annotated:
        return str if hint == Milliseconds else _yaml_type(get_args(hint)[0])
    if origin in (tuple, dict):
        return list if origin is tuple else dict
    if model_of(hint):
        return dict
    return hint if hint in (int, bool, NoneType) else str


def _step(hint: Any, step: str | int) -> Any:
    for branch in _branches(hint):
        if get_origin(branch) is tuple and isinstance(step, int):
            return get_args(branch)[0]
        if get_origin(branch) is dict:
            return get_args(branch)[1]
        model = model_of(branch)
        if model and step in model.model_fields:
            return hints(model)[str(step)]
    return None
