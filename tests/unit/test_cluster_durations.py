"""A8, A9: durations are read as Pacemaker reads them: checked against its own scheduler."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pacemaker import needs_pacemaker
from test_cluster_traps import cib_of

from vimha.cluster import durations, simulate, whatif
from vimha.process import run

SPELLINGS = [
    "0.5s", "PT0.5S", "1.5s", "PT1.5S", "500ms", "500", ".5s", "2 s", "2sec", "2min", "1m30s", "1h", "5 secs", "5S",
    "5x", "1d", "-5s", "1e3", "garbage", "0", "P1D", "P1W", "P1DT1H", "P1Y", "PT1H", "PT90S", "PT1M30S", "P5S", "PT",
    "1500us", "10.9.9s", "99999999999s",
]  # fmt: skip


@needs_pacemaker
def test_spellings_are_read_as_pacemaker_does() -> None:
    ops = "".join(
        f"""<primitive id="r{number}" class="ocf" provider="heartbeat" type="Dummy"><operations>
        <op id="r{number}-monitor" name="monitor" interval="{text}" timeout="20s"/>
        <op id="r{number}-start" name="start" interval="0" timeout="{text}"/></operations></primitive>"""
        for number, text in enumerate(SPELLINGS)
    )
    cib = cib_of("clean", ("</resources>", f"{ops}</resources>"))
    transition = simulate.schedule(whatif.formed(cib.root, {}), run, tasks=True)
    for number, text in enumerate(SPELLINGS):
        intervals = [
            task.interval_ms for task in transition.tasks if task.resource == f"r{number}" and task.interval_ms
        ]
        assert intervals == [read for read in [durations.interval_ms(text)] if read], text


@pytest.mark.parametrize(("text", "read"), [
    ("0.5s", 0), ("1.5s", 1000), ("500ms", 500), ("20", 20_000), ("PT5S", 20_000), ("garbage", 20_000), (".5s", 20_000),
    ("2min", 120_000), (None, 20_000), ("", 20_000),
])  # fmt: skip
def test_timeouts(text: str | None, read: int) -> None:
    assert durations.timeout_ms(text) == read


@pytest.mark.parametrize(("text", "meant"), [
    ("0.5s", 500), ("PT0.5S", 500), ("P1D", 86_400_000), ("PT1M30S", 90_000), ("500ms", 500), ("20", 20_000),
    ("2min", 120_000), ("garbage", None), ("1..5s", None), ("", None), (None, None),
])  # fmt: skip
def test_what_a_person_means(text: str | None, meant: float | None) -> None:
    assert durations.meant_ms(text) == meant


@given(st.text(st.sampled_from("0123456789.PTSMHD smh"), max_size=12) | st.text(max_size=12))
def test_anything_is_read(text: str) -> None:
    assert durations.interval_ms(text) >= 0
    assert durations.timeout_ms(text) >= 0
    durations.meant_ms(text)


@given(st.integers(0, 4_000_000))
def test_whole_milliseconds_are_read_back(value: int) -> None:
    text = durations.show(value)
    assert re.fullmatch(r"\d+(ms|s)", text)
    assert durations.interval_ms(text) == durations.timeout_ms(text) == durations.meant_ms(text) == value
