"""The state that a Galera member keeps in its datadir, read without changing it.

grastate.dat: cluster UUID, seqno (-1 while running and after a crash), safe_to_bootstrap (1: it was the last to leave,
or alone). A nil UUID means that the data are no whole state: a transfer was interrupted. gvwstate.dat: the last
primary view and this member's own gcomm UUID in it; it stays after a crash and is removed by a clean stop.
(Galera: galera/src/saved_state.cpp, gcomm/src/view.cpp.)
"""

NIL = "00000000-0000-0000-0000-000000000000"
HEXADECIMAL = frozenset("0123456789abcdef")
FIRST_LINE = "# GALERA saved state"


class Saved:
    """grastate.dat: `uuid`, `seqno`, `safe`."""

    __slots__ = ("safe", "seqno", "uuid")

    def __init__(self, uuid: str, seqno: int, safe: bool) -> None:
        self.uuid = uuid
        self.seqno = seqno
        self.safe = safe


class View:
    """The last primary view: `me` is this member's gcomm UUID, `members` those of all its members (arbiters too).

    `name` and `number` identify the view; numbers grow from view to view until the cluster is bootstrapped anew.
    """

    __slots__ = ("me", "members", "name", "number")

    def __init__(self, me: str, name: str, number: int, members: tuple[str, ...]) -> None:
        self.me = me
        self.name = name
        self.number = number
        self.members = members


def is_uuid(text: str) -> bool:
    """True for the 8-4-4-4-12 hexadecimal digits of a UUID in lower case."""
    return [len(part) for part in text.split("-")] == [8, 4, 4, 4, 12] and not set(text) - HEXADECIMAL - {"-"}


def parse_saved(text: str) -> Saved:
    """grastate.dat's text; ValueError naming what is wrong with it."""
    known = _fields(text)
    uuid, seqno, safe = known.get("uuid", "").lower(), known.get("seqno", ""), known.get("safe_to_bootstrap", "0")
    if not is_uuid(uuid):
        raise ValueError(f"its uuid {uuid!r} is none")
    if not seqno.removeprefix("-").isdecimal():
        raise ValueError(f"its seqno {seqno!r} is no number")
    if safe not in ("0", "1"):
        raise ValueError(f"its safe_to_bootstrap {safe!r} is neither 0 nor 1")
    return Saved(uuid, max(int(seqno), -1), safe == "1")


def render_saved(saved: Saved) -> str:
    """The text of a grastate.dat, as Galera 4 writes it."""
    return (
        f"{FIRST_LINE}\nversion: 2.1\nuuid:    {saved.uuid}\nseqno:   {saved.seqno}\n"
        f"safe_to_bootstrap: {int(saved.safe)}\n"
    )


def parse_view(text: str) -> View | None:
    """gvwstate.dat's text; None when it is not a whole primary view (Galera ignores it then, too)."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if ["#vwbeg"] not in lines or ["#vwend"] not in lines:
        return None
    me = next((words[1] for words in lines if words[0] == "my_uuid:" and len(words) > 1), "").lower()
    name = next((words for words in lines if words[0] == "view_id:" and len(words) == 4), None)
    members = tuple(sorted(words[1].lower() for words in lines if words[0] == "member:" and len(words) > 1))
    if not name or not name[3].isdecimal() or me not in members or not all(map(is_uuid, (*members, name[2].lower()))):
        return None
    return View(me, name[2].lower(), int(name[3]), members)


def parse_recovered(log: str) -> tuple[str, int] | None:
    """The position in what `mariadbd --wsrep-recover` wrote; None when it told none."""
    for line in reversed(log.splitlines()):
        _, found, position = line.partition("Recovered position: ")
        uuid, _, seqno = position.strip().rpartition(":")
        if found and is_uuid(uuid.lower()) and seqno.removeprefix("-").isdecimal():
            return uuid.lower(), int(seqno)
    return None


def _fields(text: str) -> dict[str, str]:
    pairs = [line.partition(":") for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return {key.strip(): value.strip() for key, _, value in pairs}
