"""What a broker's management API says: alarms, membership, queues that hang by this node.

Invariant: it judges what only the broker itself can know, and fails it only for what a restart mends: a partition that
RabbitMQ has noticed. An alarm, a lost member or a critical queue is degraded: a restart would make each of them worse.
"""

import binascii
from _json import make_scanner

from resource_agents.ocf.http import exchange, parse_status, parse_target
from resource_agents.ocf.system import System

LARGEST = 4 << 20
QUEUES = "/api/queues?columns=vhost,name,type,arguments,node,members,online,leader&disable_stats=true"
ALARMS = (
    ("mem_alarm", "memory", "let consumers drain its queues"),
    ("disk_free_alarm", "disk space", "make room there, or put the node in standby"),
)
"""Key in /api/nodes, what is short, and the remedy: an alarm ends with its cause, or with the broker that has it."""
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    Ask = Callable[[str], tuple[int, object]]


class Unasked(ValueError):  # noqa: N818 (a state to report, not an error)
    """The API could not be asked; the reason tells why."""


class Plain:
    """What json's scanner asks of its context (json.decoder.JSONDecoder): JSON's own types, nothing made of them."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = parse_constant = float
    parse_int = int


def examine(
    system: System, target: str, auth: str, node: str, *, members: list[str], active: int, timeout_s: float
) -> tuple[list[str], list[str], list[str]]:
    """(why it is failed, why it is degraded) of rabbit@`node`, and whom it is to have forgotten; an API that does not
    answer is degraded. Of the `members` of the site so many are to run as `active` says.
    """
    try:
        ask = _asker(system, target, auth, timeout_s)
        nodes = _rows(ask, "/api/nodes?columns=name,running,mem_alarm,disk_free_alarm,partitions", auth)
        critical = ask("/api/health/checks/node-is-quorum-critical")
    except (OSError, ValueError) as error:
        return [], [f"management API {target}: {error or type(error).__name__}"], []
    failed, degraded = judge(nodes, node, members, active)
    return failed, degraded + judge_critical(*critical), lost(nodes, node, members, active)


def leads(system: System, target: str, auth: str, nodes: "Collection[str]", *, timeout_s: float) -> bool:
    """Whether a quorum queue still has one of rabbit@`nodes` as its leader, or none; OSError or ValueError when the API
    does not say.
    """
    path = "/api/queues?columns=leader,type&disable_stats=true&enable_queue_totals=true"
    queues = _rows(_asker(system, target, auth, timeout_s), path, auth)
    names = {f"rabbit@{node}" for node in nodes}
    leaders = [str(queue.get("leader") or "") for queue in queues if queue.get("type") == "quorum"]
    return any("@" not in leader or leader in names for leader in leaders)


def all_queues(system: System, target: str, auth: str, *, timeout_s: float) -> "list[dict[str, object]]":
    """All queues with where they are, looked up now. OSError or ValueError when the API does not say."""
    return _rows(_asker(system, target, auth, timeout_s), QUEUES, auth)


def queues_and_brokers(
    system: System, target: str, auth: str, *, timeout_s: float
) -> "tuple[list[dict[str, object]], list[str]]":
    """All queues with their replicas, looked up now, and the names of the cluster's brokers; neither while one of them
    has an alarm, or does not run, for each queue would wait for that one. OSError or ValueError when the API does not
    say.
    """
    ask = _asker(system, target, auth, timeout_s)
    nodes = _rows(ask, "/api/nodes?columns=name,running,mem_alarm,disk_free_alarm", auth)
    if any(not node.get("running") or any(node.get(alarm) for alarm, _, _ in ALARMS) for node in nodes):
        return [], []
    return _rows(ask, QUEUES, auth), [str(node.get("name")).partition("@")[2] for node in nodes]


def _asker(system: System, target: str, auth: str, timeout_s: float) -> "Ask":
    """What asks the API for a path, all within `timeout_s`."""
    host, port, _ = parse_target(target)
    credentials = _credentials(system, auth)
    end = system.monotonic() + timeout_s
    return lambda path: get((host, port, path), credentials, end - system.monotonic(), system.monotonic)


def _rows(ask: "Ask", path: str, auth: str) -> "list[dict[str, object]]":
    """The list at `path`; Unasked when the API gives none."""
    status, rows = ask(path)
    if status != 200 or not isinstance(rows, list):
        denied = f": wrong credentials in {auth}: make user and password there the broker's"
        raise Unasked(f"GET {path.partition('?')[0]} answers {status}{denied if status == 401 else ''}")
    return rows


def judge(nodes: "list[dict[str, object]]", node: str, members: list[str], active: int) -> tuple[list[str], list[str]]:
    """(failed, degraded) from /api/nodes."""
    failed, degraded = [], []
    known = {str(each.get("name", "")).partition("@")[2]: each for each in nodes}
    mine = known.get(node, {})
    if mine.get("partitions"):
        failed.append(f"it is partitioned from {', '.join(map(str, _list(mine.get('partitions'))))}")
    for alarm, told, remedy in ALARMS:
        at = sorted(name for name, each in known.items() if each.get(alarm))
        if at:
            degraded.append(
                f"alarm: {told} is short on {', '.join(at)}; publishers are blocked on all brokers: {remedy}"
            )
    gone = sorted(name for name in members if not known.get(name, {}).get("running"))
    if len(members) - len(gone) >= active:
        gone = [name for name in gone if name in known]
    if gone:
        degraded.append(f"not in its cluster now: {', '.join(gone)}")
    strangers = sorted(set(known) - set(members))
    if strangers:
        degraded.append(f"in its cluster, but no members of the site: {', '.join(strangers)}")
    return failed, degraded


def lost(nodes: "list[dict[str, object]]", node: str, members: list[str], active: int) -> list[str]:
    """The members of the cluster whose part spares have: `node` is to have them forgotten (spares.py). None when that
    is another one's, or nobody's to do.
    """
    known = {str(each.get("name", "")).partition("@")[2]: each for each in nodes}
    running = [name for name in members if known.get(name, {}).get("running")]
    whole = active <= len(running) < len(known) < 2 * len(running)
    if active == len(members) or not whole or running[0] != node:
        return []
    return sorted(set(known) - set(running))


def judge_critical(status: int, answer: object) -> list[str]:
    """Queues that would lose their quorum with this node (health check, 503)."""
    if status != 503 or not isinstance(answer, dict):
        return []
    queues = [str(each.get("readable_name", each.get("name"))) for each in _list(answer.get("queues"))]
    return [f"{len(queues)} quorum queues would lose their quorum with it: {', '.join(queues[:3])}"]


def get(
    target: tuple[str, int, str], credentials: str, timeout_s: float, clock: "Callable[[], float]"
) -> tuple[int, object]:
    """(status, JSON) of GET; OSError: no answer in time; ValueError: no JSON over HTTP."""
    host, port, path = target
    token = binascii.b2a_base64(credentials.encode(), newline=False).decode()
    request = f"GET {path} HTTP/1.0\r\nHost: {host}\r\nAuthorization: Basic {token}\r\n\r\n".encode()
    answer = exchange((host, port), request, lambda answer: len(answer) >= LARGEST, timeout_s, clock)
    body = answer.partition(b"\r\n\r\n")[2]
    return parse_status(answer), parse(body.decode())


def parse(text: str) -> object:
    """The value of a JSON text, None of an empty one; ValueError when it is none.

    By the scanner inside json, whose own import costs more than the rest of a monitor (it loads re and enum, 8 ms).
    """
    text = text.strip()
    try:
        value, end = make_scanner(Plain)(text, 0) if text else (None, 0)  # type: ignore[arg-type]
    except StopIteration:
        raise ValueError(f"not JSON: {text[:40]!r}") from None
    if end != len(text):
        raise ValueError(f"not JSON: {text[:40]!r}")
    return value


def _credentials(system: System, path: str) -> str:
    """USER:PASSWORD from its file; Unasked when nobody, or anybody, can read it."""
    text, access = system.read(path), system.access(path)
    if text is None or access is None:
        raise Unasked(f"{path} cannot be read: write USER:PASSWORD there, mode 0600")
    if access[1] & 0o077:
        raise Unasked(f"{path} has mode {access[1]:04o}: chmod 0600 {path}")
    return text.strip()


def _list(value: object) -> "list[dict[str, object]]":
    return value if isinstance(value, list) else []
