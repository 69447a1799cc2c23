"""The files that make an image a particular node: its artefacts, its names, its secrets, and a first CIB.

Invariant: a node starts with everything that `vimha render` yields for it and with nothing that an operator's node
would not have; the first CIB sets only what lets the cluster form quickly, the site itself is applied by
`vimha.cluster`.
"""

import os
import uuid
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from xml.etree import ElementTree as ET

from vimha.files import write_atomic
from vimha.lab.bmc.tls import KeyPair
from vimha.lab.cabling import CLIENT, Cabling
from vimha.process import checked, run
from vimha.render.clustered import ARBITRATOR_USER, BROKER_USER, DATABASE_USER
from vimha.render.model import Rendered
from vimha.render.render import write_node
from vimha.render.units import SYSUSERS
from vimha.site.model import FenceAgent, Site
from vimha.timing.model import Timings

CIB = "/var/lib/pacemaker/cib/cib.xml"
TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
"""The authorities that a Debian host trusts: the only ones that fence_redfish can be told of."""
_NAMESPACE = uuid.UUID("6f1d6b0e-6d0f-5c2b-9a4e-76696d686101")
"""The root of the labs' machine-ids, which are the same for the same lab and node."""


def staged(site: Site) -> Site:
    """`site` as a lab can play it: the bond is a stand-in, which is joined outside the node, and the alarm service may
    call subscribers on the lab's client.
    """
    if site.alarms:
        client = tuple(IPv4Network(own.ip) for _, own in Cabling("", site).addresses(CLIENT))
        callbacks = {"callbacks": (*site.alarms.callbacks, *client), "http_callbacks": True}
        site = site.model_copy(update={"alarms": site.alarms.model_copy(update=callbacks)})
    if site.bond is None:
        return site
    stand_in = {"mode": "external", "arp_interval": 0, "arp_ip_target": ()}
    bond = site.bond.model_copy(update=stand_in)
    return site.model_copy(update={"bond": bond})


def seed(timings: Timings) -> bytes:
    """A CIB without resources. Pacemaker waits `dc-deadtime` for a DC before it elects one; with the default, 20 s,
    that was 20 of the 23 s until three nodes had formed a cluster."""
    cib = ET.Element(
        "cib",
        {"validate-with": "pacemaker-3.9", "admin_epoch": "0", "epoch": "1", "num_updates": "0"},
    )
    configuration = ET.SubElement(cib, "configuration")
    options = ET.SubElement(configuration, "crm_config")
    properties = ET.SubElement(options, "cluster_property_set", {"id": "cib-bootstrap-options"})
    for name, value in {"dc-deadtime": f"{timings.dc_deadtime}ms", "stonith-enabled": "true"}.items():
        ET.SubElement(properties, "nvpair", {"id": f"cib-bootstrap-options-{name}", "name": name, "value": value})
    for section in ("nodes", "resources", "constraints"):
        ET.SubElement(configuration, section)
    ET.SubElement(cib, "status")
    return ET.tostring(cib)


def hosts(site: Site) -> str:
    """/etc/hosts: every node by its first plane's address."""
    lines = [f"{site.address_of(name)} {name}" for name in site.nodes]
    return "\n".join(["127.0.0.1 localhost", *lines]) + "\n"


@dataclass(frozen=True)
class Furniture:
    """What goes onto the disks of a lab's nodes. `secrets`: path on every node -> content, written with mode 0600;
    `public`: the same, for all to read. `pairs`: each node's certificate and key, where the site has encryption.
    """

    lab: str
    site: Site
    rendered: Rendered
    secrets: dict[str, bytes]
    cib: bytes
    public: dict[str, bytes] = field(default_factory=dict)
    pairs: dict[str, KeyPair] = field(default_factory=dict)


def furnish(root: Path, node: str, furniture: Furniture) -> None:
    """Write all of `node`'s files below `root`."""
    write_node(furniture.rendered.nodes[node], root)
    plain = {
        "/etc/hostname": f"{node}\n",
        "/etc/hosts": hosts(furniture.site),
        "/etc/machine-id": f"{uuid.uuid5(_NAMESPACE, f'{furniture.lab}/{node}').hex}\n",
    }
    for path, text in plain.items():
        (root / path.lstrip("/")).write_text(text)
    for path, content in furniture.secrets.items():
        write_atomic(root / path.lstrip("/"), content, 0o600)
    for path, content in furniture.public.items():
        write_atomic(root / path.lstrip("/"), content, 0o644)
    if furniture.site.fencing.agent is FenceAgent.REDFISH and furniture.site.fencing.ca_file:
        with (root / TRUSTED.lstrip("/")).open("ab") as file:
            file.write(furniture.secrets[furniture.site.fencing.ca_file])
    if furniture.site.alarms or furniture.site.encryption:
        checked(run(["chroot", str(root), "systemd-sysusers", str(SYSUSERS)]))
    if files := furniture.site.encryption:
        pair = furniture.pairs[node]
        write_atomic(root / files.certificate.lstrip("/"), pair.certificate.read_bytes(), 0o644)
        write_atomic(root / files.key.lstrip("/"), pair.key.read_bytes(), 0o440)
        user = DATABASE_USER if node in furniture.site.full_nodes() else ARBITRATOR_USER
        checked(run(["chroot", str(root), "chown", f"{user}:{BROKER_USER}", files.key]))
    place = root / CIB.lstrip("/")
    write_atomic(place, furniture.cib, 0o600)
    owner = place.parent.stat()
    os.chown(place, owner.st_uid, owner.st_gid)
