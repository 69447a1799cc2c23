"""The looks at a service: what makes a Galera member or a RabbitMQ broker unfit for clients.

Invariant: a look ends at most `GIVE_UP_S` after the service last answered; that it has waited too long for clients is
the watch's to say. A quick one waits for nothing but the first byte over a connection that is open; what it has asked
the call that follows need not ask again.
"""

import select
import time
from contextlib import suppress
from math import inf

from resource_agents.amqp import handshake
from resource_agents.endpoint.kept import Kept
from resource_agents.endpoint.watch import QUICK_S, Look
from resource_agents.mysql.client import Connection, SqlError
from resource_agents.ocf.system import System
from resource_agents.wsrep import room, status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

GIVE_UP_S = 5.0
"""After this a look begins anew: the answer that it waits for may be lost with its thread in the server."""
HANDSHAKE_S = 2.0
"""How long an AMQP listener that is gone, of a broker that lives, may go unnoticed (its maintenance mode does that)."""
ROOM_S = 0.5
"""How long the room on a disk is taken to be as it was: some file systems keep waiting whoever asks."""
MANAGEMENT_PATH = "/api/auth"
"""What the management plug-in answers without a login, and without a line in the broker's log."""


class GaleraLook(Look):
    """A look at the Galera member behind the unix socket `path`, over a connection that stays open.

    A member that gives its state to a joiner is a donor, for 1.3 to 1.9 s also when it only sends what the joiner
    missed (IST; measured, most of it is the script's); its clients do not notice, and should not be sent away by each
    member that comes back. A copy of all data (SST) by rsync blocks them. So a donor stays fit for `donor_s`; infinite
    for an SST method that blocks nobody.

    One whose file system of `datadir` is full says that it is well, and refuses the statements that need room: it is
    unfit before that, at room.LEAST, and until there is room.ENOUGH. An empty `datadir` is not looked at.
    """

    def __init__(
        self, path: str, account: str, *, donor_s: float, datadir: str = "", system: System | None = None,
        clock: "Callable[[], float]" = time.monotonic,
    ) -> None:  # fmt: skip
        self._path = path
        self._account = account
        self._donor_s = donor_s
        self._datadir = datadir
        self._system = system or System()
        self._short = ""
        """What its file system lacked at the last look."""
        self._clock = clock
        self._connection: Connection | None = None
        self._asked = False
        """An answer is to come over the connection."""
        self._roomed = -inf
        """When the room was last looked at."""
        self._synced: float | None = None
        """When it was last seen Synced; None when it was seen unfit since."""

    def quick(self) -> str | None:
        if self._connection is None or (self._datadir and self._clock() - self._roomed > ROOM_S):
            return None
        try:
            self._ask(self._connection)
            return self._told(self._answer(self._connection, QUICK_S)) if arrives(self._connection) else None
        except (OSError, ValueError, SqlError):
            self._hang_up()
            return None

    def __call__(self) -> str:
        try:
            seen = self._read()
        except (OSError, ValueError, SqlError) as error:
            self._hang_up()
            self._synced = None
            return said(error)
        if self._datadir:
            self._short = room.lack(self._system, self._datadir, room.ENOUGH if self._short else room.LEAST)
            self._roomed = self._clock()
        return self._told(seen)

    def _told(self, seen: status.Status) -> str:
        """The finding."""
        now = self._clock()
        if seen.synced or (self._donor_s == inf and seen.local_state == status.DONOR):
            self._synced = now
        reason = judge(seen, donor=self._synced is not None and now - self._synced <= self._donor_s)
        if reason:
            self._synced = None
        return reason or self._short

    def _read(self) -> status.Status:
        """Ask over the open connection; when that one has ended (the server was restarted, or closed it as idle), over
        a new one.
        """
        if self._connection is not None:
            try:
                self._ask(self._connection)
                return self._answer(self._connection, GIVE_UP_S)
            except (TimeoutError, SqlError):
                raise
            except OSError:
                self._hang_up()
        self._connection = Connection.connect(self._path, self._account, "", GIVE_UP_S)
        self._ask(self._connection)
        return self._answer(self._connection, GIVE_UP_S)

    def _ask(self, connection: Connection) -> None:
        if not self._asked:
            connection.ask(status.QUERY, GIVE_UP_S)
            self._asked = True

    def _answer(self, connection: Connection, wait_s: float) -> status.Status:
        self._asked = False
        return status.parse(connection.answer(wait_s))

    def _hang_up(self) -> None:
        self._asked = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def judge(seen: status.Status, *, donor: bool) -> str:
    """Why the member is unfit for clients; empty when it is fit. `donor`: whether it is while it is a donor, and after
    that, until it is Synced again.
    """
    if not seen.primary:
        return f"{seen.cluster_status}: it is not in the component that has quorum"
    if not seen.ready:
        return f"wsrep_ready is OFF: {seen.state_comment}"
    fit = (status.SYNCED, status.DONOR, status.JOINED) if donor else (status.SYNCED,)
    return "" if seen.local_state in fit else f"{seen.state_comment or 'state unknown'} ({seen.local_state})"


class RabbitmqLook(Look):
    """A look at the broker at `amqp`, a numeric address and port.

    An AMQP handshake is a connection each time, which costs the broker 3 ms of CPU and three lines in its log; a
    request over an open connection to its management plug-in costs 0.4 ms and none (measured). So a broker that was
    found fit by a handshake is then asked at `management`, which ends when the broker stops or pauses and hangs when it
    hangs; a handshake follows as soon as anything is wrong there, and every `HANDSHAKE_S`.

    Alarms do not count: one that blocks publishers does so on all brokers, and consumers must come in to drain them.
    """

    def __init__(
        self, amqp: tuple[str, int], management: tuple[str, int] | None = None,
        clock: "Callable[[], float]" = time.monotonic,
    ) -> None:  # fmt: skip
        self.fresh_s = 0.05 if management else 0.06
        self._amqp = amqp
        self._management = management
        self._clock = clock
        self._kept: Kept | None = None
        self._asked = False
        """An answer is to come over the connection that is kept."""
        self._due = 0.0
        """When the next handshake is due."""

    def quick(self) -> str | None:
        lives = self._kept is not None and self._ask(self._kept) and arrives(self._kept) and self._lives(QUICK_S)
        return "" if lives else None

    def __call__(self) -> str:
        if self._lives(GIVE_UP_S):
            return ""
        try:
            handshake.check(*self._amqp, GIVE_UP_S, time.monotonic)
        except (OSError, ValueError) as error:
            self._hang_up()
            return said(error)
        self._due = self._clock() + HANDSHAKE_S
        self._call()
        return ""

    def _lives(self, wait_s: float) -> bool:
        """True when the broker's management answers (whatever it answers) over the connection that is open to it."""
        if self._kept is None or not self._ask(self._kept):
            return False
        self._asked = False
        try:
            self._kept.answer(wait_s)
        except (OSError, ValueError):
            self._hang_up()
            return False
        return True

    def _ask(self, kept: Kept) -> bool:
        """Whether an answer is to come from the management; not when a handshake is due."""
        if not self._asked and self._clock() < self._due:
            try:
                kept.ask(MANAGEMENT_PATH)
                self._asked = True
            except OSError:
                self._hang_up()
        return self._asked

    def _call(self) -> None:
        """Connect to the management, if there is one; without, each look is a handshake."""
        if self._management and self._kept is None:
            with suppress(OSError):
                self._kept = Kept(self._management, GIVE_UP_S)

    def _hang_up(self) -> None:
        self._asked = False
        if self._kept is not None:
            self._kept.close()
            self._kept = None


def arrives(connection: Connection | Kept) -> bool:
    """Whether there is something to read within QUICK_S."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(QUICK_S * 1000))


def said(error: Exception) -> str:
    """What an error says, without its number."""
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
