"""A site and its timings become every file that the site needs.

Invariant: pure and deterministic: the same site, timings and key give the same bytes, with no time stamp, so that an
empty diff means that nothing has changed.
"""

import os
from pathlib import Path

from vimha import __version__
from vimha.files import write_atomic
from vimha.render import node, resources
from vimha.render.environment import fill
from vimha.render.model import Artefact, Rendered
from vimha.site.model import Site
from vimha.timing.model import Timings

CIB_PATH = "/var/lib/pacemaker/cib/cib.xml"


def render(site: Site, timings: Timings, authkey: bytes) -> Rendered:
    """Every artefact of `site`. `authkey` is corosync's key (secrets.corosync_authkey)."""
    made_by = f"Made by vimha {__version__} for site {site.site}. Change site.yaml and render again, not this file."
    cib = resources.build(site, timings)
    text = fill("cib/cib.xml.j2", xml=True, made_by=made_by, cib=cib)
    return Rendered(
        cib=Artefact(CIB_PATH, text, 0o600, "Pacemaker's configuration"),
        nodes=node.artefacts(site, timings, authkey, made_by, cib),
    )


def write(rendered: Rendered, out: Path) -> list[Path]:
    """Write `out`/cib.xml and each node's tree `out`/NODE/etc/...; what was written.

    Each file is whole or not there. None is fsynced: 3,000 files would take many seconds, and rendering again makes
    them anew. (The key is on the disk before it is used.)
    """
    written = [out / "cib.xml"]
    write_atomic(written[0], rendered.cib.content, rendered.cib.mode, durable=False)
    for name, artefacts in rendered.nodes.items():
        written += write_node(artefacts, out / name)
    return written


def write_node(artefacts: tuple[Artefact, ...], root: Path) -> list[Path]:
    """Write one node's files below `root` (`/` on the node itself); what was written."""
    written = []
    for artefact in artefacts:
        path = root / os.path.relpath(artefact.path, "/")
        write_atomic(path, artefact.content, artefact.mode, durable=False)
        written.append(path)
    return written
