"""How services of a lab are asked from outside of its nodes."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Door:
    """A service's address, an operator's token, and the authority of its certificate (a file; empty: plain HTTP)."""

    url: str
    token: str = field(repr=False)
    ca_file: str
