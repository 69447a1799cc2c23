"""What a rule over the whole site hit upon, before it has a line."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice

from vimha.findings import Rule
from vimha.site.yamltext import Path

MAX_NAMES = 50
"""Names that a remedy chooses from or lists."""


@dataclass(frozen=True)
class Hit:
    """`rule` is broken at `path`, for the reason in `message`.

    `about`: further places whose values the verdict rests on. `first`: the place that `message` refers to with its
    last words, whose line is appended.
    """

    rule: Rule
    path: Path
    message: str
    remedy: str = ""
    about: tuple[Path, ...] = ()
    first: Path | None = None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The remedy for an unknown name: the likely one, or all that there are."""
    names = list(islice(known, MAX_NAMES))
    close = get_close_matches(word, names, n=1)
    return f"Did you mean `{close[0]}`?" if close else f"Declared are: {', '.join(names) or 'none'}."
