"""A live kernel answers, open port or closed; silence and a missing route do not count."""

import time

from fence_agents.fencing.witness import answering

LIVE = "127.0.0.77"
REMOTE = "198.51.100.1"
"""TEST-NET-2 (RFC 5737): behind a gateway at best, and gateways answer for the dead."""


def test_a_live_kernel_is_an_answer() -> None:
    assert answering([LIVE], 1.0) == LIVE
    assert answering([REMOTE, LIVE], 1.0) == LIVE


def test_silence_is_waited_out_and_no_answer() -> None:
    for addresses in ([], [REMOTE]):
        began = time.monotonic()
        assert answering(addresses, 0.05) == ""
        assert 0.045 <= time.monotonic() - began < 0.5
