"""Pacemaker alert: tells this node's broker at once that a peer has died, by closing the connections to it.

Why: Erlang and the Raft detector wait for a silent peer (port down, power off) by time-outs of their own. Measured on
three brokers, a quorum queue whose leader vanished without a RST: confirms stood still for 7.3 s with RabbitMQ's
defaults; with this alert 0.2 s from the event on.

Invariant: connections are closed only to a peer that cannot disturb the survivors any more: one that was fenced, or one
that left the membership and does not answer on its cluster plane either. A broker that still runs while only its
corosync is gone must be fenced first: were it cut off from some survivors and seen by others, pause_minority would take
that for a partial partition and pause the survivors.

Environment: see Pacemaker's "Alert agents". Instance attributes of the alert: `members` (NAME=ADDRESS ...), and
optionally `ports` (numbers, any of the two ends).
"""

import os
import time
from _collections_abc import Mapping

from resource_agents.amqp.sockets import close_all
from resource_agents.ocf.http import connect
from resource_agents.ocf.runtime import ERROR, INFO, log

PORTS = "25672 4369 5672"
"""Erlang distribution and its port mapper; AMQP clients that ran on the dead node."""
EPMD = 4369
NAMES_REQUEST = b"\x00\x01n"
"""What epmd answers at once with the names it knows (Erlang distribution protocol, NAMES_REQ)."""
ANSWER_S = 0.15
"""How long a living peer may take: a hundred times what a loaded one took."""
OFF = ("off", "reboot")


def main() -> None:
    """What the alert's launcher calls."""
    try:
        told = act(os.environ)
    except (OSError, ValueError) as error:
        log(os.environ, "dead_peer", ERROR, f"{error}")
    else:
        if told:
            log(os.environ, "dead_peer", INFO, told)


def act(env: Mapping[str, str]) -> str:
    """Treat one event; what was done, empty when it is none of ours. OSError, ValueError: it could not be."""
    node = env.get("CRM_alert_node", "")
    address = addresses(env.get("members", "")).get(node, "")
    why = verdict(env)
    if not (why and address):
        return ""
    if why == "lost" and answers(address):
        return f"{node} has left the membership, but its cluster plane answers: waits for its fencing"
    ports = frozenset(int(word) for word in env.get("ports", PORTS).split())
    begun = time.monotonic()
    closed = close_all(address, ports)
    return f"{node} is {why}: closed {closed} connections to {address} in {(time.monotonic() - begun) * 1e3:.0f} ms"


def verdict(env: Mapping[str, str]) -> str:
    """What the event says of its node: `lost` to the membership, `fenced` for certain, or empty."""
    kind = env.get("CRM_alert_kind", "")
    if kind == "node" and env.get("CRM_alert_desc") == "lost":
        return "lost"
    if kind == "fencing" and env.get("CRM_alert_rc") == "0" and env.get("CRM_alert_task") in OFF:
        return "fenced"
    return ""


def addresses(text: str) -> dict[str, str]:
    """`NAME=ADDRESS ...` as a mapping; ValueError when it is not that."""
    found = {}
    for word in text.split():
        name, equals, address = word.partition("=")
        if not (name and equals and address):
            raise ValueError(f"members: {word!r} is not NAME=ADDRESS")
        found[name] = address
    return found


def answers(address: str, port: int = EPMD) -> bool:
    """True when the peer's port mapper answers: a process runs there, so the kernel will tell us of its end."""
    try:
        sock = connect(address, port, ANSWER_S)
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    try:
        sock.settimeout(ANSWER_S)
        sock.send(NAMES_REQUEST)
        return bool(sock.recv(4))
    except TimeoutError:
        return False
    except OSError:
        return True
    finally:
        sock.close()
