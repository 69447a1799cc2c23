"""Metadata: well-formed for any text, in the shape that all validators take, and unchanged unless meant."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from resource_agents.ocf.agent import Action, Agent, Parameter
from resource_agents.ocf.metadata import xml
from vimha.render import agents

ANY = st.text(max_size=80)
XML_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), max_size=80)


def declared(long: str, short: str, default: str) -> type[Agent]:
    class Declared(Agent):
        name = "declared"
        parameters = (Parameter("p", short, long, default=default),)
        actions = (Action("monitor", 5, interval=1, depth=0),)

    Declared.long, Declared.short = long, short
    return Declared


@given(ANY, ANY, ANY)
def test_any_text_gives_well_formed_ascii(long: str, short: str, default: str) -> None:
    text = xml(declared(long, short, default))
    assert text.isascii()
    etree.fromstring(text.encode())


@given(XML_TEXT, XML_TEXT, XML_TEXT)
def test_what_xml_can_hold_comes_back_as_it_was(long: str, short: str, default: str) -> None:
    root = etree.fromstring(xml(declared(long, short, default)).encode())
    content = root.find("parameters/parameter/content")
    assert content is not None
    assert (root.findtext("longdesc"), root.findtext("shortdesc")) == (long, short)
    assert content.get("default", "") == default


@pytest.mark.parametrize(
    "agent", [agent for agent in agents.agents() if agent.kind == "ocf"], ids=lambda agent: agent.name
)
def test_shape(agent: agents.AgentInfo, golden: Callable[[str, str], None]) -> None:
    root = etree.fromstring(agent.metadata.encode())
    assert root.findtext("version") == "1.1"
    actions = {action.get("name", ""): action for action in root.iter("action")}
    assert {"start", "stop", "monitor", "validate-all", "meta-data"} <= set(actions)
    assert all(action.get("timeout", "").endswith("s") for action in actions.values())
    assert actions["monitor"].get("interval")
    for parameter in root.iter("parameter"):
        content = parameter.find("content")
        assert content is not None
        assert content.get("type") in ("string", "integer", "boolean")
        assert parameter.findtext("longdesc")
        assert not {"unique-group", "reloadable"} & set(parameter.attrib)
    golden(f"metadata-{agent.name}.xml", agent.metadata)
