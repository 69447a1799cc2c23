"""Durations and addresses as site.yaml writes them.

Invariant: a duration is a whole number of `ms` or `s` and is kept as integer milliseconds. `0.5s` is refused:
Pacemaker silently drops an operation with such an interval (reference: pacemaker 2.1, `crm_simulate`), so the
same spelling must not look right here.
"""

import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

_DURATION = re.compile(r"(\d{1,9})(ms|s)")


def parse_ms(value: object) -> int:
    """Milliseconds in `value`, such as `500ms` or `5s`; ValueError says what to write instead."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        return int(match[1]) * (1000 if match[2] == "s" else 1)
    if isinstance(value, str) and re.fullmatch(r"\d*\.\d+s", value.strip()):
        whole = round(float(value.strip()[:-1]) * 1000)
        raise ValueError(f"a fraction of a second: Pacemaker drops such an interval silently; write {whole}ms")
    raise ValueError("not a duration: write a whole number with a unit, such as 500ms or 5s")


def show_ms(value: int) -> str:
    """`value` milliseconds in site.yaml's spelling: `5s` where it is whole, else `500ms`."""
    return f"{value // 1000}s" if value % 1000 == 0 else f"{value}ms"


Milliseconds = Annotated[int, BeforeValidator(parse_ms), PlainSerializer(show_ms, when_used="json")]
"""A duration field: written `500ms` or `5s` (in JSON too, so that a dumped site loads again), kept as integer
milliseconds."""
