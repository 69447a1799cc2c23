"""A fake of a running cluster: canned answers of real daemons, kept in tests/unit/cluster_data."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lxml import etree

from vimha.cluster.document import parse_cib
from vimha.errors import ProcessError
from vimha.process import Result

DATA = Path(__file__).parent / "cluster_data"
"""Captured from a lab of examples/site-small.yaml: `healthy`, and `unfenced` (control-2 lost, its BMC silent)."""


def data(name: str) -> str:
    return (DATA / name).read_text()


class FakeCluster:
    """Answers Pacemaker's and corosync's tools from the captured state `name`; a `Runner`.

    Patches are recorded, and change what is answered afterwards to `after` (a CIB), once there is one.
    """

    def __init__(self, name: str = "healthy") -> None:
        self.cib = data(f"{name}.cib.xml")
        self.answers: dict[str, Callable[[], str]] = {
            "cibadmin": lambda: self.cib,
            "crm_mon": lambda: data(f"{name}.mon.xml"),
            "corosync-cfgtool": lambda: data(f"{name}.links.txt"),
            "corosync-cmapctl": lambda: data("totem.txt"),
            "crm_resource": lambda: "",
        }
        self.codes: dict[str, int] = {}
        self.patches: list[etree._Element] = []
        self.after: list[str] = []
        self.asked: list[list[str]] = []

    def __call__(
        self, argv: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> Result:
        self.asked.append(list(argv))
        if argv[0] not in self.answers:
            raise ProcessError(f"{argv[0]}: not installed on this machine")
        if "--patch" in argv:
            return self._patched(argv, stdin)
        return Result(tuple(argv), self.codes.get(argv[0], 0), self.answers[argv[0]](), "")

    def _patched(self, argv: Sequence[str], patch: str) -> Result:
        tree = etree.fromstring(patch.encode())
        source = tree.find("version/source")
        assert source is not None
        now = parse_cib(self.cib.encode(), "fake")
        if source.get("epoch") != now.get("epoch"):
            return Result(
                tuple(argv), 103, "", "Call cib_apply_diff failed: Update was older than existing configuration"
            )
        self.patches.append(tree)
        if self.after:
            self.cib = self.after.pop(0)
        return Result(tuple(argv), 0, "", "")


class FakeClock:
    """Time that passes only when somebody sleeps, and a little with each look."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        self.time += 0.001
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
