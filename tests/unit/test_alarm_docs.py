"""docs/alarms.md: what it tells an operator to write is understood."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from openstackclient.shell import OpenStackShell

from vimha.alarms.client.access import Access
from vimha.alarms.config import parse
from vimha_cli.main import cli

TEXT = (Path(__file__).parents[2] / "docs" / "alarms.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
COMMANDS = [line for kind, block in BLOCKS if not kind for line in block.splitlines()]


def test_the_configurations_are_good() -> None:
    service, local, client = (block for kind, block in BLOCKS if kind == "yaml")
    assert parse(service, "docs/alarms.md").listen.certificate
    assert parse(local, "docs/alarms.md").delivery.snmp
    assert Access.model_validate(yaml.safe_load(client)).url == "https://vip.example.org:8780"


@pytest.mark.parametrize("line", [each for each in COMMANDS if each.startswith("vimha ")])
def test_a_command_can_be_given_so(line: str) -> None:
    context, words = cli.make_context("vimha", [*shlex.split(line)[1:]]), shlex.split(line)[1:]
    for _ in range(2):
        name, command, words = context.command.resolve_command(context, words)  # type: ignore[attr-defined]
        context = command.make_context(name, list(words), parent=context)


def test_openstacks_plug_in_has_the_commands_that_are_named() -> None:
    named = [shlex.split(each)[1:] for each in COMMANDS if each.startswith("openstack vim ")]
    assert len(named) == 8
    known = OpenStackShell().command_manager
    known.add_command_group("openstack.vim.v1")
    for words in named:
        known.find_command(words)
