"""Sites and timings that the render tests share."""

from pathlib import Path

from lxml import etree

from vimha.render.model import Rendered
from vimha.render.render import render
from vimha.site.loading import load_valid, parse
from vimha.site.model import Site
from vimha.timing.model import Checks, Operations, Timings, Wsrep

EXAMPLES = Path(__file__).parents[2] / "examples"
KEY = bytes(range(256))
TIMINGS = Timings(
    token=300,
    token_coefficient=0,
    consensus=360,
    link_ping=200,
    link_timeout=1000,
    vip=Operations(1000, 2000, 20_000, 20_000),
    haproxy=Operations(500, 1000, 20_000, 20_000),
    api=Operations(2000, 10_000, 60_000, 30_000),
    ports=Operations(250, 1000, 20_000, 20_000),
    database=Operations(500, 2000, 60_000, 60_000),
    messaging=Operations(500, 2000, 60_000, 60_000),
    health=Operations(1000, 2000, 20_000, 20_000),
    checks=Checks(inter=500, fastinter=100, downinter=500, timeout=1000, fall=2, rise=2),
    members=Checks(inter=120, fastinter=40, downinter=120, timeout=150, fall=2, rise=2),
    wsrep=Wsrep(keepalive=100, check=50, suspect=500, inactive=1500, install=1500, join_retrans=200),
    fence_off=3000,
    failure_timeout=120_000,
    dc_deadtime=2000,
)
"""Fixed, so that golden files change with the templates and not with the solver."""

NODES = """\
site: t
vip: 10.77.1.100
nodes:
  c1: {addresses: [10.77.1.11, 10.77.2.11], bmc: 10.77.9.11}
  c2: {addresses: [10.77.1.12, 10.77.2.12], bmc: 10.77.9.12, fencing_delay: 1s}
"""
C3 = "  c3: {addresses: [10.77.1.13, 10.77.2.13], bmc: 10.77.9.13}\n"
ARBITER = "  arb: {addresses: [10.77.1.13, 10.77.2.13], bmc: 10.77.9.13, role: arbiter}\n"


def example(name: str) -> Site:
    return load_valid(EXAMPLES / f"site-{name}.yaml")


def site(*lines: str, node: str = C3) -> Site:
    """Two full nodes, the third as `node` says, and further lines of YAML."""
    loaded = parse((NODES + node + "\n".join(lines)).encode(), "site.yaml")
    assert loaded.site, loaded.findings
    return loaded.site


def made(of: Site) -> Rendered:
    return render(of, TIMINGS, KEY)


def tree(of: Site) -> etree._Element:
    return etree.fromstring(made(of).cib.content)


def text(of: Site, node: str, path: str) -> str:
    """What `node`'s file at `path` holds."""
    return next(artefact.content.decode() for artefact in made(of).nodes[node] if artefact.path == path)


def params(root: etree._Element, resource: str, node: str = "") -> dict[str, str]:
    """The parameters of `resource`; with `node`, what it has otherwise there."""
    name = f"{resource}.params.{node}" if node else f"{resource}.params"
    found = root.xpath(f"//instance_attributes[@id='{name}']/nvpair")
    assert isinstance(found, list)
    return {str(pair.get("name")): str(pair.get("value")) for pair in found if isinstance(pair, etree._Element)}


def ids(root: etree._Element, path: str) -> list[str]:
    """The ids, or the values of an attribute, that the XPath `path` selects."""
    found = root.xpath(path)
    assert isinstance(found, list)
    return [str(each.get("id")) if isinstance(each, etree._Element) else str(each) for each in found]
