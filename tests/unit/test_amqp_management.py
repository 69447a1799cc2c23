"""What of a management API's answer is JSON, and which modules it takes to read that."""

from pathlib import Path

import pytest

import resource_agents
from resource_agents.amqp.management import parse
from vimha.process import checked, run
from vimha.render import agents


@pytest.mark.parametrize(
    ("text", "value"),
    [(' [{"name": "rabbit@n1", "running": true, "partitions": []}]\r\n',
      [{"name": "rabbit@n1", "running": True, "partitions": []}]),
     ('{"reason": "no \\u00e9", "queues": null, "n": -1.5e3}', {"reason": "no \u00e9", "queues": None, "n": -1500.0}),
     ("", None)],
)  # fmt: skip
def test_an_answer_is_read(text: str, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize("text", ["<html>", "[1] 2", "{", "[1,", '{"a": }'])
def test_what_is_no_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)


def test_a_deep_look_imports_nothing_heavy() -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(Path(resource_agents.__path__[0]).parent)!r}); "
        "from resource_agents.amqp import management; management.parse('[]'); print(*sys.modules)"
    )
    loaded = set(checked(run([agents.PYTHON, "-IS", "-c", program])).out.split())
    assert "resource_agents.amqp.management" in loaded
    assert not {"re", "json", "enum", "base64", "collections"} & loaded
