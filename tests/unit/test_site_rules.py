"""Every rule about a site: what breaks it, at which line, and what only looks like it."""

from pathlib import Path

import pytest

from vimha.site import rules
from vimha.site.loading import load, parse
from vimha.timing.budget import budget
from vimha.timing.rules import check
from vimha.timing.solve import solve

EXAMPLES = Path(__file__).parents[2] / "examples"
BASE = """\
site: demo
vips:
  public: 10.77.1.100
planes:
  a: 10.77.1.0/24
  b: 10.77.2.0/24
nodes:
  control-1: {addresses: [10.77.1.11, 10.77.2.11], bmc: 10.77.9.11}
  control-2: {addresses: [10.77.1.12, 10.77.2.12], bmc: 10.77.9.12}
  control-3: {addresses: [10.77.1.13, 10.77.2.13], bmc: 10.77.9.13}
"""
ONE, TWO, THREE = (
    f"  control-{n}: {{addresses: [10.77.1.1{n}, 10.77.2.1{n}], bmc: 10.77.9.1{n}}}\n" for n in (1, 2, 3)
)
FOUR = THREE.replace("control-3", "control-4").replace(".13", ".14")
FIVE = THREE.replace("control-3", "control-5").replace(".13", ".15")


def told(text: str) -> list[tuple[str, int]]:
    return [(finding.code, int(finding.where.partition(":")[2])) for finding in parse(text.encode(), "f").findings]


def swap(*pairs: tuple[str, str]) -> str:
    text = BASE
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


def arbiter(node: str) -> str:
    return node.replace("bmc:", "role: arbiter, bmc:")


def delayed(node: str, delay: str) -> str:
    return node.replace("bmc:", f"fencing_delay: {delay}, bmc:")


def rack(node: str, name: str) -> str:
    return node.replace("bmc:", f"rack: {name}, bmc:")


LARGE = "scale: large\n"
TWO_VIPS = ("  public: 10.77.1.100\n", "  public: 10.77.1.100\n  inner: 10.77.1.101\n")
SERVICES = "services: {one: {vip: public}, two: {vip: inner, port: 9293}}\n"

CASES: list[tuple[str, str, list[tuple[str, int]]]] = [
    ("the base is good", BASE, []),
    ("one node", swap((TWO, ""), (THREE, "")), [("S010", 7)]),
    ("one full node, two arbiters", swap((TWO, arbiter(TWO)), (THREE, arbiter(THREE))), [("S010", 7)]),
    ("no node", swap((ONE, ""), (TWO, ""), (THREE, ""), ("nodes:", "nodes: {}")), [("S010", 7)]),
    ("two nodes", swap((THREE, "")), [("S011", 7)]),
    ("two nodes, two delays", swap((THREE, ""), (ONE, delayed(ONE, "1s")), (TWO, delayed(TWO, "1s"))), [("S011", 7)]),
    ("two nodes, one delay", swap((THREE, ""), (ONE, delayed(ONE, "1s"))), []),
    ("two nodes and an arbiter", swap((THREE, arbiter(THREE))), []),
    ("four votes", swap((THREE, THREE + FOUR)), [("S012", 7)]),
    ("four nodes, one of them an arbiter", swap((THREE, THREE + arbiter(FOUR))), [("S012", 7)]),
    ("arbiters in the majority", swap((THREE, arbiter(THREE) + arbiter(FOUR) + arbiter(FIVE))), [("S013", 7)]),
    ("a delay of half a second", swap((THREE, ""), (TWO, delayed(TWO, "1500ms"))), [("S014", 9)]),
    ("a delay among three", swap((TWO, delayed(TWO, "1s"))), [("S015", 9)]),
    ("one rack", swap((ONE, rack(ONE, "r")), (TWO, rack(TWO, "r")), (THREE, rack(THREE, "r"))), [("S016", 7)]),
    ("racks", swap((ONE, rack(ONE, "r")), (TWO, rack(TWO, "s")), (THREE, rack(THREE, "r"))), []),
    ("an arbiter elsewhere does not help",
     swap((ONE, rack(ONE, "r")), (TWO, rack(TWO, "r")), (THREE, rack(arbiter(THREE), "s"))), [("S016", 7)]),
    ("some racks", swap((ONE, rack(ONE, "r")), (THREE, rack(THREE, "r"))), [("S017", 9)]),
    ("large with two full nodes", swap(TWO_VIPS, (THREE, arbiter(THREE))) + SERVICES + LARGE, [("S018", 8)]),
    ("objective of zero", BASE + "objective: 0s\n", [("S019", 11)]),
    ("timings of zero", BASE + "timings: {token: 0ms,\n  monitor_interval: 0s, token_coefficient: 0ms}\n",
     [("S019", 11), ("S019", 12)]),
    ("an address twice", swap(("10.77.1.13", "10.77.1.12")), [("S020", 10)]),
    ("a VIP that is a node", swap(("10.77.1.100", "10.77.1.12")), [("S020", 3)]),
    ("a VIP that is a BMC", swap(("bmc: 10.77.9.12", "bmc: 10.77.1.100")), [("S020", 9), ("S041", 9)]),
    ("a VIP twice", swap((TWO_VIPS[0], TWO_VIPS[1].replace("101", "100"))) + SERVICES, [("S020", 4)]),
    ("a BMC twice", swap(("10.77.9.13", "10.77.9.12")), [("S020", 10)]),
    ("a chassis' BMC, a system each",
     swap(("bmc: 10.77.9.12", "bmc: {address: 10.77.9.11, system: /redfish/v1/Systems/2}")), []),
    ("overlapping planes", swap(("10.77.2.0/24", "10.77.0.0/22")), [("S021", 6)]),
    ("a foreign address", swap(("10.77.2.12", "10.77.3.12")), [("S022", 9)]),
    ("planes swapped", swap(("[10.77.1.12, 10.77.2.12]", "[10.77.2.12, 10.77.1.12]")), [("S022", 9), ("S022", 9)]),
    ("the network's address", swap(("10.77.2.12", "10.77.2.0")), [("S023", 9)]),
    ("the broadcast address", swap(("10.77.1.100", "10.77.1.255")), [("S023", 3)]),
    ("a multicast address", swap(("10.77.1.100", "224.0.0.18")), [("S023", 3)]),
    ("a loopback BMC", swap(("10.77.9.11", "127.0.0.1")), [("S023", 8)]),
    ("no address at all", swap(("10.77.9.11", "0.0.0.0")), [("S023", 8)]),
    ("an address missing", swap(("[10.77.1.12, 10.77.2.12]", "10.77.1.12")), [("S024", 9)]),
    ("an address too many", swap(("[10.77.1.12, 10.77.2.12]", "[10.77.1.12, 10.77.2.12, 10.77.3.12]")), [("S024", 9)]),
    ("a VIP outside", swap(("10.77.1.100", "10.77.3.100")), [("S025", 3)]),
    ("a VIP on another plane",
     swap(("public: 10.77.1.100", "public: {address: 10.77.1.100, plane: b}")), [("S025", 3)]),
    ("a VIP on plane b", swap(("public: 10.77.1.100", "public: {address: 10.77.2.100, plane: b}")), []),
    ("a subnet too small",
     swap(("10.77.1.0/24", "10.77.1.0/30"), (".1.11", ".1.1"), (".1.12", ".1.2"), (".1.13", ".1.0"),
          (".1.100", ".1.3")), [("S023", 3), ("S026", 5), ("S023", 10)]),
    ("one plane",
     swap(("  b: 10.77.2.0/24\n", ""), (", 10.77.2.11", ""), (", 10.77.2.12", ""), (", 10.77.2.13", "")),
     [("S030", 4)]),
    ("fewer ports than planes", BASE + "bond: null\nports: [eth0]\n", [("S039", 11), ("S031", 12)]),
    ("a bond with one port", BASE + "ports: [eth0]\n", [("S032", 11)]),
    ("a bond with one port on one node", swap(("bmc: 10.77.9.12", "ports: [eth0], bmc: 10.77.9.12")), [("S032", 9)]),
    ("a bond without ports", BASE + "ports: []\n", [("S032", 11)]),
    ("a port twice", BASE + "ports: [eth0, eth0]\n", [("S033", 11)]),
    ("a port like the bond", BASE + "ports: [eth0, bond0]\n", [("S033", 11)]),
    ("nine planes", swap(("  b: 10.77.2.0/24\n", "".join(f"  p{i}: 10.78.{i}.0/24\n" for i in range(8))),
                         (", 10.77.2.11]", "".join(f", 10.78.{i}.11" for i in range(8)) + "]"),
                         (", 10.77.2.12]", "".join(f", 10.78.{i}.12" for i in range(8)) + "]"),
                         (", 10.77.2.13]", "".join(f", 10.78.{i}.13" for i in range(8)) + "]")), [("S034", 4)]),
    ("a blind bond", BASE + "bond:\n  miimon: 0s\n", [("S035", 12)]),
    ("ARP without a target", BASE + "bond: {arp_interval: 100ms}\n", [("S036", 11)]),
    ("two monitors", BASE + "bond: {arp_interval: 100ms, miimon: 100ms,\n arp_ip_target: [10.77.1.1]}\n",
     [("S037", 11)]),
    ("ARP and LACP", BASE + "bond: {arp_interval: 100ms, mode: 802.3ad,\n arp_ip_target: [10.77.1.1]}\n",
     [("S038", 11)]),
    ("LACP", BASE + "bond: {mode: 802.3ad}\n", []),
    ("no bond", BASE + "bond: null\n", [("S039", 11)]),
    ("no BMC", swap((", bmc: 10.77.9.13", "")), [("S040", 10)]),
    ("an arbiter without a BMC", swap((THREE, arbiter(THREE).replace(", bmc: 10.77.9.13", ""))), [("S040", 10)]),
    ("a BMC in a plane", swap(("10.77.9.12", "10.77.2.112")), [("S041", 9)]),
    ("no authority", BASE + 'fencing: {ca_file: ""}\n', [("S042", 11)]),
    ("no authority needed", BASE + 'fencing: {ca_file: "", agent: fence_ipmilan}\n', []),
    ("an unknown plane", swap(("public: 10.77.1.100", "public: {address: 10.77.1.100, plane: c}")), [("S050", 3)]),
    ("an address in an unknown plane",
     swap(("[10.77.1.12, 10.77.2.12]", "{a: 10.77.1.12, b: 10.77.2.12, c: 10.77.3.12}")), [("S050", 9)]),
    ("an unknown VIP", BASE + "services: {one: {vip: publik}}\n", [("S051", 11)]),
    ("no VIP", swap(("vips:\n  public: 10.77.1.100\n", "vips: {}\n")), [("S052", 2)]),
    ("no service", BASE + "services: {}\n", [("S052", 11)]),
    ("no plane", swap(("planes:\n  a: 10.77.1.0/24\n  b: 10.77.2.0/24\n", "planes: {}\n")),
     [("S052", 4), ("S024", 6), ("S024", 7), ("S024", 8)]),
    ("an idle VIP", swap(TWO_VIPS), [("S053", 4)]),
    ("services dealt out over VIPs", swap(TWO_VIPS) + LARGE + "services: {one: {port: 1}, two: {port: 2}}\n", []),
    ("a port twice on a VIP", BASE + "services:\n  one: {}\n  two: {backend_port: 5}\n", [("S054", 13)]),
    ("a port on two VIPs",
     swap(TWO_VIPS) + "services:\n  one: {vip: public}\n  two: {vip: inner, backend_port: 5}\n", []),
    ("one port behind two VIPs", swap(TWO_VIPS) + "services:\n  one: {vip: public}\n  two: {vip: inner}\n",
     [("S055", 14)]),
    ("no port left", BASE + "services: {one: {port: 60000}}\n", [("S055", 11)]),
    ("a high port", BASE + "services: {one: {port: 60000, backend_port: 1}}\n", []),
    ("active-standby in large", swap(TWO_VIPS) + LARGE + SERVICES.replace("{vip: public}",
     "{vip: public, policy: active-standby}"), [("S056", 13)]),
    ("one VIP in large", BASE + LARGE, [("S057", 2)]),
    ("a service called haproxy", BASE + "services: {haproxy: {}}\n", [("S058", 11)]),
    ("a service called like a VIP's resource", BASE + "services: {vip-public: {}}\n", [("S058", 11)]),
    ("a database and a message queue", BASE + "database: {}\nmessaging: {}\n", []),
    ("a database alone", BASE + "services: {}\ndatabase: {}\n", []),
    ("a database behind an unknown VIP", BASE + "database: {vip: publik}\n", [("S051", 11)]),
    ("a VIP for the database alone", swap(TWO_VIPS) + "database: {vip: inner}\n", []),
    ("a database and its readers on one port", BASE + "database:\n  reader_port: 3306\n", [("S054", 12)]),
    ("a database without a port for readers", BASE + "database: {reader_port: 0}\n", []),
    ("a message queue on a service's port", BASE + "messaging: {port: 9292}\n", [("S054", 11)]),
    ("a message queue on a service's backend port", BASE + "messaging: {port: 19292}\n", [("S055", 11)]),
    ("a service called database", BASE + "services: {database: {}}\n", [("S058", 11)]),
    ("two active and a spare", BASE + "services:\n  one: {policy: {active: 2, spare: 1}}\n", []),
    ("three active of three", BASE + "services:\n  one: {policy: {active: 3, spare: 0}}\n", []),
    ("a spare too many", BASE + "services:\n  one:\n    policy: {active: 2, spare: 2}\n", [("S059", 13)]),
    ("an arbiter is no spare", swap((THREE, arbiter(THREE))) + "services:\n  one: {policy: {active: 2, spare: 1}}\n",
     [("S059", 12)]),
    ("a node that is neither", BASE + "services:\n  one: {policy: {active: 2,\n spare: 0}}\n", [("S061", 12)]),
    ("one active instance", BASE + "services:\n  one:\n    policy:\n      spare: 2\n      active: 1\n", [("S062", 15)]),
    ("one active instance in large", swap(TWO_VIPS) + LARGE + SERVICES.replace("{vip: public}",
     "{vip: public, policy: {active: 1, spare: 2}}"), [("S056", 13)]),
    ("one active member", BASE + "database: {policy: {active: 1, spare: 2}}\n", [("S063", 11)]),
    ("two active members", BASE + "database: {policy: {active: 2,\n spare: 1}}\n", [("S064", 11)]),
    ("two active members and an arbiter", swap((THREE, THREE + FOUR + arbiter(FIVE)))
     + "database: {policy: {active: 2, spare: 2}}\n", []),
    ("two active brokers and an arbiter", swap((THREE, THREE + FOUR + arbiter(FIVE)))
     + "messaging: {policy: {active: 2,\n spare: 2}}\n", []),
    ("three active brokers and an arbiter", swap((THREE, THREE + FOUR + arbiter(FIVE)))
     + "messaging: {policy: {active: 3,\n spare: 1}}\n", [("S064", 13)]),
    ("three active members", swap((THREE, THREE + FOUR + FIVE)) + "database: {policy: {active: 3, spare: 2}}\n"
     "messaging: {policy: {active: 5, spare: 0}}\n", []),
    ("VIPs on two of three nodes", swap(TWO_VIPS) + LARGE + SERVICES + "vip_policy: {active: 2, spare: 1}\n", []),
    ("VIPs on three of three nodes", swap(TWO_VIPS) + LARGE + SERVICES + "vip_policy: {active: 3, spare: 0}\n",
     [("S067", 14)]),
    ("VIPs on four nodes", swap(TWO_VIPS) + LARGE + SERVICES + "vip_policy: {active: 2, spare: 2}\n", [("S059", 14)]),
    ("VIPs dealt out in small", BASE + "vip_policy: {active: 2, spare: 1}\n", [("S066", 11)]),
    ("the VIPs of small in other words", BASE + "vip_policy: {active: 1, spare: 2}\n", []),
    ("an alarm service and a database", BASE + "database: {}\nalarms: {}\n", []),
    ("an alarm service alone", BASE + "services: {}\nalarms: {}\n", [("S068", 12)]),
    ("encryption of nothing", BASE + "encryption: {}\n", [("S071", 11)]),
    ("encryption of messages", BASE + "messaging: {}\nencryption: {}\n", []),
    ("an alarm service on each node, alone", BASE + "alarms:\n  policy: all-active\n", [("S069", 12)]),
    ("an alarm service in large, alone", swap(TWO_VIPS) + LARGE + SERVICES + "alarms: {}\n", [("S069", 14)]),
    ("an only alarm service in large", swap(TWO_VIPS) + LARGE + SERVICES + "database: {}\n"
     "alarms: {policy: active-standby}\n", [("S056", 15)]),
    ("an alarm service without TLS", BASE + 'database: {}\nalarms:\n  certificate: ""\n', [("S070", 13)]),
    ("an alarm service on the database's port", BASE + "database: {}\nalarms: {port: 3306}\n", [("S054", 12)]),
    ("an alarm service on a high port", BASE + "database: {}\nalarms: {port: 60000}\n", [("S055", 12)]),
    ("a service called alarms", BASE + "services: {alarms: {}}\n", [("S058", 11)]),
    ("a service called like another's clone", BASE + "services: {one: {},\n one-clone: {port: 5}}\n", [("S058", 12)]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_rule_speaks_at_its_line_and_only_there(text: str, expected: list[tuple[str, int]]) -> None:
    assert sorted(told(text)) == sorted(expected)


def test_every_rule_is_broken_by_some_test() -> None:
    """The rules about the file's shape are in test_site_loading.py."""
    broken = {code for _, _, expected in CASES for code, _ in expected}
    assert {rule.code for rule in rules.RULES} - broken == {*(f"S00{n}" for n in range(1, 10)), "S060"}


def test_all_rules_are_listed_once_in_order() -> None:
    declared = {value.code for value in vars(rules).values() if isinstance(value, rules.Rule)}
    codes = [rule.code for rule in rules.RULES]
    assert codes == sorted(set(codes))
    assert set(codes) == declared


BAD = sorted((EXAMPLES / "bad").glob("*.yaml"))


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_each_bad_example_has_the_one_finding_that_it_names(path: Path) -> None:
    expected = path.read_text().splitlines()[0].removeprefix("# expect: ")
    loaded = load(path)
    findings = loaded.findings
    if loaded.site:
        timings = solve(loaded.site)
        findings = [*findings, *loaded.place(check(loaded.site, timings, budget(loaded.site, timings)))]
    assert {finding.code for finding in findings} == {expected}
    assert all(finding.where.startswith(f"{path}:") for finding in findings)


def test_there_is_a_bad_example_for_each_bad_input() -> None:
    """YAML syntax, anchors, duplicate node, unknown key, wrong type, 0.5s, one node, two nodes, address twice,
    overlapping and foreign subnets, VIP outside, bond with one port, no BMC, objective out of reach.
    """
    codes = {path.read_text().splitlines()[0].removeprefix("# expect: ") for path in BAD}
    assert codes >= {
        "S001", "S002", "S003", "S004", "S006", "S008", "S010", "S011", "S020", "S021", "S022", "S025", "S032", "S040",
        "T002",
    }  # fmt: skip
