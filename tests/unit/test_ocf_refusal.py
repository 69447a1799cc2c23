"""What a monitor finds wrong with the node is repeated by the start that follows, and by no other."""

import os
import time
from pathlib import Path

import pytest

from resource_agents.ocf.agent import GENERIC, INSTALLED, OcfError
from resource_agents.ocf.refusal import FOLLOWS_S, Refusal
from resource_agents.ocf.system import System


@pytest.fixture
def refusal(tmp_path: Path) -> Refusal:
    return Refusal(System(str(tmp_path)), "/refused")


def test_it_is_repeated_once(refusal: Refusal) -> None:
    refusal.keep(OcfError(INSTALLED, "wrong configuration: x"))
    with pytest.raises(OcfError, match="wrong configuration: x") as caught:
        refusal.repeat()
    assert caught.value.code == INSTALLED
    refusal.repeat()


def test_a_failure_that_a_restart_may_mend_is_not_repeated(refusal: Refusal) -> None:
    refusal.keep(OcfError(GENERIC, "it hangs"))
    refusal.repeat()


def test_a_start_long_after_tries_again(refusal: Refusal, tmp_path: Path) -> None:
    """The resource was stopped meanwhile, and an operator has been here."""
    refusal.keep(OcfError(INSTALLED, "wrong configuration: x"))
    then = time.time() - FOLLOWS_S - 1
    os.utime(tmp_path / "refused", (then, then))
    refusal.repeat()
