"""Which broker starts next, and how: decided by each node for itself, from what all nodes say.

INVARIANT: there are never two independent clusters, and the cluster never goes on from a database that is behind one of
which a confirmed message or declaration may be part.

Why it holds.
  1. What nodes say goes through a daemon that applies all writes in one order everywhere (Pacemaker's attrd), so that
     who sees its own word sees all before it. Who means to start says JOIN or CLAIM, waits until it sees that, and
     decides again (`confirmed`): of two such words the later speaker sees the earlier one and gives way. So brokers
     start one after another, which RabbitMQ 3.10 needs anyway (two at once: incompatible_feature_flags).
  2. A node without a database joins a broker that runs, and only that (formation.py lets no client in before it has
     proved to be a member); it begins a cluster only when all configured members are there and none has a database.
  3. A node with a database begins only when no broker runs and a majority of all members is there with databases (or
     all members are). Under pause_minority only a majority went on confirming, and two majorities share a node; that
     node's record of who ran (`ran`) leaves out whom it outlived, so whoever was left behind is not chosen.
  4. It waits for absent members as long as they may come (`hopeful`), unless none of them ran at the end.
force_boot only spares the chosen one the wait for the others' tables (Mnesia's ten times 30 s): it is given after 3.
"""

from resource_agents.amqp.word import CLAIM, JOIN, PAUSED, UP, Word
from resource_agents.ocf.peers import Decision, Refuse, Wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Boot(Decision):
    """Start with this node's own database; a broker of its cluster runs."""


class Join(Decision):
    """Start beside the broker `peer`, but serve nobody before that is proved: without a database, or with one whose
    broker outlived all that run now, so that it would begin alone if they vanished this moment.
    """

    __slots__ = ("peer",)

    def __init__(self, peer: str) -> None:
        super().__init__(f"joins {peer}")
        self.peer = peer


class Begin(Decision):
    """Start first. `force`: without waiting for members that ran beside it at the end."""

    __slots__ = ("force",)

    def __init__(self, reason: str, *, force: bool) -> None:
        super().__init__(reason)
        self.force = force


def decide(
    me: str, members: "Sequence[str]", seen: "Mapping[str, Word]", *, hopeful: bool = True, forced: bool = False
) -> Decision:
    """What `me` does, given what all nodes say, itself included.

    `hopeful`: absent members may still come; `forced`: the operator chose this node and vouches for the absent ones;
    whoever is present is still obeyed.
    """
    others = {name: word for name, word in seen.items() if name != me and name in members}
    mine = seen[me]
    foreign = sorted(name for name, word in others.items() if word.cookie and word.cookie != mine.cookie)
    if foreign:
        return Refuse(strangers(", ".join(foreign)))
    starting = sorted(name for name, word in others.items() if word.phase in (JOIN, CLAIM))
    if starting:
        return Wait(f"{starting[0]} starts first")
    up = sorted(name for name, word in others.items() if word.phase == UP)
    paused = sorted(name for name, word in others.items() if word.phase == PAUSED)
    if up or paused:
        return _follow(mine.ran, up, paused)
    return _begin(me, members, {me: mine, **others}, hopeful=hopeful, forced=forced)


def strangers(names: str) -> str:
    """Why this node has no part in a cluster with the nodes `names`."""
    return (
        f"the Erlang cookie differs from {names}'s: give all nodes of this site the same cookie file, or, if these are "
        "two sites, see why they share a network"
    )


def confirmed(
    me: str, members: "Sequence[str]", seen: "Mapping[str, Word]", *, hopeful: bool = True, forced: bool = False
) -> bool:
    """May `me` go through with what its word, JOIN or CLAIM, announces? `seen` must show that word."""
    decision = decide(me, members, seen, hopeful=hopeful, forced=forced)
    return isinstance(decision, Begin if seen[me].phase == CLAIM else Boot | Join)


def _follow(ran: frozenset[str], up: list[str], paused: list[str]) -> Decision:
    beside = [name for name in [*up, *paused] if name in ran]
    if beside:
        return Boot(f"{beside[0]} runs")
    return Join(up[0]) if up else Wait(f"{paused[0]} is paused, without a majority: it takes no new member")


def _begin(me: str, members: "Sequence[str]", known: "Mapping[str, Word]", *, hopeful: bool, forced: bool) -> Decision:
    """No broker runs."""
    absent = [name for name in members if name not in known]
    data = sorted(name for name, word in known.items() if word.ran)
    first = _latest({name: known[name] for name in data}) if data else next(name for name in members if name in known)
    chosen = forced and first == me
    wrong = "" if chosen else _missing(first, members, known, data, absent, hopeful=hopeful)
    if not wrong and first != me:
        wrong = f"{first} is to begin: it ran last" if data else f"{first} is to begin"
    if wrong:
        return Wait(wrong)
    beside = sorted(known[me].ran - {me})
    return Begin(f"ran last, with {', '.join(beside)}" if beside else "ran last, alone" if data else "the first start",
                 force=bool(beside))  # fmt: skip


def _missing(
    first: str, members: "Sequence[str]", known: "Mapping[str, Word]", data: list[str], absent: list[str], *,
    hopeful: bool,
) -> str:  # fmt: skip
    """Why `first` may not begin yet; empty when it may."""
    if not absent:
        return ""
    names = ", ".join(absent)
    if not data:
        return f"waits for {names}: a first start needs all members, for one that is absent may have the messages"
    if 2 * len(data) <= len(members):
        return f"waits for {names}: {len(data)} of {len(members)} databases are no majority, a later one may be absent"
    lately = [name for name in absent if name in known[first].ran]
    return f"waits a while for {', '.join(lately)}, which ran beside {first} at the end" if lately and hopeful else ""


def _latest(data: "Mapping[str, Word]") -> str:
    """Who ran last: one that nobody outlived; of several, who served last, then the lowest name."""
    left = [name for name in data if not any(_outlived(other, name, data) for other in data)]
    return min(left or data, key=lambda name: (-data[name].served, name))


def _outlived(later: str, name: str, data: "Mapping[str, Word]") -> bool:
    """True when `later` saw `name` go, and not the other way round."""
    return name not in data[later].ran and later in data[name].ran
