"""This version's agents where the cluster tools look for them, while tests or benchmarks run on this host."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from vimha.render import agents

LOCK = Path("/run/lock/vimha-agents-test.lock")


@contextmanager
def installed_agents() -> Iterator[None]:
    """The agents in /usr/lib/ocf and /usr/sbin; removed by the last of several users, unless they were there before."""
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        before = Path(agents.LIBRARY).exists()
        agents.install()
        try:
            yield
        finally:
            if not before and _last(lock):
                shutil.rmtree(agents.LIBRARY)
                shutil.rmtree(agents.OCF_FOLDER)
                for agent in agents.agents():
                    Path(agent.launcher).unlink(missing_ok=True)


def _last(lock: TextIO) -> bool:
    """Whether no other user holds `lock`, which is then ours alone."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
