"""Reading what a foreign cluster gives us: bounded, and as plain data.

Invariant: nothing in a file makes us open another file, resolve an entity or use memory without bound; what cannot
be read is a `UsageError` that names the file, never a traceback.
"""

import re
from pathlib import Path

from lxml import etree

from vimha.errors import UsageError

MAX_CIB = 16 << 20
"""The largest CIB that we read, in bytes: Pacemaker itself carries no larger one between its nodes."""
MAX_COROSYNC = 1 << 20
"""The largest corosync.conf that we read, in bytes."""
_DECLARATION = re.compile(rb"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


def read_bytes(path: Path, limit: int) -> bytes:
    """The content of the file at `path`, at most `limit` bytes; UsageError when it cannot be read."""
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise UsageError(f"{path}: a folder, not a file") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > limit:
        raise UsageError(f"{path}: larger than {limit >> 20} MiB, which no such file is", "Is this the right file?")
    return content


def parse_cib(content: bytes, where: str) -> etree._Element:
    """The root of the CIB in `content`, without comments; UsageError, naming `where`, when it is none.

    Entities and document types are refused outright: Pacemaker writes neither, and nested entities can make a small
    file fill the memory.
    """
    if _DECLARATION.search(content):
        raise UsageError(f"{where}: has a document type or entities, which no CIB has")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise UsageError(f"{where}: not XML: {error}") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise UsageError(f"{where}: has a document type or entities, which no CIB has")
    if root.tag != "cib":
        raise UsageError(f"{where}: not a CIB: its root is <{root.tag}>", "`cibadmin --query` prints a cluster's CIB.")
    if root.find("configuration") is None:
        raise UsageError(f"{where}: a CIB without <configuration>", "`cibadmin --query` prints a cluster's CIB.")
    return root
