"""Who may begin a Galera cluster: decided by each node for itself, from what all nodes say.

INVARIANT: a node that is behind never bootstraps, and two never do.
  * Behind means: another node's disk holds a transaction of the cluster that this one lacks.
  * Two: at no time do two primary components exist that did not come from each other.

Why it holds. What nodes say is an attribute each, written through a daemon that applies all writes in one total order
everywhere (Pacemaker's attrd on corosync's CPG), so that whoever sees its own word sees all words before it.
  1. A word ELECT or SPARE means that the node's mariadbd does not run (word.py), so a position that is seen can only be
     stale if a newer word, JOIN or CLAIM, is on its way.
  2. Whoever means to start says JOIN or CLAIM first, waits until it sees that itself, decides again on what it sees
     then (`confirmed`), and takes its word back when the answer has changed. Of two such words one comes first in the
     order, so the later speaker sees the earlier one, and gives way.
  3. Bootstrap needs every node that can be ahead: (a) Galera's own safe_to_bootstrap, set while a member is alone in
     the primary component; or (b) all members of the last view that anybody present knows: whoever committed later
     was in a later view, of which a majority was in this one; or (c) all configured nodes, each with a state.
     So a partition that cannot see a candidate can itself not satisfy any of the three.
  4. A SPARE tells its data, so nobody waits for it, but decides nothing. One that is ahead is called (`Call`): it
     begins once Pacemaker has started its member. Of equals one that is started goes first; but not before a spare
     whose disk says that it may begin alone (safe, or a later view), for it would say so again when others are ahead.
3 alone keeps both promises in the model; 2 is a second lock, should what 3 rests on be wrong somewhere.
Assumed of Galera: what is acknowledged was delivered to all members of the view, and who survives into the next view
has applied it there. tests/unit/test_wsrep_model.py explores the interleavings and crash points.
"""

from resource_agents.ocf.peers import Decision, Refuse, Wait
from resource_agents.wsrep.state import NIL
from resource_agents.wsrep.word import ALONE, ARBITER, CLAIM, ELECT, EMPTY, JOIN, PRIMARY, SPARE, STATE, TORN, Word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Join(Decision):
    """Start as a joiner: a member is in the primary component."""


class Reform(Decision):
    """Start with the last view as it is on disk: all of its members do, and Galera forms it again by itself."""


class Call(Wait):
    """Nothing can begin before a member is started on `node`."""

    __slots__ = ("node",)

    def __init__(self, node: str, reason: str) -> None:
        super().__init__(reason)
        self.node = node


class Bootstrap(Decision):
    """Begin the cluster, from this node's position."""


def decide(me: str, members: "Sequence[str]", seen: "Mapping[str, Word]", *, forced: bool = False) -> Decision:
    """What `me` does, given what all nodes say, itself included. `forced`: the operator chose this node's position
    and vouches that no absent node is ahead; whoever is present is still obeyed.
    """
    others = {name: word for name, word in seen.items() if name != me and word.phase != ARBITER}
    known = {me: seen[me], **{name: word for name, word in others.items() if name in members}}
    primary = sorted(name for name, word in others.items() if word.phase == PRIMARY)
    claims = sorted(name for name, word in others.items() if word.phase == CLAIM)
    joining = sorted(name for name, word in others.items() if word.phase == JOIN)
    if primary:
        return _join(seen[me], primary[0], others[primary[0]])
    wrong = f"{claims[0]} begins the cluster" if claims else _different(known)
    if not wrong and _restorable(seen[me], seen.values()):
        return Reform("all members of the last view are there")
    if not wrong and joining:
        wrong = f"{joining[0]} is about to join or to re-form the last view"
    best = max(sorted(known), key=lambda name: _rank(known[name]))
    chosen = forced and _rank(seen[me])[:4] == _rank(known[best])[:4]
    best = me if chosen else best
    missing = "" if wrong or chosen else _missing(best, members, known, seen)
    if not wrong and known[best].phase == SPARE:
        return _call(best, known[best], missing)
    wrong = wrong or missing
    if not wrong and best != me:
        wrong = f"{best} is to begin the cluster: its position is {known[best].position}"
    return Wait(wrong) if wrong else Bootstrap(f"from position {seen[me].position}")


def confirmed(me: str, members: "Sequence[str]", seen: "Mapping[str, Word]", *, forced: bool = False) -> bool:
    """May `me` go through with what its word, JOIN or CLAIM, announces? `seen` must show that word."""
    decision = decide(me, members, seen, forced=forced)
    return isinstance(decision, Bootstrap if seen[me].phase == CLAIM else Join | Reform)


def _join(mine: Word, name: str, primary: Word) -> Decision:
    if NIL not in (mine.uuid, primary.uuid) and mine.uuid != primary.uuid:
        return Refuse(
            f"foreign cluster: the data here are of {mine.uuid}, {name} runs {primary.uuid}; joining would "
            "overwrite them: move the datadir away if they are not wanted, or see whether two sites share a network"
        )
    if mine.kind == ALONE:
        return Refuse(
            f"the datadir holds databases that are not the cluster's, and joining {name} would overwrite them: dump "
            "and move them away if they are not wanted"
        )
    return Join(f"{name} is in the primary component")


def _call(best: str, word: Word, missing: str) -> Call:
    reason = (
        f"{best} has the latest data, {word.position}, but Pacemaker runs no member there; if it starts none, end what "
        f"keeps it off {best}, a ban or failures (crm_resource --cleanup --node {best})"
    )
    return Call(best, f"{missing}; {reason}" if missing else reason)


def _different(known: "Mapping[str, Word]") -> str:
    """The nodes whose data are of different clusters; empty when there is one cluster only."""
    uuids = {word.uuid: name for name, word in sorted(known.items(), reverse=True) if word.uuid != NIL}
    if len(uuids) < 2:
        return ""
    told = ", ".join(f"{name} has {uuid}" for uuid, name in uuids.items())
    return f"the nodes' data are of different clusters: {told}; move away the datadir that is not wanted"


def _restorable(mine: Word, words: "Iterable[Word]") -> bool:
    """True when every member of my last view is there with the same view on disk, or is an arbiter."""
    view = mine.view
    if not view or not mine.restorable:
        return False
    there = {
        word.view.me
        for word in words
        if word.view and (word.phase == ARBITER or (word.phase in (ELECT, JOIN) and _same(word, mine)))
    }
    return there.issuperset(view.members)


def _same(word: Word, mine: Word) -> bool:
    return bool(
        word.view and mine.view and word.restorable and word.uuid == mine.uuid
        and (word.view.name, word.view.number) == (mine.view.name, mine.view.number)
    )  # fmt: skip


def _rank(word: Word) -> tuple[int, int, bool, int, bool]:
    """The greatest begins: highest position, then safe, then the latest view, then who is started; of equals, the
    lowest name.

    Where nobody has a position: a server's own databases before nothing; never an interrupted transfer.
    """
    kinds = {STATE: 2, ALONE: 1, TORN: -1}
    view = word.view.number if word.view else -1
    return kinds.get(word.kind, 0), word.seqno, word.safe, view, word.phase != SPARE


def _missing(best: str, members: "Sequence[str]", known: "Mapping[str, Word]", seen: "Mapping[str, Word]") -> str:
    """Why `best` may not begin yet: who must be there, or have a state; empty when it may."""
    leader = known[best]
    absent = ", ".join(sorted(set(members) - set(known)))
    if leader.kind == STATE:
        return "" if leader.safe or _views_complete(leader, known, seen) else _unsure(best, absent, known)
    alone = sorted(name for name, word in known.items() if word.kind == ALONE)
    if len(alone) > 1:
        return f"{', '.join(alone)} hold databases of their own: move away those that are not wanted"
    if leader.kind == TORN:
        return "no node has whole data: a state transfer was interrupted; restore a backup on one node"
    return f"waits for {absent}: a first start needs all configured nodes" if absent else ""


def _unsure(best: str, absent: str, known: "Mapping[str, Word]") -> str:
    """Who may be ahead of `best`, as far as its data tell."""
    empty = ", ".join(sorted(name for name, word in known.items() if word.kind == EMPTY))
    if absent:
        return f"waits for {absent}, which may be ahead of {best} (at {known[best].seqno})"
    if empty:
        return f"{empty} has no data (a new disk, or one not mounted?) and might have been ahead of {best}"
    return ""


def _views_complete(leader: Word, known: "Mapping[str, Word]", seen: "Mapping[str, Word]") -> bool:
    """True when all members are there of the leader's last view, and of every view that may be later."""
    if not leader.view:
        return False
    there = {word.view.me for word in (*known.values(), *_arbiters(seen)) if word.view}
    views = [
        word.view
        for word in known.values()
        if word.view and (word.seqno >= leader.seqno or word.view.number >= leader.view.number)
    ]
    return all(there.issuperset(view.members) for view in views)


def _arbiters(seen: "Mapping[str, Word]") -> list[Word]:
    return [word for word in seen.values() if word.phase == ARBITER]
