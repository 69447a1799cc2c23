"""What a Galera member says of itself (wsrep API status variables; Galera documentation, "Galera status variables").

Invariant: these few are read in one query, which a non-Primary member answers too (`mariadb-admin ping` is answered by
any member, so it says nothing).
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from resource_agents.mysql.client import Connection

JOINING, DONOR, JOINED, SYNCED, INCONSISTENT = 1, 2, 3, 4, 5
"""wsrep_local_state: 0 initialised, 1 joining, 2 donor/desync, 3 joined (catches up), 4 synced, 5 out of its cluster,
which could apply what it could not."""
PRIMARY = "Primary"
NAMES = ("wsrep_ready", "wsrep_cluster_status", "wsrep_local_state", "wsrep_local_state_comment", "wsrep_cluster_size",
         "wsrep_cluster_state_uuid", "wsrep_local_state_uuid", "wsrep_last_committed")  # fmt: skip
QUERY = f"SHOW GLOBAL STATUS WHERE Variable_name IN ({', '.join(repr(name) for name in NAMES)})"


class Status:
    """A member's status; `uuid` is the state's (the cluster's, when the member has none of its own yet)."""

    __slots__ = ("cluster_size", "cluster_status", "last_committed", "local_state", "ready", "state_comment", "uuid")

    def __init__(
        self, *, ready: bool, cluster_status: str, local_state: int, state_comment: str, cluster_size: int, uuid: str,
        last_committed: int,
    ) -> None:  # fmt: skip
        self.ready = ready
        self.cluster_status = cluster_status
        self.local_state = local_state
        self.state_comment = state_comment
        self.cluster_size = cluster_size
        self.uuid = uuid
        self.last_committed = last_committed

    @property
    def primary(self) -> bool:
        """True when the member belongs to the component that has quorum."""
        return self.cluster_status == PRIMARY

    @property
    def synced(self) -> bool:
        """True when it serves, and lags behind nobody."""
        return self.ready and self.primary and self.local_state == SYNCED

    def __repr__(self) -> str:
        ready = "ready" if self.ready else "not ready"
        return f"{self.cluster_status} {self.state_comment} ({self.local_state}), {ready}, {self.cluster_size} members"


def read(connection: "Connection", timeout_s: float | None = None) -> Status:
    """Ask the member. ValueError when it knows no wsrep: the provider is not loaded."""
    return parse(connection.query(QUERY, timeout_s))


def parse(rows: "list[tuple[str, ...]]") -> Status:
    """The status in what QUERY gives; ValueError when the server knows none."""
    known = {row[0].lower(): row[1] for row in rows if len(row) == 2}
    if "wsrep_cluster_status" not in known:
        raise ValueError("the server knows no wsrep status: wsrep_on and wsrep_provider are not set")
    uuid = known.get("wsrep_local_state_uuid", "")
    return Status(
        ready=known.get("wsrep_ready") == "ON",
        cluster_status=known["wsrep_cluster_status"],
        local_state=_number(known.get("wsrep_local_state", ""), 0),
        state_comment=known.get("wsrep_local_state_comment", ""),
        cluster_size=_number(known.get("wsrep_cluster_size", ""), 0),
        uuid=uuid if uuid.strip("0-") else known.get("wsrep_cluster_state_uuid", ""),
        last_committed=_number(known.get("wsrep_last_committed", ""), -1),
    )


def _number(text: str, default: int) -> int:
    return int(text) if text.removeprefix("-").isdecimal() else default
