"""OCF resource agent for glance-api, OpenStack's image service (rows A2, A9).

Invariant: it is running when it answers its healthcheck; stop leaves none of its workers behind, for they would keep
the port. (The healthcheck does not look at the database, which has its own resource.)
"""

from resource_agents.ocf.agent import INSTALLED, OcfError, Parameter
from resource_agents.ocf.service import UNIT, Service, service_actions


class GlanceApi(Service):
    name = "glance-api"
    short = "OpenStack image API, health-checked by HTTP"
    long = (
        "Runs glance-api directly or by systemd, as many instances as you like on different nodes. start waits until "
        "the healthcheck answers 200; the monitor's time-out is its own, inside the action's, so a frozen API is a "
        "failed one. The healthcheck needs oslo.middleware's /healthcheck, which glance's own paste file has."
    )
    parameters = (
        Parameter("binary", "executable", "Path of the glance-api executable.", default="/usr/bin/glance-api"),
        Parameter("config", "configuration file", "Main configuration.", default="/etc/glance/glance-api.conf"),
        Parameter(
            "bind_config", "second configuration file",
            "Read after the first and wins: where this node's instance listens (bind_host, bind_port). Empty: none.",
        ),
        Parameter("user", "system user", "Whom it runs as; empty: root.", default="glance"),
        Parameter(
            "log_file", "log file", "Passed as --log-file; empty: logging is as configured.",
            default="/var/log/glance/glance-api.log",
        ),
        Parameter(
            "pid", "pid file",
            "Where to keep the process's number and start time; empty: /run/vimha/<resource>.pid.", unique=True,
        ),
        UNIT,
        Parameter(
            "url", "healthcheck's URL",
            "http://ADDRESS:PORT/healthcheck of this node's own instance, numeric, so that no name service is asked.",
            required=True,
        ),
    )  # fmt: skip
    actions = service_actions(start=30, stop=10)
    grace_s = 1.0
    """glance-api finishes requests that run, an upload for minutes; its clients retry elsewhere."""
    health_parameter = "url"
    health_path = "/healthcheck"

    def command(self) -> list[str]:
        files = [path for path in (self.values["config"], self.values["bind_config"], self._namesake) if path]
        log = self.values["log_file"]
        return [
            self.values["binary"],
            *(word for path in files for word in ("--config-file", path)),
            *(["--log-file", log] if log else []),
        ]

    def launch(self) -> None:
        if self._namesake:
            self.system.make_link(self._namesake, self.values["bind_config"])
        pid = self.system.spawn(self.command(), self.values["user"], self._output)
        self.daemon.record(pid)

    def check_host(self) -> None:
        self.need_binary(self.values["binary"])
        self.need_file(self.values["config"], "configuration")
        if self.values["bind_config"]:
            self.need_file(self.values["bind_config"], "configuration")
        if self.values["user"] and not self.system.user_exists(self.values["user"]):
            raise OcfError(INSTALLED, f"user {self.values['user']} does not exist on this node")

    def complaint(self) -> str:
        lines = [line.strip() for line in (self.system.read(self._output) or "").splitlines() if line.strip()]
        return lines[-1] if lines else f"see {self.values['log_file'] or 'its log'}"

    @property
    def _namesake(self) -> str:
        """The second file once more, by the first one's name: glance reads the paste file that is called like its last
        configuration file (config.py, _get_paste_config_path). Empty when there is no need of it.
        """
        name, second = self.values["config"].rpartition("/")[2], self.values["bind_config"]
        if not name or not second or second.rpartition("/")[2] == name:
            return ""
        return f"{self.pid_file.removesuffix('.pid')}.d/{name}"

    @property
    def _output(self) -> str:
        return self.pid_file.removesuffix(".pid") + ".out"


AGENT = GlanceApi
