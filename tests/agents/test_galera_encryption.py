"""Galera over TLS on real daemons: members and an arbitrator that form a cluster, catch up and copy their data by it,
and let nobody in who has no certificate of their authority's.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from galera_nodes import Node, Nodes, galera_nodes
from ocf_calls import wait_until
from tls_wire import refused, shown

from vimha.lab.bmc.tls import make_ca
from vimha.process import run

pytestmark = [
    pytest.mark.agents,
    pytest.mark.usefixtures("installed"),
    pytest.mark.skipif(
        not (shutil.which("garbd") and shutil.which("mariadb-backup") and shutil.which("socat")),
        reason="needs galera-arbitrator-4, mariadb-server, mariadb-backup and socat",
    ),
]
WHOLE_S = 120.0


@pytest.fixture(scope="module")
def formed(installed: None) -> Iterator[Nodes]:
    """Two members and an arbiter, all with TLS; each test leaves them whole."""
    with galera_nodes(2, arbiter=True, encrypted=True) as nodes:
        assert nodes.arbiter is not None
        assert nodes.arbiter.agent("start").code == 0
        nodes.form(WHOLE_S)
        nodes.nodes[0].sql("CREATE USER reader")  # mariadbd greets nobody from a host without an account
        nodes.nodes[0].sql("CREATE DATABASE books")
        nodes.nodes[0].sql("CREATE TABLE books.t (i INT PRIMARY KEY)")
        yield nodes


def peer(node: Node) -> list[str]:
    """What openssl needs to be taken for `node`."""
    return ["-cert", node.files.certificate, "-key", node.files.key, "-CAfile", node.files.ca_file]


def test_the_group_speaks_tls_with_members_alone(formed: Nodes) -> None:
    first, second = formed.nodes
    assert shown(second.netns, f"{first.address}:4567", *peer(second)) == ("c1", True)
    assert refused(second.netns, f"{first.address}:4567")


def test_sql_clients_may_use_tls(formed: Nodes) -> None:
    first, second = formed.nodes
    assert shown(second.netns, f"{first.address}:3306", "-starttls", "mysql") == ("c1", True)


def test_whole_copies_and_missed_writes_come_over_tls(formed: Nodes) -> None:
    first, second = formed.nodes
    assert any("Decrypting with cert=" in node.log.read_text(errors="replace") for node in formed.nodes)
    assert second.stop().code == 0
    first.sql("INSERT INTO books.t VALUES (1)")
    assert second.start().code == 0
    wait_until(second.synced, WHOLE_S)
    assert second.sql("SELECT i FROM books.t") == [("1",)]
    assert "IST receiver using ssl" in second.said_since_start()


def test_files_that_will_not_do_are_refused_and_nothing_is_touched(formed: Nodes) -> None:
    first, second = formed.nodes
    assert second.stop().code == 0
    before = (second.datadir / "grastate.dat").read_bytes()
    answer = second.start(key=first.files.key)
    assert answer.code == 5
    assert answer.reason.startswith(f"key {first.files.key} does not belong to certificate {second.files.certificate}")
    assert (second.datadir / "grastate.dat").read_bytes() == before
    assert second.start().code == 0
    wait_until(formed.whole, WHOLE_S)


@pytest.mark.soak
@pytest.mark.parametrize("stranger", ["without TLS", "of another authority"])
def test_a_stranger_is_not_let_in_and_says_why(formed: Nodes, tmp_path: Path, stranger: str) -> None:
    first, second = formed.nodes
    first.sql("REPLACE INTO books.t VALUES (2)")
    assert second.stop().code == 0
    if stranger == "without TLS":
        second.configure(encrypted=False)
    else:
        second.certify(make_ca(tmp_path))
    assert second.start().code == 0
    wait_until(lambda: "TLS" in second.monitor().reason, 30)
    assert first.status().cluster_size == 2, "the arbiter and itself"
    assert second.stop().code == 0
    assert formed.authority is not None
    second.certify(formed.authority)
    second.configure(encrypted=True)
    assert second.start().code == (0 if stranger == "without TLS" else 5), "what the monitor found is repeated once"
    assert second.start().code == 0
    wait_until(formed.whole, WHOLE_S)
    assert second.sql("SELECT i FROM books.t WHERE i = 2") == [("2",)]


@pytest.mark.soak
def test_a_cluster_that_had_no_tls_gets_it(formed: Nodes) -> None:
    """docs/encryption.md: all at once, and back."""
    first, _ = formed.nodes
    assert formed.arbiter is not None
    assert formed.arbiter.agent("stop").code == 0
    for write, encrypted in (("INSERT INTO books.t VALUES (10)", False), ("INSERT INTO books.t VALUES (11)", True)):
        for node in formed.nodes:
            assert node.stop().code == 0
        for node in formed.nodes:
            node.configure(encrypted=encrypted)
        formed.start()
        wait_until(lambda: all(node.synced() for node in formed.nodes), WHOLE_S)
        assert {node.status().uuid for node in formed.nodes} == {first.status().uuid}
        first.sql(write)
    assert formed.arbiter.agent("start").code == 0
    wait_until(formed.whole, WHOLE_S)
    assert formed.nodes[1].sql("SELECT i FROM books.t WHERE i >= 10") == [("10",), ("11",)]


def test_a_renewed_certificate_is_shown_without_a_restart(formed: Nodes) -> None:
    """docs/encryption.md tells operators to do this."""
    first, second = formed.nodes
    before = _serial(second, f"{first.address}:4567", peer(second))
    assert formed.authority is not None
    first.certify(formed.authority)
    first.sql("SET GLOBAL wsrep_provider_options = 'socket.ssl_reload=1'")
    first.sql("FLUSH SSL")
    after = _serial(second, f"{first.address}:4567", peer(second))
    assert after
    assert after != before
    assert _serial(second, f"{first.address}:3306", ["-starttls", "mysql"]) == after
    assert formed.whole()


def _serial(node: Node, where: str, options: list[str]) -> str:
    """The serial number of the certificate that `where` shows."""
    argv = ["ip", "netns", "exec", node.netns, "openssl", "s_client", "-connect", where, *options]
    text = run(["sh", "-c", '(sleep 0.5) | timeout 5 "$@" | openssl x509 -noout -serial', "sh", *argv], timeout_s=10)
    return text.out.strip()
