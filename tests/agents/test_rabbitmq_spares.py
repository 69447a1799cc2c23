"""Brokers on three of four nodes: a spare takes a lost one's part, and the next loss is as harmless as the first."""

import itertools
from collections.abc import Iterator

import pytest
from ocf_calls import wait_until
from rabbit_nodes import Node, Site, site_of

pytestmark = [pytest.mark.agents, pytest.mark.soak, pytest.mark.usefixtures("installed")]

QUEUE = "q"
MEMBERS = "rabbit_mnesia:cluster_nodes(all)."


class Messages:
    """What was confirmed."""

    def __init__(self) -> None:
        self.numbers = itertools.count()
        self.confirmed: set[str] = set()

    def send(self, node: Node) -> bool:
        text = f"m{next(self.numbers)}"
        if done := node.publish(QUEUE, text):
            self.confirmed.add(text)
        return done

    def are_there(self, node: Node) -> None:
        """None of them is lost."""
        assert self.confirmed <= set(node.take(QUEUE))


@pytest.fixture(scope="module")
def messages() -> Messages:
    return Messages()


@pytest.fixture(scope="module")
def site(installed: None) -> Iterator[Site]:
    """The first start of three brokers on four nodes."""
    with site_of(4, active=3) as site:
        for node in site.nodes:
            assert node.resource.probe() == 7
        for node in site.nodes[:3]:
            assert node("start").code == 0
        for node in site.nodes[:3]:
            node.up(180)
        site.nodes[0].declare(QUEUE)
        yield site


def is_whole(running: list[Node]) -> None:
    """Deep monitors suffice: the brokers that run are the cluster, and the queue has a replica on each of them."""
    names = {node.name for node in running}

    def whole() -> bool:
        for node in running:
            node.look_deeper()
        known = running[0].tool("eval", MEMBERS)
        return all((node.name in known) == (node.name in names) for node in running[0].site.nodes) and (
            running[0].replicas(QUEUE) == names
        )

    wait_until(whole, 120)
    assert all(node.look_deeper().code == 0 for node in running)


def starts(node: Node) -> None:
    assert node.resource.probe() == 7
    assert node("start").code == 0
    node.up(120)


def test_loss_after_loss_and_a_return(site: Site, messages: Messages) -> None:
    one, two, three, four = site.nodes
    assert site.words()["n4"].startswith("spare,")
    assert messages.send(one)
    one.kill()
    wait_until(lambda: messages.send(two), 20)
    starts(four)
    is_whole([two, three, four])
    three.kill()
    wait_until(lambda: messages.send(two), 20)
    assert messages.send(four)
    starts(one)
    assert (one.home / "mnesia/vimha-set-aside@n1/schema.DAT").exists()
    is_whole([one, two, four])
    four.kill()
    wait_until(lambda: messages.send(two), 20)
    assert messages.send(one)
    messages.are_there(one)
    starts(three)
    is_whole([one, two, three])


def test_all_lose_power_and_the_one_that_ran_last_is_a_spare(site: Site, messages: Messages) -> None:
    one, two, three, four = site.nodes
    assert messages.send(one)
    for node in (three, two):
        assert node("stop").code == 0
    for node in site.nodes:
        node.kill()
    for node in site.nodes:
        assert node.resource.probe() == 7
    for node in (two, three, four):
        assert node("start", patience_for_peers="60").code == 0
    wait_until(lambda: site.words("vimha-rabbitmq-called").get("n1"), 20)
    assert "waits for n1 to be started: it ran last" in two("monitor").reason
    assert four("stop").code == 0
    assert one("start").code == 0
    for node in (one, two, three):
        node.up(120)
    assert not site.words("vimha-rabbitmq-called")
    messages.are_there(three)
    is_whole([one, two, three])
