"""Tells this node's broker at once that a peer has died, by closing the connections to it.

Why: Erlang and the Raft detector wait for a silent peer (port down, power off) by time-outs of their own. Measured on
three brokers, a quorum queue whose leader vanished without a RST: confirms stood still for 7.3 s with RabbitMQ's
defaults; with this, 0.2 s from Pacemaker's event on.

Two halves, for Pacemaker runs alerts as hacluster, and only root may close others' connections: the alert agent
(`main`) hands the event to the listener (`serve`), a process that the rabbitmq agent keeps while it is started.

Invariant: connections are closed only to a peer that cannot disturb the survivors any more: one that was fenced, or one
that left the membership and does not answer on its cluster plane either. A broker that still runs while only its
corosync is gone must be fenced first: were it cut off from some survivors and seen by others, pause_minority would take
that for a partial partition and pause the survivors. The listener believes root and the cluster's group only.
"""

import _socket
import grp
import os
import time
from _collections_abc import Callable, Mapping

from resource_agents.amqp.sockets import DISTRIBUTION, close_all
from resource_agents.ocf.http import connect
from resource_agents.ocf.runtime import ERROR, INFO, log
from resource_agents.ocf.system import System

EPMD = 4369
PORTS = frozenset((DISTRIBUTION, EPMD, 5672))
"""Erlang distribution and its port mapper; AMQP clients that ran on the dead node."""
NAMES_REQUEST = b"\x00\x01n"
"""What epmd answers at once with the names it knows (Erlang distribution protocol, NAMES_REQ)."""
ANSWER_S = 0.15
"""How long a living peer may take: a hundred times what a loaded one took."""
OFF = ("off", "reboot")
PAUSE_S = 5.0
"""After a look that the kernel refused."""


SOCKET = "/run/vimha/dead_peer.sock"
GROUP = "haclient"
FIELDS = ("kind", "desc", "node", "task", "rc")
"""What of CRM_alert_* is handed on (Pacemaker Explained, "Alerts")."""


def main() -> None:
    """The alert agent: hand a node's or a fencing event to the listener of this node, if there is one."""
    event = {f"CRM_alert_{name}": os.environ.get(f"CRM_alert_{name}", "") for name in FIELDS}
    if not verdict(event):
        return
    text = "\n".join(f"{name}={value}" for name, value in event.items())
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
    sock.setblocking(False)
    try:
        sock.sendto(text.encode(), SOCKET)
    except (FileNotFoundError, ConnectionRefusedError):
        return  # no broker is started here
    except OSError as error:
        log(os.environ, "dead_peer", ERROR, f"{SOCKET}: {error}")
    finally:
        sock.close()


def serve(members: Mapping[str, str], look: Callable[[], float]) -> None:
    """The listener: treat events about `members`, addresses by name, until the process is ended; and `look` in between,
    which says in how many seconds it wants to look again.
    """
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
    System().remove(SOCKET)
    os.umask(0o177)
    sock.bind(SOCKET)
    try:
        os.chown(SOCKET, 0, grp.getgrnam(GROUP).gr_gid)
        os.chmod(SOCKET, 0o660)  # noqa: PTH101
    except KeyError:
        log({}, "dead_peer", ERROR, f"there is no group {GROUP}: only root's events are heard")
    while True:
        try:
            sock.settimeout(look())
            text = sock.recv(4096).decode(errors="replace")
        except TimeoutError:
            continue
        except OSError as error:
            log({}, "dead_peer", ERROR, f"connections cannot be looked at: {error}")
            time.sleep(PAUSE_S)
            continue
        event = dict(line.partition("=")[::2] for line in text.splitlines())
        try:
            told = act(event, members)
        except OSError as error:
            log({}, "dead_peer", ERROR, f"{event.get('CRM_alert_node', '?')}: {error}")
            continue
        if told:
            log({}, "dead_peer", INFO, told)


def act(event: Mapping[str, str], members: Mapping[str, str], ports: frozenset[int] = PORTS) -> str:
    """Treat one event; what was done, empty when it is none of ours. OSError: it could not be."""
    node = event.get("CRM_alert_node", "")
    address = members.get(node, "")
    why = verdict(event)
    if not (why and address):
        return ""
    if why == "lost" and answers(address):
        return f"{node} has left the membership, but its cluster plane answers: waits for its fencing"
    begun = time.monotonic()
    closed = close_all(address, ports)
    return f"{node} is {why}: closed {closed} connections to {address} in {(time.monotonic() - begun) * 1e3:.0f} ms"


def verdict(event: Mapping[str, str]) -> str:
    """What the event says of its node: `lost` to the membership, `fenced` for certain, or empty."""
    kind = event.get("CRM_alert_kind", "")
    if kind == "node" and event.get("CRM_alert_desc") == "lost":
        return "lost"
    done = kind == "fencing" and event.get("CRM_alert_rc") == "0"
    return "fenced" if done and _operation(event) in OFF else ""


def _operation(event: Mapping[str, str]) -> str:
    """What fencing did. Pacemaker 2.1 names its own message as the task, and the operation in the description alone:
    "Operation reboot of NODE by ..." (its lib/fencing/st_client.c, stonith__event_description).
    """
    words = event.get("CRM_alert_desc", "").split(" ", 2)
    return words[1] if words[0] == "Operation" and len(words) > 1 else event.get("CRM_alert_task", "")


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
