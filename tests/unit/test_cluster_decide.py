"""The operator's choice of who begins: what is shown, what is told to the agents, and what is refused."""

from collections.abc import Sequence
from typing import Any

import pytest
from click.testing import CliRunner

from resource_agents.amqp import word as amqp
from resource_agents.wsrep import word as wsrep
from vimha.cluster.decide import Election, Voice, begin, election
from vimha.errors import UsageError, VimhaError
from vimha.process import Result
from vimha_cli import cluster

UUID = "366d9f2e-0000-11ee-8000-000000000001"
CIB = """<cib admin_epoch="0" epoch="1" num_updates="0"><configuration><crm_config/><nodes/><resources>
<primitive id="database" class="ocf" provider="vimha" type="galera"><instance_attributes id="a">
<nvpair id="b" name="members" value="c1=10.0.0.1 c2=10.0.0.2 c3=10.0.0.3"/></instance_attributes></primitive>
<primitive id="messaging" class="ocf" provider="vimha" type="rabbitmq"><instance_attributes id="c">
<nvpair id="d" name="members" value="c1=10.0.0.1 c2=10.0.0.2"/><nvpair id="e" name="attribute" value="queue"/>
</instance_attributes></primitive>
<primitive id="haproxy" class="ocf" provider="vimha" type="haproxy"/>
</resources><constraints/></configuration><status/></cib>"""


class FakeCluster:
    """Answers as Pacemaker's tools on a node do; keeps what was told to it."""

    def __init__(self, **said: dict[str, str]) -> None:
        self.said = said
        self.told: list[list[str]] = []

    def __call__(self, argv: Sequence[str], **_: Any) -> Result:
        words = list(argv)
        if words[0] != "attrd_updater":
            return Result(tuple(argv), 0, CIB, "")
        if "--update" in words:
            self.told.append(words)
            return Result(tuple(argv), 0, "", "")
        values = self.said.get(words[words.index("--name") + 1].replace("-", "_"), {})
        lines = [f'name="x" host="{node}" value="{value}"' for node, value in values.items()]
        return Result(tuple(argv), 0 if lines else 105, "\n".join(lines), "")


def waiting() -> FakeCluster:
    """c1 waits at position 7, c2 is about to join, c3 says nothing; of the brokers c2 waits."""
    galera = wsrep.Word(wsrep.ELECT, kind=wsrep.STATE, uuid=UUID, seqno=7)
    return FakeCluster(
        vimha_galera={"c1": wsrep.encode(galera), "c2": wsrep.encode(galera.said(wsrep.JOIN))},
        queue={"c2": amqp.encode(amqp.Word(amqp.ELECT, ran=frozenset(("c1", "c2"))))},
    )


def test_each_member_is_shown_with_what_it_has() -> None:
    assert election(waiting(), "database").voices == (
        Voice("c1", "elect", f"position {UUID}:7"), Voice("c2", "join", f"position {UUID}:7"), Voice("c3"),
    )  # fmt: skip
    found = election(waiting(), "messaging")
    assert found.voices == (Voice("c1"), Voice("c2", "elect", "ran last with c1, c2"))
    assert (found.silent, list(found.choices)) == (("c1",), ["c2"])


@pytest.mark.parametrize(
    ("resource", "node", "name", "value"),
    [("database", "c1", "vimha-galera-bootstrap", f"{UUID}:7"), ("messaging", "c2", "queue-begin", "1")],
)
def test_the_choice_is_told_with_what_that_node_said(resource: str, node: str, name: str, value: str) -> None:
    at = waiting()
    begin(at, election(at, resource), node)
    assert at.told == [["attrd_updater", "--private", "--name", name, "--update", value, "--node", node]]


@pytest.mark.parametrize("node", ["c2", "c3", "elsewhere"])
def test_a_node_that_does_not_wait_is_not_told(node: str) -> None:
    at = waiting()
    with pytest.raises(VimhaError, match=f"{node} does not wait to begin database"):
        begin(at, election(at, "database"), node)
    assert at.told == []


def test_nobody_speaks_before_the_first_start() -> None:
    found = election(FakeCluster(), "database")
    assert (found.silent, found.choices) == (("c1", "c2", "c3"), {})


@pytest.mark.parametrize("resource", ["haproxy", "nothing"])
def test_what_holds_no_elections_is_refused(resource: str) -> None:
    with pytest.raises(UsageError, match="is no clustered service"):
        election(waiting(), resource)


def decide(monkeypatch: pytest.MonkeyPatch, at: FakeCluster, *argv: str, answer: str = "") -> tuple[int, str]:
    monkeypatch.setattr(cluster, "run", at)
    done = CliRunner().invoke(cluster.decide, argv, input=answer)
    return done.exit_code, done.output


def test_the_command_shows_first_and_asks_before_it_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    at = waiting()
    code, text = decide(monkeypatch, at, "database")
    assert (code, at.told) == (0, [])
    assert "waits to begin" in text and "nothing" in text
    code, text = decide(monkeypatch, at, "database", "c1", answer="n\n")
    assert (code, at.told) == (1, [])
    assert "What only c3 has is lost." in text
    assert decide(monkeypatch, at, "database", "c1", answer="y\n")[0] == 0
    assert len(at.told) == 1


def test_json_is_stable() -> None:
    found = Election("database", (Voice("c1", "elect", "empty"),), {"c1": ("x", "y")})
    assert found.as_dict() == {
        "resource": "database", "members": [{"node": "c1", "phase": "elect", "data": "empty"}], "waiting": ["c1"],
    }  # fmt: skip
