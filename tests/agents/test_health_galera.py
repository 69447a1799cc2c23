"""A real Galera member, the health endpoint and haproxy: what clients get when the member is frozen, killed, or loses
its quorum. The other two members are made up.
"""

import http.client
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_members import FIT, FakeMember, Haproxy, session
from galera_member import GaleraMember
from ocf_calls import Resource, free_port, wait_until

from resource_agents.mysql.client import Connection
from vimha.render.fronts import ENDPOINT_PORT, section
from vimha.site.loading import parse
from vimha.timing.solve import solve

pytestmark = [pytest.mark.agents, pytest.mark.usefixtures("installed")]

SITE = """\
site: t
vip: 127.78.1.100
nodes:
  c1: {{addresses: [127.78.1.11, 127.78.2.11], bmc: 127.78.9.11}}
  c2: {{addresses: [127.78.1.12, 127.78.2.12], bmc: 127.78.9.12, fencing_delay: 1s}}
database: {{port: {port}, reader_port: 0}}
"""
VIP, C1, C2 = "127.78.1.100", "127.78.1.11", "127.78.1.12"
FROZEN = "503 no answer for "


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GaleraMember]:
    folder = tmp_path_factory.mktemp("galera")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    made = GaleraMember(folder, C1)
    try:
        wait_until(lambda: made.run("CREATE USER writer@'%' IDENTIFIED BY 'secret'"), 60)
        yield made
    finally:
        made.kill()


@pytest.fixture
def health(cluster: GaleraMember, tmp_path: Path) -> Iterator[Resource]:
    resource = Resource(
        "health", listen=f"{C1}:{free_port()}", galera=cluster.socket, user="mysql", pid=str(tmp_path / "health.pid")
    )
    assert resource("start").code == 0
    yield resource
    resource("stop")


def said(resource: Resource) -> str:
    """What the endpoint says of the member: the code and its reason."""
    connection = http.client.HTTPConnection(resource.parameters["listen"], timeout=5)
    connection.request("GET", "/galera")
    answer = connection.getresponse()
    connection.close()
    return f"{answer.status} {answer.reason}"


def fit(resource: Resource) -> bool:
    return said(resource) == "200 OK"


def test_frozen_is_unfit_until_it_goes_on(cluster: GaleraMember, health: Resource) -> None:
    wait_until(lambda: fit(health))
    os.kill(cluster.process.pid, signal.SIGSTOP)
    wait_until(lambda: not fit(health))
    assert said(health).startswith(FROZEN)
    assert health("monitor").code == 0
    os.kill(cluster.process.pid, signal.SIGCONT)
    wait_until(lambda: fit(health))


def test_killed_is_unfit_until_it_is_back(cluster: GaleraMember, health: Resource) -> None:
    wait_until(lambda: fit(health))
    cluster.kill()
    wait_until(lambda: said(health) == "503 Connection refused")
    cluster.revive()
    wait_until(lambda: fit(health), 30)


def test_without_quorum_is_unfit_though_it_answers(cluster: GaleraMember, health: Resource) -> None:
    """It has left its component; `mariadb-admin ping` goes on saying "alive"."""
    wait_until(lambda: fit(health))
    cluster.run("SET GLOBAL wsrep_cluster_address = ''")
    wait_until(lambda: not fit(health))
    assert said(health).startswith("503 Disconnected: it is not in the component that has quorum")
    cluster.run("SET GLOBAL wsrep_cluster_address = 'gcomm://'")
    wait_until(lambda: fit(health), 30)


def test_a_frozen_writers_clients_are_cut_off_and_served_by_the_next(
    cluster: GaleraMember, health: Resource, tmp_path: Path
) -> None:
    """The client's statement hangs, for a frozen server's connections stay open; haproxy is what ends it."""
    site = parse(SITE.format(port=cluster.port).encode(), "site.yaml").site
    assert site
    endpoint = int(health.parameters["listen"].split(":")[1])
    other = FakeMember("c2", C2, (cluster.port,), endpoint)
    text = section(site, "c1", solve(site).members, 250).decode()
    haproxy = Haproxy(text.replace(f"port {ENDPOINT_PORT} ", f"port {endpoint} "), tmp_path)
    try:
        wait_until(lambda: fit(health) and haproxy.states("database") == {"c1": "UP", "c2": "UP"})
        with Connection.connect((VIP, cluster.port), "writer", "secret", 5) as client:
            assert client.query("SELECT 1") == [("1",)]
            os.kill(cluster.process.pid, signal.SIGSTOP)
            with pytest.raises(ConnectionError):
                client.query("SELECT 2", 60)
        with session(VIP, cluster.port) as later:
            assert later.member == "c2"
            os.kill(cluster.process.pid, signal.SIGCONT)
            wait_until(lambda: haproxy.states("database")["c1"] == "UP")
            assert later.open()
    finally:
        os.kill(cluster.process.pid, signal.SIGCONT)
        haproxy.close()
        other.close()
    assert other.health == FIT
