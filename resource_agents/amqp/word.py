"""What a node says to the others, whether it runs a broker or not: one node attribute's value.

Invariant: ELECT and SPARE are said only while this node's Erlang VM does not run, and then what they tell of its
database is exact.
"""

ELECT, JOIN, CLAIM, UP, PAUSED, SPARE = "elect", "join", "claim", "up", "paused", "spare"
"""Waiting, its database told · starting, with brokers that run · starting as the first · serving · alive, but without a
majority (pause_minority) · not to run a broker now, its database told."""

PHASES = frozenset((ELECT, JOIN, CLAIM, UP, PAUSED, SPARE))


class Word:
    """`ran`: the members that ran when this node's broker last knew, itself included; empty: it has no database.

    `of`: all members of the cluster that its database belongs to, itself included;
    `served`: when it last served, in seconds of the node's clock; `cookie`: a digest of its Erlang cookie; `turn` tells
    the word from an earlier one of this node that says the same, and may be all that a slow node has heard.
    """

    __slots__ = ("cookie", "of", "phase", "ran", "served", "turn")

    def __init__(
        self, phase: str, *, ran: frozenset[str] = frozenset(), of: frozenset[str] = frozenset(), served: int = 0,
        cookie: str = "", turn: int = 0,
    ) -> None:  # fmt: skip
        self.phase = phase
        self.ran = ran
        self.of = of
        self.served = served
        self.cookie = cookie
        self.turn = turn

    def said(self, phase: str, turn: int) -> "Word":
        """The same in another phase, or at another turn."""
        return Word(phase, ran=self.ran, of=self.of, served=self.served, cookie=self.cookie, turn=turn)


def encode(word: Word) -> str:
    """The attribute's value: no spaces, no quotes, nothing that attrd would calculate with."""
    who = [f"{name}={':'.join(sorted(names))}" for name, names in (("of", word.of), ("ran", word.ran))]
    return ",".join([word.phase, f"served={word.served}", f"turn={word.turn}", f"cookie={word.cookie}", *who])


def decode(value: str) -> Word | None:
    """The word in an attribute's value; None when it is none of ours."""
    phase, *pairs = value.split(",")
    known = dict(pair.partition("=")[::2] for pair in pairs)
    numbers = [known.get(name, "0") for name in ("served", "turn")]
    if phase not in PHASES or not all(number.isascii() and number.isdecimal() for number in numbers):
        return None
    served, turn = map(int, numbers)
    of, ran = (frozenset(known.get(name, "").split(":")) - {""} for name in ("of", "ran"))
    return Word(phase, ran=ran, of=of, served=served, turn=turn, cookie=known.get("cookie", ""))
