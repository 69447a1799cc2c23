"""An agent's metadata as XML, in the one shape that every validator takes.

Invariant: version 1.1, `s` behind every time, types string and integer only, none of OCF 1.1's optional additions
(ocf-tester's DTD refuses them); everything is escaped, and the result is plain ASCII whatever the locale.
"""

from resource_agents.ocf.agent import Action, Agent, Parameter

ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;", "\t": "&#9;", "\r": "&#13;"}


def xml(agent: type[Agent]) -> str:
    """The answer to `meta-data`."""
    parameters = "".join(_parameter(parameter) for parameter in agent.parameters)
    actions = "".join(_action(action) for action in agent.actions)
    return (
        '<?xml version="1.0"?>\n'
        '<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">\n'
        f'<resource-agent name="{escape(agent.name)}" version="1.0">\n'
        "<version>1.1</version>\n"
        f"{_described(agent.long, agent.short)}"
        f"<parameters>\n{parameters}</parameters>\n"
        f'<actions>\n{actions}<action name="meta-data" timeout="5s"/>\n</actions>\n'
        "</resource-agent>\n"
    )


def escape(text: str) -> str:
    """`text` for an XML attribute or element; what XML 1.0 cannot hold at all becomes `?`."""
    return "".join(_character(character) for character in text)


def _character(character: str) -> str:
    if character in ENTITIES:
        return ENTITIES[character]
    code = ord(character)
    if code < 0x20 or 0xD800 <= code <= 0xDFFF or code in (0xFFFE, 0xFFFF):
        return "?"
    return character if code < 0x7F else f"&#{code};"


def _described(long: str, short: str) -> str:
    text = escape(long).replace("&#10;", "\n")
    return f'<longdesc lang="en">{text}</longdesc>\n<shortdesc lang="en">{escape(short)}</shortdesc>\n'


def _parameter(parameter: Parameter) -> str:
    default = f' default="{escape(parameter.default)}"' if parameter.default else ""
    return (
        f'<parameter name="{escape(parameter.name)}" required="{int(parameter.required)}" '
        f'unique="{int(parameter.unique)}">\n'
        f"{_described(parameter.long, parameter.short)}"
        f'<content type="{parameter.kind}"{default}/>\n</parameter>\n'
    )


def _action(action: Action) -> str:
    interval = f' interval="{action.interval}s"' if action.interval else ""
    depth = "" if action.depth is None else f' depth="{action.depth}"'
    return f'<action name="{action.name}" timeout="{action.timeout}s"{interval}{depth}/>\n'
