"""The geometry of the report's drawings: from a drill's figures to marks on a percentage scale. Pure.

Invariant: horizontal places are per cent of the drawing's width and heights are pixels, so that the drawings shrink
with the page while their text keeps its size.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vimha.drill.outage import windows
from vimha.drill.verdict import Outcome, Round

LEAD_S = 0.25
"""How much of the time before the fault, and after the answer, a timeline shows."""
DOT_PERCENT = 1.3
"""Dots closer than this would cover each other: the later one is stacked on top."""


@dataclass(frozen=True)
class Scale:
    """Maps seconds from `low` to `high` to 0-100 per cent."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """`value`'s place in per cent, held inside the drawing."""
        return round(min(100.0, max(0.0, 100 * (value - self.low) / (self.high - self.low))), 2)


@dataclass(frozen=True)
class Mark:
    """A point on the scale with its label; `row` counts label rows or stacked dots, `css` is its look."""

    x: float
    label: str
    css: str
    row: int = 0

    @property
    def anchor(self) -> str:
        """Where the label's text starts, so that it stays inside the drawing."""
        return "start" if self.x < 60 else "end"


@dataclass(frozen=True)
class Bar:
    """A stretch on the scale."""

    x: float
    width: float
    label: str
    css: str


@dataclass(frozen=True)
class Lane:
    """A titled row of bars and ticks in a timeline."""

    title: str
    bars: tuple[Bar, ...]
    ticks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Distribution:
    """All rounds' outages as dots, against budget and objective."""

    dots: tuple[Mark, ...]
    lines: tuple[Mark, ...]
    axis: tuple[Mark, ...]

    @property
    def label_rows(self) -> int:
        """Each limit's label has a row of its own, so that none covers another on a narrow screen."""
        return len(self.lines)

    @property
    def stack(self) -> int:
        return 1 + max((dot.row for dot in self.dots), default=0)


@dataclass(frozen=True)
class Timeline:
    """One round over time."""

    lanes: tuple[Lane, ...]
    axis: tuple[Mark, ...]
    fault_x: float


def axis(scale: Scale, wanted: int = 6) -> tuple[Mark, ...]:
    """Round ticks over `scale`, about `wanted` of them, labelled in seconds."""
    raw = (scale.high - scale.low) / wanted
    size = 10 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= raw)
    first = math.ceil(scale.low / step)
    values = [number * step for number in range(first, math.floor(scale.high / step + 1e-9) + 1)]
    return tuple(Mark(scale.at(value), f"{value:g} s" if value else "0", "tick") for value in map(_tidy, values))


def _tidy(value: float) -> float:
    return round(value, 6)


def stacked(marks: Iterable[Mark]) -> tuple[Mark, ...]:
    """The marks, each in the first row where it does not cover the one before it."""
    ends: list[float] = []
    placed = []
    for mark in sorted(marks, key=lambda entry: entry.x):
        row = next((number for number, end in enumerate(ends) if mark.x - end >= DOT_PERCENT), len(ends))
        ends[row : row + 1] = [mark.x]
        placed.append(Mark(mark.x, mark.label, mark.css, row))
    return tuple(placed)


def distribution(outcome: Outcome) -> Distribution:
    """The drawing of `outcome`'s rounds against typical, worst and objective."""
    known = (
        ("typical", outcome.budget_typical_s),
        ("worst case", outcome.budget_worst_s),
        ("objective", outcome.objective_s),
    )
    limits = [(name, value) for name, value in known if value is not None]
    scale = Scale(0.0, 1.06 * max([value for _, value in limits] + [outcome.worst_s, 0.1]))
    css = {"typical": "typical", "worst case": "budget", "objective": "objective"}
    lines = tuple(
        Mark(scale.at(value), f"{name} {value:.2f} s", css[name], row) for row, (name, value) in enumerate(limits)
    )
    dots = (
        Mark(
            scale.at(entry.outage_s), f"round {entry.number}: {entry.outage_s:.3f} s", "bad" if entry.problems else "ok"
        )
        for entry in outcome.rounds
    )
    return Distribution(stacked(dots), lines, axis(scale))


def timeline(entry: Round) -> Timeline:
    """The drawing of one round: the client's view, the phases, the VIP's holders, and the nodes' own words."""
    answer = entry.outage.end if entry.outage else entry.fault_at
    scale = Scale(-LEAD_S, max(0.5, answer - entry.fault_at + 2 * LEAD_S))
    lanes = [_client(entry, scale, name) for name, _ in entry.probes]
    if entry.phases:
        lanes.append(_phases(entry, scale))
    lanes += _holders(entry, scale)
    shown = [event for event in entry.events if event.node and scale.low <= event.at - entry.fault_at <= scale.high]
    ticks = (
        Mark(scale.at(event.at - entry.fault_at), f"{event.node}: {event.text}", f"event-{event.kind}")
        for event in shown
    )
    lanes.append(Lane("what the nodes said", (), tuple(ticks)))
    return Timeline(tuple(lanes), axis(scale), scale.at(0))


def _bar(scale: Scale, start: float, end: float, label: str, css: str) -> Bar:
    left, right = scale.at(start), scale.at(end)
    return Bar(left, round(right - left, 2), label, css)


def _client(entry: Round, scale: Scale, name: str) -> Lane:
    attempts = dict(entry.probes)[name]
    bars = [Bar(0, 100, f"{name}: answered", "ok")]
    for window in windows(attempts):
        start, end = window.start - entry.fault_at, window.end - entry.fault_at
        if start < scale.high and end > scale.low:
            bars.append(_bar(scale, start, end, f"no answer for {window.length_s:.2f} s", "bad"))
    return Lane(f"client, {name}", tuple(bars))


def _phases(entry: Round, scale: Scale) -> Lane:
    bars = [
        _bar(
            scale,
            phase.start_s,
            phase.start_s + phase.length_s,
            f"{phase.name}: {phase.length_s:.2f} s",
            f"phase{number}",
        )
        for number, phase in enumerate(entry.phases)
    ]
    return Lane("phases", tuple(bars))


def _holders(entry: Round, scale: Scale) -> list[Lane]:
    by_vip: dict[tuple[str, str], list[Bar]] = {}
    for held in entry.holdings:
        start, end = held.start - entry.fault_at, min(held.end - entry.fault_at, scale.high)
        if start < scale.high and end > scale.low:
            bar = _bar(scale, start, end, held.node, "gone" if held.node == entry.target else "held")
            by_vip.setdefault((held.vip, held.node), []).append(bar)
    return [Lane(f"{vip} on {node}", tuple(bars)) for (vip, node), bars in by_vip.items()]


def share(value: float, of: Sequence[float]) -> float:
    """`value` in per cent of the largest of `of`: the length of a bar in the summary."""
    return round(100 * value / max([*of, 1e-9]), 1)
