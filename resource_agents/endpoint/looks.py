"""The looks at a service: what makes a Galera member or a RabbitMQ broker unfit for clients.

Invariant: a look ends at most `GIVE_UP_S` after the service last answered; that it has waited too long for clients is
the watch's to say.
"""

import time

from resource_agents.amqp import handshake
from resource_agents.endpoint.watch import Look
from resource_agents.mysql.client import Connection, SqlError
from resource_agents.wsrep import status

GIVE_UP_S = 5.0
"""After this a look begins anew: the answer that it waits for may be lost with its thread in the server."""


class GaleraLook(Look):
    """A look at the Galera member behind the unix socket `path`, over a connection that stays open.

    `donor`: whether a member serves clients while it gives its state to a joiner (an SST method that does not block
    it, such as mariabackup, or an IST).
    """

    def __init__(self, path: str, account: str, *, donor: bool) -> None:
        self._path = path
        self._account = account
        self._donor = donor
        self._connection: Connection | None = None

    def __call__(self) -> str:
        try:
            return judge(self._read(), donor=self._donor)
        except (OSError, ValueError, SqlError) as error:
            self._hang_up()
            return said(error)

    def _read(self) -> status.Status:
        """Ask over the open connection; when that one has ended (the server was restarted, or closed it as idle), over
        a new one.
        """
        if self._connection is not None:
            try:
                return status.read(self._connection)
            except (TimeoutError, SqlError):
                raise
            except OSError:
                self._hang_up()
        self._connection = Connection.connect(self._path, self._account, "", GIVE_UP_S)
        return status.read(self._connection)

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def judge(seen: status.Status, *, donor: bool) -> str:
    """Why the member is unfit for clients; empty when it is fit."""
    if not seen.primary:
        return f"{seen.cluster_status}: it is not in the component that has quorum"
    if not seen.ready:
        return f"wsrep_ready is OFF: {seen.state_comment}"
    fit = (status.SYNCED, status.DONOR) if donor else (status.SYNCED,)
    return "" if seen.local_state in fit else f"{seen.state_comment or 'state unknown'} ({seen.local_state})"


class RabbitmqLook(Look):
    """A look at the broker at a numeric address: a connection each, which costs the broker 3 ms of CPU and lines in its
    log of level info and warning (measured), so no more than 7 a second.

    Alarms do not count: one that blocks publishers does so on all brokers, and consumers must come in to drain them.
    """

    fresh_s = 0.15

    def __init__(self, host: str, port: int) -> None:
        self._where = host, port

    def __call__(self) -> str:
        try:
            handshake.check(*self._where, GIVE_UP_S, time.monotonic)
        except (OSError, ValueError) as error:
            return said(error)
        return ""


def said(error: Exception) -> str:
    """What an error says, without its number."""
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
