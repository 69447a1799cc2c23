"""What tests of agents on this host share: root, and this version's agents installed where the cluster tools look."""

import os
from collections.abc import Iterator

import pytest
from installation import installed_agents
from rabbit_nodes import Node, site_of


@pytest.fixture(scope="session")
def root_user() -> None:
    """Agents start, signal and replace what only root may."""
    if os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture(scope="session")
def installed(root_user: None) -> Iterator[None]:
    """The agents in /usr/lib/ocf and /usr/sbin; afterwards removed, unless they were there before."""
    with installed_agents():
        yield


@pytest.fixture
def node(installed: None) -> Iterator[Node]:
    """A broker, the only member of its site, not started."""
    with site_of(1) as site:
        yield site.nodes[0]
