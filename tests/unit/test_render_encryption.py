"""`encryption` in site.yaml: what the members of clustered services are given for it, and that it is off without."""

from collections.abc import Callable

import pytest
from render_sites import ARBITER, C3, example, made, params, site, text, tree

from resource_agents.ocf.tls import PARAMETERS
from vimha.render.clustered import ARBITRATOR_USER
from vimha.render.schema import check_schema
from vimha.site.model import Encryption

BOTH = ("database: {}", "messaging: {}")
FILES = ("/etc/vimha/galera.cnf", "/etc/vimha/rabbitmq/inter_node_tls.config", "/etc/rabbitmq/rabbitmq-env.conf")
OWN = {"certificate": "/pki/node.pem", "key": "/pki/node.key", "ca_file": "/pki/ca.pem"}
OTHERS = "encryption: {certificate: /pki/node.pem, key: /pki/node.key, ca_file: /pki/ca.pem}"


def test_the_stateful_example_with_encryption_renders_as_before(golden: Callable[[str, str], None]) -> None:
    encrypted = example("stateful").model_copy(update={"encryption": Encryption()})
    for path in FILES:
        golden(f"render/encrypted/control-1{path}", text(encrypted, "control-1", path))


@pytest.mark.parametrize("resource", ["database", "messaging", "arbitrator"])
def test_the_agents_are_told_which_files_to_look_at(resource: str) -> None:
    root = tree(site(*BOTH, OTHERS, node=ARBITER))
    assert {name: params(root, resource)[name] for name in OWN} == OWN
    assert {each.name for each in PARAMETERS} == set(OWN)


@pytest.mark.parametrize("node", [C3, ARBITER], ids=["three", "arbiter"])
def test_pacemaker_takes_it(node: str) -> None:
    assert check_schema(made(site(*BOTH, "encryption: {}", node=node)).cib.content) == []


def test_the_arbitrator_speaks_tls_as_the_members_do_and_reads_its_key_as_nobody_else() -> None:
    found = params(tree(site(*BOTH, OTHERS, node=ARBITER)), "arbitrator")
    member = text(site(*BOTH, OTHERS), "c1", "/etc/vimha/galera.cnf")
    tls = [option for option in found["options"].split("; ") if option.startswith("socket.")]
    assert tls[0] == "socket.ssl=yes"
    assert "; ".join(tls) in member
    assert found["user"] == ARBITRATOR_USER


def test_without_encryption_there_is_none_of_it() -> None:
    of = site(*BOTH, node=ARBITER)
    root = tree(of)
    for resource in ("database", "messaging", "arbitrator"):
        assert not set(OWN) & set(params(root, resource))
    assert "user" not in params(root, "arbitrator")
    assert "ssl" not in text(of, "c1", "/etc/vimha/galera.cnf")
    assert not {path for path in FILES[1:] for each in made(of).nodes["c1"] if each.path == path}
