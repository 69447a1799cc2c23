"""What the clustered services add to the budget: from the loss of the member that serves to the next one's answer.

Invariant: the member that serves is the VIP holder's own (vimha/render/fronts.py), so when its node is lost its
successor is the one on the node that takes the VIP over; by then that has long agreed with the others, because a
member is given up no later than its node is (solve.SHORTEST_SUSPICION), and only then fenced. So a node's loss
costs a client of theirs what it costs every client, and only the loss of a process has terms of its own.
"""

from vimha.timing import figures, formulas
from vimha.timing.figures import Figure, monitored
from vimha.timing.model import Term, Timings

Terms = tuple[Term, ...]
ANSWER_AGE = 50
"""How old, in milliseconds, the health endpoint's answer may be (resource_agents/endpoint)."""
HANDSHAKES = 500
"""The broker's agent looks no more often, in milliseconds (resource_agents/rabbitmq.py, looks_s)."""
DATABASE, MESSAGING = "the database's writer", "the broker in use"


def database_crash(timings: Timings) -> Terms:
    """The writer's mariadbd is killed: its peers' commits wait until they have agreed that it is gone."""
    worst = formulas.checks_crash(timings.members) + ANSWER_AGE
    return (*_given_up(timings), _turned(timings, worst), figures.CLIENT.term("client"))


def database_hang(timings: Timings) -> Terms:
    """The writer's mariadbd stands still: haproxy learns it from the node's health endpoint."""
    worst = formulas.checks_hang(timings.members)
    return (*_given_up(timings), _turned(timings, worst), figures.CLIENT.term("client"))


def messaging_crash(timings: Timings) -> Terms:
    """The broker is killed: its queues' other replicas elect a leader as soon as its connections are reset."""
    worst = formulas.checks_crash(timings.members) + ANSWER_AGE
    return (
        _turned(timings, worst),
        figures.QUEUE_ELECTION.term("queue leaders elected"),
        figures.CLIENT.term("client"),
    )


def messaging_hang(timings: Timings) -> Terms:
    """The broker stands still: its peers notice when Pacemaker, whose monitor ran into its timeout, has killed it."""
    operations = timings.messaging
    timeout = Figure(operations.monitor_timeout, operations.monitor_timeout, "the monitor's operation timeout")
    return (
        *monitored(operations, least=HANDSHAKES, slack=formulas.VERDICT_SLACK),
        timeout.term("monitor timeout"),
        figures.TRANSITION.term("transition"),
        figures.FROZEN_KILLED.term("frozen broker killed"),
        figures.QUEUE_ELECTION.term("queue leaders elected"),
        figures.CLIENT.term("client"),
    )


def leaving(*, database: bool, messaging: bool) -> Terms:
    """A member of each clustered service stops in order; no client waits for more than the slower one."""
    if messaging:
        return (figures.QUEUE_HANDOVER.term("queue leaders move"),)
    return (figures.NEW_VIEW.term("new primary view"),) if database else ()


def _given_up(timings: Timings) -> Terms:
    wsrep = timings.wsrep
    silent = Figure(wsrep.suspect, wsrep.inactive, "Galera: evs.suspect_timeout; evs.inactive_timeout when a peer does"
                    " not agree")  # fmt: skip
    return (silent.term("member given up", knob="timings.token"), figures.NEW_VIEW.term("new primary view"))


def _turned(timings: Timings, worst: int) -> Term:
    source = "haproxy configuration manual, 5.2; a refused connection counts as a failed check"
    return Figure(timings.members.inter, worst, source).term("haproxy turns to the next member")
