"""The plain values of site.yaml: each a type with its bounds, and nothing that an artefact would have to escape.

Invariant: what is text here goes into the CIB, configuration files and argument vectors as it is.
"""

from typing import Annotated

from pydantic import Field, StringConstraints

NAME_PATTERN = r"^[a-z][a-z0-9-]{0,30}$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""A node, plane, VIP or service: lower-case letters, digits and dashes; it becomes part of CIB ids."""
Interface = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,14}$")]
"""A network interface's name, at most 15 characters (IFNAMSIZ)."""
FilePath = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._/+@=-]{1,200}$")]
"""An absolute path on a node, of plain characters: it is passed to agents and written into configuration."""

Rack = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:/-]{0,64}$")]
"""Where a node stands; nodes with the same one share its power and its switch."""
Uri = Annotated[str, StringConstraints(pattern=r"^(/[A-Za-z0-9._/-]{1,200})?$")]
"""The path of a resource on a BMC."""
User = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,32}$")]
"""A BMC account's name."""
Port = Annotated[int, Field(ge=1, le=65535)]
"""A TCP or UDP port."""
PortOrNone = Annotated[int, Field(ge=0, le=65535)]
"""A TCP port, or 0 for none, or for one that is worked out."""
Cipher = Annotated[int, Field(ge=1, le=17)]
"""An IPMI 2.0 cipher suite; 0, which takes any password, is none here."""
Megabytes = Annotated[int, Field(ge=16, le=1_000_000)]
"""An amount of data in MB."""
Count = Annotated[int, Field(ge=1, le=1000)]
"""A number of things, of which there is one at least."""
CountOrNone = Annotated[int, Field(ge=0, le=1000)]
"""A number of things that there may be none of."""
