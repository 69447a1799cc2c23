"""The agents of HTTP services, without their daemons: commands, parameters, reasons. The rest is in tests/agents."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_host import FakeHost

from resource_agents.glance_api import GlanceApi
from resource_agents.haproxy import Haproxy, alerts
from resource_agents.ocf import runtime
from resource_agents.ocf.agent import CONFIGURED, GENERIC, INSTALLED, NOT_RUNNING, OK, Agent, Deadline
from resource_agents.ocf.service import Service

URL = {"OCF_RESKEY_url": "http://127.0.0.1:9/healthcheck"}
REFUSED = """[NOTICE]   (511) : haproxy version is 2.6.12-1+deb12u4
[ALERT]    (511) : config : parsing [/etc/vimha/haproxy.cfg:7] : unknown keyword 'bnd' in 'frontend' section
[ALERT]    (511) : config : Error(s) found in configuration file : /etc/vimha/haproxy.cfg
[ALERT]    (511) : config : Fatal errors found in configuration.
"""


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def made(kind: type[Service], host: FakeHost, **env: str) -> Service:
    return kind({**URL, **env}, "start", Deadline(5, host.monotonic), host)


def test_glances_command_names_only_what_is_given(host: FakeHost) -> None:
    assert made(GlanceApi, host, OCF_RESKEY_bind_config="/etc/vimha/glance-api.conf").command() == [
        "/usr/bin/glance-api", "--config-file", "/etc/glance/glance-api.conf",
        "--config-file", "/etc/vimha/glance-api.conf", "--log-file", "/var/log/glance/glance-api.log",
    ]  # fmt: skip
    short = made(GlanceApi, host, OCF_RESKEY_log_file="").command()
    assert short == ["/usr/bin/glance-api", "--config-file", "/etc/glance/glance-api.conf"]


def test_glance_finds_its_paste_file_by_the_main_configurations_name(host: FakeHost) -> None:
    env = {"OCF_RESKEY_bind_config": "/etc/vimha/images.conf", "OCF_RESOURCE_INSTANCE": "images:0"}
    service = made(GlanceApi, host, OCF_RESKEY_log_file="", **env)
    assert service.command() == [
        "/usr/bin/glance-api", "--config-file", "/etc/glance/glance-api.conf",
        "--config-file", "/etc/vimha/images.conf", "--config-file", "/run/vimha/images.d/glance-api.conf",
    ]  # fmt: skip
    for _ in range(2):
        service.launch()
        assert host.link("/run/vimha/images.d/glance-api.conf") == "/etc/vimha/images.conf"
    assert host.names("/run/vimha/images.d") == ["glance-api.conf"]


def test_clones_of_one_resource_share_their_pid_file_others_do_not(host: FakeHost) -> None:
    files = [made(GlanceApi, host, OCF_RESOURCE_INSTANCE=name).pid_file for name in ("a:0", "a:1", "b")]
    assert files == ["/run/vimha/a.pid", "/run/vimha/a.pid", "/run/vimha/b.pid"]


def test_haproxys_complaints_name_the_place() -> None:
    complaint = alerts(REFUSED)
    assert complaint.startswith("config : parsing [/etc/vimha/haproxy.cfg:7] : unknown keyword 'bnd'")
    assert "Fatal errors" not in complaint
    assert alerts("[NOTICE] fine\n") == ""


@pytest.mark.parametrize(
    ("kind", "env"),
    [(Haproxy, {"OCF_RESKEY_health": "somewhere"}), (Haproxy, {"OCF_RESKEY_config": "haproxy.cfg"}),
     (Haproxy, {"OCF_RESKEY_pid": "pid"}), (GlanceApi, {"OCF_RESKEY_url": ""}),
     (GlanceApi, {"OCF_RESKEY_url": "https://10.0.0.1:1/"}), (GlanceApi, {"OCF_RESKEY_binary": "glance-api"})],
)  # fmt: skip
def test_parameters_that_are_wrong_everywhere(host: FakeHost, kind: type[Agent], env: dict[str, str]) -> None:
    assert runtime.invoke(kind, "start", {**URL, **env}, host)[0] == CONFIGURED
    assert runtime.invoke(kind, "stop", {**URL, **env}, host)[0] == OK
    probe = {"OCF_RESKEY_CRM_meta_interval": "0"}
    assert runtime.invoke(kind, "monitor", {**URL, **env, **probe}, host)[0] == NOT_RUNNING


def lacking(name: str) -> Callable[[FakeHost], None]:
    files = {"binary": "/usr/bin/glance-api", "config": "/etc/glance/glance-api.conf", "bind_config": "/etc/bind"}

    def prepare(host: FakeHost) -> None:
        for kind, path in files.items():
            if kind != name:
                host.put(path, "", 0o755)

    return prepare


@pytest.mark.parametrize(
    ("missing", "reason"),
    [("binary", "/usr/bin/glance-api is not installed"), ("config", "/etc/glance/glance-api.conf cannot be read"),
     ("bind_config", "/etc/bind cannot be read"), ("user", "user no-such-user does not exist")],
)  # fmt: skip
def test_what_a_node_lacks_is_this_nodes_failure(host: FakeHost, missing: str, reason: str) -> None:
    lacking(missing)(host)
    env = {**URL, "OCF_RESKEY_bind_config": "/etc/bind", "OCF_RESKEY_user": "no-such-user"}
    code, said = runtime.invoke(GlanceApi, "start", env, host)
    assert code == INSTALLED
    assert reason in said
    assert runtime.invoke(GlanceApi, "validate-all", env, host)[0] == OK
    assert runtime.invoke(GlanceApi, "validate-all", {**env, "OCF_CHECK_LEVEL": "10"}, host)[0] == INSTALLED
    assert runtime.invoke(GlanceApi, "monitor", {**env, "OCF_RESKEY_CRM_meta_interval": "0"}, host)[0] == NOT_RUNNING


class DyingHost(FakeHost):
    """A fake host on which somebody listens at `port` until a time of its clock."""

    def __init__(self, root: Path, until: float) -> None:
        super().__init__(root)
        self.put("/usr/sbin/haproxy", "", 0o755)
        self.put("/etc/vimha/haproxy.cfg", "")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.until = until

    def sleep(self, seconds: float) -> None:  # type: ignore[override]
        super().sleep(seconds)
        if self.now >= self.until:
            self.listener.close()

    def start(self) -> tuple[int, str]:
        with self.listener:
            return runtime.invoke(Haproxy, "start", {"OCF_RESKEY_health": f"127.0.0.1:{self.port}"}, self)


def test_a_stranger_at_its_port_bans_it_from_the_node(tmp_path: Path) -> None:
    host = DyingHost(tmp_path, until=1000)
    code, reason = host.start()
    assert code == INSTALLED
    assert reason.startswith(
        f"port in use: a process that this resource did not start listens at 127.0.0.1:{host.port}"
    )
    assert host.commands == []


def test_an_earlier_run_that_is_still_ending_does_not(tmp_path: Path) -> None:
    host = DyingHost(tmp_path, until=101)
    host.answers["haproxy"] = (1, REFUSED)
    _, reason = host.start()
    assert "unknown keyword" in reason


def test_a_start_that_ends_at_once_says_why(host: FakeHost) -> None:
    host.put("/usr/sbin/haproxy", "", 0o755)
    host.put("/etc/vimha/haproxy.cfg", "")
    host.answers["haproxy"] = (1, REFUSED)
    code, reason = runtime.invoke(Haproxy, "start", {"OCF_RESKEY_health": "127.0.0.1:9"}, host)
    assert code == INSTALLED
    assert "/etc/vimha/haproxy.cfg:7" in reason
    assert host.kinds()[-1] == "haproxy -c -f /etc/vimha/haproxy.cfg"


def test_a_haproxy_that_does_not_answer_is_not_a_bad_configuration(host: FakeHost) -> None:
    host.put("/usr/sbin/haproxy", "", 0o755)
    host.put("/etc/vimha/haproxy.cfg", "")
    host.answers["haproxy"] = (-1, "no end within 5 s")
    code, reason = runtime.invoke(Haproxy, "start", {"OCF_RESKEY_health": "127.0.0.1:9"}, host)
    assert (code, reason) == (GENERIC, "haproxy -c -f /etc/vimha/haproxy.cfg: no end within 5 s")


@pytest.mark.parametrize(("text", "code"), [("", NOT_RUNNING), ("42\n", GENERIC)])
def test_a_unit_is_watched_by_its_cgroup_and_its_health(host: FakeHost, text: str, code: int) -> None:
    host.put_process(42, ["/usr/sbin/haproxy", "-Ws"])
    host.put("/sys/fs/cgroup/system.slice/haproxy.service/cgroup.procs", text)
    env = {"OCF_RESKEY_unit": "haproxy", "OCF_RESKEY_health": "127.0.0.1:9"}
    assert runtime.invoke(Haproxy, "monitor", env, host)[0] == code
    assert host.commands == []
