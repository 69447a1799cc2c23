"""OCF resource agent for haproxy: the load balancer beside a VIP (rows A4, A6, A9).

Invariant: it is running when it answers on its health address, a frontend of its own with `monitor-uri`; so it does
not fail with the servers behind it.
"""

from resource_agents.ocf.agent import GENERIC, INSTALLED, OK, OcfError, Parameter
from resource_agents.ocf.service import UNIT, Service, service_actions


class Haproxy(Service):
    name = "haproxy"
    short = "haproxy, health-checked by HTTP"
    long = (
        "Runs haproxy directly or by systemd. The monitor asks the health address by HTTP with a time-out of its own "
        "inside the action's, so a frozen haproxy is a failed one. The configuration needs a frontend such as:\n"
        "  frontend health\n    mode http\n    bind 127.0.0.1:8405\n    monitor-uri /health"
    )
    parameters = (
        Parameter("binary", "haproxy's executable", "Path of the haproxy executable.", default="/usr/sbin/haproxy"),
        Parameter("config", "configuration file", "Path of haproxy.cfg.", default="/etc/vimha/haproxy.cfg"),
        Parameter(
            "pid", "pid file", "Where to keep the process's number and start time.",
            default="/run/vimha/haproxy.pid", unique=True,
        ),
        UNIT,
        Parameter(
            "health", "health address",
            "ADDRESS:PORT[/path] of the frontend that answers the health check; the path is /health by default. "
            "Numeric, so that no name service is asked.",
            default="127.0.0.1:8405",
        ),
    )  # fmt: skip
    actions = service_actions(start=10, stop=5)
    grace_s = 0.3
    """SIGTERM ends haproxy at once (management guide, 4); what is not gone by then is stuck."""

    def command(self) -> list[str]:
        return [self.values["binary"], "-D", "-f", self.values["config"], "-p", self.pid_file]

    def launch(self) -> None:
        """haproxy forks into its own session when its sockets are bound, so its exit code tells of them."""
        self.system.remove(self.pid_file)
        self.system.make_folder(self.pid_file)
        code, text = self.system.run(self.command(), self.deadline.left())
        if code:
            self._check_config()
            raise OcfError(GENERIC, f"haproxy did not start: {alerts(text) or f'exit {code}'}")
        self.daemon.record(self.daemon.reported())

    def check_host(self) -> None:
        self.need_binary(self.values["binary"])
        self.need_file(self.values["config"], "configuration")

    def validate_all(self) -> int:
        """Beyond the usual: from level 10, `haproxy -c` reads the configuration."""
        super().validate_all()
        if self.level >= 10 and not self.unit:
            self._check_config()
        return OK

    def _check_config(self) -> None:
        """OcfError(INSTALLED) when haproxy itself refuses its configuration: this node's file is bad.

        OcfError(GENERIC) when it does not say so in time.
        """
        config = self.values["config"]
        code, text = self.system.run([self.values["binary"], "-c", "-f", config], self.deadline.left())
        if code < 0:
            raise OcfError(GENERIC, f"haproxy -c -f {config}: {text}")
        if code:
            raise OcfError(INSTALLED, f"haproxy refuses {config}: {alerts(text) or f'exit {code}'}")


def alerts(text: str) -> str:
    """haproxy's complaints in its output, the first two; they name file and line."""
    lines = [line.partition(" : ")[2] or line for line in text.splitlines() if "[ALERT]" in line]
    return "; ".join(line.strip() for line in lines[:2])


AGENT = Haproxy
