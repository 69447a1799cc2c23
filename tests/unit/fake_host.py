"""A made-up host for agents' unit tests: files in a folder, a clock that sleep() moves, recorded commands."""

from collections.abc import Callable, Sequence
from pathlib import Path

from resource_agents.ocf.system import System


class FakeHost(System):
    """`answers` maps a command's base name to what it returns; `on_signal` is told of every signal sent."""

    def __init__(self, root: Path) -> None:
        super().__init__(str(root))
        self.now = 100.0
        self.commands: list[list[str]] = []
        self.times: list[float] = []
        self.answers: dict[str, tuple[int, str]] = {}
        self.signals: list[tuple[int, int]] = []
        self.on_signal: Callable[[int, int], None] = lambda pid, number: None
        for kind in ("pid", "net"):
            self.put_link(f"/proc/self/ns/{kind}", f"{kind}:[1]")

    def monotonic(self) -> float:  # type: ignore[override]
        return self.now

    def sleep(self, seconds: float) -> None:  # type: ignore[override]
        self.now += seconds

    def run(self, argv: Sequence[str], timeout_s: float) -> tuple[int, str]:
        self.commands.append(list(argv))
        self.times.append(self.now)
        return self.answers.get(Path(argv[0]).name, (0, ""))

    def spawn(self, argv: Sequence[str], user: str, output: str) -> int:
        self.commands.append(list(argv))
        return 0

    def signal(self, pid: int, number: int) -> None:
        self.signals.append((pid, number))
        self.on_signal(pid, number)

    def reap(self, pid: int) -> None:
        return

    def put(self, path: str, text: str, mode: int = 0o644) -> None:
        """Make the file `path` on this host."""
        target = Path(self.root + path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)

    def put_link(self, path: str, target: str) -> None:
        """Make the symbolic link `path` on this host."""
        link = Path(self.root + path)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(target)

    def put_process(
        self, pid: int, argv: Sequence[str], *, state: str = "S", session: int = 0, ticks: int = 5000, netns: int = 1
    ) -> None:
        """Make a process of this host, the leader of its session unless one is given."""
        fields = [state, "1", str(pid), str(session or pid), *["0"] * 15, str(ticks), "0", "0"]
        self.put(f"/proc/{pid}/stat", f"{pid} (a) b) {' '.join(fields)}\n")
        self.put(f"/proc/{pid}/cmdline", "".join(f"{word}\0" for word in argv))
        self.put_link(f"/proc/{pid}/ns/pid", "pid:[1]")
        self.put_link(f"/proc/{pid}/ns/net", f"net:[{netns}]")

    def end_process(self, pid: int) -> None:
        """The process is gone."""
        for name in ("stat", "cmdline"):
            Path(f"{self.root}/proc/{pid}/{name}").unlink(missing_ok=True)

    def put_port(self, name: str, *, enabled: bool = True, carrier: bool = True) -> None:
        """Make a network interface of this host."""
        self.put(f"/sys/class/net/{name}/flags", "0x1003\n" if enabled else "0x1002\n")
        self.put(f"/sys/class/net/{name}/carrier", "1\n" if carrier else "0\n")

    def kinds(self) -> list[str]:
        """The commands that were run, as base name and first arguments, for comparison in a test."""
        return [" ".join([Path(argv[0]).name, *argv[1:]]) for argv in self.commands]
