"""How the tests of this folder play a drill on a lab that is up, and what they hold it to."""

import time
from collections.abc import Callable

from vimha.drill import session
from vimha.drill.faults import FAULTS
from vimha.drill.session import Order
from vimha.drill.verdict import Expectation, misbehaviour
from vimha.site.model import Site


def play(site: Site, lab: str, order: Order, expected: Expectation | None = None) -> None:
    """One drill, its rounds held to what must be so on any host; `expected` where the site asks more than the fault."""
    (outcome,), _ = session.play(site, [order], print, lab)
    assert outcome.rounds
    for entry in outcome.rounds:
        found = misbehaviour(entry, expected or FAULTS[order.fault].expected)
        assert found == (), f"outage {entry.outage_s:.2f} s"


def until(true: Callable[[], bool], most_s: float) -> None:
    """Wait until `true`; fails after `most_s`."""
    deadline = time.monotonic() + most_s
    while not true():
        assert time.monotonic() < deadline, f"not within {most_s:g} s"
        time.sleep(0.05)
