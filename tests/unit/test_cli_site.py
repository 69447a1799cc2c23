"""`vimha init` and `vimha budget`: what they print, where, and how they exit."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from vimha.errors import UsageError
from vimha.site.loading import load
from vimha.site.model import Scale
from vimha_cli.main import cli

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.mark.parametrize("scale", list(Scale))
def test_init_writes_a_good_site(tmp_path: Path, scale: Scale) -> None:
    path = tmp_path / "site.yaml"
    assert run("init", path, "--scale", scale).exit_code == 0
    loaded = load(path)
    assert loaded.findings == []
    assert loaded.site is not None
    assert loaded.site.scale is scale
    assert run("budget", path).exit_code == 0


def test_init_replaces_a_file_only_when_told_to(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("mine")
    refused = run("init", path)
    assert isinstance(refused.exception, UsageError)
    assert "--force" in refused.exception.remedy
    assert path.read_text() == "mine"
    assert run("init", path, "--force").exit_code == 0
    assert "site: mysite" in path.read_text()


def test_init_where_nothing_can_be_written_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert isinstance(run("init", tmp_path / "file" / "site.yaml").exception, UsageError)


def test_budget_json_is_the_stable_shape() -> None:
    result = run("budget", EXAMPLES / "site-small.yaml", "--format", "json")
    assert result.exit_code == 0
    budget = json.loads(result.stdout)
    assert set(budget) == {"objective_s", "verdict", "classes"}
    assert (budget["objective_s"], budget["verdict"]) == (5.0, "pass")
    for entry in budget["classes"]:
        assert set(entry) == {"name", "typical_s", "worst_s", "terms"}
        assert all(set(term) == {"name", "typical_s", "worst_s", "source"} for term in entry["terms"])
        assert entry["worst_s"] == pytest.approx(sum(term["worst_s"] for term in entry["terms"]), abs=1e-3)


def test_budget_text_has_every_class_the_margins_and_the_verdict() -> None:
    result = run("budget", EXAMPLES / "site-large.yaml")
    assert result.exit_code == 0
    for words in (
        "node-power-loss-dc",
        "plane-loss",
        "switchover",
        "token lost",
        "before a false alarm",
        "verdict: pass",
    ):
        assert words in result.stdout


def test_budget_that_fails_exits_1_with_the_finding_on_standard_error() -> None:
    path = EXAMPLES / "bad" / "objective-impossible.yaml"
    result = run("budget", path, "--format", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["verdict"] == "fail"
    assert f"T002  {path}:8" in result.stderr


def test_budget_of_a_file_that_is_no_site_prints_only_findings() -> None:
    result = run("budget", EXAMPLES / "bad" / "syntax.yaml", "--format", "json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "S001" in result.stderr


def test_budget_of_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    assert isinstance(run("budget", tmp_path / "none.yaml").exception, UsageError)
