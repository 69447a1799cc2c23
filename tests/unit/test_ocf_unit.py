"""A daemon under systemd: looked at without a process, stopped within its time."""

from pathlib import Path

import pytest
from fake_host import FakeHost

from resource_agents.ocf.agent import Deadline, OcfError
from resource_agents.ocf.unit import Unit

SLICE = "system.slice/haproxy.service/cgroup.procs"


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


@pytest.mark.parametrize("root", ["/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"])
@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("", "gone"),
        ("41\n", "gone"),
        ("42\n", "alive"),
        ("42\n43\n", "alive"),
        ("43\n", "frozen"),
        ("41\n43\n", "frozen"),
    ],
)
def test_its_cgroup_tells(host: FakeHost, root: str, text: str, state: str) -> None:
    host.put(f"{root}/{SLICE}", text)
    host.put_process(42, ["haproxy"])
    host.put_process(43, ["haproxy"], state="T")
    assert Unit(host, "haproxy").state() == state
    assert host.commands == []


@pytest.mark.parametrize(("code", "state"), [(0, "alive"), (3, "gone")])
def test_a_unit_elsewhere_is_asked_about(host: FakeHost, code: int, state: str) -> None:
    host.answers["systemctl"] = (code, "")
    assert Unit(host, "haproxy.service").state() == state
    assert host.kinds() == ["systemctl --no-ask-password --quiet is-active haproxy.service"]


@pytest.mark.parametrize("answer", [(0, "not-found\n"), (0, "masked\n"), (1, "")])
def test_an_unknown_unit_is_not_installed(host: FakeHost, answer: tuple[int, str]) -> None:
    host.answers["systemctl"] = answer
    with pytest.raises(OcfError, match=r"systemd unit haproxy\.service is"):
        Unit(host, "haproxy").check()


def test_start_tells_what_systemd_says(host: FakeHost) -> None:
    host.answers["systemctl"] = (1, "Job for haproxy.service failed.\n")
    with pytest.raises(OcfError, match="Job for haproxy"):
        Unit(host, "haproxy").start(Deadline(5, host.monotonic))
    assert [kind.split()[2] for kind in host.kinds()] == ["reset-failed", "start"]


@pytest.mark.parametrize(("state", "seconds"), [("S", 0.5), ("T", 0.0)])
def test_stop_kills_what_does_not_end(host: FakeHost, state: str, seconds: float) -> None:
    host.put(f"/sys/fs/cgroup/{SLICE}", "42\n")
    host.put_process(42, ["haproxy"], state=state)
    with pytest.raises(OcfError, match="outlive SIGKILL"):
        Unit(host, "haproxy").stop(0.5, Deadline(3, host.monotonic))
    assert host.kinds() == [
        "systemctl --no-ask-password --no-block stop haproxy.service",
        "systemctl --no-ask-password --kill-whom=all --signal=KILL kill haproxy.service",
    ]
    assert host.times == [100.0, pytest.approx(100 + seconds, abs=0.05)]
    assert host.now == pytest.approx(103.0, abs=0.1)


def test_stop_of_what_ends_is_gentle(host: FakeHost) -> None:
    host.put(f"/sys/fs/cgroup/{SLICE}", "")
    Unit(host, "haproxy").stop(0.5, Deadline(3, host.monotonic))
    assert len(host.commands) == 1
