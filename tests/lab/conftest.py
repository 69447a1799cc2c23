"""Labs for the tests, and testinfra's way into their machines."""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from vimha.drill import session
from vimha.lab import image, remains
from vimha.lab.labs import Lab
from vimha.site.loading import load_valid
from vimha.site.model import Site

EXAMPLES = Path(__file__).parents[2] / "examples"
_numbers = itertools.count(1)


class LabBackend(BaseBackend):  # type: ignore[misc]
    """testinfra over a lab's runner: no ssh, no agent in the machine."""

    NAME = "vimha-lab"

    def __init__(self, lab: Lab, node: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(node, *args, **kwargs)
        self._runner = lab.runner(node)

    def run(self, command: str, *args: str, **_: Any) -> CommandResult:
        line = self.get_command(command, *args)
        done = self._runner(["sh", "-c", line])
        return self.result(done.code, line, done.out, done.err)


@pytest.fixture(scope="session", autouse=True)
def _one_image() -> None:
    """The larger image serves every site: one build instead of two."""
    image.ensure(print, clustered=True)


@pytest.fixture(scope="session")
def small() -> Site:
    """The example of a small site: three nodes, two planes, a bond each."""
    return load_valid(EXAMPLES / "site-small.yaml")


@pytest.fixture(scope="module")
def labs() -> Iterator[Callable[[Site], Lab]]:
    """Boots labs that are taken down after the module."""
    made: list[Lab] = []

    def boot(site: Site) -> Lab:
        made.append(Lab.up(site, f"t{os.getpid()}n{next(_numbers)}", print, ephemeral=True))
        return made[-1]

    yield boot
    for lab in made:
        lab.down()
        assert lab.name not in remains.names()


@pytest.fixture(scope="module")
def lab(site: Site) -> Iterator[str]:
    """The name of a lab for the drills of a module, whose `site` it runs."""
    with session.lab_for(site, None, print) as machines:
        yield machines.name


@pytest.fixture(scope="module")
def machines(labs: Callable[[Site], Lab], small: Site) -> Lab:
    """The small site, booted, its cluster formed, without the site's resources."""
    return labs(small)


@pytest.fixture(params=["control-1", "control-2", "control-3"])
def host(request: pytest.FixtureRequest, machines: Lab) -> Host:
    """Each node of the small site, for testinfra."""
    return Host(LabBackend(machines, request.param))
