"""The timeline: when alarms were active, as a drawing of lanes, one for each severity.

Invariant: pure; across, all is in percent of the range, so that it fits every screen; down, in pixels. Few alarms are a
bar each; more than fit are columns, whose height is how many were active in that piece of time, against the lane's
peak.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import accumulate

from vimha.alarms import times
from vimha.alarms.service.pages.words import ago
from vimha.alarms.store.overview import Span
from vimha.alarms.times import SECOND
from vimha.alarms.words import Severity

MOST_ROWS = 12
"""Of bars in one lane."""
MOST_BARS = 120
BUCKETS = 72
HEAD, ROW, BAR, COLUMNS, GAP = 20, 14, 10, 52, 8
"""Pixels: a lane's title, a row of bars, a bar, columns at their peak, between lanes."""
THINNEST = 0.35
"""Percent: a shorter alarm must still be seen."""
STEPS_S = (60, 300, 900, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000)
MOST_TICKS = 8


@dataclass(frozen=True, slots=True)
class Mark:
    """A bar or column: percent across, pixels down. `alarm_id` of a bar; from and to of a column."""

    x: float
    width: float
    y: float
    height: float
    title: str
    alarm_id: str = ""
    from_us: int = 0
    to_us: int = 0
    open: bool = False


@dataclass(frozen=True, slots=True)
class Lane:
    severity: Severity
    y: float
    height: float
    title: str
    marks: list[Mark] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    lanes: list[Lane]
    ticks: list[Tick]
    height: float
    bucketed: bool


def chart(spans: Sequence[Span], from_us: int, to_us: int) -> Chart:
    """The drawing of what was active in [from_us, to_us)."""
    by_severity = {
        each: found
        for each in Severity
        if (found := [span for span in spans if span.severity is each and _end(span, to_us) >= from_us])
    }
    rows = {each: _rows(found, to_us) for each, found in by_severity.items()}
    bucketed = len(spans) > MOST_BARS or any(max(each) >= MOST_ROWS for each in rows.values())
    lanes, y = [], 0.0
    for severity, found in by_severity.items():
        if bucketed:
            lanes.append(_columns(severity, found, (from_us, to_us), y))
        else:
            lanes.append(_bars(severity, list(zip(found, rows[severity], strict=True)), (from_us, to_us), y))
        y += lanes[-1].height + GAP
    return Chart(lanes, list(_ticks(from_us, to_us)), y, bucketed)


def _end(span: Span, to_us: int) -> int:
    return to_us if span.cleared_us is None else min(span.cleared_us, to_us)


def _rows(spans: Sequence[Span], to_us: int) -> list[int]:
    """A row for each alarm, so that none hides another."""
    free: list[int] = []
    ends: list[tuple[int, int]] = []
    found = dict.fromkeys(range(len(spans)), 0)
    for number in sorted(found, key=lambda each: spans[each].raised_us):
        while ends and ends[0][0] < spans[number].raised_us:
            heappush(free, heappop(ends)[1])
        found[number] = heappop(free) if free else len(ends)
        heappush(ends, (_end(spans[number], to_us), found[number]))
    return list(found.values())


def _bars(severity: Severity, spans: Sequence[tuple[Span, int]], bounds: tuple[int, int], y: float) -> Lane:
    (from_us, to_us), marks = bounds, []
    for span, row in spans:
        begin, end = max(span.raised_us, from_us), _end(span, to_us)
        width = max(_percent(end - begin, bounds), THINNEST)
        lasted = f"for {ago(end - span.raised_us)}" + ("" if span.cleared_us else ", still active")
        title = (
            f"{severity.value} {span.managed_object}: {span.definition}, {times.text(span.raised_us)[:19]}Z {lasted}"
        )
        x = min(_percent(begin - from_us, bounds), 100 - width)
        marks.append(Mark(x, width, y + HEAD + row * ROW, BAR, title, span.id, open=not span.cleared_us))
    height = HEAD + ROW * (1 + max(row for _, row in spans))
    return Lane(severity, y, height, _counted(len(spans)), marks)


def _columns(severity: Severity, spans: Sequence[Span], bounds: tuple[int, int], y: float) -> Lane:
    (from_us, to_us), step = bounds, max((bounds[1] - bounds[0]) // BUCKETS, 1)
    change = [0] * (BUCKETS + 1)
    for span in spans:
        change[_bucket(max(span.raised_us, from_us), from_us, step)] += 1
        change[_bucket(_end(span, to_us), from_us, step) + 1] -= 1
    active = list(accumulate(change))[:BUCKETS]
    peak = max(active)
    marks = []
    for number, count in enumerate(active):
        if count:
            begin, end = from_us + number * step, from_us + (number + 1) * step
            height = max(COLUMNS * count / peak, 2)
            title = f"{severity.value}, {times.text(begin)[:19]}Z for {ago(step)}: {_counted(count)}"
            x, top = 100 * number / BUCKETS, y + HEAD + COLUMNS - height
            marks.append(Mark(x, 100 / BUCKETS, top, height, title, from_us=begin, to_us=end))
    return Lane(severity, y, HEAD + COLUMNS, f"{_counted(len(spans))}; the tallest column is {peak}", marks)


def _bucket(at_us: int, from_us: int, step: int) -> int:
    return min((at_us - from_us) // step, BUCKETS - 1)


def _ticks(from_us: int, to_us: int) -> Iterator[Tick]:
    """At round times, at most MOST_TICKS; days are said where they begin."""
    step = next((each for each in STEPS_S if (to_us - from_us) / SECOND / each <= MOST_TICKS), STEPS_S[-1]) * SECOND
    for at_us in range(from_us - from_us % step + step, to_us, step):
        text = times.text(at_us)
        yield Tick(_percent(at_us - from_us, (from_us, to_us)), text[5:10] if text[11:16] == "00:00" else text[11:16])


def _percent(micros: int, bounds: tuple[int, int]) -> float:
    return 100 * micros / (bounds[1] - bounds[0])


def _counted(number: int) -> str:
    return f"{number} alarm{'s' * (number != 1)}"
