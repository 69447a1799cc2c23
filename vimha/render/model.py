"""What rendering yields, as data.

Invariant: an artefact says where on a node it belongs and with which permissions; nothing here has been written yet.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Artefact:
    """One file for a node: its absolute path there, content, permission bits, and what it is in a few words."""

    path: str
    content: bytes
    mode: int
    title: str


@dataclass(frozen=True)
class Rendered:
    """All artefacts of a site: the CIB that the whole cluster shares, and each node's own files, by node."""

    cib: Artefact
    nodes: dict[str, tuple[Artefact, ...]]
