"""Quorum queues that lack a replica on a real broker get it, and live through the next broker's loss."""

import shutil
from collections.abc import Iterator

import pytest
from ocf_calls import wait_until
from rabbit_nodes import Node, Site, site_of

from resource_agents.amqp.replicas import DONE, addition

pytestmark = [pytest.mark.agents, pytest.mark.usefixtures("installed")]

ALL = {"n1", "n2", "n3"}
STOP = """{{ok,Q}} = rabbit_amqqueue:lookup({{resource,<<"/">>,queue,<<"{queue}">>}}),
{{Name,_}} = amqqueue:get_pid(Q), ra:stop_server(quorum_queues, {{Name, node()}})."""
FORGET = """{{ok,Q}} = rabbit_amqqueue:lookup({{resource,<<"/">>,queue,<<"{queue}">>}}),
{{Name,_}} = amqqueue:get_pid(Q), ra:force_delete_server(quorum_queues, {{Name, node()}})."""


@pytest.fixture(scope="module")
def site(installed: None) -> Iterator[Site]:
    """Three members that have formed their cluster; each test leaves them all up."""
    with site_of(3) as site:
        for node in site.nodes:
            assert node("start").code == 0
        for node in site.nodes:
            node.up(180)
        yield site


def is_whole(node: Node, queue: str) -> None:
    wait_until(lambda: node.replicas(queue) == ALL, 30)


def is_mended(node: Node, queue: str) -> None:
    """A few deep monitors of `node` suffice: it looks at its queues every half a minute."""

    def mended() -> bool:
        node.look_deeper()
        return node.replicas(queue) == ALL

    wait_until(mended, 60)


def survives(site: Site, lost: int, queue: str) -> None:
    """`queue` takes messages after the loss of a broker; that one is up again afterwards."""
    gone, other = site.nodes[lost], site.nodes[1 - lost]
    assert other.publish(queue)
    gone.kill()
    wait_until(lambda: other.publish(queue), 20)
    gone("start")
    gone.up()
    is_whole(other, queue)


def test_one_broker_starts_its_replica_and_tells_what_became_of_each_queue(node: Node) -> None:
    assert node("start").code == 0
    node.up()
    node.declare("q")
    evil = '">>, halt(), <<"'
    keys = [("/", "q"), ("/", evil), ("no such host", "q")]
    assert node.tool("eval", addition(keys)).split() == ["ok", "{error,not_found}", "{error,not_found}", DONE]
    node.tool("eval", STOP.format(queue="q"))
    assert node.replicas("q") == set()
    node.look_deeper()
    wait_until(lambda: node.replicas("q") == {"n1"}, 20)
    assert node("stop").code == 0
    assert not (node.folder / "run-vimha/test-rabbitmq.d/replicas.pid").exists()


@pytest.mark.soak
def test_a_queue_that_was_declared_while_a_broker_was_down(site: Site) -> None:
    first, _, late = site.nodes
    assert late("stop").code == 0
    first.declare("away")
    assert first.replicas("away") == {"n1", "n2"}
    late("start")
    late.up()
    is_whole(first, "away")
    survives(site, 0, "away")


@pytest.mark.soak
def test_a_queue_that_was_declared_before_a_broker_was_a_member(site: Site) -> None:
    first, _, late = site.nodes
    assert late("stop").code == 0
    first.tool("forget_cluster_node", "rabbit@n3")
    shutil.rmtree(late.database)
    first.declare("before")
    late("start")
    late.up()
    is_whole(first, "before")
    survives(site, 1, "before")


@pytest.mark.soak
def test_the_monitor_adds_what_is_missing_once_all_brokers_run(site: Site) -> None:
    first, second, lacking = site.nodes
    first.declare("small")
    first.tool("delete_member", "small", "rabbit@n3", tool="rabbitmq-queues")
    first.look_deeper()
    second.look_deeper()
    assert first.replicas("small") == {"n1", "n2"}
    is_mended(lacking, "small")
    survives(site, 0, "small")


@pytest.mark.soak
def test_the_monitor_starts_a_replica_that_is_listed_but_is_not_there(site: Site) -> None:
    first, _, lacking = site.nodes
    first.declare("listed")
    lacking.tool("eval", FORGET.format(queue="listed"))
    assert first.replicas("listed") == {"n1", "n2"}
    is_mended(lacking, "listed")
    survives(site, 0, "listed")
