"""A8: `vimha validate` keeps its interface: JSON shape, exit codes, one message for what cannot be read."""

import json
import sys
from pathlib import Path

import pytest
from pacemaker import needs_pacemaker

from vimha_cli.main import main

ROOT = Path(__file__).parents[2]
CIBS = Path(__file__).with_name("cibs")


def vimha(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `vimha validate ARGV`."""
    monkeypatch.setattr(sys, "argv", ["vimha", "validate", *argv])
    try:
        main()
        code = 0
    except SystemExit as leave:
        code = int(leave.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


@needs_pacemaker
def test_good_site(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    site = str(ROOT / "examples" / "site-small.yaml")
    assert vimha(monkeypatch, capsys, site) == (0, "no findings\n", "")
    code, out, _ = vimha(monkeypatch, capsys, site, "--format", "json")
    assert (code, json.loads(out)) == (0, {"findings": []})


def test_bad_site(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    site = str(ROOT / "examples" / "bad" / "vip-outside.yaml")
    code, out, err = vimha(monkeypatch, capsys, site, "--format", "json")
    assert (code, err) == (1, "")
    (finding,) = json.loads(out)["findings"]
    assert list(finding) == ["code", "severity", "where", "message", "remedy"]
    assert finding["severity"] == "error"


@needs_pacemaker
def test_foreign_cib(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = vimha(monkeypatch, capsys, "--cib", str(CIBS / "interval-fraction.xml"), "--format", "json")
    assert code == 1
    assert {"C001", "C116"} == {each["code"] for each in json.loads(out)["findings"]}
    code, out, _ = vimha(monkeypatch, capsys, "--cib", str(CIBS / "clean.xml"))
    assert code == 0, "a warning is no error"
    assert "C116" in out


@pytest.mark.parametrize("argv", [
    [], ["missing.yaml"], ["--cib", "missing.xml"], ["--corosync", "missing.conf"], ["--cib", __file__],
    [str(ROOT / "examples" / "site-small.yaml"), "--cib", str(CIBS / "clean.xml")], ["a", "b"],
    ["--format", "xml", "a"],
])  # fmt: skip
def test_usage(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    code, out, err = vimha(monkeypatch, capsys, *argv)
    assert (code, out) == (2, "")
    assert err and "Traceback" not in err
