"""Metadata XML and `--help` from an agent's declaration.

Invariant: the XML is valid under fence-agents' metadata.rng for every declaration, and it does not depend on the
host, so it can be kept as a golden file.
"""

from __future__ import annotations

from fence_agents.fencing.options import Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

ACTIONS = ("on", "off", "reboot", "status", "list", "list-status", "monitor", "metadata", "manpage", "validate-all")
"""The standard actions, as fence-agents orders them."""

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})


def _escape(text: str) -> str:
    """`text` for element content or a double-quoted attribute; xml.sax and html cost 10 ms of import each."""
    return text.translate(_ESCAPES)


def _getopt(option: Option) -> str:
    value = "" if option.kind == "boolean" else f"=[{option.kind if option.kind != 'string' else option.name}]"
    return f"{option.short}, {option.flag}{value}" if option.short else f"{option.flag}{value}"


def _parameter(option: Option, name: str, relation: str) -> str:
    default = f' default="{_escape(option.default)}"' if option.default else ""
    required = int(option.required and name == option.name)
    return (
        f'\t<parameter name="{name}" unique="0" required="{required}"{relation}>\n'
        f'\t\t<getopt mixed="{_escape(_getopt(option))}" />\n'
        f'\t\t<content type="{option.kind}"{default} />\n'
        f'\t\t<shortdesc lang="en">{_escape(option.help)}</shortdesc>\n'
        "\t</parameter>\n"
    )


def _parameters(option: Option) -> str:
    """The option, and its older name where it has one: pcs and Pacemaker look for `plug` and for `port`."""
    if not option.obsoletes:
        return _parameter(option, option.name, "")
    return _parameter(option, option.obsoletes, ' deprecated="1"') + _parameter(
        option, option.name, f' obsoletes="{option.obsoletes}"'
    )


def metadata(name: str, shortdesc: str, longdesc: str, vendor_url: str, options: Sequence[Option]) -> str:
    """The metadata document that Pacemaker, pcs and crmsh read."""
    return (
        '<?xml version="1.0" ?>\n'
        f'<resource-agent name="{name}" shortdesc="{_escape(shortdesc)}">\n'
        f"<longdesc>{_escape(longdesc)}</longdesc>\n"
        f"<vendor-url>{_escape(vendor_url)}</vendor-url>\n"
        "<parameters>\n"
        + "".join(_parameters(option) for option in options)
        + "</parameters>\n<actions>\n"
        # A power switch needs no unfencing: `on` is for operators, never run by Pacemaker when a node joins.
        + "".join(f'\t<action name="{action}"{_automatic(action)} />\n' for action in ACTIONS)
        + "</actions>\n</resource-agent>\n"
    )


def _automatic(action: str) -> str:
    return ' automatic="0"' if action == "on" else ""


def usage(name: str, shortdesc: str, options: Sequence[Option]) -> str:
    """What `--help` prints."""
    width = max(len(_getopt(option)) for option in options)
    lines = [f"  {_getopt(option):<{width}}  {option.help}" for option in options]
    return "\n".join([f"Usage: {name} [options]   (or key=value lines on standard input)", shortdesc, "", *lines, ""])
