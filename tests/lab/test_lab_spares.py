"""A5: three members of the database and three brokers on four nodes, with real Pacemaker: they start from nothing, a
spare takes over, a member that alone has the latest data is called, and the site comes back from a loss of all nodes.
"""

import json
import re
from collections.abc import Iterator

import pytest
from drill_play import play, until

from resource_agents.wsrep.word import SPARE, Word, decode
from vimha.cluster.status import Status, status
from vimha.drill import session
from vimha.drill.session import Order
from vimha.lab.labs import Lab
from vimha.process import checked
from vimha.site.loading import parse
from vimha.site.model import Site

pytestmark = [pytest.mark.lab, pytest.mark.soak]

SITE = b"""
site: spares
scale: large
vip: 10.77.1.100
database: {policy: {active: 3, spare: 1}}
messaging: {policy: {active: 3, spare: 1}}
nodes:
  control-1: {addresses: [10.77.1.11, 10.77.2.11], bmc: 10.77.9.11}
  control-2: {addresses: [10.77.1.12, 10.77.2.12], bmc: 10.77.9.12}
  control-3: {addresses: [10.77.1.13, 10.77.2.13], bmc: 10.77.9.13}
  control-4: {addresses: [10.77.1.14, 10.77.2.14], bmc: 10.77.9.14}
"""

CLONE = ("crm_resource", "--resource", "database-clone")


@pytest.fixture(scope="module")
def site() -> Site:
    loaded = parse(SITE, "spares.yaml")
    assert loaded.site, loaded.findings
    return loaded.site


@pytest.fixture(scope="module")
def up(site: Site) -> Iterator[Lab]:
    with session.lab_for(site, None, print) as machines:
        yield machines


class Cluster:
    """The lab's cluster, seen and handled from the site's last node, which has power throughout."""

    def __init__(self, site: Site, lab: Lab) -> None:
        self.site, self.lab = site, lab
        self.run = lab.runner(tuple(site.nodes)[-1])

    def do(self, *argv: str) -> str:
        return checked(self.run(list(argv))).out

    def members(self, service: str = "database", now: Status | None = None) -> set[str]:
        """Where the service's members are started."""
        now = now or status(self.run)
        return next(set(each.nodes) for each in now.resources if each.id == service)

    def brokers(self, asked: str) -> set[str]:
        """Who belongs to RabbitMQ's cluster, by the word of the node `asked`; nobody while its broker is not up."""
        argv = ["rabbitmqctl", "--formatter=json", "--quiet", "cluster_status"]
        said = self.lab.runner(asked)(argv)
        return {name.partition("@")[2] for name in json.loads(said.out)["disk_nodes"]} if said.ok else set()

    def settle(self) -> set[str]:
        """Where they are once all is well, on all nodes."""
        seen: list[set[str]] = []

        def settled() -> bool:
            now = status(self.run)
            seen.append(self.members(now=now))
            return now.healthy and all(node.state == "online" for node in now.nodes) and self.whole(seen[-1])

        until(settled, 180.0)
        return seen[-1]

    def whole(self, nodes: set[str]) -> bool:
        return len(nodes) == 3 and not self.waiting(nodes)

    def waiting(self, nodes: set[str]) -> set[str]:
        """Which of these nodes' members are not in the primary component."""
        words = self.words()
        return {node for node in nodes if node not in words or words[node].phase != "primary"}

    def attribute(self, name: str) -> dict[str, str]:
        said = self.run(["attrd_updater", "--name", name, "--query", "--all"]).out
        return {host: value for host, value in re.findall(r'host="(.*?)" value="(.*?)"', said) if value}

    def words(self) -> dict[str, Word]:
        return {node: word for node, value in self.attribute("vimha-galera").items() if (word := decode(value))}


def test_a_spare_takes_over_and_one_that_alone_has_the_latest_data_is_called(site: Site, up: Lab) -> None:
    cluster = Cluster(site, up)
    before = cluster.settle()
    (spare,) = set(site.nodes) - before
    lost = min(before - {tuple(site.nodes)[-1]})
    up.power.off(lost)
    after = before - {lost} | {spare}
    until(lambda: cluster.members() == after and cluster.whole(after), 120.0)
    if not up.power.is_on(lost):
        up.power.on(lost)
    assert cluster.settle() == after

    last = min(after)
    for leaves in sorted({lost} | after - {last}):
        cluster.do(*CLONE, "--ban", "--node", leaves)
        until(lambda node=leaves: node not in cluster.members() and not cluster.waiting({last}), 60.0)
    cluster.do(*CLONE, "--meta", "--set-parameter", "target-role", "--parameter-value", "Stopped")
    until(lambda: [word.phase for word in cluster.words().values()] == [SPARE] * 4, 60.0)
    assert [node for node, word in cluster.words().items() if word.safe] == [last]
    cluster.do(*CLONE, "--clear")
    cluster.do(*CLONE, "--ban", "--node", last)
    cluster.do(*CLONE, "--meta", "--delete-parameter", "target-role")
    until(lambda: cluster.attribute("vimha-galera-called") == {last: "1"}, 60.0)
    assert last not in cluster.members() and len(cluster.waiting(cluster.members())) == 3
    cluster.do(*CLONE, "--clear")
    until(lambda: last in cluster.members(), 60.0)
    formed = cluster.settle()
    assert last in formed and cluster.attribute("vimha-galera-called") == {}
    assert cluster.settle() == formed


def test_a_spare_broker_takes_over_and_the_lost_one_is_no_member_any_more(site: Site, up: Lab) -> None:
    cluster = Cluster(site, up)
    cluster.settle()
    before = cluster.members("messaging")
    (spare,) = set(site.nodes) - before
    lost = min(before - {tuple(site.nodes)[-1]})
    up.power.off(lost)
    after = before - {lost} | {spare}
    until(lambda: all(cluster.brokers(node) == after for node in after), 120.0)
    if not up.power.is_on(lost):
        up.power.on(lost)
    cluster.settle()
    assert cluster.members("messaging") == after
    assert [cluster.brokers(node) for node in sorted(after)] == [after] * 3


@pytest.mark.parametrize("fault", ["member-power-off", "site-power-loss-random"])
def test_nothing_is_lost_where_there_are_spares(site: Site, up: Lab, fault: str) -> None:
    play(site, up.name, Order(fault))
    Cluster(site, up).settle()
