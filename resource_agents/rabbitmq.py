"""OCF resource agent for a broker of a RabbitMQ cluster (rows A3, A5, A8, A9).

Invariant: there are never two independent clusters (amqp/election.py), and a broker is well when it opens AMQP
connections within its time: neither the process nor rabbitmqctl's word will do.

start leaves a process behind that brings the broker up (amqp/formation.py) and succeeds after `patience` seconds even
if that is still under way: while an action runs, Pacemaker starts nothing else, the peers that are waited for neither.
"""

from resource_agents.amqp.handshake import check
from resource_agents.amqp.served import freshen
from resource_agents.ocf import tls
from resource_agents.ocf.agent import (
    CONFIGURED,
    DEGRADED,
    GENERIC,
    NOT_RUNNING,
    OK,
    Action,
    Agent,
    Deadline,
    OcfError,
    Parameter,
)
from resource_agents.ocf.attribute import Attribute
from resource_agents.ocf.http import parse_target
from resource_agents.ocf.peers import parse_members
from resource_agents.ocf.process import Daemon, leave
from resource_agents.ocf.refusal import Refusal
from resource_agents.ocf.runtime import ERROR, INFO, log
from resource_agents.ocf.system import System

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from resource_agents.amqp.broker import Broker
    from resource_agents.amqp.replicas import Replicas
    from resource_agents.amqp.spares import Spares

POLL_S = 0.05
CHECK_SHARE = 0.7
"""How much of an action's time a look may take; the rest is ours, to say what is wrong."""
LOOK_S = 0.5
"""A broker that takes longer to greet when it is to be stopped anyway is frozen, and is killed."""
ASK_S = 1.0
PAUSE_S = 20.0
"""How long a broker may be paused: it goes on by itself when its peers are back, unless each of them waits for the
other's word on who was last. Started anew it takes part in the election. (5 s of a pause are its own stop.)
"""
RESUME_S = 90.0
"""How long one that has found its majority may take to serve again: a boot, on a busy node that boots others too."""
PAUSED, RESUMES = "awaiting recovery", "Starting RabbitMQ"
"""What a broker logs when it pauses, and when it starts its applications again (rabbit_node_monitor, rabbit)."""
REPAIR_S = 30.0
"""How often the broker's queues are looked at for replicas that it lacks: each look costs a moment per queue."""
GRACE_S = 20.0
"""How long a broker may take to stop (measured: 6 s)."""


class RabbitMQ(Agent):
    name = "rabbitmq"
    short = "Broker of a RabbitMQ cluster"
    long = (
        "Runs one broker of a RabbitMQ cluster on each node of a clone. Brokers start one after another: after a loss "
        "of all of them the one that ran last begins, by force_boot when its peers cannot come; a node without a "
        "database joins. While that is under way the resource is started but degraded, and says what it waits for. If "
        "it waits for a node that will never come back, you decide which one begins:\n"
        "  vimha decide RESOURCE NODE, or attrd_updater --private --name vimha-rabbitmq-begin --update 1 --node NODE\n"
        "The monitor is an AMQP handshake with a time-out of its own, so a frozen broker is a failed one; at "
        "OCF_CHECK_LEVEL 10 it asks the management API for alarms, membership and quorum queues that are critical, "
        "and has those that lack this node's replica given it. Where clone-max is below the number of members, the "
        "others are spares: a lost member whose part one of them took is forgotten, and joins anew when it is needed."
    )
    parameters = (
        Parameter("binary", "rabbitmq-server", "Path of rabbitmq-server; its tools are beside it.",
                  default="/usr/lib/rabbitmq/bin/rabbitmq-server"),
        Parameter("config_dir", "configuration folder", "With rabbitmq.conf, advanced.config and enabled_plugins; with "
                  "TLS, inter_node_tls.config too.", default="/etc/vimha/rabbitmq"),
        Parameter("user", "system user", "Whom the broker runs as.", default="rabbitmq"),
        Parameter("data", "database folder", "Holds this node's database; the folder above it is Erlang's home.",
                  default="/var/lib/rabbitmq/mnesia", unique=True),
        Parameter("log_dir", "log folder", "Where RabbitMQ logs.", default="/var/log/rabbitmq"),
        Parameter("cookie", "Erlang cookie", "File with the site's own cookie, mode 0600.",
                  default="/etc/vimha/erlang.cookie"),
        Parameter("amqp", "AMQP address", "ADDRESS:PORT of this node's own listener, numeric.", required=True),
        Parameter("management", "management API", "ADDRESS:PORT of this node's own, numeric; empty: do not ask it; "
                  "quorum queues are then not given replicas that they lack.",
                  default="127.0.0.1:15672"),
        Parameter("management_auth", "its credentials", "File with USER:PASSWORD, mode 0600.",
                  default="/etc/vimha/rabbitmq/management.auth"),
        Parameter("members", "all members", "NAME=IPv4-ADDRESS of every node that has a broker, separated by spaces; "
                  "a node's broker is rabbit@NAME.", required=True),
        Parameter("attribute", "node attribute", "Under which name the nodes tell each other their state; it is "
                  "private, so it never reaches the CIB.", default="vimha-rabbitmq", unique=True),
        Parameter("pid", "pid file", "Where to keep the Erlang VM's number and start time; empty: "
                  "/run/vimha/<resource>.d/rabbitmq.pid.", unique=True),
        Parameter("patience", "seconds of a start", "How long start waits for the broker to serve before it leaves the "
                  "rest to the monitor.", default="2", kind="integer"),
        Parameter("patience_for_peers", "seconds for peers", "After a loss of all brokers, how long those that have "
                  "a majority wait for an absent one that ran at the end.", default="20", kind="integer"),
        *tls.PARAMETERS,
    )  # fmt: skip
    actions = (
        Action("start", 30),
        Action("stop", 60),
        Action("monitor", 5, interval=1, depth=0),
        Action("monitor", 10, interval=30, depth=10),
        Action("validate-all", 5),
    )
    looks_s = 0.5
    """A handshake costs the broker 3 ms and lines in its log."""

    def __init__(self, env: "Mapping[str, str]", action: str, deadline: Deadline, system: System) -> None:
        super().__init__(env, action, deadline, system)
        for name in ("binary", "config_dir", "data", "log_dir", "cookie", "pid", "management_auth"):
            value = self.values[name]
            if value and not value.startswith("/"):
                raise OcfError(CONFIGURED, f"parameter {name}={value!r} is not an absolute path")
        try:
            self.target = parse_target(self.values["amqp"])
        except ValueError as error:
            raise OcfError(CONFIGURED, f"parameter amqp: {error}") from error
        self.members = parse_members(self.values["members"], ipv4=True)
        self.active = min(int(env.get("OCF_RESKEY_CRM_meta_clone_max") or len(self.members)), len(self.members))
        self.node = env.get("OCF_RESKEY_CRM_meta_on_node") or system.node_name()
        self.folder = f"/run/vimha/{self.instance}.d"
        self.refusal = Refusal(system, f"{self.folder}/refused")
        self.attribute = Attribute(system, self.values["attribute"], private=True)
        self.vm = Daemon(system, self._tail, self.values["pid"] or f"{self.folder}/rabbitmq.pid")
        self.listener = Daemon(system, ["-", "known by its pid file alone"], f"{self.folder}/dead_peer.pid")
        self.helper = Daemon(system, ["-", "known by its pid file alone"], f"{self.folder}/formation.pid")
        self.repairer = Daemon(system, ["-", "known by its pid file alone"], f"{self.folder}/replicas.pid")
        self.forgetter = Daemon(system, ["-", "known by its pid file alone"], f"{self.folder}/spares.pid")

    @property
    def _tail(self) -> list[str]:
        return ["-vimha", f"rabbit@{self.node}", self.values["data"]]

    def main_pid(self) -> int:
        process = self.vm.find()
        return process.pid if process else 0

    def start(self) -> int:
        """Have the broker come up; 0 when it serves, or is under way after `patience` seconds."""
        if self.helper.find() is None and not (self.vm.find() and self._published("up") and not self._sick(LOOK_S)):
            self._check()
            self.refusal.repeat()
            self.attribute.forget()
            self._tell(DEGRADED, "comes up")
            self._leave_helper()
        self._listen()
        end = self.deadline.sooner(float(self.values["patience"]))
        code, self.reason = self._told()
        while code == DEGRADED and end.left() and self.helper.find():
            self.system.sleep(POLL_S)
            code, self.reason = self._told()
        if code not in (OK, DEGRADED):
            while self.helper.find() and self.deadline.left():  # the next start would take it for its own
                self.system.sleep(POLL_S)
            self.system.remove(f"{self.folder}/state")
            raise OcfError(code, self.reason)
        return OK

    def stop(self) -> int:
        """End the broker in order, or at once when it is frozen; 0 only when its Erlang VM is gone."""
        for daemon in (self.helper, self.listener, self.repairer, self.forgetter):
            daemon.stop(0.0, self.deadline)
        process = self.vm.find()
        hung = process is not None and not process.frozen and self._hung()
        self.vm.stop(0.0 if hung else GRACE_S, self.deadline)
        self.refusal.keep(OcfError(*self._told()))
        for name in ("formation.pid", "paused", "state"):
            self.system.remove(f"{self.folder}/{name}")
        self._stand_by()
        return OK

    def monitor(self) -> int:
        """0 serves, 190 comes up, is paused or has an alarm, 1 frozen, hung or failed to come up, 7 not there."""
        code, coming = DEGRADED, False
        if not (self._published("up") or self._published("paused")):
            lives = self.helper.find() is not None  # looked at first: the last word of one that has ended is told
            code, self.reason = self._told()
            coming = code == DEGRADED and lives
        process = self.vm.find()
        if process is None and not coming:
            self.reason = "" if self.probe else self.reason or "no such process"
            if code not in (OK, DEGRADED) and not self.probe:
                raise OcfError(code, self.reason)
            if self.probe:
                self._stand_by()
            return NOT_RUNNING
        if process and process.frozen:
            raise OcfError(GENERIC, "stopped by a signal (state T): it lives, but serves nobody")
        if coming:
            return OK if self.probe else DEGRADED
        return self._health()

    def validate_all(self) -> int:
        """Level 0: the parameters (done when the agent was made); from level 10: this node's files too."""
        if self.level >= 10:
            self._check()
        return OK

    def _health(self) -> int:
        """What a broker that has come up says on the wire, and at level 10 of itself."""
        wrong = self._sick(self.deadline.left() * CHECK_SHARE)
        paused = wrong and self._paused()
        if wrong and not paused:
            raise OcfError(GENERIC, wrong)
        if paused:
            return self._bear_pause(resumes=paused == RESUMES)
        if not self.probe:
            self._listen()
            self._say("up")
            freshen(self.system, self.values["data"])
            self.system.remove(f"{self.folder}/paused")
        if self.level >= 10 and self.values["management"] and not self.probe:
            return self._look_deeper()
        return OK

    def _bear_pause(self, *, resumes: bool) -> int:
        """190, for a while: what Pacemaker would do, a restart, is right only when the broker does not go on itself."""
        why = "goes on after a pause" if resumes else "paused: it sees no majority of the brokers (pause_minority)"
        self.reason = why
        if self.probe:
            return DEGRADED
        age = self.system.age(f"{self.folder}/paused")
        if age is None:
            self.system.write(f"{self.folder}/paused", "")
        elif age > (RESUME_S if resumes else PAUSE_S):
            raise OcfError(GENERIC, f"{why}, for {age:.0f} s: starts anew, to take part in an election")
        self._say("paused")
        return DEGRADED

    def _look_deeper(self) -> int:
        from resource_agents.amqp.management import examine

        failed, degraded, lost = examine(
            self.system, self.values["management"], self.values["management_auth"], self.node,
            members=list(self.members), active=self.active, timeout_s=self.deadline.left() * CHECK_SHARE,
        )  # fmt: skip
        if failed:
            raise OcfError(GENERIC, "; ".join(failed))
        if lost and self.forgetter.find() is None:
            self.forgetter.record(leave(lambda: self._spares().forget(lost)))
        age = self.system.age(f"{self.folder}/replicas.pid")
        if (age is None or age > REPAIR_S) and self.repairer.find() is None:
            self.repairer.record(leave(self._replicas().repair))
        self.reason = "; ".join(degraded)
        return DEGRADED if degraded else OK

    def _sick(self, timeout_s: float) -> str:
        """Why the broker does not open AMQP connections; empty when it does."""
        where = f"{self.target[0]}:{self.target[1]}"
        try:
            self._greet(timeout_s)
        except TimeoutError:
            return f"no AMQP greeting from {where} within {timeout_s:.2f} s: it hangs"
        except OSError as error:
            return f"AMQP at {where}: {error.strerror or error}"
        except ValueError as error:
            return f"AMQP at {where}: {error}"
        return ""

    def _greet(self, timeout_s: float) -> None:
        """The AMQP handshake; once more when it is cut off, for amqp/stranded.py may have taken it for a client."""
        end = self.system.monotonic() + timeout_s
        try:
            check(*self.target[:2], timeout_s, self.system.monotonic)
        except ConnectionResetError:
            check(*self.target[:2], end - self.system.monotonic(), self.system.monotonic)

    def _hung(self) -> bool:
        """True when the broker accepts a connection and says nothing: it would not hear SIGTERM either."""
        try:
            check(self.target[0], self.target[1], min(LOOK_S, self.deadline.left() / 4), self.system.monotonic)
        except TimeoutError:
            return True
        except (OSError, ValueError):
            return False
        return False

    def _paused(self) -> str:
        """PAUSED or RESUMES when its log says last that it waits for a majority, or has found one; empty otherwise."""
        text = self.system.tail(f"{self.values['log_dir']}/rabbit@{self.node}.log", 262144)
        paused, begun, up = (text.rfind(sign) for sign in (PAUSED, RESUMES, "Server startup complete"))
        if paused <= max(up, 0):
            return ""
        return RESUMES if begun > paused else PAUSED

    def _published(self, phase: str) -> bool:
        return (self.attribute.published() or "").startswith(f"{phase},")

    def _say(self, phase: str) -> None:
        """Publish what was published, in this phase."""
        rest = (self.attribute.published() or "").partition(",")[2]
        for trouble in self.attribute.publish(f"{phase},{rest}", min(ASK_S, self.deadline.left() / 2)):
            log(self.env, self.name, ERROR, trouble)

    def _stand_by(self) -> None:
        """Tell what this node's database is, while no broker runs on it; or nothing, when that cannot be said."""
        from resource_agents.amqp.word import SPARE, encode

        timeout_s = min(ASK_S, self.deadline.left() / 2)
        try:
            broker = self._broker()
            cookie = broker.cookie()
            broker.database.check()
        except OcfError:
            troubles = self.attribute.clear(timeout_s)
        else:
            word = broker.database.word(SPARE, self.members, cookie)
            troubles = self.attribute.publish(encode(word), timeout_s)
        for trouble in troubles:
            log(self.env, self.name, ERROR, f"{self.values['attribute']} may be an old one: {trouble}")

    def _check(self) -> None:
        self.need_binary(self.values["binary"])
        for file in ("rabbitmq.conf", "enabled_plugins", *(("inter_node_tls.config",) if self.values["key"] else ())):
            self.need_file(f"{self.values['config_dir']}/{file}", "configuration")
        tls.check(self.system, self.values, self.values["user"], self.node)
        self._broker().check_host()

    def _broker(self) -> "Broker":
        from resource_agents.amqp.broker import Broker

        return Broker(self.system, {**self.values, "pid": self.values["pid"]}, self.members, self.node, self.folder)

    def _replicas(self) -> "Replicas":
        from resource_agents.amqp.replicas import Replicas

        say = lambda text: log(self.env, self.name, INFO, text)  # noqa: E731
        return Replicas(self.system, self._broker(), list(self.members), self.values, say)

    def _spares(self) -> "Spares":
        from resource_agents.amqp.spares import Spares

        return Spares(self.system, self._broker(), self.values, self.attribute, self._tell_of_spares)

    def _leave_helper(self) -> None:
        """Fork the process that brings the broker up; it lives on when this action ends."""
        from resource_agents.amqp.formation import Formation

        formation = Formation(
            self.system, self._broker(), self.members, self.values, resource=self.instance, active=self.active,
            tell=self._tell, restore=self._replicas().restore,
        )  # fmt: skip
        self.helper.record(leave(formation.run))

    def _listen(self) -> None:
        """Keep the process that hears of peers' deaths (amqp/dead_peer.py) and frees whom they strand."""
        if self.listener.find() is None:
            from resource_agents.amqp.dead_peer import serve
            from resource_agents.amqp.sockets import Connections
            from resource_agents.amqp.stranded import Stranded

            connections = Connections(*self.target[:2])
            say = lambda text: log(self.env, self.name, INFO, text)  # noqa: E731
            stranded = Stranded(connections, self._lead, say, self.system.monotonic)
            self.listener.record(leave(lambda: serve(self.members, stranded.look)))

    def _lead(self, addresses: "Collection[str]") -> bool:
        """Whether a broker of these addresses still leads a quorum queue, by this one's records."""
        from resource_agents.amqp.management import leads

        nodes = [name for name, address in self.members.items() if address in addresses]
        return leads(self.system, self.values["management"], self.values["management_auth"], nodes, timeout_s=ASK_S)

    def _tell(self, code: int, reason: str) -> None:
        """What the coming up has got to, for start and monitor; changes are logged."""
        text = f"{code}\n{reason}\n"
        if self.system.read(f"{self.folder}/state") != text:
            self.system.write(f"{self.folder}/state", text)
            log(self.env, self.name, INFO if code in (OK, DEGRADED) else ERROR, reason or "serves")

    def _tell_of_spares(self, text: str) -> None:
        """What became of a lost member; changes are logged."""
        if self.system.read(f"{self.folder}/spares") != text:
            self.system.write(f"{self.folder}/spares", text)
            log(self.env, self.name, INFO, text)

    def _told(self) -> tuple[int, str]:
        """(code, reason) of the coming up; INSTALLED becomes what Pacemaker takes from a monitor."""
        code, _, reason = (self.system.read(f"{self.folder}/state") or "").partition("\n")
        return (int(code) if code.isdecimal() else DEGRADED), reason.strip()


AGENT = RabbitMQ
