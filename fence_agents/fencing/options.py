"""Options as data, and how their values are read: `key=value` lines from Pacemaker, long options from a shell.

Invariant: both ways give the same `Values`; unknown keys on standard input are ignored (Pacemaker adds its own),
unknown options on the command line are an error, and a secret is never taken from the command line.
"""

from __future__ import annotations

from fence_agents.fencing.errors import FenceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TRUE = ("1", "on", "yes", "true")
FALSE = ("0", "off", "no", "false")


class Option:
    """One parameter of an agent. `kind` is a content type of fence-agents' metadata.rng."""

    def __init__(
        self,
        name: str,
        help_: str,
        *,
        kind: str = "string",
        short: str = "",
        default: str = "",
        required: bool = False,
        obsoletes: str = "",
        secret: bool = False,
    ) -> None:
        self.name = name
        self.help = help_
        self.kind = kind
        self.short = short
        self.default = default
        self.required = required
        self.obsoletes = obsoletes
        """An older name that is still understood, and published as deprecated."""
        self.secret = secret

    @property
    def flag(self) -> str:
        """The long option: `--password-file`."""
        return "--" + self.name.replace("_", "-")


class Values:
    """The given values over the options' defaults. An empty value counts as not given."""

    def __init__(self, options: Iterable[Option], given: dict[str, str]) -> None:
        self._options = {option.name: option for option in options}
        self._given = {name: value for name, value in given.items() if value}

    def text(self, name: str) -> str:
        """The value of `name`, or its default (possibly empty)."""
        return self._given.get(name, self._options[name].default)

    def words(self, name: str) -> list[str]:
        """The value of `name` split at spaces and commas."""
        return self.text(name).replace(",", " ").split()

    def seconds(self, name: str) -> float:
        """A duration in seconds, fractions allowed; FenceError when it is not one."""
        try:
            value = float(self.text(name))
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            raise FenceError(f"{name}={self.text(name)}: not a number of seconds")
        return value

    def integer(self, name: str) -> int:
        """A whole number; FenceError when it is not one."""
        text = self.text(name)
        if not text.isascii() or not text.isdigit():
            raise FenceError(f"{name}={text}: not a whole number")
        return int(text)

    def boolean(self, name: str) -> bool:
        """A switch, off when not given; FenceError for anything but 1/0, on/off, yes/no, true/false."""
        text = self.text(name).lower() or "0"
        if text not in TRUE + FALSE:
            raise FenceError(f"{name}={self.text(name)}: neither 1 nor 0")
        return text in TRUE

    def problems(self) -> list[str]:
        """Every required value that is missing and every value of the wrong type, one line each."""
        readers = {"second": self.seconds, "integer": self.integer, "boolean": self.boolean}
        found = []
        for option in self._options.values():
            if not self.text(option.name):
                if option.required:
                    found.append(f"{option.name}: required")
                continue
            try:
                readers.get(option.kind, self.text)(option.name)
            except FenceError as error:
                found.append(str(error))
        return found


def _names(options: Iterable[Option]) -> dict[str, str]:
    """Every spelling that stands for an option, to the option's own name."""
    names = {}
    for option in options:
        for spelling in (option.name, option.obsoletes):
            if spelling:
                names[spelling] = option.name
    return names


def parse_lines(text: str, options: Sequence[Option]) -> dict[str, str]:
    """The options on standard input: `key=value` lines, `#` comments; the last of a key wins."""
    names = _names(options)
    given = {}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        name = names.get(key.strip().replace("-", "_"))
        if equals and name and not key.startswith("#"):
            given[name] = value.strip()
    return given


def parse_argv(argv: Sequence[str], options: Sequence[Option]) -> dict[str, str]:
    """The options of a command line: `--name value`, `--name=value`, `-n value`; a boolean needs no value.

    FenceError for an unknown option, a missing value, and a secret (argv is there for every user to read).
    """
    names = _names(options)
    by_name = {option.name: option for option in options}
    by_short = {option.short: option.name for option in options if option.short}
    given = {}
    words = list(argv)
    while words:
        word = words.pop(0)
        key, equals, value = word.partition("=")
        name = names.get(key[2:].replace("-", "_")) if key.startswith("--") else by_short.get(key)
        if name is None:
            raise FenceError(f"unknown option {key}")
        option = by_name[name]
        if option.secret:
            raise FenceError(f"{key}: not taken from the command line, which every user can read; use a file or stdin")
        if not equals and option.kind == "boolean":
            value = "1"
        elif not equals:
            if not words:
                raise FenceError(f"{key}: needs a value")
            value = words.pop(0)
        given[name] = value
    return given
