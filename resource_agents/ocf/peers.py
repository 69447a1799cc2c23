"""What the agents of clustered services share: who the members are, and the decisions that every election knows.

Invariant: who the members are is the same on every node, so a list that is none is wrong everywhere.
"""

import _socket

from resource_agents.ocf.agent import CONFIGURED, OcfError


def parse_members(text: str, *, ipv4: bool = False) -> dict[str, str]:
    """The parameter `members`, `NAME=ADDRESS ...`, as addresses by name; `ipv4`: only such addresses will do.

    OcfError(CONFIGURED) when it is not that, or names a member twice.
    """
    shape = "NAME=IPv4-ADDRESS" if ipv4 else "NAME=ADDRESS"
    members: dict[str, str] = {}
    for word in text.split():
        name, _, address = word.partition("=")
        if not (name and address) or (ipv4 and not _is_ipv4(address)):
            raise OcfError(CONFIGURED, f"parameter members: {word!r} is not {shape}")
        if name in members:
            raise OcfError(CONFIGURED, f"parameter members names {name} twice")
        members[name] = address
    if not members:
        raise OcfError(CONFIGURED, f"parameter members names no node: expected {shape} ...")
    return members


def _is_ipv4(address: str) -> bool:
    try:
        _socket.inet_pton(_socket.AF_INET, address)
    except (OSError, ValueError):
        return False
    return True


class Decision:
    """What a node does next; `reason` says why, and to whom it waits for what."""

    __slots__ = ("reason",)

    def __init__(self, reason: str = "") -> None:
        self.reason = reason

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.reason!r})"


class Wait(Decision):
    """Start nothing yet."""


class Refuse(Decision):
    """Never start like this: it would be another cluster, or overwrite data that are not the cluster's."""
