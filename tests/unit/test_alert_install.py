"""vimha-alert and vimha-drain on a node: they start as they were installed, and systemd knows the drain."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from vimha.process import run
from vimha.render import agents, units


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("node")
    agents.install(root)
    return root


def started(root: Path, name: str, *argv: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """Run a launcher as it was installed, but for where its library is."""
    launcher = root / "usr/lib/vimha/alerts" / name
    assert os.access(launcher, os.X_OK)
    text = launcher.read_text()
    assert text.startswith("#!/usr/bin/python3 -IS\n")
    here = root / name
    here.write_text(text.replace('"/usr/lib/vimha"', f'"{root}/usr/lib/vimha"'))
    return subprocess.run(
        [agents.PYTHON, "-IS", str(here), *argv], env=env, capture_output=True, text=True, timeout=20, check=False
    )  # fmt: skip


def test_the_alert_agent_starts(root: Path, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    done = started(root, "vimha-alert", CRM_alert_kind="node", CRM_alert_recipient=str(spool))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len([path for path in spool.iterdir() if path.name[0].isdigit()]) == 1


def test_the_drain_refuses_a_configuration_that_others_may_read(root: Path, tmp_path: Path) -> None:
    config = tmp_path / "drain.json"
    config.write_text(json.dumps({"urls": ["http://127.0.0.1:1"], "token": "s3cret"}))
    config.chmod(0o644)
    done = started(root, "vimha-drain", str(config))
    assert done.returncode == 1
    assert done.stderr.startswith("vimha-drain: ")
    assert "chmod 600" in done.stderr
    assert "s3cret" not in done.stderr


def test_a_missing_configuration_is_told(root: Path, tmp_path: Path) -> None:
    done = started(root, "vimha-drain", str(tmp_path / "none.json"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("path", list(units.UNITS))
def test_systemd_finds_the_units(root: Path, path: Path) -> None:
    assert (root / path.relative_to("/")).read_text() == units.UNITS[path]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
def test_systemd_takes_the_units(root: Path) -> None:
    """`systemd-analyze verify` judges every line; it misses the distribution's own units under this root."""
    found = run(["systemd-analyze", "verify", "--man=no", f"--root={root}", "vimha-drain.service"], timeout_s=30)
    ours = [line for line in (found.out + found.err).splitlines() if "vimha" in line]
    assert [line for line in ours if "sysinit.target not found" not in line] == []
