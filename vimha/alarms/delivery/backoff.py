"""How long to wait before another try.

Source: exponential back-off with full jitter: the pause is anything up to the exponential one, so that those who failed
together do not come back together.
"""

import random
from collections.abc import Callable

FIRST_S = 0.1
LONGEST_S = 30.0


def pause_s(failures: int, chance: Callable[[], float] = random.random) -> float:
    """Seconds to wait after the `failures`-th failure in a row (1: the first); `chance` is in 0 .. 1."""
    return chance() * min(LONGEST_S, FIRST_S * 2.0 ** min(failures - 1, 16))
