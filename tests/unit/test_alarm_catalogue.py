"""The catalogue and the code know the same alarms."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import vimha.alarms
from vimha.alarms.catalogue import definitions, parse
from vimha.alarms.sources.event import matches
from vimha.errors import VimhaError

ROOM = Path(vimha.alarms.__path__[0])
FAMILIES = "|".join(sorted({name.partition(".")[0] for name in definitions()}))
NAME = re.compile(rf"({FAMILIES})(\.[a-z]+)+")
FILES = (".css", ".db", ".js", ".yaml")
"""Ends of what looks like an alarm's name and is a file's."""


def named() -> Iterator[str]:
    """The names of alarms in the code of the alarm service."""
    for path in ROOM.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            if NAME.fullmatch(text) and not text.endswith(FILES):
                yield text


def test_every_alarm_that_the_code_names_is_in_the_catalogue() -> None:
    assert set(named()) - set(definitions()) == set()


def test_every_entry_is_raised_by_the_code_or_marked_as_others() -> None:
    unused = set(definitions()) - set(named())
    assert unused == {name for name, each in definitions().items() if each.external}


def test_an_event_is_made_of_the_catalogue_alone() -> None:
    """Else the names above would prove nothing."""
    made = [path.name for path in ROOM.rglob("*.py") if re.search(r"\bDefinition\(", path.read_text())]
    assert made == [], "definitions come from the file"


@pytest.mark.parametrize("name", list(definitions()))
def test_an_entry_is_whole(name: str) -> None:
    each = definitions()[name]
    assert len(name) <= 64, "the store's column"
    assert each.fault_type == name
    assert each.meaning.endswith(".")
    assert each.repair.endswith(".")
    assert len(set(each.severities)) == len(each.severities)


@pytest.mark.parametrize(
    ("name", "about", "fits"),
    [("control.node.lost", "host/c1", True), ("control.node.lost", "host/c1/x", False),
     ("control.node.lost", "xhost/c1", False), ("control.service.failed", "service/vip", True),
     ("control.service.failed", "service/vip/c1", True), ("control.service.failed", "service/vip/c1/2", False),
     ("control.service.failed", "service/", False), ("external.reported", "what/ever", True)],
)  # fmt: skip
def test_an_object_is_of_its_pattern(name: str, about: str, fits: bool) -> None:
    assert matches(definitions()[name], about) is fits


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [("severities: [CRITICAL, MAJOR]", "severities: []", "no severity"),
     ("clearing: AUTOMATIC", "clearing: SOMETIMES", "SOMETIMES"),
     ("  meaning:", "  wrong:", "meaning, wrong")],
)  # fmt: skip
def test_a_bad_entry_is_told(old: str, new: str, said: str) -> None:
    text = (ROOM / "catalogue.yaml").read_text()
    with pytest.raises(VimhaError, match=f"(?s)control.node.lost.*{said}"):
        parse(text.replace(old, new, 1))
