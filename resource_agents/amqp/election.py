"""Which broker starts next, and how: decided by each node for itself, from what all nodes say.

INVARIANT: there are never two independent clusters, and the cluster never goes on from a database that is behind one of
which a confirmed message or declaration may be part.

Why it holds.
  1. What nodes say goes through a daemon that applies all writes in one order everywhere (Pacemaker's attrd), so that
     who sees its own word sees all before it. Who means to start says JOIN or CLAIM, waits until it sees that, and
     decides again (`confirmed`): of two such words the later speaker sees the earlier one and gives way. So brokers
     start one after another, which RabbitMQ 3.10 needs anyway (two at once: incompatible_feature_flags).
  2. A node without a database joins a broker that runs, and only that (formation.py lets no client in before it has
     proved to be a member); it begins a cluster only when all members are known and none has a database.
  3. A node with a database begins only when no broker runs, its database is the last one of all that are known, and a
     majority of the cluster that it belongs to, and of those that are to run, has been started (or all members are
     known). Under pause_minority only a majority of the cluster went on confirming, and two majorities share a node;
     that node's record of who ran (`ran`) leaves out whom it outlived, so whoever was left behind is not chosen.
  4. It waits for absent members as long as they may come (`hopeful`), unless none of them ran at the end.
  5. Who belongs to the cluster changes by one node at a time, and while a majority of the cluster runs: a spare that
     joins (formation.py), a lost member that is forgotten (spares.py). So a majority of the cluster as a database
     knows it has somebody who knows of the next change, and whose database is then later.
  6. A node that runs no broker tells its database as well (SPARE): it is known, but starts nothing. Of two databases of
     which neither outlived the other that of a node that was started goes first. A spare that ran last is called
     (ocf/called.py) and waited for as an absent one is; without it only 3's majority begins, without its database.
force_boot only spares the chosen one the wait for the others' tables (Mnesia's ten times 30 s): it is given after 3.
"""

from resource_agents.amqp.word import CLAIM, JOIN, PAUSED, SPARE, UP, Word
from resource_agents.ocf.peers import Decision, Refuse, Wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Boot(Decision):
    """Start with this node's own database; a broker of its cluster runs. `peer` runs, that one or another."""

    __slots__ = ("peer",)

    def __init__(self, reason: str, peer: str) -> None:
        super().__init__(reason)
        self.peer = peer


class Call(Wait):
    """Wait for brokers on `nodes`, rather than where they were started: those of them that were are to stay."""

    __slots__ = ("nodes",)

    def __init__(self, reason: str, nodes: "Sequence[str]") -> None:
        super().__init__(reason)
        self.nodes = nodes


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
    me: str, members: "Sequence[str]", seen: "Mapping[str, Word]", *, active: int, hopeful: bool = True,
    forced: bool = False,
) -> Decision:  # fmt: skip
    """What `me`, which was started, does, given what all nodes say, itself included.

    `active`: so many of the members are to run a broker; `hopeful`: absent ones, and spares, may still come;
    `forced`: the operator chose this node and vouches for the absent ones; whoever is present is still obeyed.
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
        return _follow(mine.ran, up, paused, others)
    return _begin(me, members, {me: mine, **others}, active, hopeful=hopeful, forced=forced)


def strangers(names: str) -> str:
    """Why this node has no part in a cluster with the nodes `names`."""
    return (
        f"the Erlang cookie differs from {names}'s: give all nodes of this site the same cookie file, or, if these are "
        "two sites, see why they share a network"
    )


def confirmed(
    me: str, members: "Sequence[str]", seen: "Mapping[str, Word]", *, active: int, hopeful: bool = True,
    forced: bool = False,
) -> bool:  # fmt: skip
    """May `me` go through with what its word, JOIN or CLAIM, announces? `seen` must show that word."""
    decision = decide(me, members, seen, active=active, hopeful=hopeful, forced=forced)
    return isinstance(decision, Begin if seen[me].phase == CLAIM else Boot | Join)


def _follow(ran: frozenset[str], up: list[str], paused: list[str], others: "Mapping[str, Word]") -> Decision:
    beside = [name for name in [*up, *paused] if name in ran]
    if beside:
        return Boot(f"{beside[0]} runs", (up or paused)[0])
    if up:
        return Join(up[0])
    reason = f"{paused[0]} is paused, without a majority: it takes no new member"
    return Call(reason, sorted(name for name, word in others.items() if word.of & set(paused)))


def _begin(
    me: str, members: "Sequence[str]", known: "Mapping[str, Word]", active: int, *, hopeful: bool, forced: bool
) -> Decision:
    """No broker runs."""
    absent = [name for name in members if name not in known]
    data = {name: word for name, word in known.items() if word.ran}
    here = {name: word for name, word in data.items() if word.phase != SPARE}
    last = _latest(data) if data else next(name for name in members if name in known and known[name].phase != SPARE)
    first = _latest(here) if here and last not in here and not hopeful else last
    chosen = forced and first == me
    wrong = None if chosen else _missing(first, last, data, absent, active, hopeful=hopeful)
    if not wrong and first != me:
        wrong = Wait(f"{first} is to begin: it ran last" if data else f"{first} is to begin")
    if wrong:
        return wrong
    beside = sorted(known[me].ran - {me})
    return Begin(f"ran last, with {', '.join(beside)}" if beside else "ran last, alone" if data else "the first start",
                 force=bool(beside))  # fmt: skip


def _missing(
    first: str, last: str, data: "Mapping[str, Word]", absent: list[str], active: int, *, hopeful: bool
) -> Wait | None:
    """Why `first` may not begin yet; None when it may. `last` is the one that ran last, `first` or a spare."""
    names = ", ".join(absent)
    if not data:
        why = "a first start needs all members, for one that is absent may have the messages"
        return Wait(f"waits for {names}: {why}") if absent else None
    cluster = sorted(name for name in data if name in data[first].of)
    spares = [name for name in cluster if data[name].phase == SPARE]
    if first in spares:
        return Call(f"waits for {first} to be started: it ran last", cluster)
    have, need = len(cluster) - len(spares), max(len(data[first].of), active)
    if 2 * have <= need and (absent or spares or first != last):
        why = f"{have} of {need} databases are no majority"
        reason = f"waits for {', '.join([*spares, *absent]) or last}: {why}"
        return Call(reason, cluster) if spares else Wait(reason)
    lately = [name for name in absent if name in data[first].ran]
    if lately and hopeful:
        return Wait(f"waits a while for {', '.join(lately)}, which ran beside {first} at the end")
    return None


def _latest(data: "Mapping[str, Word]") -> str:
    """Who ran last: one that nobody outlived; of several, who served last, then the lowest name. One that was started
    goes before a spare that ran beside it to the end.
    """
    left = [name for name in data if not any(_outlived(other, name, data) for other in data)] or list(data)
    last = min(left, key=lambda name: (-data[name].served, name))
    equal = [name for name in left if name == last or (name in data[last].ran and last in data[name].ran)]
    return min(equal, key=lambda name: (data[name].phase == SPARE, -data[name].served, name))


def _outlived(later: str, name: str, data: "Mapping[str, Word]") -> bool:
    """True when `later` saw `name` go, and not the other way round."""
    return name not in data[later].ran and later in data[name].ran
