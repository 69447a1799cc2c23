"""What a node says to the others before and while it runs a broker: one node attribute's value.

Invariant: ELECT is said only while this node's Erlang VM does not run, and then what it tells of its database is exact.
"""

ELECT, JOIN, CLAIM, UP, PAUSED = "elect", "join", "claim", "up", "paused"
"""Waiting, its database told · starting, with brokers that run · starting as the first · serving · alive, but without a
majority (pause_minority)."""


class Word:
    """`ran`: the members that ran when this node's broker last knew, itself included; empty: it has no database.

    `served`: when it last served, in seconds of the node's clock; `cookie`: a digest of its Erlang cookie.
    """

    __slots__ = ("cookie", "phase", "ran", "served")

    def __init__(self, phase: str, *, ran: frozenset[str] = frozenset(), served: int = 0, cookie: str = "") -> None:
        self.phase = phase
        self.ran = ran
        self.served = served
        self.cookie = cookie

    def said(self, phase: str) -> "Word":
        """The same in another phase."""
        return Word(phase, ran=self.ran, served=self.served, cookie=self.cookie)


def encode(word: Word) -> str:
    """The attribute's value: no spaces, no quotes, nothing that attrd would calculate with."""
    fields = [word.phase, f"served={word.served}", f"cookie={word.cookie}"]
    return ",".join([*fields, f"ran={':'.join(sorted(word.ran))}"])


def decode(value: str) -> Word | None:
    """The word in an attribute's value; None when it is none of ours."""
    phase, *pairs = value.split(",")
    known = dict(pair.partition("=")[::2] for pair in pairs)
    served = known.get("served", "0")
    if phase not in (ELECT, JOIN, CLAIM, UP, PAUSED) or not (served.isascii() and served.isdecimal()):
        return None
    ran = frozenset(name for name in known.get("ran", "").split(":") if name)
    return Word(phase, ran=ran, served=int(served), cookie=known.get("cookie", ""))
