"""RabbitMQ's distribution over TLS on real brokers: they form a cluster by it, and let no stranger in."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from ocf_calls import wait_until
from rabbit_nodes import Node, Site, failed, site_of
from tls_wire import refused, shown

from vimha.lab.bmc.tls import make_ca

pytestmark = [pytest.mark.agents, pytest.mark.usefixtures("installed")]


@pytest.fixture(scope="module")
def pair(installed: None) -> Iterator[Site]:
    """Two brokers that have formed their cluster; each test leaves them up."""
    with site_of(2, encrypted=True) as site:
        for node in site.nodes:
            assert node("start").code == 0
        for node in site.nodes:
            node.up(180)
        yield site


def peer(node: Node) -> list[str]:
    """What openssl needs to be taken for `node`."""
    files = node.resource.parameters
    return ["-cert", files["certificate"], "-key", files["key"], "-CAfile", files["ca_file"]]


def test_brokers_form_over_tls_and_talk_with_peers_alone(pair: Site) -> None:
    first, second = pair.nodes
    assert first.running() == {"n1", "n2"}
    assert shown(second.space, f"{first.address}:25672", *peer(second)) == ("n1", True)
    assert refused(second.space, f"{first.address}:25672")


@pytest.fixture(scope="module")
def three(installed: None) -> Iterator[Site]:
    """Three brokers that have formed their cluster; each test leaves them up."""
    with site_of(3, encrypted=True) as site:
        for node in site.nodes:
            assert node("start").code == 0
        for node in site.nodes:
            node.up(180)
        yield site


@pytest.mark.soak
def test_a_peers_silent_death_is_told_by_the_alert(three: Site) -> None:
    """Its port goes down, no RST comes: the connection ends when the alert says so, encrypted or not."""
    first, second, dead = three.nodes
    assert first.linked(dead)
    three.plug(dead, up=False)
    for survivor in (first, second):
        survivor.alert({"CRM_alert_kind": "node", "CRM_alert_desc": "lost", "CRM_alert_node": "n3"})
    wait_until(lambda: not first.linked(dead), 2)
    wait_until(lambda: first.running() == {"n1", "n2"}, 10)
    three.plug(dead, up=True)
    assert dead("stop").code == 0
    assert dead("start").code == 0
    dead.up()


@pytest.mark.soak
def test_a_broker_of_another_authority_is_not_let_in_and_says_why(three: Site, tmp_path: Path) -> None:
    node = three.nodes[2]
    assert node("stop").code == 0
    node.certify(make_ca(tmp_path))
    before = _files(node)
    code, reason = failed(node)
    assert code == 5
    assert re.match(r"TLS with n[12]: its certificate is refused by .*: .*; give all members certificates of", reason)
    assert _files(node) == before
    _return(three, node)


@pytest.mark.soak
def test_a_new_broker_without_tls_is_not_let_in_and_says_why(three: Site) -> None:
    node = three.nodes[2]
    assert node("stop").code == 0
    shutil.rmtree(node.database)
    assert three.authority is not None
    node.certify(three.authority, encrypted=False)
    code, reason = failed(node)
    assert code == 1
    assert re.match(r"rabbit@n[12] does not let this node in: .* or wants TLS, which this node has not", reason)
    _return(three, node)


def _files(node: Node) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in node.database.rglob("*") if path.is_file()}


def _return(three: Site, node: Node) -> None:
    """With a certificate of the others' authority it is let in again."""
    assert three.authority is not None
    node.certify(three.authority)
    assert node("start").code == 0
    node.up()
    assert three.nodes[0].running() == {"n1", "n2", "n3"}


@pytest.mark.soak
def test_a_cluster_that_had_no_tls_gets_it(three: Site) -> None:
    """docs/encryption.md: all at once, and back."""
    three.nodes[0].declare("kept")
    assert three.authority is not None
    for encrypted in (False, True):
        for node in three.nodes:
            assert node("stop").code == 0
        for node in three.nodes:
            node.certify(three.authority, encrypted=encrypted)
        for node in three.nodes:
            assert node("start").code == 0
        for node in three.nodes:
            node.up(180)
        wait_until(lambda: three.nodes[0].replicas("kept") == {"n1", "n2", "n3"}, 30)
