"""Reading corosync.conf, with line numbers.

Invariant: every text gives a `Conf` and the list of lines that corosync would refuse; nothing raises. The grammar is
corosync's own (exec/coroparse.c): a comment is a whole line, a section opens with `name {` at a line's end and closes
with a line `}`, and all else is `key: value`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

DEPTH = 8
"""The deepest nesting that is read; corosync's own sections are three deep."""


@dataclass(frozen=True)
class Entry:
    """One `key: value` and its line, counted from 1."""

    key: str
    value: str
    line: int


@dataclass(frozen=True)
class Section:
    """A section: its name, the line it opens at (0: the file itself), and what is in it, in order."""

    name: str
    line: int
    entries: list[Entry] = field(default_factory=list)
    sections: list["Section"] = field(default_factory=list)

    def find(self, key: str) -> Entry | None:
        """The entry that corosync uses for `key`: the last one."""
        return next((entry for entry in reversed(self.entries) if entry.key == key), None)

    def get(self, key: str, default: str = "") -> str:
        """The value of `key`, or `default`."""
        entry = self.find(key)
        return entry.value if entry else default

    def number(self, key: str, default: int) -> int:
        """The value of `key` as a number, or `default` where it is absent or none (which is a finding of its own)."""
        text = self.get(key)
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else default

    def line_of(self, key: str) -> int:
        """Where `key` is set, else where the section opens."""
        entry = self.find(key)
        return entry.line if entry else self.line

    def all(self, *names: str) -> Iterator["Section"]:
        """Every section at the path `names` below this one; a section may be opened more than once."""
        if not names:
            yield self
            return
        for section in self.sections:
            if section.name == names[0]:
                yield from section.all(*names[1:])

    def merged(self, name: str) -> "Section":
        """All sections called `name` as one, as corosync takes them; an empty one when there is none."""
        found = list(self.all(name))
        return Section(
            name,
            found[0].line if found else 0,
            [entry for section in found for entry in section.entries],
            [inner for section in found for inner in section.sections],
        )


@dataclass(frozen=True)
class Problem:
    """A line that corosync refuses, and why."""

    line: int
    message: str


@dataclass(frozen=True)
class Conf:
    """A corosync.conf as it was read; with `problems`, `root` holds what could be understood all the same."""

    root: Section
    problems: tuple[Problem, ...]


def parse(text: str) -> Conf:
    """Read a corosync.conf."""
    root = Section("", 0)
    opened, problems = [root], []
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if line and not line.startswith("#"):
            problem = _take(line, number, opened)
            if problem:
                problems.append(Problem(number, problem))
    problems += [Problem(each.line, f"section `{each.name}` is not closed") for each in opened[1:]]
    return Conf(root, tuple(problems))


def _take(line: str, number: int, opened: list[Section]) -> str:
    """Put one line where it belongs; what is wrong with it, or nothing."""
    if "{" in line:
        return _open(line, number, opened)
    if "}" in line:
        if len(opened) == 1:
            return "a closing brace too many"
        opened.pop()
        return "text beside the closing brace" if line != "}" else ""
    key, colon, value = line.partition(":")
    if not colon or not key.strip():
        return f"neither `section {{`, `}}` nor `key: value`: {_shown(line)}"
    opened[-1].entries.append(Entry(key.strip(), value.strip(), number))
    return ""


def _open(line: str, number: int, opened: list[Section]) -> str:
    """Open the section that `line` names; what is wrong with it, or nothing."""
    name, _, rest = line.partition("{")
    section = Section(name.strip(), number)
    opened[-1].sections.append(section)
    opened.append(section)
    if len(opened) > DEPTH:
        return "sections are nested deeper than any of corosync's"
    if not section.name:
        return "a section without a name"
    return f"text after the opening brace: {_shown(rest)}" if rest.strip() else ""


def _shown(text: str) -> str:
    """`text` as a message quotes it: short, and printable."""
    words = " ".join(text.split())
    return "`" + "".join(each if each.isprintable() else "?" for each in words[:60]) + "`"
