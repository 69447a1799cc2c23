"""When a broker last served: what tells who ran last where two of them saw each other go.

Why it suffices: of two databases that leave each other's node out, one broker came up after the other's end, or went on
when the other paused; and a broker takes seconds to boot. So a stamp at each coming up, and every STAMP_S from then on,
puts them in order as long as the nodes' clocks agree within those seconds.
"""

import time

from resource_agents.ocf.system import System

NAME = "vimha.served"
STAMP_S = 2.0


def stamp(system: System, folder: str) -> None:
    """The broker serves now. On disk before this returns; OSError when the disk does not take it."""
    system.replace(f"{folder}/{NAME}", f"{time.time():.0f}\n")


def freshen(system: System, folder: str) -> None:
    """The broker still serves: cheap enough for every monitor, which no full disk may fail."""
    age = system.age(f"{folder}/{NAME}")
    if age is None or not 0 <= age < STAMP_S:
        try:
            system.write(f"{folder}/{NAME}", f"{time.time():.0f}\n")
        except OSError:
            return


def last(system: System, folder: str) -> int:
    """When the broker last served, in seconds since the epoch; 0: unknown."""
    text = (system.read(f"{folder}/{NAME}") or "").strip()
    return int(text) if text.isascii() and text.isdecimal() else 0
