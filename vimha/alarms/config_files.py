"""Several YAML files as one configuration: what is rendered, and what an operator adds to it.

Invariant: no file silently overrides another. Mappings are joined, lists are appended; two values in one place are a
mistake that names both. Every value keeps the file and line that it came from.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vimha.errors import UsageError
from vimha.findings import errors
from vimha.site import yamltext
from vimha.site.yamltext import Path as Steps
from vimha.site.yamltext import Places

MAX_BYTES = 1 << 20


class Merged:
    """What the files hold together."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}
        self._origins: dict[Steps, tuple[Places, Steps]] = {}

    def at(self, path: Steps) -> str:
        """`file:line` of the value at `path`, or of the nearest one around it."""
        for length in range(len(path), -1, -1):
            if found := self._origins.get(path[:length]):
                places, own = found
                return places.at(own + path[length:])
        return ""

    def add(self, data: object, places: Places) -> None:
        """Join what another file holds; UsageError where both say something."""
        self._origins.setdefault((), (places, ()))
        if data is None:
            return
        if not isinstance(data, dict):
            raise UsageError(f"{places.at(())}: the file: not a mapping of settings")
        self._join(self.data, data, (), places)

    def _join(self, mine: dict[str, Any], theirs: dict[str, Any], path: Steps, places: Places) -> None:
        for key, value in theirs.items():
            here = (*path, key)
            if key not in mine:
                mine[key] = value
                self._origins[here] = (places, here)
            elif isinstance(mine[key], dict) and isinstance(value, dict):
                self._join(mine[key], value, here, places)
            elif isinstance(mine[key], list) and isinstance(value, list):
                for position, _ in enumerate(value):
                    self._origins[(*here, len(mine[key]) + position)] = (places, (*here, position))
                mine[key] = [*mine[key], *value]
            else:
                name = ".".join(map(str, here))
                raise UsageError(f"{places.at(here)}: {name}: said already in {self.at(here)}", "Say it in one place.")


def read(paths: Sequence[Path]) -> Merged:
    """The files at `paths`, joined; UsageError for what cannot be read or joined."""
    merged = Merged()
    for path in paths:
        add(merged, _content(path), str(path))
    return merged


def add(merged: Merged, text: str, file: str) -> None:
    """Join `text`, which mistakes are to call `file`."""
    document = yamltext.read(text, file)
    if found := errors(document.findings):
        raise UsageError("\n".join(f"{each.where}: {each.message}" for each in found), found[0].remedy)
    merged.add(document.data, document.places)


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise UsageError(f"{path}: larger than {MAX_BYTES >> 20} MiB", "Is this the right file?")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text") from error
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read: {error.strerror}", "docs/alarms.md has one to begin with."
        ) from error
