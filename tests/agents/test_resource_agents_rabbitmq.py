"""The rabbitmq agent and real brokers, each in a network namespace of its own, beside a fake attribute daemon."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ocf_calls import wait_until
from rabbit_nodes import Node, Site, failed, site_of

pytestmark = [pytest.mark.agents, pytest.mark.usefixtures("installed")]


@pytest.fixture(scope="module")
def site(installed: None) -> Iterator[Site]:
    """Three members that have formed their cluster; each test leaves them all up."""
    with site_of(3) as site:
        for node in site.nodes:
            assert node("start").code == 0
        for node in site.nodes:
            node.up(180)
        yield site


def test_a_life(node: Node) -> None:
    assert node.resource.probe() == 7
    assert node.site.words()["n1"].startswith("spare,served=0,")
    assert node("stop").code == 0
    assert node("start").code == 0
    node.up()
    assert node.resource.probe() == 0
    assert node.site.words()["n1"].startswith("up,")
    first = node.pid()
    assert os.getsid(first) == first
    assert node("start").code == 0
    assert node.pid() == first
    Path(node.folder / "run-vimha/test-rabbitmq.d/rabbitmq.pid").unlink()
    assert node("monitor").code == 0
    assert node("stop").code == 0
    assert not node.pid()
    assert node("monitor").code == 7
    assert node("stop").code == 0
    assert re.match(r"spare,served=[1-9].*,of=n1,ran=n1$", node.site.words()["n1"])


def test_frozen_is_failed_at_once_and_stops_at_once(node: Node) -> None:
    node("start")
    node.up()
    os.kill(node.pid(), signal.SIGSTOP)
    answer = node("monitor")
    assert (answer.code, answer.reason) == (1, "stopped by a signal (state T): it lives, but serves nobody")
    stopped = node("stop")
    assert stopped.code == 0
    assert stopped.took_s < 3.0
    assert not node.pid()


def test_stop_ends_a_start_that_is_under_way(node: Node) -> None:
    node("start")
    assert node("stop").code == 0
    assert not node.pid()
    assert node("monitor").code == 7


def test_a_start_right_after_a_stop_that_was_cut_short(node: Node) -> None:
    """RabbitMQ's own pid file vanishes when its stop begins; the Erlang VM holds its ports for seconds more."""
    node("start")
    node.up()
    old = node.pid()
    os.kill(old, signal.SIGTERM)
    wait_until(lambda: node("monitor").code == 1)
    node("start")
    node.up()
    assert node.pid() != old


@pytest.mark.soak
def test_a_cluster_is_formed(site: Site) -> None:
    assert site.nodes[0].running() == {"n1", "n2", "n3"}
    assert all(each.startswith("up,") for each in site.words().values())


@pytest.mark.soak
def test_another_cookie_is_refused_and_nothing_is_touched(site: Site) -> None:
    node = site.nodes[2]
    assert node("stop").code == 0
    cookie = node.folder / "cookie"
    before = cookie.read_text()
    cookie.write_text("OTHER")
    code, reason = failed(node)
    assert code == 5, reason
    assert "the Erlang cookie differs from n1, n2's" in reason
    assert node.database.exists()
    node("stop")
    cookie.write_text(before)
    node("start")
    node.up()


@pytest.mark.soak
def test_another_sites_broker_in_the_place_of_a_peer_is_not_joined(site: Site) -> None:
    """Its word says the same cookie, its broker says another: the joiner serves nobody and leaves nothing behind."""
    node = site.nodes[2]
    node("stop")
    shutil.rmtree(node.database)
    words = site.folder / "attrd" / "vimha-rabbitmq"
    (node.folder / "cookie").write_text("OTHER")
    digest = re.search(r"cookie=(\w+)", words.read_text())
    assert digest
    from resource_agents.amqp.broker import Broker
    from resource_agents.ocf.system import System

    mine = Broker(System(), node.resource.parameters | {"pid": ""}, {}, "n3", "/nowhere").cookie()
    original = words.read_text()
    words.write_text(original.replace(digest[1], mine))
    code, reason = failed(node)
    assert code == 1
    assert re.match(r"rabbit@n[12] does not let this node in: .* another site's broker", reason)
    assert not (node.database / "cluster_nodes.config").exists()
    node("stop")
    (node.folder / "cookie").write_text("A-COOKIE-OF-THE-TESTS")
    words.write_text(original)
    node("start")
    node.up()
    assert node.running() == {"n1", "n2", "n3"}


@pytest.mark.soak
def test_a_wiped_node_joins_anew_and_holds_its_queues_again(site: Site) -> None:
    node = site.nodes[1]
    site.nodes[0].declare("q")
    assert node("stop").code == 0
    shutil.rmtree(node.database)
    node("start")
    node.up()
    assert node.running() == {"n1", "n2", "n3"}
    wait_until(lambda: site.nodes[0].replicas("q") == {"n1", "n2", "n3"}, 20)
    assert not list((node.home / "mnesia").glob("vimha-joining*"))


@pytest.mark.soak
def test_all_lose_power_and_come_back_one_by_one(site: Site) -> None:
    for node in site.nodes:
        node.kill()
    first, second, third = site.nodes[1], site.nodes[0], site.nodes[2]
    assert first("start").code == 0
    answer = first("monitor")
    assert answer.code == 190
    assert "waits for n1, n3" in answer.reason
    assert "; if that never comes: vimha decide " in answer.reason
    second("start")
    first.up()
    second.up()
    third("start")
    third.up()
    assert first.running() == {"n1", "n2", "n3"}


@pytest.mark.soak
def test_the_operator_lets_one_of_three_begin(site: Site) -> None:
    for node in site.nodes:
        node.kill()
    lone = site.nodes[2]
    lone("start")
    assert "waits for n1, n2" in lone("monitor").reason
    subprocess.run(
        [lone.folder / "attrd_updater", "--private", "--name", "vimha-rabbitmq-begin", "--update", "1"], check=True
    )
    lone.up()
    for node in site.nodes[:2]:
        node("start")
        node.up()
    assert lone.running() == {"n1", "n2", "n3"}


@pytest.mark.soak
def test_without_its_peers_it_pauses_and_goes_on_when_they_are_back(site: Site) -> None:
    for node in site.nodes[:2]:
        os.kill(node.pid(), signal.SIGKILL)
    lone = site.nodes[2]
    answers = []

    def paused() -> bool:
        answers.append(lone("monitor"))
        return answers[-1].code == 190

    wait_until(paused, 20)
    assert "pause_minority" in answers[-1].reason
    wait_until(lambda: site.words()["n3"].startswith("paused,"))
    for action in ("stop", "start"):
        for node in site.nodes[:2]:
            node(action)
    for node in site.nodes:
        node.up()
    assert lone.running() == {"n1", "n2", "n3"}


@pytest.mark.soak
def test_a_node_that_the_site_dropped_is_forgotten(site: Site) -> None:
    """It does not run any more; the next member that comes up has the cluster forget it."""
    gone, node = site.nodes[2], site.nodes[1]
    gone("stop")
    node("stop")
    fewer = " ".join(site.members.split()[:2])
    wait_until(lambda: site.nodes[0]("monitor").code == 190, 20)  # alone of three: it pauses, and says so
    node("start", members=fewer)
    wait_until(lambda: site.nodes[0]("monitor").code == 0 and node("monitor", members=fewer).code == 0, 90)
    known = "rabbit_mnesia:cluster_nodes(all)."
    wait_until(lambda: "n3" not in site.nodes[0].tool("eval", known), 30)
    shutil.rmtree(gone.database)
    gone("start")
    gone.up()


@pytest.mark.soak
def test_a_peers_silent_death_is_told_by_the_alert(site: Site) -> None:
    """Its port goes down, no RST comes: the distribution's connection ends when the alert says so."""
    first, dead = site.nodes[0], site.nodes[2]
    assert first.linked(dead)
    site.plug(dead, up=False)
    event = {"CRM_alert_kind": "node", "CRM_alert_desc": "lost", "CRM_alert_node": "n3"}
    for survivor in site.nodes[:2]:
        survivor.alert(event)
    wait_until(lambda: first.running() == {"n1", "n2"}, 10)
    site.plug(dead, up=True)
    dead("stop")
    dead("start")
    dead.up()
