"""Installing agents: complete, repeatable, clean after an older version, and readable by everybody."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from vimha.errors import UsageError, VimhaError
from vimha.render import agents
from vimha_cli.agents import agents as command


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("node")
    agents.install(root)
    return root


def test_all_agents_are_known() -> None:
    names = [agent.full_name for agent in agents.agents()]
    assert {"ocf:vimha:bond", "ocf:vimha:glance-api", "ocf:vimha:haproxy", "stonith:fence_vimha_redfish"} <= set(names)


@pytest.mark.parametrize("name", ["haproxy", "vimha:haproxy", "ocf:vimha:haproxy"])
def test_an_agent_has_many_names(name: str) -> None:
    found = agents.find(name)
    assert found.name == "haproxy"
    assert {parameter.name for parameter in found.parameters} == {"binary", "config", "pid", "unit", "health"}
    assert {action.name: action.timeout_s for action in found.actions}["start"] == 10


def test_an_unknown_agent_is_a_usage_error() -> None:
    with pytest.raises(UsageError) as caught:
        agents.find("nova")
    assert "haproxy" in caught.value.remedy


def test_launchers_and_bytecode_are_there(root: Path) -> None:
    for agent in agents.agents():
        launcher = root / agent.launcher.relative_to("/")
        assert launcher.stat().st_mode & 0o777 == 0o755
        assert launcher.read_text().startswith("#!/bin/sh\n" if agent.kind == "ocf" else "#!/usr/bin/python3 -IS\n")
        module = root / "usr/lib/vimha" / agent.module.replace(".", "/")
        assert list((module.parent / "__pycache__").glob(f"{module.name}.*.pyc"))
    assert (root / "usr/lib/vimha/resource_agents/ocf").stat().st_mode & 0o777 == 0o755


def test_repeating_it_changes_nothing(root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    assert agents.install(root) == agents.Installed((), ())
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()} == before


def test_what_an_older_version_left_is_removed_and_nothing_else(root: Path) -> None:
    ours = ["usr/lib/vimha/resource_agents/old.py", "usr/lib/vimha/resource_agents/gone/__pycache__/x.cpython-311.pyc",
            "usr/lib/ocf/resource.d/vimha/old", "usr/sbin/fence_vimha_old"]  # fmt: skip
    others = ["usr/sbin/fence_vimha_custom", "usr/sbin/fence_other", "usr/lib/ocf/resource.d/heartbeat/old"]
    for path in ours + others:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("x")
    (root / ours[3]).write_text("#!/usr/bin/python3 -IS\n# vimha: starts the fence agent fence_vimha_old; ...\n")
    changed_launcher = root / "usr/lib/ocf/resource.d/vimha/haproxy"
    changed_launcher.write_text("spoilt")
    done = agents.install(root)
    assert sorted(done.removed) == sorted(f"/{path}" for path in ours)
    assert done.written == ("/usr/lib/ocf/resource.d/vimha/haproxy",)
    assert not any((root / path).exists() for path in ours)
    assert all((root / path).exists() for path in others)


def test_a_root_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "usr").write_text("a file")
    with pytest.raises(VimhaError, match="cannot install the agents"):
        agents.install(tmp_path)


def test_the_commands(tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert "nothing to do" not in run(command, ["install", "--root", str(tmp_path)]).output
    assert "nothing to do" in run(command, ["install", "--root", str(tmp_path)]).output
    assert '"written": []' in run(command, ["install", "--root", str(tmp_path), "--format", "json"]).output
    assert "ocf:vimha:bond" in run(command, ["list"]).output
    assert '"name": "ocf:vimha:bond"' in run(command, ["list", "--format", "json"]).output
    assert "attribute" in run(command, ["describe", "bond"]).output
    assert '"timeout_s": 10.0' in run(command, ["describe", "bond", "--format", "json"]).output
