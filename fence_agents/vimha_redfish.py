"""fence_vimha_redfish: power fencing of one node through its BMC's Redfish service.

Invariant: as the runtime's: off is reported only when verified. Nothing of HTTP or TLS is imported before a BMC is
spoken to.
"""

from __future__ import annotations

from fence_agents.fencing import agent
from fence_agents.fencing.errors import FenceError
from fence_agents.fencing.options import Option, Values
from fence_agents.fencing.power import Device

NAME = "fence_vimha_redfish"

OPTIONS = (
    Option("ip", "Address or host name of the BMC", short="-a", required=True, obsoletes="ipaddr"),
    Option("ipport", "TCP port of the Redfish service", kind="integer", short="-u", default="443"),
    Option("systems_uri", "The node's system, such as /redfish/v1/Systems/1; found by asking when not given"),
    Option("ssl_ca", "File of the authorities that sign the BMC's certificate; the host's own when not given"),
    Option("ssl_insecure", "Accept any certificate: whoever answers at the BMC's address is believed", kind="boolean"),
    Option(
        "node_addresses",
        "The node's own addresses on networks that its peers are on too; while one answers, off is not believed",
    ),
)


def connect(values: Values, password: str) -> Device:
    """The system that `values` name; no connection yet. FenceError for an unusable certificate file."""
    from fence_agents.redfish.device import RedfishSystem, tls_context

    return RedfishSystem(
        values.text("ip"),
        values.integer("ipport"),
        (values.text("username"), password),
        tls_context(values.text("ssl_ca"), values.boolean("ssl_insecure")),
        system=values.text("systems_uri"),
        plug=values.text("plug"),
        node_addresses=values.words("node_addresses"),
    )


def check(values: Values) -> list[str]:
    """What is wrong with the values on this host, one line each; no device is contacted."""
    problems = []
    if not 1 <= values.integer("ipport") <= 65535:
        problems.append(f"ipport={values.text('ipport')}: not a TCP port")
    if any(character.isspace() or character == "/" for character in values.text("ip")):
        problems.append(f"ip={values.text('ip')}: neither an address nor a host name")
    uri = values.text("systems_uri")
    if uri and not uri.startswith("/redfish/"):
        problems.append(f"systems_uri={uri}: does not begin with /redfish/")
    problems += [
        f"node_addresses={word}: not an IP address" for word in values.words("node_addresses") if not _is_address(word)
    ]
    return problems + _tls_problems(values)


def _tls_problems(values: Values) -> list[str]:
    if values.boolean("ssl_insecure"):
        return ["ssl_insecure and ssl_ca: the one makes the other useless"] if values.text("ssl_ca") else []
    from fence_agents.redfish.device import tls_context

    try:
        tls_context(values.text("ssl_ca"), insecure=False)
    except FenceError as error:
        return [str(error)]
    return []


def _is_address(text: str) -> bool:
    import socket

    try:
        socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except OSError:
        return False
    return True


AGENT = agent.Agent(
    name=NAME,
    shortdesc="Power fencing through Redfish, verified and quick",
    longdesc="fence_vimha_redfish powers a node off and on through the Redfish service of its BMC. Off is requested "
    "at once, read back every 50 ms, and reported only when the BMC read Off twice and none of the node's own "
    "addresses (node_addresses) answered in between. Certificates are checked, every wait has a limit, and the "
    "password comes from a file. One device powers one node.",
    vendor_url="https://www.dmtf.org/standards/redfish",
    options=OPTIONS,
    connect=connect,
    check=check,
)


def main() -> None:
    """The program: what /usr/sbin/fence_vimha_redfish runs."""
    agent.main(AGENT)
