"""What a node says to the others before and while it runs a member: one node attribute's value.

Invariant: ELECT and SPARE are said only while this node's mariadbd does not run, and then the position is exact; before
it is started, the word has been replaced by JOIN or CLAIM, and the cluster's attribute daemon has shown it.
"""

from resource_agents.wsrep.state import NIL, View

SPARE, ELECT, JOIN, CLAIM = "spare", "elect", "join", "claim"
PRIMARY, ARBITER = "primary", "arbiter"
"""Its position told, and Pacemaker runs no member here · waiting, its position told · started, to join or to re-form ·
about to begin the cluster, or beginning it · member of the primary component · garbd, which holds no data."""

STATE, EMPTY, BLANK, ALONE, TORN = "state", "empty", "blank", "alone", "torn"
"""What the datadir holds: a cluster's state · nothing but what installing made · the same after a first try to
join · the databases of a server that was in no cluster · databases whose transfer was interrupted."""


class Word:
    """`restorable`: the view is on disk as Galera left it, so that Galera itself can go back to it."""

    __slots__ = ("kind", "phase", "restorable", "safe", "seqno", "uuid", "view")

    def __init__(
        self, phase: str, *, kind: str = EMPTY, uuid: str = NIL, seqno: int = -1, safe: bool = False,
        view: View | None = None, restorable: bool = True,
    ) -> None:  # fmt: skip
        self.phase = phase
        self.kind = kind
        self.uuid = uuid
        self.seqno = seqno
        self.safe = safe
        self.view = view
        self.restorable = restorable

    @property
    def position(self) -> str:
        """UUID:SEQNO, as --wsrep_start_position takes it."""
        return f"{self.uuid}:{self.seqno}"

    def said(self, phase: str) -> "Word":
        """The same in another phase."""
        return Word(phase, kind=self.kind, uuid=self.uuid, seqno=self.seqno, safe=self.safe, view=self.view,
                    restorable=self.restorable)  # fmt: skip


def encode(word: Word) -> str:
    """The attribute's value: no spaces, no quotes, nothing that attrd would calculate with."""
    fields = [word.phase, f"kind={word.kind}", f"position={word.position}"]
    if word.safe:
        fields.append("safe=1")
    if view := word.view:
        fields += [f"me={view.me}", f"view={view.number}.{view.name}", f"members={'.'.join(view.members)}"]
        fields += [] if word.restorable else ["restorable=0"]
    return ",".join(fields)


def decode(value: str) -> Word | None:
    """The word in an attribute's value; None when it is none of ours."""
    phase, *pairs = value.split(",")
    known = dict(pair.partition("=")[::2] for pair in pairs)
    uuid, _, seqno = known.get("position", f"{NIL}:-1").rpartition(":")
    number, _, name = known.get("view", "").partition(".")
    if phase not in (SPARE, ELECT, JOIN, CLAIM, PRIMARY, ARBITER) or not seqno.removeprefix("-").isdecimal():
        return None
    view = None
    if number.isdecimal():
        view = View(known.get("me", ""), name, int(number), tuple(known.get("members", "").split(".")))
    return Word(
        phase, kind=known.get("kind", EMPTY), uuid=uuid, seqno=int(seqno), safe=known.get("safe") == "1", view=view,
        restorable=known.get("restorable") != "0",
    )  # fmt: skip
