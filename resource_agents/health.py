"""OCF resource agent for the health endpoint: what load balancers ask before they send clients to this node (A5).

Invariant: it is running when its own loop answers; so it does not fail with the services that it looks at, and haproxy
is told why they are not fit.
"""

from resource_agents.ocf.agent import CONFIGURED, INSTALLED, OcfError, Parameter
from resource_agents.ocf.http import parse_target
from resource_agents.ocf.service import UNIT, Service, service_actions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from resource_agents.ocf.agent import Deadline
    from resource_agents.ocf.system import System

DAEMON = __file__.removesuffix("/health.py") + "/endpoint/__main__.py"
DONOR = {"yes": "inf", "no": "0"}


class Health(Service):
    name = "health"
    short = "health endpoint of Galera and RabbitMQ, for haproxy"
    long = (
        "Runs a small HTTP daemon that answers GET /galera with 200 when this node's Galera member may have clients "
        "(wsrep_ready ON, Primary, Synced, room on its disk), GET /galera/any likewise whatever room it has, and GET "
        "/rabbitmq with 200 when this node's broker opens an AMQP connection; else with 503 and the reason in the "
        "status line. Each answer takes at most 0.1 s; a service that keeps a look waiting for 0.25 s is not fit. "
        "haproxy asks it by `option httpchk` with `port 8406` on the server lines. The daemon asks nothing but what "
        "needs no privilege, as a user who can log in by unix_socket."
    )
    parameters = (
        Parameter(
            "listen", "where it listens",
            "ADDRESS:PORT of this node, port 8406 by custom; the address in the plane from which haproxy asks. "
            "Numeric, so that no name service is asked.",
            default="127.0.0.1:8406",
        ),
        Parameter(
            "galera", "MariaDB's unix socket",
            "Path of the socket of the Galera member that /galera is about; empty: there is no /galera.",
            default="/run/mysqld/mysqld.sock",
        ),
        Parameter(
            "account", "MariaDB account",
            "Identified by unix_socket, so it must be called like the user; MariaDB makes one for mysql.",
            default="mysql",
        ),
        Parameter(
            "datadir", "MariaDB's data directory",
            "Whose file system must have 64 MiB left for /galera to say 200, and 128 MiB once it had not; empty: it is "
            "not looked at.",
            default="/var/lib/mysql",
        ),
        Parameter(
            "donor", "whether a donor is fit",
            "Whether a member that gives its state to a joiner still gets clients: yes, for an SST method that does "
            "not block them (mariabackup); no; or for so many seconds: an IST is over in 2 s and disturbs nobody, an "
            "SST by rsync blocks them.",
            default="3",
        ),
        Parameter(
            "rabbitmq", "the broker's address",
            "Numeric ADDRESS:PORT of the broker that /rabbitmq is about; empty: there is no /rabbitmq.",
        ),
        Parameter(
            "management", "the broker's management plug-in",
            "Numeric ADDRESS:PORT of its management plug-in, which costs a broker less to ask than a connection each "
            "time; empty, or not there: /rabbitmq makes a connection for each look.",
            default="127.0.0.1:15672",
        ),
        Parameter("user", "system user", "Whom it runs as; empty: root.", default="mysql"),
        Parameter(
            "binary", "python", "Path of the interpreter, version 3.10 or later.", default="/usr/bin/python3",
        ),
        Parameter(
            "pid", "pid file",
            "Where to keep the process's number and start time; empty: /run/vimha/<resource>.pid.", unique=True,
        ),
        UNIT,
    )  # fmt: skip
    actions = service_actions(start=10, stop=5)
    grace_s = 0.3
    """SIGTERM ends it at once: it has nothing to finish."""
    health_parameter = "listen"

    def __init__(self, env: "Mapping[str, str]", action: str, deadline: "Deadline", system: "System") -> None:
        super().__init__(env, action, deadline, system)
        if self.target[2] != self.health_path:
            raise OcfError(CONFIGURED, f"parameter listen={self.values['listen']!r} has a path: expected ADDRESS:PORT")
        donor = self.values["donor"]
        if donor not in DONOR and not (donor.isascii() and donor.isdecimal()):
            raise OcfError(CONFIGURED, f"parameter donor={donor!r} is neither yes nor no nor a number of seconds")
        for name in ("galera", "datadir"):
            if self.values[name] and not self.values[name].startswith("/"):
                raise OcfError(CONFIGURED, f"parameter {name}={self.values[name]!r} is not an absolute path")
        if not self.values["galera"] and not self.values["rabbitmq"]:
            raise OcfError(CONFIGURED, "parameters galera and rabbitmq are both empty: there is nothing to look at")
        for name in ("rabbitmq", "management"):
            try:
                if self.values[name]:
                    parse_target(self.values[name])
            except ValueError as error:
                raise OcfError(CONFIGURED, f"parameter {name}: {error}") from error

    def command(self) -> list[str]:
        donor = ["--donor", DONOR.get(self.values["donor"], self.values["donor"])]
        datadir = ["--datadir", self.values["datadir"]] if self.values["datadir"] else []
        galera = ["--galera", self.values["galera"], "--account", self.values["account"], *datadir, *donor]
        management = ["--management", self.values["management"]] if self.values["management"] else []
        rabbitmq = ["--rabbitmq", self.values["rabbitmq"], *management]
        return [
            self.values["binary"], "-IS", DAEMON, "--listen", self.values["listen"],
            *(galera if self.values["galera"] else []),
            *(rabbitmq if self.values["rabbitmq"] else []),
        ]  # fmt: skip

    def launch(self) -> None:
        self.daemon.record(self.system.spawn(self.command(), self.values["user"], self._output))

    def check_host(self) -> None:
        self.need_binary(self.values["binary"])
        if self.values["user"] and not self.system.user_exists(self.values["user"]):
            raise OcfError(INSTALLED, f"user {self.values['user']} does not exist on this node")

    def complaint(self) -> str:
        lines = [line.strip() for line in (self.system.read(self._output) or "").splitlines() if line.strip()]
        return lines[-1] if lines else ""

    @property
    def _output(self) -> str:
        return self.pid_file.removesuffix(".pid") + ".out"


AGENT = Health
