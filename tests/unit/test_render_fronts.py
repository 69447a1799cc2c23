"""The front-ends of the clustered services: who gets connections, and how soon haproxy knows of a change."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from render_sites import TIMINGS, site

from resource_agents.endpoint import watch
from resource_agents.endpoint.looks import GaleraLook, RabbitmqLook
from vimha.render.fronts import Front, fronts, section
from vimha.site.model import Site
from vimha.timing import formulas
from vimha.timing.solve import solve

BOTH = ("database: {}", "messaging: {}")
LARGE = ("scale: large", *BOTH)


def front(of: Site, node: str, name: str) -> Front:
    return {each.name: each for each in fronts(of, node)}[name]


def order(of: Site, node: str, name: str) -> list[str]:
    """The members of a front-end in order, a backup in brackets."""
    return [f"({member.node})" if member.backup else member.node for member in front(of, node, name).members]


def config(of: Site, node: str) -> str:
    return section(of, node, TIMINGS.members, 250).decode()


def listen(text: str, name: str) -> str:
    """The section of the front-end `name`."""
    rest = text.partition(f"listen {name} ")[2] or text.partition(f"\nbackend {name} ")[2]
    return rest.partition("\nlisten ")[0].partition("\nbackend ")[0]


def test_each_node_writes_to_its_own_member_first() -> None:
    of = site(*BOTH)
    assert [order(of, node, "database") for node in ("c1", "c2", "c3")] == [
        ["c1", "(c2)", "(c3)"], ["c2", "(c1)", "(c3)"], ["c3", "(c1)", "(c2)"],
    ]  # fmt: skip


def test_readers_are_dealt_out_over_all_members_by_the_writers_checks() -> None:
    of = site(*BOTH)
    assert order(of, "c2", "database-reader") == ["c1", "c2", "c3"]
    text = listen(config(of, "c2"), "database-reader")
    assert "bind 10.77.1.100:3307\n" in text
    assert "  balance leastconn\n" in text
    assert "server c3 10.77.1.13:3306 track database/c3\n" in text
    assert "httpchk" not in text


def test_a_site_may_do_without_readers() -> None:
    assert [each.name for each in fronts(site("database: {reader_port: 0}"), "c1")] == ["database", "database-any"]


def test_with_every_disk_full_the_database_still_answers() -> None:
    """A server that is asked for /galera/any lacks nothing but room: it is the last resort, for readers and writers."""
    text = config(site(*BOTH), "c2")
    for name in ("database", "database-reader"):
        assert f"  use_backend database-any if {{ nbsrv({name}) eq 0 }}\n" in listen(text, name)
    last = listen(text, "database-any")
    assert "uri /galera/any " in last
    assert "bind" not in last
    assert order(site(*BOTH), "c2", "database-any") == ["c2", "(c1)", "(c3)"]


@pytest.mark.parametrize(("lines", "expected"), [(BOTH, ["c2", "(c1)", "(c3)"]), (LARGE, ["c1", "c2", "c3"])])
def test_small_uses_one_broker_large_all(lines: tuple[str, ...], expected: list[str]) -> None:
    assert order(site(*lines), "c2", "messaging") == expected


def test_an_arbiter_is_no_member() -> None:
    of = site(*BOTH, node="  arb: {addresses: [10.77.1.13, 10.77.2.13], bmc: 10.77.9.13, role: arbiter}\n")
    assert [order(of, "c1", each.name) for each in fronts(of, "c1")] == [
        ["c1", "(c2)"], ["c1", "c2"], ["c1", "(c2)"], ["c1", "(c2)"],
    ]  # fmt: skip


def test_a_writer_is_left_only_when_it_is_down() -> None:
    """A redispatched connection would go to another member while the writer's other sessions stay."""
    text = config(site(*LARGE), "c1")
    assert "redispatch" not in listen(text, "database") + text.partition("\nlisten ")[0]
    assert "redispatch" in listen(text, "messaging")
    assert text.count("on-marked-down shutdown-sessions") == len(fronts(site(*LARGE), "c1"))


def test_the_stick_table_has_room_for_every_connection_under_way() -> None:
    """haproxy.cfg.j2 has `maxconn 4000`; a table that is full is not updated (see tests/agents)."""
    assert "stick-table type ip size 10k nopurge\n  stick on dst\n" in listen(config(site(*BOTH), "c1"), "database")


@pytest.mark.parametrize("lines", [BOTH, LARGE])
def test_a_change_is_known_within_500_ms_even_when_the_endpoint_hangs(lines: tuple[str, ...]) -> None:
    checks = solve(site(*lines)).members
    up = replace(checks, inter=checks.downinter, fall=checks.rise)
    assert formulas.checks_hang(checks) <= 500
    assert formulas.checks_hang(up) <= 500


def test_the_endpoint_speaks_before_haproxy_gives_up() -> None:
    assert solve(site(*BOTH)).members.timeout > watch.WAIT_S * 1000


@pytest.mark.parametrize(
    "look",
    [GaleraLook("/sock", "mysql", donor_s=3), RabbitmqLook(("::1", 1)), RabbitmqLook(("::1", 1), ("::1", 2))],
    ids=["galera", "rabbitmq by handshakes", "rabbitmq by its management"],
)
def test_a_frozen_service_is_known_of_within_500_ms(look: watch.Look) -> None:
    """A finding of just before; then a check that the endpoint lets wait; then one that it answers at once."""
    checks = solve(site(*BOTH)).members
    assert (look.fresh_s + watch.PATIENCE_S) * 1000 + formulas.checks_crash(checks) <= 500


def test_a_site_without_clustered_services_has_no_part() -> None:
    assert section(site(), "c1", TIMINGS.members, 250) == b""


@pytest.mark.parametrize("lines", [BOTH, LARGE])
def test_haproxy_itself_accepts_it(lines: tuple[str, ...], tmp_path: Path) -> None:
    if not shutil.which("haproxy", path="/usr/sbin:/usr/bin"):
        pytest.skip("haproxy is not installed")
    file = tmp_path / "haproxy.cfg"
    file.write_text(config(site(*lines), "c1"))
    done = subprocess.run(["/usr/sbin/haproxy", "-c", "-f", file], capture_output=True, text=True, check=False)
    assert (done.returncode, "WARNING" in done.stderr) == (0, False), done.stderr
