"""The report of one or several drills as one self-contained HTML file: no network, no script, no outside reference.

Invariant: everything that comes from a node or a site is escaped by the template engine; the drawings are inline SVG
on a percentage scale and the colours follow the reader's light or dark preference.
"""

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from vimha import __version__
from vimha.drill import charts
from vimha.drill.ledger import SLOW_S
from vimha.drill.verdict import LOST_WRITES, Outcome, Round
from vimha.timing.model import Budget, FaultClass


def worst_round(outcome: Outcome) -> Round:
    """The round whose timeline is drawn: one with problems before all others, then the longest outage."""
    return max(outcome.rounds, key=lambda entry: (bool(entry.problems), entry.outage_s))


def class_of(outcome: Outcome, budget: Budget) -> FaultClass | None:
    """The budget's class of the round that is drawn; None for a fault outside the budget."""
    name = worst_round(outcome).limits.fault_class
    return budget.named(name) if name else None


def lost_writes(outcomes: Sequence[Outcome]) -> str:
    """How many acknowledged writes were lost in all rounds that could be audited, in words, or why none could."""
    rounds = sum(entry.lost_writes is not None for outcome in outcomes for entry in outcome.rounds)
    lost = sum(outcome.lost_writes or 0 for outcome in outcomes)
    return f"{lost}, after every one was looked for on every member in {rounds} rounds" if rounds else LOST_WRITES


def render(outcomes: Sequence[Outcome], budget: Budget, made: str) -> str:
    """The page for `outcomes`, each with at least one round. `made` says when and where, in words."""
    environment = Environment(
        loader=PackageLoader("vimha.drill"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    longest = [max(o.objective_s, o.worst_s, o.budget_worst_s or 0) for o in outcomes]
    drills = [
        {
            "outcome": outcome,
            "round": worst_round(outcome),
            "class": class_of(outcome, budget),
            "distribution": charts.distribution(outcome),
            "timeline": charts.timeline(worst_round(outcome)),
            "measured_share": charts.share(outcome.worst_s, [longest[number]]),
            "budget_share": charts.share(outcome.budget_worst_s or 0, [longest[number]]),
            "objective_share": charts.share(outcome.objective_s, [longest[number]]),
        }
        for number, outcome in enumerate(outcomes)
    ]
    page = environment.get_template("report.html.j2")
    return page.render(
        drills=drills,
        objective_s=budget.objective_s,
        passed=all(outcome.verdict == "pass" for outcome in outcomes),
        made=made,
        version=__version__,
        slow_s=SLOW_S,
        lost_writes=lost_writes(outcomes),
    )
