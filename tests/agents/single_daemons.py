"""One real mariadbd and one real RabbitMQ broker, in a network namespace of their own, for tests of drill clients.

Everything runs as root from a scratch folder; nothing touches the host's own data. Leaving ends every process in the
namespace, and removes both.
"""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import Popen
from types import TracebackType

from vimha.errors import ProcessError, VimhaError
from vimha.process import Result, checked, run, spawn

START_S = 90.0


def until(done: Callable[[], bool], what: str, timeout_s: float = START_S) -> None:
    """Wait until `done`; VimhaError that names `what` when it never is."""
    end = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > end:
            raise VimhaError(f"{what}: not within {timeout_s:g} s")
        time.sleep(0.05)


class Namespace:
    """A network namespace with a loopback interface, and a scratch folder."""

    def __enter__(self) -> "Namespace":
        self.name = f"vhd{os.getpid()}"
        self.folder = Path(tempfile.mkdtemp(prefix="vimha-clients-", dir="/var/tmp"))
        checked(run(["ip", "netns", "add", self.name]))
        checked(self.run(["ip", "link", "set", "lo", "up"]))
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        for pid in run(["ip", "netns", "pids", self.name]).out.split():
            with suppress(ProcessLookupError):  # it may end by itself, as the children of one that was killed do
                os.kill(int(pid), signal.SIGKILL)
        until(lambda: not run(["ip", "netns", "pids", self.name]).out, "the namespace's processes end", 10)
        checked(run(["ip", "netns", "delete", self.name]))
        shutil.rmtree(self.folder)

    def run(
        self, argv: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> Result:
        """A `Runner` in the namespace; rabbitmqctl is told where this broker's cookie is."""
        home = {"HOME": str(self.folder), **(env or {})}
        if argv[0] == "rabbitmqctl":
            argv = ["/usr/lib/rabbitmq/bin/rabbitmqctl", *argv[1:]]
        return run(["ip", "netns", "exec", self.name, *argv], timeout_s=timeout_s, stdin=stdin, env=home)


class Daemon:
    """A daemon that can be killed, frozen and started again on its data."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        self.folder = namespace.folder
        self.process: Popen[bytes] | None = None

    def argv(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.folder)}

    def answers(self) -> bool:
        raise NotImplementedError

    def start(self, *, wait: bool = True) -> None:
        log = str(self.folder / f"{type(self).__name__}.log")
        self.process = spawn(
            ["ip", "netns", "exec", self.namespace.name, *self.argv()], log=log, env=self.environment()
        )
        if wait:
            until(self.answers, f"{type(self).__name__} answers")

    def signal(self, number: int) -> None:
        """Send a signal to the daemon and all its children."""
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait()


class Mariadb(Daemon):
    """mariadbd on 127.0.0.1:3306 without Galera."""

    def __init__(self, namespace: Namespace) -> None:
        super().__init__(namespace)
        self.socket = str(self.folder / "mysqld.sock")
        self.data = self.folder / "data"
        checked(
            run(
                ["mariadb-install-db", "--no-defaults", f"--datadir={self.data}", "--user=root", "--skip-test-db"],
                timeout_s=START_S,
            )
        )

    def argv(self) -> list[str]:
        return [
            "/usr/sbin/mariadbd", "--no-defaults", f"--datadir={self.data}", f"--socket={self.socket}", "--user=root",
            "--bind-address=127.0.0.1", "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=16M",
            f"--pid-file={self.folder}/mysqld.pid", "--skip-name-resolve",
        ]  # fmt: skip

    def answers(self) -> bool:
        return self.namespace.run(["mariadb", "--no-defaults", f"--socket={self.socket}", "-e", "SELECT 1"]).ok


class Rabbit(Daemon):
    """A broker called rabbit@localhost on 127.0.0.1:5672."""

    def argv(self) -> list[str]:
        return ["/usr/lib/rabbitmq/bin/rabbitmq-server"]

    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.folder), "RABBITMQ_NODENAME": "rabbit@localhost", "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"), "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_PID_FILE": str(self.folder / "rabbit.pid"), "LANG": "C.UTF-8",
        }  # fmt: skip

    def answers(self) -> bool:
        try:
            ready = self.namespace.run(
                ["rabbitmqctl", "--quiet", "--node=rabbit@localhost", "await_startup", "--timeout", "20"], timeout_s=30
            )
        except ProcessError:
            return False
        return ready.ok
