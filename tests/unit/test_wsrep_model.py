"""The election's invariant, on the model of wsrep_model.py: a node that is behind never bootstraps, two never do."""

import random
from collections import Counter

import pytest
from wsrep_model import Model, Violation

from resource_agents.wsrep import election


def walks(size: int, count: int, active: int = 0, *, recovers: bool = True) -> Counter[str]:
    """What happened in `count` random lives of a cluster of `active` members (0: all) on `size` nodes; Violation names
    the seed that replays it. Each life ends with a loss of the whole site, and, if `recovers`, with all nodes back.
    """
    met: Counter[str] = Counter()
    for seed in range(count):
        model = Model(random.Random(seed), size, active or size)  # noqa: S311
        try:
            model.run(400)
            if recovers:
                model.recover_from_loss()
        except Violation as violation:
            raise Violation(f"{active or size} of {size}, seed {seed}: {violation}") from None
        met += model.met
    assert met["asks the operator"] <= count / 100
    return met


@pytest.mark.parametrize("size", [2, 3, 5])
def test_whatever_dies_when(size: int) -> None:
    met = walks(size, 200)
    assert min(met[kind] for kind in ("bootstrap", "reform", "join", "withdrawn", "cut off", "power off")) > 10, met


@pytest.mark.parametrize(("active", "size"), [(3, 4), (3, 5), (2, 3)])
def test_spares_take_over_whatever_dies_when(active: int, size: int) -> None:
    met = walks(size, 100, active)
    assert min(met[kind] for kind in ("bootstrap", "called", "spare", "power off")) > 10, met


@pytest.mark.parametrize(
    ("rule", "broken"),
    [("_missing", lambda *_: ""), ("_views_complete", lambda *_: True), ("_rank", lambda _: 0),
     ("_rank", lambda word: (word.kind == "state", word.seqno, not word.safe, -word.view.number if word.view else 0))],
    ids=["absent members are ignored", "the last view is ignored", "position is ignored", "safe and view are ignored"],
)  # fmt: skip
def test_without_a_rule_the_model_finds_the_loss(monkeypatch: pytest.MonkeyPatch, rule: str, broken: object) -> None:
    """The model has teeth: each of the election's rules is needed."""
    monkeypatch.setattr(election, rule, broken)
    with pytest.raises(Violation, match=r"behind|beside"):
        walks(3, 1000, recovers=False)


def test_a_spare_that_may_begin_alone_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is started would be as good now; but then the spare's disk still says "safe" when it is behind."""
    rank = election._rank
    monkeypatch.setattr(election, "_rank", lambda word: (*rank(word)[:2], rank(word)[4], *rank(word)[2:4]))
    with pytest.raises(Violation, match="behind"):
        walks(3, 1000, 2, recovers=False)
