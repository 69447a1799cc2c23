"""YAML text to plain data, with the line of every value.

Invariant: any text ends in data or in findings, in time and memory proportional to its length: nothing is constructed
by tag, an alias is refused where it stands (so that no text can grow while it is read), depth and the number of values
are bounded, and the walk over the parser's events does not recurse.

Scalars follow YAML 1.2's core: `on`, `no` and `y` are words, not truth values, and `0123` is no octal number.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from vimha.findings import Finding
from vimha.site import rules

Path = tuple[str | int, ...]
"""Where a value is: mapping keys and list positions from the top."""

MAX_DEPTH = 12
"""site.yaml itself is five deep."""
MAX_VALUES = 50_000
"""A site of 1,000 services has about 10,000."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?[0-9]{1,17}\.[0-9]{1,17}")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}


@dataclass(frozen=True)
class Places:
    """Where each value of a file is. `lines` has a value's own line when it is a scalar, else its key's."""

    file: str
    lines: dict[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int:
        """The line of `path`, or of the nearest enclosing value that has one; 0 when none has."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return 0

    def at(self, path: Path) -> str:
        """`file:line` of `path`; the file alone when it has no line."""
        line = self.line(path)
        return f"{self.file}:{line}" if line else self.file

    def alias(self, path: Path, other: Path) -> None:
        """Let `path`, which the file does not spell out, be where `other` is."""
        self.lines.setdefault(path, self.line(other))


@dataclass
class Document:
    """What a text held. `data` means something only when `readable`; `broken` are the paths that findings are about."""

    places: Places
    data: Any = None
    readable: bool = True
    findings: list[Finding] = field(default_factory=list)
    broken: list[Path] = field(default_factory=list)


@dataclass
class _Frame:
    """An open mapping or list while the events are walked."""

    holds: dict[str, Any] | list[Any]
    path: Path
    key: str | None = None
    seen: dict[str, int] = field(default_factory=dict)


class _RefusedError(Exception):
    """The text is refused as a whole, for one finding."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def read(text: str, file: str) -> Document:
    """The document in `text`; `file` is what findings call it. Never raises."""
    document = Document(Places(file))
    try:
        _Walk(document).walk(yaml.parse(text, Loader=_LOADER))
    except _RefusedError as refused:
        document.findings = [refused.finding]
        document.readable = False
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        document.findings = [_syntax(error, text, file)]
        document.readable = False
    return document


def _syntax(error: Exception, text: str, file: str) -> Finding:
    mark, position = getattr(error, "problem_mark", None), getattr(error, "position", None)
    line = 1
    if mark is not None:
        line = mark.line + 1
    elif isinstance(position, int):
        line += text.count("\n", 0, position)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    lines = text.split("\n")
    tab = (
        "; the line holds a tab, and YAML indents with spaces only" if "\t" in lines[min(line, len(lines)) - 1] else ""
    )
    return rules.SYNTAX.finding(f"{file}:{line}", f"not valid YAML: {problem}{tab}")


class _Walk:
    """Builds a document's data from the parser's events."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.frames: list[_Frame] = []
        self.values = 0
        self.documents = 0

    def walk(self, events: Iterator[Any]) -> None:
        for event in events:
            match event:
                case yaml.DocumentStartEvent():
                    self.documents += 1
                    if self.documents > 1:
                        self.refuse(event, "a second document starts here", "Keep one document: one site per file.")
                case yaml.AliasEvent():
                    self.refuse(event, f"an alias (*{event.anchor}) stands for another value")
                case yaml.NodeEvent():
                    self.enter(event)
                case yaml.CollectionEndEvent():
                    self.frames.pop()

    def enter(self, event: Any) -> None:
        """A scalar, mapping or list begins."""
        self.values += 1
        if event.anchor is not None:
            self.refuse(event, f"an anchor (&{event.anchor}) names a value for reuse")
        if event.tag is not None:
            self.refuse(event, f"a tag ({event.tag}) sets a value's type")
        if self.values > MAX_VALUES:
            self.refuse(event, f"more than {MAX_VALUES} values", "Is this a site.yaml?")
        if len(self.frames) >= MAX_DEPTH and not isinstance(event, yaml.ScalarEvent):
            self.refuse(event, f"values are nested more than {MAX_DEPTH} deep", "Is this a site.yaml?")
        frame = self.frames[-1] if self.frames else None
        if frame and isinstance(frame.holds, dict) and frame.key is None:
            self.key(event, frame)
        else:
            self.value(event, frame)

    def key(self, event: Any, frame: _Frame) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            self.refuse(event, "a key is a mapping or a list, not a word")
        name, line = self.text(event), event.start_mark.line + 1
        path = (*frame.path, name)
        if name in frame.seen:
            self.document.findings.append(
                rules.DUPLICATE_KEY.finding(
                    f"{self.document.places.file}:{line}",
                    f"`{name}` is given twice: the first is in line {frame.seen[name]}",
                )
            )
            self.document.broken.append(path)
        frame.seen[name] = line
        frame.key = name
        self.document.places.lines[path] = line

    def value(self, event: Any, frame: _Frame | None) -> None:
        path = self.place(frame)
        line = event.start_mark.line + 1
        self.document.places.lines.setdefault(path, line)
        if isinstance(event, yaml.ScalarEvent):
            if frame and event.value:
                self.document.places.lines[path] = line
            self.store(self.scalar(event), frame)
            return
        holds: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self.store(holds, frame)
        self.frames.append(_Frame(holds, path))

    def place(self, frame: _Frame | None) -> Path:
        if frame is None:
            return ()
        if isinstance(frame.holds, list):
            return (*frame.path, len(frame.holds))
        assert frame.key is not None  # noqa: S101
        return (*frame.path, frame.key)

    def store(self, value: Any, frame: _Frame | None) -> None:
        if frame is None:
            self.document.data = value
        elif isinstance(frame.holds, list):
            frame.holds.append(value)
        else:
            assert frame.key is not None  # noqa: S101
            frame.holds[frame.key] = value
            frame.key = None

    def scalar(self, event: Any) -> Any:
        text = self.text(event)
        if not event.implicit[0]:
            return text
        if text.lower() in _WORDS:
            return _WORDS[text.lower()]
        if _INT.fullmatch(text):
            return int(text)
        return float(text) if _FLOAT.fullmatch(text) else text

    def text(self, event: Any) -> str:
        text = str(event.value)
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            where = f"{self.document.places.file}:{event.start_mark.line + 1}"
            raise _RefusedError(rules.SYNTAX.finding(where, "half a surrogate pair, which is no character"))
        return text

    def refuse(self, event: Any, message: str, remedy: str = "") -> None:
        where = f"{self.document.places.file}:{event.start_mark.line + 1}"
        raise _RefusedError(rules.NOT_PLAIN.finding(where, message, remedy=remedy))
