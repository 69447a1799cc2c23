"""vimha/site/loading: from bytes to a site and findings, whatever the bytes are."""

import os
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vimha.errors import UsageError, VimhaError
from vimha.findings import Finding, Severity
from vimha.site.loading import MAX_BYTES, Loaded, load, load_valid, parse
from vimha.site.model import Role, Site

EXAMPLES = Path(__file__).parents[2] / "examples"
MINIMAL = (EXAMPLES / "site-minimal.yaml").read_text()


def told(text: str) -> list[tuple[str, int]]:
    """Code and line of each finding about `text`."""
    return [(finding.code, int(finding.where.partition(":")[2])) for finding in parse(text.encode(), "f").findings]


@pytest.mark.parametrize("name", ["minimal", "small", "large", "spares"])
def test_the_good_examples_have_no_finding(name: str) -> None:
    loaded = load(EXAMPLES / f"site-{name}.yaml")
    assert loaded.findings == []
    assert loaded.site is not None


def test_a_minimal_site_is_filled_in() -> None:
    site = load_valid(EXAMPLES / "site-minimal.yaml")
    assert {name: plane.subnet for name, plane in site.planes.items()} == {
        "a": IPv4Network("10.77.1.0/24"),
        "b": IPv4Network("10.77.2.0/24"),
    }
    assert site.nodes["control-2"].addresses == {"a": IPv4Address("10.77.1.12"), "b": IPv4Address("10.77.2.12")}
    assert site.nodes["control-2"].bmc is not None
    assert site.vips["public"].address == IPv4Address("10.77.1.100")
    assert list(site.services) == ["glance-api"]


def test_short_and_long_forms_mean_the_same() -> None:
    long = """
        site: demo
        planes: {a: {subnet: 10.77.1.0/24}, b: {subnet: 10.77.2.0/24}}
        vips: {public: {address: 10.77.1.100}}
        nodes:
          control-1: {addresses: {a: 10.77.1.11, b: 10.77.2.11}, bmc: {address: 10.77.9.11}}
          control-2: {addresses: {a: 10.77.1.12, b: 10.77.2.12}, bmc: {address: 10.77.9.12}}
          control-3: {addresses: {a: 10.77.1.13, b: 10.77.2.13}, bmc: {address: 10.77.9.13}}
        """
    words = MINIMAL.replace(
        "vip: 10.77.1.100", "vips: {public: 10.77.1.100}\nplanes: {a: 10.77.1.0/24, b: 10.77.2.0/24}"
    )
    expected = load_valid(EXAMPLES / "site-minimal.yaml")
    assert parse(long.encode(), "f").site == expected
    assert parse(words.encode(), "f").site == expected


def test_planes_are_inferred_from_the_first_full_node_with_good_addresses() -> None:
    text = """
        site: demo
        vip: 10.1.0.100
        bond: {miimon: 100ms}
        nodes:
          judge: {role: arbiter, addresses: [10.1.0.1], bmc: 10.9.0.1}
          one: {addresses: 10.1.0.2, bmc: 10.9.0.2}
          two: {addresses: {a: 10.1.0.3}, bmc: 10.9.0.3}
        """
    loaded = parse(text.encode(), "f")
    assert [finding.code for finding in loaded.findings] == ["S030"]
    assert loaded.site is not None
    assert loaded.site.planes["a"].subnet == IPv4Network("10.1.0.0/24")
    assert loaded.site.nodes["judge"].role is Role.ARBITER


@pytest.mark.parametrize("name", ["minimal", "small", "large", "spares"])
def test_a_dumped_site_loads_again(name: str) -> None:
    site = load_valid(EXAMPLES / f"site-{name}.yaml")
    again = parse(site.model_dump_json().encode(), "f")
    assert (again.site, again.findings) == (site, [])


def test_node_ports_override_the_sites() -> None:
    site = parse(MINIMAL.replace("bmc: 10.77.9.13", "bmc: 10.77.9.13, ports: [ens1, ens2]").encode(), "f").site
    assert site is not None
    assert site.ports_of("control-3") == ("ens1", "ens2")
    assert site.ports_of("control-1") == ("eth0", "eth1")


def test_arp_interval_alone_switches_miimon_off() -> None:
    site = parse((MINIMAL + "bond: {arp_interval: 100ms, arp_ip_target: [10.77.1.1]}\n").encode(), "f").site
    assert site is not None
    assert site.bond is not None
    assert (site.bond.miimon, site.bond.arp_interval) == (0, 100)


def test_words_that_yaml_1_1_takes_for_truth_values_are_words() -> None:
    site = parse(MINIMAL.replace("control-1", "on").replace("control-2", "no").encode(), "f").site
    assert site is not None
    assert list(site.nodes) == ["on", "no", "control-3"]


def test_all_findings_are_told_at_once_in_the_files_order() -> None:
    text = """site: demo
objectiv: 5s
scale: smal
vip: 10.77.1.300
bond: {miimon: 100}
nodes:
  Control: {addresses: [10.77.1.10, 10.77.2.10], bmc: 10.77.9.10}
  control-1: {addresses: [10.77.1.11, 10.77.2.11], bmc: 10.77.9.11}
  control-2: {addresses: [10.77.1.11, 10.77.2.12], bmc: 10.77.9.12}
  control-3: {addresses: [10.77.1.13, 10.78.2.13]}
fencing: {off_worst: 0.5s}
"""
    assert told(text) == [
        ("S004", 2), ("S007", 3), ("S007", 4), ("S008", 5), ("S007", 7), ("S020", 9), ("S022", 10), ("S040", 10),
        ("S008", 11),
    ]  # fmt: skip


def test_one_mistake_makes_one_finding() -> None:
    """What follows from a broken value is not told as well: no bad vote count for a node that was left out."""
    assert told(MINIMAL.replace("10.77.1.13", "10.77.1.333")) == [("S007", 6)]
    assert told(MINIMAL.replace("  control-3", "  Control-3")) == [("S007", 6)]
    assert told(MINIMAL.replace("bmc: 10.77.9.13", "bmc: 10.77.9.333")) == [("S007", 6)]
    assert told(MINIMAL.replace("bmc: 10.77.9.13", "bcm: 10.77.9.13")) == [("S004", 6)]
    assert told(MINIMAL.replace("site: demo", "sit: demo")) == [("S004", 1)]
    assert told(MINIMAL.replace("nodes:", "node:")) == [("S004", 3)]
    assert told(MINIMAL + "planes: {a: 10.77.1.1/24, b: 10.77.2.0/24}\n") == [("S007", 7)]
    assert told(MINIMAL.replace("[10.77.1.11,", "[10.77.1.11a,")) == [("S007", 4)]
    for key in ("services: {g: {policy: %s}}\n", "database: {policy: %s}\n", "vip_policy: %s\n"):
        assert told(MINIMAL + key % "{activ: 2, spare: 9}") == [("S004", 7)]
        assert told(MINIMAL + key % "{active: 0, spare: 9}") == [("S007", 7)]
        assert told(MINIMAL + key % "[2, 1]") == [("S006", 7)]


def message(text: str) -> Finding:
    (finding,) = parse(text.encode(), "f").findings
    return finding


@pytest.mark.parametrize(
    ("text", "code", "words", "remedy"),
    [
        (MINIMAL + "objectiv: 5s\n", "S004", "the site has no key `objectiv`", "Did you mean `objective`?"),
        (MINIMAL + "bond: {mimon: 1s}\n", "S004", "`bond` has no key `mimon`", "Did you mean `miimon`?"),
        (MINIMAL + "zebra: 5s\n", "S004", "no key `zebra`", "Known here: site, scale"),
        (MINIMAL + "objective: 5\n", "S008", "`objective` is 5: not a duration", "Write 5s or 5ms"),
        (MINIMAL + "objective: 2.5s\n", "S008", "write 2500ms", "whole number"),
        (MINIMAL + "scale: Large\n", "S007", 'is "Large"; expected: one of small, large', "Did you mean `large`?"),
        (MINIMAL + "ports: eth0\n", "S006", "expected: a list", "Write [eth0]."),
        (MINIMAL + "services: {g: {port: '92'}}\n", "S006", 'is "92"; expected: a port', "Write 92 without quotes."),
        (MINIMAL + "services: {g: {port: 70000}}\n", "S007", "is 70000; expected: a port from 1 to 65535", ""),
        (MINIMAL + "services: [g]\n", "S006", "`services` is a list; expected: a mapping", ""),
        (MINIMAL + "fencing: {ca_file: bmc.pem}\n", "S007", "expected: an absolute path", ""),
        (MINIMAL + "ports: [eth0, 1]\n", "S006", "`ports[1]` is 1; expected: an interface's name", ""),
        (MINIMAL + "services: {g: {policy: warmstandby}}\n", "S007", '"warmstandby"; expected: one of active-standby, '
         "warm-standby, all-active or a mapping with the keys active, spare", "Did you mean `warm-standby`?"),
        (MINIMAL + "services: {g: {policy: 2}}\n", "S006", "`services.g.policy` is 2; expected: one of", ""),
        (MINIMAL + "services: {g: {policy: {activ: 2, spare: 1}}}\n", "S004", "`services.g.policy` has no key `activ`",
         "Did you mean `active`?"),
        (MINIMAL + "services: {g: {policy: {active: 2}}}\n", "S005", "`services.g.policy` has no `spare`", ""),
        (MINIMAL + "services: {g: {policy: {active: 0, spare: 1}}}\n", "S007",
         "`services.g.policy.active` is 0; expected: a whole number, 1 or more", ""),
        (MINIMAL + "services: {g: {policy: {active: '2', spare: 1}}}\n", "S006", "`services.g.policy.active` is",
         "Write 2 without quotes."),
        (MINIMAL + "database: {policy: all-active}\n", "S006", "expected: a mapping with the keys active, spare", ""),
        (MINIMAL + "vip_policy: {active: 2, spare: -1}\n", "S007", "`vip_policy.spare` is -1; expected: a whole number",
         ""),
        (MINIMAL.replace("vip: 10.77.1.100", "vip:"), "S006", "`vips.public` is empty", ""),
        (MINIMAL.replace("vip: 10.77.1.100\n", ""), "S005", "the site has no `vips`", ""),
        (MINIMAL + "vips: {x: 10.77.1.101}\n", "S009", "`vip` and `vips`", ""),
        ("site: demo\n", "S005", "", ""),
        ("", "S006", "the file is empty", ""),
        ("- site\n", "S006", "a list; expected: a mapping", ""),
    ],
)  # fmt: skip
def test_a_finding_says_what_was_found_expected_and_probably_meant(
    text: str, code: str, words: str, remedy: str
) -> None:
    finding = parse(text.encode(), "f").findings[0]
    assert finding.code == code
    assert words in finding.message
    assert remedy in finding.remedy


def test_a_duplicate_names_the_first_line() -> None:
    finding = message(MINIMAL.replace("control-3", "control-2"))
    assert (finding.code, finding.where) == ("S003", "f:6")
    assert "line 5" in finding.message


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("a: [1\nb: 2", "S001", 2),
        ("site: demo\n\tvip: x\n", "S001", 2),
        ("site: demo\nvip: \x01\n", "S001", 2),
        ("a: &x 1\n", "S002", 1),
        ("a: 1\nb: *x\n", "S002", 2),
        ("a: 1\n<<: *x\n", "S002", 2),
        ("a: 1\nb: !!python/object/apply:os.system [true]\n", "S002", 2),
        ("a: 1\n---\nb: 2\n", "S002", 2),
        ("? {a: b}\n: c\n", "S002", 1),
        ("a: " + "[" * 50, "S002", 1),
        ("a: [" + "1," * 60_000 + "]", "S002", 1),
    ],
)
def test_what_is_not_plain_data_is_one_finding(text: str, code: str, line: int) -> None:
    assert told(text) == [(code, line)]


def test_not_utf_8_is_one_finding_with_a_line() -> None:
    (finding,) = parse(b"site: demo\nvip: \xff\n", "f").findings
    assert (finding.code, finding.where) == ("S001", "f:2")


def test_a_file_that_fits_nowhere_has_a_bounded_number_of_findings() -> None:
    findings = parse("".join(f"key{i}: x\n" for i in range(5000)).encode(), "f").findings
    assert len(findings) == 201
    assert {finding.code for finding in findings} == {"S004", "S005", "S060"}


@pytest.mark.parametrize(
    "content",
    [
        "a" * 1000 + ": 1\n",
        "a: " + "x" * 1_000_000,
        MINIMAL + "objective: " + "5" * 900_000,
        MINIMAL + "ports: [" + "eth0," * 40_000 + "]",
        MINIMAL + "services:\n" + "".join(f"  s{i}: {{}}\n" for i in range(20_000)),
        MINIMAL + "planes:\n" + "".join(f"  p{i}: 10.0.0.0/8\n" for i in range(12_000)),
        "".join(f"k{i}: 1\n" for i in range(20_000)),
        "[" * 1_000_000,
        "? " * 500_000,
        "- " * 500_000,
    ],
    ids=[
        "long key",
        "long value",
        "long number",
        "ports",
        "services",
        "planes",
        "keys",
        "deep",
        "complex keys",
        "lists",
    ],
)
def test_hostile_files_cost_little_and_make_short_messages(content: str) -> None:
    begun = time.process_time()
    findings = parse(content.encode(), "f").findings
    assert time.process_time() - begun < 10
    assert findings
    assert max(len(finding.message) + len(finding.remedy) for finding in findings[:1000]) < 1000


def test_unreadable_files_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        load(tmp_path / "nothing.yaml")
    with pytest.raises(UsageError, match="a folder"):
        load(tmp_path)
    big = tmp_path / "big.yaml"
    with big.open("wb") as file:
        file.truncate(50 << 20)
    with pytest.raises(UsageError, match="larger than 1 MiB"):
        load(big)
    assert MAX_BYTES == 1 << 20


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_a_usage_error(tmp_path: Path) -> None:
    secret = tmp_path / "secret.yaml"
    secret.touch(0o000)
    with pytest.raises(UsageError, match="Permission denied"):
        load(secret)


def test_load_valid_names_the_first_error_and_how_many_more(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(MINIMAL + "zebra: 1\nobjective: 5\n")
    with pytest.raises(VimhaError, match=r"bad.yaml:7: S004 .*\(and 1 more\)"):
        load_valid(bad)


def test_a_site_that_only_breaks_a_rule_can_still_be_computed_with() -> None:
    outside = parse(MINIMAL.replace("vip: 10.77.1.100", "vip: 10.78.1.100").encode(), "f")
    assert outside.site is not None
    assert parse((MINIMAL + "services: {g: {vip: nope}}\n").encode(), "f").site is None
    assert parse((MINIMAL + "zebra: 1\n").encode(), "f").site is None


def test_findings_of_other_rooms_get_the_line_of_their_key() -> None:
    loaded = parse((MINIMAL + "timings:\n  token: 1s\n").encode(), "f")
    found = [Finding("T001", Severity.ERROR, where, "", "") for where in ("timings.token", "objective", "vip-public")]
    assert [finding.where for finding in loaded.place(found)] == ["f:8", "f:1", "vip-public"]


# Whatever is in the file, parse answers with findings, and a site only when nothing is unclear about it.

PATIENT = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
"""A busy machine is no failure."""
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(
    ["5s", "0.5s", "500ms", "eth0", "10.77.1.11", "10.77.1.0/24", "small", "arbiter", "a", "public", "/etc/x"]
)  # fmt: skip
keys = st.text(max_size=8) | st.sampled_from(
    [
        *Site.model_fields,
        "vip",
        "addresses",
        "bmc",
        "subnet",
        "address",
        "a",
        "b",
        "public",
        "port",
        "miimon",
        "role",
        "policy",
        "active",
        "spare",
    ]
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=6),
    max_leaves=30,
)


def sane(loaded: Loaded) -> bool:
    return all(finding.where.startswith("f") and finding.message for finding in loaded.findings)


@PATIENT
@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    assert sane(parse(content, "f"))


@PATIENT
@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@,?~ \n\t0", max_size=80))
def test_any_text_of_yaml_signs(text: str) -> None:
    assert sane(parse(text.encode(), "f"))


@PATIENT
@given(st.dictionaries(keys, anything, max_size=8))
def test_any_structure(data: dict[str, Any]) -> None:
    loaded = parse(yaml.safe_dump(data).encode(), "f")
    assert sane(loaded)
    assert loaded.site is not None or loaded.findings


def places(data: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path of `data`."""
    found = [at] if at else []
    steps = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for step, inner in steps:
        found += places(inner, (*at, step))
    return found


GOOD = yaml.safe_load((EXAMPLES / "site-small.yaml").read_text())


def changed(change: Callable[[Any, Any], None], path: tuple[Any, ...]) -> Loaded:
    data = yaml.safe_load((EXAMPLES / "site-small.yaml").read_text())
    holder = data
    for step in path[:-1]:
        holder = holder[step]
    change(holder, path[-1])
    return parse(yaml.safe_dump(data, sort_keys=False).encode(), "f")


@PATIENT
@given(st.sampled_from(places(GOOD)), anything)
def test_a_good_site_with_any_value_replaced(path: tuple[Any, ...], value: Any) -> None:
    loaded = changed(lambda holder, key: holder.__setitem__(key, value), path)
    assert sane(loaded)
    assert loaded.site is not None or loaded.findings


@pytest.mark.parametrize("path", places(GOOD), ids=lambda path: ".".join(map(str, path)))
def test_a_good_site_with_any_value_removed(path: tuple[Any, ...]) -> None:
    assert sane(changed(lambda holder, key: holder.pop(key), path))
