"""The catalogue: every alarm that the code can raise, read from catalogue.yaml.

Invariant: an event is made of a definition of the catalogue, so no alarm is raised that is not in it.
"""

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from vimha.alarms.model import Definition
from vimha.errors import VimhaError

FILE = "catalogue.yaml"


@cache
def definitions() -> Mapping[str, Definition]:
    """All definitions by id, in the file's order."""
    return parse(files(__package__).joinpath(FILE).read_text())


def parse(text: str) -> dict[str, Definition]:
    """The definitions in `text`; VimhaError with the entry and what is wrong with it."""
    return {name: _definition(name, record) for name, record in yaml.safe_load(text).items()}


def _definition(name: str, record: dict[str, Any]) -> Definition:
    """The fault type is the id: dotted, from the general to the special, so that a filter may name its beginning."""
    known = {each.name for each in fields(Definition)} - {"id", "fault_type"}
    if wrong := sorted((set(record) ^ known) - {"external"}):
        raise VimhaError(f"{FILE}: {name}: unknown or missing: {', '.join(wrong)}")
    try:
        made: Definition = ADAPTER.validate_python({**record, "id": name, "fault_type": name})
    except ValidationError as error:
        raise VimhaError(f"{FILE}: {name}: {error}") from error
    if not made.severities:
        raise VimhaError(f"{FILE}: {name}: it has no severity")
    return made


ADAPTER = TypeAdapter(Definition)
