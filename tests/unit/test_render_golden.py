"""Golden files of the examples: whatever changes in an artefact shows in a diff."""

from collections.abc import Callable

import pytest
from render_sites import example, made

NODE_FILES = (
    "/etc/corosync/corosync.conf",
    "/etc/sysctl.d/60-vimha.conf",
    "/etc/vimha/glance-api.conf",
    "/etc/vimha/haproxy.cfg",
)
CLUSTERED_FILES = (
    "/etc/vimha/galera.cnf",
    "/etc/vimha/rabbitmq/rabbitmq.conf",
    "/etc/vimha/rabbitmq/advanced.config",
    "/etc/vimha/rabbitmq/enabled_plugins",
    "/etc/vimha/rabbitmq/definitions.json",
)


@pytest.mark.parametrize("name", ["minimal", "small", "large", "stateful", "spares"])
def test_the_examples_render_as_before(name: str, golden: Callable[[str, str], None]) -> None:
    site = example(name)
    rendered = made(site)
    golden(f"render/{name}/cib.xml", rendered.cib.content.decode())
    for node in ("control-1", "control-3"):
        contents = {artefact.path: artefact.content.decode("latin-1") for artefact in rendered.nodes[node]}
        for path in (*NODE_FILES, *(CLUSTERED_FILES if site.stateful else ())):
            golden(f"render/{name}/{node}{path}", contents[path])


@pytest.mark.parametrize("name", ["minimal", "small", "large", "stateful", "spares"])
def test_every_file_says_what_made_it(name: str) -> None:
    rendered = made(example(name))
    files = [rendered.cib, *(artefact for each in rendered.nodes.values() for artefact in each)]
    silent = {each.path for each in files if b"Made by vimha" not in b"".join(each.content.splitlines()[:3])}
    assert silent <= {"/etc/corosync/authkey", "/etc/vimha/erlang.cookie", "/etc/vimha/rabbitmq/management.auth"}
