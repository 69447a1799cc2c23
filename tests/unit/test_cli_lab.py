"""`vimha lab`: what the command adds to the library's own care."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from vimha.drill import session
from vimha.errors import VimhaError
from vimha.lab.labs import Lab
from vimha_cli.lab import lab

SMALL = Path(__file__).parents[2] / "examples" / "site-small.yaml"


class FakeLab:
    """A lab that knows whether it is still up."""

    def __init__(self) -> None:
        self.standing = True

    def down(self) -> None:
        self.standing = False


@pytest.mark.parametrize("trouble", [VimhaError("it does not settle"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_nothing_stays_of_a_lab_whose_site_cannot_be_applied(
    monkeypatch: pytest.MonkeyPatch, trouble: BaseException
) -> None:
    made = FakeLab()

    def bring_up(*_: object) -> None:
        raise trouble

    monkeypatch.setattr(Lab, "up", lambda *_, **__: made)
    monkeypatch.setattr(session, "bring_up", bring_up)
    done = CliRunner().invoke(lab, ["up", str(SMALL), "--name", "x"])
    assert done.exit_code != 0
    assert not made.standing
    monkeypatch.setattr(session, "bring_up", lambda *_: None)
    made.standing = True
    assert CliRunner().invoke(lab, ["up", str(SMALL), "--name", "x"]).exit_code == 0
    assert made.standing
