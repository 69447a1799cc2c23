"""One mariadbd with wsrep: recovered, started, looked at, and why it ended.

Invariant: it is always started from the position that was recovered right before. Without that, a member that was
killed takes a full copy of the data, and a bootstrap makes a new cluster UUID, so that all others do.
"""

from resource_agents.mysql.client import Connection, SqlError
from resource_agents.ocf.agent import GENERIC, INSTALLED, Deadline, OcfError
from resource_agents.ocf.process import Daemon
from resource_agents.ocf.system import System
from resource_agents.wsrep.datadir import Datadir
from resource_agents.wsrep.state import NIL, parse_recovered
from resource_agents.wsrep.status import Status, read
from resource_agents.wsrep.word import STATE, Word

INSTALL_DB = "/usr/bin/mariadb-install-db"
DENIED = (1044, 1045, 1130, 1698)
"""Access denied, for the database, the password, the host, and by the authentication plugin."""
TOO_MANY = 1040
LOG_TAIL = 65536
WRITTEN = ("grastate.dat", "gvwstate.dat", "galera.cache", "ibdata1", "ib_logfile0", "aria_log_control", "mysql")
"""What must be mariadbd's own in its datadir; a backup that root restored is not. With a grastate.dat that it cannot
write Galera starts all the same, and keeps no position. (Packages leave other files of root's there.)
"""
OWNER = "a file's owner or mode is wrong, the whole datadir must be mariadbd's user's"
CAUSES = (
    ("Address already in use", "port in use, ss -ltnp names by whom"),
    ("Cannot assign requested address", "wrong configuration, no address of this node"),
    ("unknown variable", "wrong configuration"),
    ("unknown option", "wrong configuration"),
    ("ambiguous option", "wrong configuration"),
    ("Error while setting value", "wrong configuration"),
    ("option without preceding group", "wrong configuration"),
    ("defaults handling", "wrong configuration"),
    ("disabled, skipping position recovery", "wrong configuration, wsrep_on must be ON"),
    ("No space left on device", "disk full, make room"),
    ("errno: 28", "disk full, make room"),
    ("Errcode: 28", "disk full, make room"),
    ("Permission denied", OWNER),
    ("errno: 13", OWNER),
    ("must be writable", OWNER),
    ("system error number 13 ", OWNER),
    ("Failed to load wsrep library", "wsrep_provider cannot be loaded, install galera-4"),
    ("Unrecognized parameter", "wrong configuration, wsrep_provider_options"),
    ("Bad value", "wrong configuration, wsrep_provider_options"),
    ("WSREP: Invalid value", "wrong configuration, wsrep_provider_options"),
    ("Failed to initialize wsrep provider", "wrong configuration, wsrep_provider_options"),
    ('Errcode: 2 "No such file', "wrong configuration, what it names is not there"),
)
"""What in mariadbd's log is wrong with this node, not with mariadbd, and what to say about it."""


class Unreadable(Exception):  # noqa: N818 (a state to report, not an error)
    """The member lives but does not let us look: wrong credentials, or no connection is left."""


class Member:
    """The mariadbd that the parameters `values` describe."""

    def __init__(self, system: System, values: dict[str, str], pid_file: str) -> None:
        self._system = system
        self._values = values
        self._tail = [f"--user={values['user']}", f"--datadir={values['datadir']}", f"--socket={values['socket']}"]
        self.daemon = Daemon(system, self._tail, pid_file)
        self.datadir = Datadir(system, values["datadir"], values["user"])
        self._output = pid_file.removesuffix(".pid") + ".out"

    def check(self) -> None:
        """OcfError(INSTALLED) unless it can run and be looked at here, as far as this can be told before it runs."""
        self.datadir.check()
        user, folder = self._values["user"], self.datadir.path
        for name in WRITTEN if user else ():
            access = self._system.access(f"{folder}/{name}")
            if access and access[0] != user:
                raise OcfError(
                    INSTALLED, f"{folder}/{name} is {access[0]}'s, so {user} cannot use it: chown -R {user}: {folder}"
                )
        names = set(self._system.names(folder))
        if not self.datadir.empty() and not names & {"mysql", "grastate.dat"}:
            raise OcfError(
                INSTALLED,
                f"datadir {folder} holds files, {min(names - {'lost+found'})} for one, but no database: name the right "
                "folder, or move them away, and a database is made",
            )
        try:
            self._account()
        except Unreadable as state:
            raise OcfError(INSTALLED, str(state)) from state

    def install(self, deadline: Deadline) -> None:
        """Initialise the datadir if it is really empty; OcfError(INSTALLED) when that fails."""
        if not self.datadir.empty():
            return
        self.datadir.begin_install()
        values = self._values
        argv = [INSTALL_DB, f"--defaults-file={values['config']}", f"--user={values['user']}",
                f"--datadir={values['datadir']}", "--skip-test-db"]  # fmt: skip
        code, said = self._system.run(argv, deadline.left())
        if code:
            raise failure(said, "mariadb-install-db failed")
        self.datadir.end_install()

    def recover(self, deadline: Deadline) -> Word:
        """What this node's data are, as mariadbd itself recovers them; it takes 0.14 s, and more after a crash."""
        saved = self.datadir.saved()
        if not self.datadir.whole(saved):
            return self.datadir.word(saved, (NIL, -1))
        argv = [self._values["binary"], f"--defaults-file={self._values['config']}", *self._tail,
                "--skip-log-error", "--wsrep-recover"]  # fmt: skip
        code, said = self._system.run(argv, deadline.left())
        if code < 0:
            raise OcfError(GENERIC, "recovering the database did not end in time: give start a longer time-out")
        position = parse_recovered(said)
        if code or position is None:
            raise failure(said, "the database cannot be recovered")
        return self.datadir.word(saved, position)

    def launch(self, word: Word, *, bootstrap: bool) -> None:
        """Start mariadbd from the position in `word`; `bootstrap`: as the first member of the cluster."""
        values = self._values
        for path in (values["socket"], values["log"]):
            self._system.own_folder(path.rpartition("/")[0], values["user"])
        if bootstrap:
            self.datadir.elect(word)
        else:
            self.datadir.keep_view()
        options = ["--wsrep-new-cluster"] if bootstrap else []
        if word.kind == STATE and word.seqno >= 0:
            options.append(f"--wsrep_start_position={word.position}")
        argv = [values["binary"], f"--defaults-file={values['config']}", *options, f"--log-error={values['log']}"]
        self.daemon.record(self._system.spawn([*argv, *self._tail], "", self._output))

    def status(self, timeout_s: float) -> Status | None:
        """What it says of itself; None while it does not listen. TimeoutError: it hangs. Unreadable: it refuses us."""
        user, password = self._account()
        try:
            with Connection.connect(self._values["socket"], user, password, timeout_s, self._system.monotonic) as to:
                return read(to)
        except (FileNotFoundError, ConnectionRefusedError, ConnectionResetError, BrokenPipeError):
            return None
        except SqlError as error:
            if error.code in DENIED:
                raise Unreadable(
                    f"{error}; let the account {user!r} in, by unix_socket or by the password in defaults_file"
                ) from error
            if error.code == TOO_MANY:
                raise Unreadable(f"{error}: raise max_connections, or find who holds them") from error
            raise OcfError(GENERIC, f"mariadbd answers with {error}") from error
        except ValueError as error:
            raise OcfError(GENERIC, f"mariadbd: {error}") from error

    def complaint(self, what: str) -> OcfError:
        """Why it ended, from its log and its output."""
        log = self._system.tail(self._values["log"], LOG_TAIL)
        return failure(f"{log[log.rfind('Starting MariaDB') :]}\n{self._system.tail(self._output, LOG_TAIL)}", what)

    def _account(self) -> tuple[str, str]:
        """User and password: from defaults_file, which only root may read, or `account` without a password.

        Unreadable when that file is missing or wrong: no reason to end a member that runs.
        """
        path = self._values["defaults_file"]
        if not path:
            return self._values["account"], ""
        access = self._system.access(path)
        if access is None:
            raise Unreadable(f"defaults_file {path} does not exist on this node: copy it from another one, mode 0600")
        if access[1] & 0o077:
            raise Unreadable(f"defaults_file {path} has mode {access[1]:04o}: chmod 0600 {path}")
        known = parse_client(self._system.read(path) or "")
        if "user" not in known:
            raise Unreadable(f"defaults_file {path} names no user in its section [client]: write user = and password =")
        return known["user"], known.get("password", "")


def parse_client(text: str) -> dict[str, str]:
    """user and password of the section [client] of an option file."""
    section, known = "", {}
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[]")
        elif section == "client" and not line.startswith(("#", ";")):
            key, _, value = line.partition("=")
            value = value.strip()
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
            known[key.strip()] = value[1:-1] if quoted else value
    return known


def failure(log: str, what: str) -> OcfError:
    """What mariadbd's log says, as an error: INSTALLED when the cause is this node's, GENERIC otherwise."""
    lines = [line.strip() for line in log.splitlines() if "[ERROR]" in line or line.startswith("ERROR")]
    lines = lines or [line.strip() for line in log.splitlines() if line.strip()][-1:]
    told = [line.partition("[ERROR] ")[2] or line for line in lines if not line.endswith("Aborting")] or lines
    for sign, remedy in CAUSES:
        said = next((line for line in told if sign in line), "")
        if said:
            return OcfError(INSTALLED, f"{remedy}: {said}")
    return OcfError(GENERIC, f"{what}: {'; '.join(told[:2]) or 'it gave no reason'}")
