"""The launcher's door: when a verdict is handed out, and when the agent looks itself; the real file, by the real sh."""

from pathlib import Path

import pytest

from vimha.process import run
from vimha.render import agents

LOOKED = 42
STAND_IN = f"def main(agent):\n    import sys\n    print(*sys.argv[1:])\n    raise SystemExit({LOOKED})\n"
MONITOR = {"OCF_RESOURCE_INSTANCE": "lb", "OCF_RESKEY_CRM_meta_interval": "1000"}
AHEAD, BEHIND = 1000, -10
"""Hundredths of a second from now on."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A launcher whose python part is a stand-in that ends with LOOKED."""
    library = tmp_path / "usr/lib/vimha/resource_agents"
    (library / "ocf").mkdir(parents=True)
    (library / "haproxy.py").write_text("AGENT = None\n")
    (library / "ocf/runtime.py").write_text(STAND_IN)
    (tmp_path / "run/vimha/standing").mkdir(parents=True)
    launcher = tmp_path / "haproxy"
    launcher.write_text(
        agents.launcher(agents.find("haproxy"), tmp_path / "usr/lib/vimha", tmp_path / "run/vimha/standing")
    )
    launcher.chmod(0o755)
    return tmp_path


def uptime() -> int:
    return int(Path("/proc/uptime").read_text().split()[0].replace(".", ""))


def tell(root: Path, text: str, name: str = "lb") -> Path:
    file = root / "run/vimha/standing" / name
    file.write_text(text)
    return file


def fresh(root: Path, name: str = "lb") -> Path:
    return tell(root, f"{uptime() + AHEAD} 12 345\n", name)


def code(root: Path, *arguments: str, **env: str) -> int:
    done = run([str(root / "haproxy"), *(arguments or ("monitor",))], env={**MONITOR, **env})
    assert done.err == ""
    assert done.code in (0, LOOKED)
    if done.code == LOOKED:
        assert done.out.split() == list(arguments or ("monitor",))
    return done.code


def test_a_fresh_verdict_is_handed_out_and_it_is_noted_that_it_was_asked_for(root: Path) -> None:
    asked = fresh(root).with_name("lb:asked")
    assert code(root) == 0
    assert asked.exists()
    before = asked.stat().st_mtime_ns
    assert code(root, OCF_CHECK_LEVEL="0") == 0
    assert asked.stat().st_mtime_ns > before


def test_a_stale_verdict_is_not(root: Path) -> None:
    tell(root, f"{uptime() + BEHIND} 12 345\n")
    assert code(root) == LOOKED


@pytest.mark.parametrize(
    "text",
    ["", "\n", "soon 12 345\n", "99999999999999999999999999 1 2\n", "-5 1 2\n", "$(id) 1 2\n", "08 1 2\n", "9e9 1 2\n"],
)
def test_what_is_no_verdict_is_not(root: Path, text: str) -> None:
    tell(root, text)
    assert code(root) == LOOKED


def test_half_a_line_is_no_verdict(root: Path) -> None:
    tell(root, f"{uptime() + AHEAD}")
    assert code(root) == LOOKED


def test_without_a_verdict_or_its_folder_the_agent_looks(root: Path) -> None:
    assert code(root) == LOOKED
    (root / "run/vimha/standing").rmdir()
    assert code(root) == LOOKED


@pytest.mark.parametrize(
    ("arguments", "env"),
    [(("start",), {}), (("stop",), {}), (("meta-data",), {}), (("validate-all",), {}),
     (("monitor",), {"OCF_RESKEY_CRM_meta_interval": "0"}), (("monitor",), {"OCF_RESKEY_CRM_meta_interval": ""}),
     (("monitor",), {"OCF_CHECK_LEVEL": "10"})],
)  # fmt: skip
def test_only_a_recurring_quick_monitor_is_answered(
    root: Path, arguments: tuple[str, ...], env: dict[str, str]
) -> None:
    fresh(root)
    assert code(root, *arguments, **env) == LOOKED


def test_a_clones_instance_is_known_by_its_resource(root: Path) -> None:
    fresh(root, "galera")
    assert code(root, OCF_RESOURCE_INSTANCE="galera:0") == 0


@pytest.mark.parametrize("name", ["a b", "*", "$HOME", "a;b", "-n", 'a"b', "'", "a\\b"])
def test_an_odd_name_is_a_name(root: Path, name: str) -> None:
    fresh(root)
    assert code(root, OCF_RESOURCE_INSTANCE=name) == LOOKED
    fresh(root, name)
    assert code(root, OCF_RESOURCE_INSTANCE=name) == 0


@pytest.mark.parametrize("name", ["", ":0", ".", "..", "../standing/lb", "/lb", "x/../lb", ".hidden"])
def test_what_is_no_name_of_a_file_there_has_no_verdict(root: Path, name: str) -> None:
    fresh(root)
    assert code(root, OCF_RESOURCE_INSTANCE=name) == LOOKED
    assert {path.name for path in (root / "run/vimha/standing").iterdir()} == {"lb"}


def test_where_it_cannot_be_noted_who_asked_the_agent_looks(root: Path) -> None:
    fresh(root).with_name("lb:asked").mkdir()
    assert code(root) == LOOKED
