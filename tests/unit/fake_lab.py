"""A lab that only remembers what was done to it, for unit tests of drills."""

from collections.abc import Mapping, Sequence

from vimha.errors import VimhaError
from vimha.process import Result, Runner
from vimha.site.model import Site

SITE = Site.model_validate(
    {
        "site": "fake",
        "planes": {"a": {"subnet": "10.77.0.0/24"}, "b": {"subnet": "10.78.0.0/24"}},
        "nodes": {f"c{n}": {"addresses": {"a": f"10.77.0.1{n}", "b": f"10.78.0.1{n}"}} for n in (1, 2, 3)},
        "vips": {"public": {"address": "10.77.0.100"}},
    }
)


STATEFUL = Site.model_validate({**SITE.model_dump(mode="json"), "database": {}, "messaging": {}})


class FakeLab:
    """Remembers what was done to it; commands answer from `answers` by their first word, `failing` ones fail."""

    def __init__(
        self, answers: Mapping[str, str] | None = None, site: Site = SITE, failing: Sequence[str] = ()
    ) -> None:
        self.site = site
        self.done: list[tuple[object, ...]] = []
        self.dark: set[str] = set()
        self.answers = answers or {}
        self.failing = failing
        self.power = self

    def is_on(self, node: str) -> bool:
        return node not in self.dark

    def off(self, node: str) -> None:
        self.dark.add(node)
        self.done.append(("off", node))

    def on(self, node: str) -> None:
        self.dark.discard(node)
        self.done.append(("on", node))

    def runner(self, node: str) -> Runner:
        def run(
            argv: Sequence[str],
            *,
            timeout_s: float = 60.0,
            stdin: str = "",
            env: Mapping[str, str] | None = None,
        ) -> Result:
            self.done.append((node, *argv))
            return Result(tuple(argv), int(argv[0] in self.failing), self.answers.get(argv[0], ""), "")

        return run

    def freeze(self, node: str) -> None:
        self.done.append(("freeze", node))

    def thaw(self, node: str) -> None:
        self.done.append(("thaw", node))
        if node in self.dark:
            raise VimhaError(f"{node} is off")

    def port(self, node: str, port: str, up: bool) -> None:
        self.done.append(("port", node, port, up))

    def active_port(self, node: str) -> str:
        return "eth1"

    def plane(self, plane: str, up: bool) -> None:
        self.done.append(("plane", plane, up))

    def partition(self, groups: Sequence[Sequence[str]]) -> None:
        self.done.append(("partition", *map(tuple, groups)))

    def heal(self) -> None:
        self.done.append(("heal",))

    def netns(self, name: str) -> str:
        return f"vh-fake-{name}"
