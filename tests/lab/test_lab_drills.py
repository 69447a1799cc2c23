"""A1, A4, A7, A8: every fault of the catalogue that stateless services can feel, one round each, on a real cluster of
three machines.

What must hold on any host is asserted: the service returns, no VIP has two holders, who must be fenced is fenced, what
must move moves, the cluster heals. How long it takes is printed here, and held against the bars by
tests/bench/bench_failover.py.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from drill_play import play, until

from vimha.cluster.status import status
from vimha.drill import session
from vimha.drill.faults import FAULTS
from vimha.drill.session import Order
from vimha.drill.stage import Stage
from vimha.lab.cabling import Faults
from vimha.lab.labs import Lab
from vimha.site.loading import load_valid
from vimha.site.model import Site

pytestmark = pytest.mark.lab

ELSEWHERE = (
    "node-power-off", "member-state-lost", "stop-in-transfer", "datadir-full",
    "member-power-off", "member-partition", "quorum-loss", "site-power-loss-random",
)  # fmt: skip
"""The first is played below, by who is the DC; the others are faults of clustered services' members, which this site
does not have: test_lab_clustered.py.
"""

EXAMPLE = Path(__file__).parents[2] / "examples" / "site-small.yaml"


@pytest.fixture(scope="module")
def site() -> Site:
    return load_valid(EXAMPLE)


@pytest.mark.parametrize("fault", [name for name in FAULTS if name not in ELSEWHERE])
def test_fault(site: Site, lab: str, fault: str) -> None:
    play(site, lab, Order(fault))


@pytest.mark.parametrize("want_dc", [True, False], ids=["dc", "not-dc"])
def test_power_off_of_the_active_node_that_is_or_is_not_the_dc(site: Site, lab: str, want_dc: bool) -> None:
    play(site, lab, Order("node-power-off", want_dc=want_dc))


@pytest.mark.parametrize("fault", ["service-kill", "service-freeze"])
def test_the_api_itself(site: Site, lab: str, fault: str) -> None:
    play(site, lab, Order(fault, service="glance-api"))


def recorders(parent: int) -> list[int]:
    """The probers and witnesses that the drill `parent` started and that still live."""
    wanted = f"--parent\0{parent}\0".encode()
    lines = {path.parent.name: path for path in Path("/proc").glob("[0-9]*/cmdline")}
    return [int(pid) for pid, path in lines.items() if wanted in _content(path)]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process is gone
        return b""


def test_an_interrupted_drill_undoes_its_fault(lab: str) -> None:
    """Ctrl-C at a terminal reaches the drill's whole foreground group; it comes when the fault has had an effect."""
    stage = Stage(Lab.open(lab))
    until(lambda: not session.health(stage), 60.0)
    active = stage.roles().active
    peer = stage.machines.runner(next(node for node in stage.nodes() if node != active))

    def state() -> str:
        found = status(peer).node(active)
        return found.state if found else ""

    argv = [sys.executable, "-m", "vimha_cli.main", "drill", "run", "switchover"]
    argv += ["--site", str(EXAMPLE), "--lab", lab]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, start_new_session=True) as drill:
        assert drill.stderr is not None
        assert any(line.startswith("round 1/1") for line in drill.stderr)
        until(lambda: bool(recorders(drill.pid)), 10.0)
        until(lambda: state() != "online", 20.0)
        os.killpg(drill.pid, signal.SIGINT)
        _, said = drill.communicate(timeout=20.0)
    assert (drill.returncode, said.strip().splitlines()[-1]) == (130, "vimha: interrupted")
    assert recorders(drill.pid) == []
    assert Lab.open(lab).network.faults == Faults()
    until(lambda: not session.health(stage), 60.0)
    assert status(peer).problems == ()
    assert state() == "online"
