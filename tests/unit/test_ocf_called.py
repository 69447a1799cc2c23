"""Calls for a member on another node: what the attribute daemon is told, and how often."""

from pathlib import Path

from fake_host import FakeHost

from resource_agents.galera import Galera
from resource_agents.ocf.called import Calls
from resource_agents.rabbitmq import RabbitMQ
from vimha.render.clustered import CALLED

SET = "attrd_updater --name vimha-galera-called --update 1 --node {}"


def test_a_call_reaches_the_cluster_once_and_again_when_it_may_be_lost(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    calls = Calls(host, "vimha-galera")
    assert calls.call("c4", 1) == calls.call("c4", 1) == calls.call("c5", 1) == []
    assert host.kinds() == [SET.format("c4"), SET.format("c5")]
    host.answers["attrd_updater"] = (102, "not connected\n")
    assert calls.call("c6", 1) == calls.call("c6", 1) == ["attrd_updater: not connected"]
    assert host.kinds()[2:] == [SET.format("c6")] * 2


def test_all_calls_end_whoever_made_them(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    called = "".join(f'name="vimha-galera-called" host="{node}" value="1"\n' for node in ("c5", "c4"))
    host.answers["attrd_updater"] = (0, called)
    calls = Calls(host, "vimha-galera")
    calls.call("c4", 1)
    assert calls.end(1) == []
    assert host.kinds()[2:] == [
        f"attrd_updater --name vimha-galera-called --delete --node {node}" for node in ("c4", "c5")
    ]
    calls.call("c4", 1)
    assert host.kinds()[-1] == SET.format("c4")


def test_without_calls_nothing_is_changed(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.answers["attrd_updater"] = (105, "no such attribute\n")
    assert Calls(host, "vimha-galera").end(1) == []
    host.answers["attrd_updater"] = (102, "not connected\n")
    assert Calls(host, "vimha-galera").end(1) == ["attrd_updater: not connected"]
    assert len(host.commands) == 2 and not any("--delete" in argv for argv in host.commands)


def test_pacemaker_follows_the_attributes_that_the_agents_call_by() -> None:
    """The rules are rendered for the agents' own names, which vimha leaves as they are."""
    agents = {"database": Galera, "messaging": RabbitMQ}
    names = {
        service: parameter.default
        for service, agent in agents.items() for parameter in agent.parameters if parameter.name == "attribute"
    }  # fmt: skip
    assert {service: f"{name}-called" for service, name in names.items()} == CALLED
