"""vimha-alert on a disk that runs full: what had no room is told once there is some, and nothing else is lost."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_disk import fill, small_disk

import resource_agents
from resource_agents.alert.agent import LOST
from resource_agents.alert.drain import Drain
from vimha.render.agents import PYTHON

pytestmark = [pytest.mark.agents, pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system: needs root")]
LIBRARY = str(Path(resource_agents.__path__[0]).parent)
PROGRAM = f"import sys; sys.path.insert(0, {LIBRARY!r}); from resource_agents.alert.agent import main; main()"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder, 8, "root"):
        yield folder


def alert(spool: Path, number: int) -> int:
    """Play Pacemaker's alert of an event; the agent's exit code."""
    env = {
        "CRM_alert_kind": "node", "CRM_alert_node": "c1", "CRM_alert_desc": f"event {number}",
        "CRM_alert_timestamp_epoch": str(1_800_000_000 + number), "CRM_alert_timestamp_usec": "000000",
        "CRM_alert_recipient": str(spool),
    }  # fmt: skip
    return subprocess.run([PYTHON, "-IS", "-c", PROGRAM], env=env, check=False).returncode


def test_a_full_disk(disk: Path) -> None:
    spool = disk / "spool"
    assert alert(spool, 0) == 0
    filler = fill(disk)
    codes = {number: alert(spool, number) for number in range(1, 8)}
    assert set(codes.values()) == {1}
    assert (spool / LOST).stat().st_mtime > 0, "a full disk has room for a time"
    filler.unlink()
    assert alert(spool, 9) == 0
    told: list[dict[str, Any]] = []
    working = Drain(spool, told.extend)
    working.work()
    working.work()
    assert [each.get("desc", each["kind"]) for each in told] == ["event 0", "event 9", "lost"]
    assert [path.name for path in spool.iterdir()] == [LOST]
