"""A real broker whose disk fills up: what its agent says, what it lets publishers do, and how it comes back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ocf_calls import Answer, Resource, wait_until
from rabbit_nodes import Node, site_of
from small_disk import fill, small_disk

pytestmark = [pytest.mark.agents, pytest.mark.usefixtures("installed")]

DISK_MIB = 200
ALARM_S = 30.0
"""RabbitMQ looks at its disk every 10 s, and more often as it fills up."""


@pytest.fixture
def data(node: Node) -> Path:
    return Path(node.resource.parameters["data"])


@pytest.fixture
def node() -> Iterator[Node]:
    """The only member of its site, its data on a small file system, not started."""
    with site_of(1) as site:
        made = site.nodes[0]
        place = Path(made.resource.parameters["data"])
        place.mkdir()
        with small_disk(place, DISK_MIB, "rabbitmq"):
            try:
                yield made
            finally:
                made.kill()


def deeply(node: Node) -> Answer:
    """Pacemaker's monitor of level 10."""
    resource = node.resource
    deep = Resource("rabbitmq", (*resource.prefix, "env", "OCF_CHECK_LEVEL=10"), **resource.parameters)
    return deep("monitor", timeout_ms=10000)


def test_an_alarm_is_told_with_the_remedy_and_passes(node: Node, data: Path) -> None:
    assert node("start").code == 0
    node.up()
    assert deeply(node).code == 0
    filler = fill(data, 20)
    wait_until(lambda: deeply(node).code == 190, ALARM_S)
    assert deeply(node).reason == (
        "alarm: disk space is short on n1; publishers are blocked on all brokers: make room there, or put the node in "
        "standby"
    )
    filler.unlink()
    wait_until(lambda: deeply(node).code == 0, ALARM_S)


def test_with_no_room_at_all_it_stops_and_says_why_it_does_not_start(node: Node, data: Path) -> None:
    assert node("start").code == 0
    node.up()
    filler = fill(data)
    for _ in range(3):
        assert node("monitor").code in (0, 190)
    assert not list(data.glob("vimha.served.*")), "what a monitor could not write is not left behind"
    assert node("stop").code == 0
    assert node("start").code == 0
    wait_until(lambda: node("monitor").code == 1, 30)
    assert node("stop").code == 0
    answer = node("start")
    assert (answer.code, answer.reason.partition(":")[0]) == (5, "disk full, make room")
    assert node("stop").code == 0
    filler.unlink()
    assert node("start").code == 0
    node.up()
