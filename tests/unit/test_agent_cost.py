"""What a monitor may import: nothing that costs milliseconds. The figures themselves are in tests/bench."""

from pathlib import Path

import pytest

import resource_agents
from vimha.process import checked, run
from vimha.render import agents

HEAVY = {"collections", "dataclasses", "enum", "json", "logging", "pathlib", "re", "signal", "socket", "subprocess",
         "typing", "xml", "pyroute2", "vimha"}  # fmt: skip
OCF = [agent for agent in agents.agents() if agent.kind == "ocf"]


@pytest.mark.parametrize("agent", OCF, ids=[agent.name for agent in OCF])
def test_a_monitor_imports_nothing_heavy(agent: agents.AgentInfo) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(Path(resource_agents.__path__[0]).parent)!r}); "
        f"from {agent.module} import AGENT; import resource_agents.ocf.runtime; print(*sys.modules)"
    )
    loaded = set(checked(run([agents.PYTHON, "-IS", "-c", program])).out.split())
    assert "resource_agents.ocf.runtime" in loaded
    assert not HEAVY & loaded
    assert "resource_agents.ocf.metadata" not in loaded
