"""The election's invariant, on the model of wsrep_model.py: a node that is behind never bootstraps, two never do."""

import random
from collections import Counter

import pytest
from wsrep_model import Model, Violation

from resource_agents.wsrep import election


def walks(size: int, count: int, steps: int = 400) -> Counter[str]:
    """What happened in `count` random lives of a cluster; Violation names the seed that replays it."""
    met: Counter[str] = Counter()
    for seed in range(count):
        model = Model(random.Random(seed), size)  # noqa: S311
        try:
            model.run(steps)
        except Violation as violation:
            raise Violation(f"size {size}, seed {seed}: {violation}") from None
        met += model.met
    return met


@pytest.mark.parametrize("size", [2, 3, 5])
def test_whatever_dies_when(size: int) -> None:
    met = walks(size, 200)
    assert min(met[kind] for kind in ("bootstrap", "reform", "join", "withdrawn", "cut off", "power off")) > 10, met


@pytest.mark.parametrize(
    ("rule", "broken"),
    [("_missing", lambda *_: ""), ("_views_complete", lambda *_: True), ("_rank", lambda _: 0),
     ("_rank", lambda word: (word.kind == "state", word.seqno, not word.safe, -word.view.number if word.view else 0))],
    ids=["absent members are ignored", "the last view is ignored", "position is ignored", "safe and view are ignored"],
)  # fmt: skip
def test_without_a_rule_the_model_finds_the_loss(monkeypatch: pytest.MonkeyPatch, rule: str, broken: object) -> None:
    """The model has teeth: each of the election's rules is needed."""
    monkeypatch.setattr(election, rule, broken)
    with pytest.raises(Violation, match="behind"):
        walks(3, 1000)
