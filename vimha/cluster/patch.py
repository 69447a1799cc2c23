"""Changing a running configuration only if it is still the one that was read.

Invariant: a change is a patch that names the version which it was made from, and Pacemaker applies all of it or, when
the configuration has changed since, nothing. (`cibadmin --replace --scope configuration` does not compare versions;
`cibadmin --patch` does. A patch that names admin_epoch and epoch, but not num_updates, is indifferent to changes of
the status, which on a living cluster never cease.) Nodes, but for their capacity for VIPs, and what Pacemaker writes
itself, stay as they are.
"""

import tempfile
from copy import deepcopy
from pathlib import Path

from lxml import etree

from vimha.cluster.diff import OWN_PROPERTIES
from vimha.cluster.live import ANSWER_S, Version, version
from vimha.errors import ProcessError, VimhaError
from vimha.process import Runner, checked
from vimha.render.spares import CAPACITY

Element = etree._Element

OURS = ("resources", "constraints", "fencing-topology", "rsc_defaults", "op_defaults")
"""Sections that a site declares whole; what it leaves out is removed."""
EXTRAS = ("alerts", "tags", "acls")
"""Sections that stay as they are unless a site declares them."""
OLD_DATA = 103
"""cibadmin's exit code when the version that a patch names is not the live one (CRM_EX_OLD)."""


def merged(live: Element, wanted: Element) -> Element:
    """The CIB `live` with the configuration that `wanted` declares, both roots; neither is changed."""
    result = deepcopy(live)
    configuration, source = _configuration(result), _configuration(wanted)
    _merge_properties(configuration, source)
    _merge_capacity(configuration, source)
    for section in (*OURS, *EXTRAS):
        new, old = source.find(section), configuration.find(section)
        if new is None and section in EXTRAS:
            continue
        if old is not None and new is not None:
            configuration.replace(old, deepcopy(new))
        elif new is not None:
            configuration.append(deepcopy(new))
        elif old is not None:
            configuration.remove(old)
    return result


def _configuration(root: Element) -> Element:
    found = root.find("configuration")
    assert found is not None  # noqa: S101 (parse_cib saw it)
    return found


def _merge_properties(configuration: Element, source: Element) -> None:
    """Properties become the site's, save those that Pacemaker keeps about itself."""
    own = [
        pair for pair in configuration.iterfind("crm_config/cluster_property_set/nvpair")
        if pair.get("name") in OWN_PROPERTIES
    ]  # fmt: skip
    new, old = source.find("crm_config"), configuration.find("crm_config")
    section = etree.Element("crm_config") if new is None else deepcopy(new)
    sets = section.find("cluster_property_set")
    if sets is None:
        sets = etree.SubElement(section, "cluster_property_set", id="cib-bootstrap-options")
    for pair in sets.findall("nvpair"):
        if pair.get("name") in OWN_PROPERTIES:
            sets.remove(pair)
    sets.extend(deepcopy(pair) for pair in own)
    if old is None:
        configuration.insert(0, section)
    else:
        configuration.replace(old, section)


def _merge_capacity(configuration: Element, source: Element) -> None:
    """Each node's capacity for VIPs becomes the site's; what else its utilization says is the operator's."""
    wanted = {node.get("uname"): node.find("utilization") for node in source.iterfind("nodes/node")}
    for node in configuration.iterfind("nodes/node"):
        for old in node.findall("utilization"):
            for pair in old.findall("nvpair"):
                if pair.get("name") == CAPACITY:
                    old.remove(pair)
            if len(old) == 0:
                node.remove(old)
        new, kept = wanted.get(node.get("uname")), node.find("utilization")
        if new is not None and kept is not None:
            kept.extend(deepcopy(pair) for pair in new)
        elif new is not None:
            node.append(deepcopy(new))


def make(old: Element, new: Element, run: Runner) -> bytes | None:
    """The patch that turns configuration `old` into `new`, both roots, made by Pacemaker's crm_diff on this machine;
    None when they are the same.
    """
    with tempfile.TemporaryDirectory(prefix="vimha-patch-") as folder:
        paths = [Path(folder, name) for name in ("old.xml", "new.xml")]
        for path, root in zip(paths, (old, new), strict=True):
            path.write_bytes(etree.tostring(_without_status(root)))
        argv = ["crm_diff", "--no-version", "--original", str(paths[0]), "--new", str(paths[1])]
        done = run(argv, timeout_s=ANSWER_S)
    if done.ok and not done.out.strip():
        return None
    try:
        patch = etree.fromstring(done.out.encode())
    except etree.XMLSyntaxError as error:
        raise ProcessError(f"crm_diff (exit {done.code}): {done.err.strip() or 'no patch'}") from error
    patch.insert(0, _versions(version(old)))
    content: bytes = etree.tostring(patch)
    return content


def _without_status(root: Element) -> Element:
    copy = deepcopy(root)
    for status in copy.findall("status"):
        copy.remove(status)
    return copy


def _versions(of: Version) -> Element:
    """A patch's <version>: it applies to `of` alone, whatever the status is by then."""
    element = etree.Element("version")
    etree.SubElement(element, "source", admin_epoch=str(of.admin_epoch), epoch=str(of.epoch))
    etree.SubElement(element, "target", admin_epoch=str(of.admin_epoch), epoch=str(of.epoch + 1))
    return element


def push(runner: Runner, patch: bytes) -> None:
    """Apply `patch` to the cluster of `runner`'s node; VimhaError when its configuration has changed since."""
    done = runner(["cibadmin", "--patch", "--xml-pipe"], stdin=patch.decode(), timeout_s=ANSWER_S)
    if done.code == OLD_DATA:
        raise VimhaError(
            "the cluster's configuration has changed since it was read; nothing was applied",
            "Somebody else changes it too: look at `vimha plan` again, then apply.",
        )
    checked(done)
