"""What tests of agents on this host share: root, and this version's agents installed where the cluster tools look."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from vimha.render import agents

LOCK = Path("/run/lock/vimha-agents-test.lock")


@pytest.fixture(scope="session")
def root_user() -> None:
    """Agents start, signal and replace what only root may."""
    if os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture(scope="session")
def installed(root_user: None) -> Iterator[None]:
    """The agents in /usr/lib/ocf and /usr/sbin; afterwards removed, unless they were there before."""
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        before = Path(agents.LIBRARY).exists()
        agents.install()
        yield
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        if not before:
            shutil.rmtree(agents.LIBRARY)
            shutil.rmtree(agents.OCF_FOLDER)
            for agent in agents.agents():
                Path(agent.launcher).unlink(missing_ok=True)
