"""OCF resource agent for the alarm service (issue rows B1, B2): `vimha alarms serve`.

Invariant: it is running when it answers on its liveness path; so it does not fail with its store, which has resources
of its own. Its account in the database is made through the socket of this node's member, once that takes it; until then
the service lives, and says what it waits for.
"""

from resource_agents.ocf.agent import CONFIGURED, DEGRADED, INSTALLED, OK, OcfError, Parameter
from resource_agents.ocf.service import UNIT, Service, service_actions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from resource_agents.ocf.agent import Deadline
    from resource_agents.ocf.system import System

SQL_S = 1.0
"""How long the database may take to take the account; it is asked again at the next monitor."""
BUSY = (1040, 1047, 1205, 1213)
"""A server's errors that pass: too many connections, no primary component, a lock waited for, a deadlock."""


class Alarms(Service):
    name = "alarms"
    short = "vimha's alarm service, health-checked by HTTP"
    long = (
        "Runs `vimha alarms serve` as a user of its own. The monitor asks its liveness path, /livez, which does not "
        "look at the store: a service whose database is away says so on /healthz, which load balancers ask, and is "
        "not restarted for it. Files that only the service may read are given to its user at each start."
    )
    parameters = (
        Parameter("binary", "executable", "Path of the vimha executable.", default="/opt/vimha/bin/vimha"),
        Parameter("config", "configuration file", "The service's configuration.", default="/etc/vimha/alarms.yaml"),
        Parameter(
            "local", "configuration of your own",
            "Path of a second file, which is joined with the first: what site.yaml has no word for. Empty: none.",
        ),
        Parameter(
            "private", "further files of its own",
            "Paths, separated by spaces, of files that the configuration names and only the service may read, such as "
            "its users and the database's password.",
        ),
        Parameter(
            "state", "data folder", "Made when it is not there; the service's user owns it.",
            default="/var/lib/vimha",
        ),
        Parameter("user", "system user", "Whom it runs as; empty: root.", default="vimha-alarms"),
        Parameter(
            "grants", "statements that make its database account",
            "Path of a file with one SQL statement to a line, each of which may be repeated; run as root over the "
            "socket after each start, as soon as the database takes them. Empty: none.",
        ),
        Parameter(
            "socket", "MariaDB's unix socket", "Of this node's member, for `grants`.",
            default="/run/mysqld/mysqld.sock",
        ),
        Parameter(
            "pid", "pid file",
            "Where to keep the process's number and start time; empty: /run/vimha/<resource>.pid.", unique=True,
        ),
        UNIT,
        Parameter(
            "health", "liveness URL",
            "http://ADDRESS:PORT of this node's own instance, numeric, so that no name service is asked; the path is "
            "/livez by default.",
            default="http://127.0.0.1:8780",
        ),
    )  # fmt: skip
    actions = service_actions(start=30, stop=10)
    grace_s = 2.0
    """Open requests may end; what was acknowledged is in the store already."""
    health_path = "/livez"

    def __init__(self, env: "Mapping[str, str]", action: str, deadline: "Deadline", system: "System") -> None:
        super().__init__(env, action, deadline, system)
        files = [self.values[name] for name in ("local", "grants", "socket", "state")]
        for path in (*files, *self._private):
            if path and not path.startswith("/"):
                raise OcfError(
                    CONFIGURED, f"{path!r} is not an absolute path (parameters local, private, grants, socket, state)"
                )

    def command(self) -> list[str]:
        configs = [part for path in self._configs for part in ("--config", path)]
        return [self.values["binary"], "alarms", "serve", *configs]

    def launch(self) -> None:
        self.system.remove(self._granted)
        user = self.values["user"]
        self.system.own_folder(self.values["state"], user)
        for path in (*self._configs, *self._private):
            self.system.give(path, user)
        self.daemon.record(self.system.spawn(self.command(), user, self._output))

    def start(self) -> int:
        super().start()
        self._grant()
        return OK

    def monitor(self) -> int:
        code = super().monitor()
        return self._grant() if code == OK and not self.probe else code

    def check_host(self) -> None:
        self.need_binary(self.values["binary"])
        for path in (*self._configs, *self._private, self.values["grants"]):
            if path:
                self.need_file(path, "configuration")
        if self.values["user"] and not self.system.user_exists(self.values["user"]):
            raise OcfError(
                INSTALLED,
                f"user {self.values['user']} does not exist on this node; systemd-sysusers"
                " /usr/lib/sysusers.d/vimha.conf makes it",
            )

    def complaint(self) -> str:
        lines = [line.strip() for line in (self.system.read(self._output) or "").splitlines() if line.strip()]
        return lines[-1] if lines else ""

    def _grant(self) -> int:
        """Make the account unless this run has; a database that is away or busy is asked at the next monitor, and so is
        one that refuses, which somebody should know.
        """
        if not self.values["grants"] or self.system.read(self._granted) is not None:
            return OK
        from resource_agents.mysql.client import Connection, SqlError

        statements = (self.system.read(self.values["grants"]) or "").splitlines()
        try:
            with Connection.connect(self.values["socket"], "root", "", min(SQL_S, self.deadline.left())) as connection:
                for statement in statements:
                    if statement and not statement.startswith("--"):
                        connection.query(statement)
        except SqlError as error:
            if error.code in BUSY:
                return OK
            self.reason = f"its database account cannot be made ({self.values['grants']}): {error}"
            return DEGRADED
        except (OSError, ValueError):
            return OK
        self.system.write(self._granted, "")
        return OK

    @property
    def _configs(self) -> list[str]:
        return [path for path in (self.values["config"], self.values["local"]) if path]

    @property
    def _private(self) -> list[str]:
        return self.values["private"].split()

    @property
    def _granted(self) -> str:
        return self.pid_file.removesuffix(".pid") + ".granted"

    @property
    def _output(self) -> str:
        return self.pid_file.removesuffix(".pid") + ".out"


AGENT = Alarms
