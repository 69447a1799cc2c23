"""A8: `vimha validate` as a library: good sites are clean, bad ones give their own finding, bombs are refused."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from pacemaker import needs_pacemaker

from vimha.cluster.document import MAX_CIB, parse_cib
from vimha.cluster.validate import validate_files, validate_live, validate_site
from vimha.errors import UsageError, VimhaError
from vimha.process import Result, run

EXAMPLES = Path(__file__).parents[2] / "examples"
CIBS = Path(__file__).with_name("cibs")
CLEAN = (CIBS / "clean.xml").read_text()
CONF = """totem {
 crypto_cipher: aes256
 crypto_hash: sha256
 token: 1000
 token_coefficient: 0
}
"""


def codes(findings: list) -> list[str]:  # type: ignore[type-arg]
    return [each.code for each in findings]


@needs_pacemaker
@pytest.mark.parametrize("site", sorted(EXAMPLES.glob("site-*.yaml")), ids=lambda path: path.stem)
def test_good_site_is_clean(site: Path) -> None:
    assert validate_site(site) == []


@pytest.mark.parametrize("site", sorted((EXAMPLES / "bad").glob("*.yaml")), ids=lambda path: path.stem)
def test_bad_site_is_told_by_its_own_room_only(site: Path) -> None:
    found = validate_site(site)
    assert found
    assert {code[0] for code in codes(found)} <= {"S", "T"}


SMALL = (EXAMPLES / "site-small.yaml").read_text()
NODES_AND_ARBITER = """
{n1: {addresses: [10.77.1.11, 10.77.2.11], bmc: 10.77.9.11}, n2: {addresses: [10.77.1.12, 10.77.2.12], bmc: 10.77.9.12},
 n3: {addresses: [10.77.1.13, 10.77.2.13], bmc: 10.77.9.13, role: arbiter}}
"""


@needs_pacemaker
@pytest.mark.parametrize("changes", [
    {"scale": "small", "bond": "null"},
    {"scale": "small", "services": "{glance-api: {policy: active-standby}, other: {port: 9393}}"},
    {"scale": "large", "services": "{glance-api: {policy: active-standby}, other: {port: 9393}}"},
    {"scale": "small", "fencing": "{agent: fence_ipmilan}"},
    {"scale": "large", "vips": "{public: 10.77.1.100, inner: 10.77.1.101}", "database": "{vip: inner}",
     "messaging": "{vip: inner}"},
    {"nodes": NODES_AND_ARBITER, "database": "{}", "messaging": "{}"},
    {"scale": "large", "fencing": "{agent: fence_redfish}"},
], ids=str)  # fmt: skip
def test_what_any_profile_renders_has_no_trap(changes: dict[str, str], tmp_path: Path) -> None:
    import yaml

    data = yaml.safe_load(SMALL) | {key: yaml.safe_load(value) for key, value in changes.items()}
    site = tmp_path / "site.yaml"
    site.write_text(yaml.safe_dump(data, sort_keys=False))
    found = [each for each in validate_site(site) if each.code[0] in "CFPR"]
    assert found == []


def test_nothing_is_skipped_in_silence() -> None:
    found = validate_site(EXAMPLES / "site-small.yaml", installed=lambda: False)
    assert codes(found) == ["P013"]
    assert found[0].severity == "warning"
    assert codes(validate_files(CIBS / "clean.xml", None, installed=lambda: False)) == ["C116", "P013"]


def test_scheduler_that_refuses_is_a_finding() -> None:
    def broken(
        argv: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> Result:
        return Result(tuple(argv), 65, "", "crm_simulate: invalid configuration")

    found = validate_site(EXAMPLES / "site-small.yaml", runner=broken, installed=lambda: True)
    assert codes(found) == ["P014"]
    assert "invalid configuration" in found[0].message


def bomb() -> str:
    levels = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    return f'<!DOCTYPE cib [<!ENTITY a0 "ha">{levels}]><cib><configuration>&a11;</configuration></cib>'


@pytest.mark.parametrize("text", [
    bomb(),
    '<!DOCTYPE cib [<!ENTITY x SYSTEM "file:///etc/shadow">]><cib><configuration>&x;</configuration></cib>',
    '<!DOCTYPE cib SYSTEM "http://192.0.2.1/cib.dtd"><cib><configuration/></cib>',
    "", "not XML", "<cib>", "<other/>", "<cib/>", "<a/><b/>", "\x00",
], ids=str)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_what_is_no_cib_is_refused(text: str, encoding: str) -> None:
    with pytest.raises(UsageError):
        parse_cib(text.encode(encoding), "cib.xml")


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(UsageError):
        parse_cib(b"<cib><configuration>" + b"<a>" * 100_000, "cib.xml")


def sparse(path: Path) -> Path:
    with path.open("wb") as file:
        file.truncate(MAX_CIB + 1)
    return path


@pytest.mark.parametrize("make", [
    lambda folder: folder / "missing", lambda folder: folder, lambda folder: sparse(folder / "large"),
    lambda folder: folder / "nul\0",
])  # fmt: skip
def test_unreadable_file_is_a_usage_error(make: Callable[[Path], Path], tmp_path: Path) -> None:
    path = make(tmp_path)
    with pytest.raises(UsageError):
        validate_files(path, None)
    with pytest.raises(UsageError):
        validate_files(None, path)


def test_broken_schema_is_told_and_not_simulated(tmp_path: Path) -> None:
    cib = tmp_path / "cib.xml"
    cib.write_text(CLEAN.replace("<group ", "<grupp ").replace("</group>", "</grupp>"))
    found = codes(validate_files(cib, None))
    assert {"R003", "P013"} <= set(found)
    assert not [code for code in found if code.startswith("P") and code != "P013"]


def test_corosync_alone(tmp_path: Path) -> None:
    conf = tmp_path / "corosync.conf"
    conf.write_text(CONF.replace("token: 1000", "token: 100"))
    (found,) = [each for each in validate_files(None, conf) if each.code == "C112"]
    assert found.where == f"{conf}:4"
    conf.write_bytes(b"\xff\xfe\x00junk")
    assert "C100" in codes(validate_files(None, conf))


class Node:
    """A fake node of a cluster: answers cibadmin and cat, knows nothing else."""

    def __init__(self, cib: str, conf: str) -> None:
        self.answers = {"cibadmin": cib, "cat": conf}

    def __call__(
        self, argv: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> Result:
        out = self.answers[argv[0]]
        return Result(tuple(argv), 0 if out else 1, out, "" if out else "no such file")


@needs_pacemaker
def test_live_cluster_is_read_from_its_node() -> None:
    trap = CLEAN.replace('interval="500ms"', 'interval="0.5s"')
    found = {f"{each.code} {each.where}" for each in validate_live(Node(trap, CONF), runner=run)}
    assert {"C001 vip-monitor", "C104 /etc/corosync/corosync.conf:1"} <= found
    assert "C116" in codes(validate_live(Node(CLEAN, ""), runner=run))


def test_no_cluster_to_read() -> None:
    with pytest.raises(VimhaError, match="no cluster"):
        validate_live(Node("", ""))


@needs_pacemaker
def test_advice_is_asked_of_installed_agents_with_plain_names_only(tmp_path: Path) -> None:
    asked: list[str] = []

    def spy(
        argv: Sequence[str], *, timeout_s: float = 60.0, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> Result:
        if argv[0] == "crm_resource":
            asked.append(argv[2])
            actions = '<resource-agent><actions><action name="stop" timeout="90s"/></actions></resource-agent>'
            return Result(tuple(argv), 0, actions if "IPaddr2" in argv[2] else "", "")
        return run(argv, timeout_s=timeout_s, stdin=stdin, env=env)

    cib = tmp_path / "cib.xml"
    cib.write_text(CLEAN.replace('type="Dummy"', 'type="../../../tmp/evil"'))
    found = [(each.code, each.where) for each in validate_files(cib, None, runner=spy)]
    assert asked == ["ocf:heartbeat:IPaddr2", "ocf:pacemaker:ping"]
    assert ("C005", "vip") in found
    assert ("C019", "resources") in found
