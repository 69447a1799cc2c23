"""A1, A8: corosync.conf is read with line numbers, whatever is in it, and its traps are found."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vimha.cluster import rules, traps
from vimha.cluster.cib import Cib
from vimha.cluster.corosync_conf import Entry, Section, parse
from vimha.cluster.document import parse_cib

GOOD = """\
totem {
  version: 2
  transport: knet
  crypto_cipher: aes256
  crypto_hash: sha256
  token: 1000
  token_coefficient: 0
}
nodelist {
  node {
    name: c1
    nodeid: 1
    ring0_addr: 192.0.2.1
    ring1_addr: 198.51.100.1
  }
  node {
    name: c2
    nodeid: 2
    ring0_addr: 192.0.2.2
    ring1_addr: 198.51.100.2
  }
  node {
    name: c3
    nodeid: 3
    ring0_addr: 192.0.2.3
    ring1_addr: 198.51.100.3
  }
}
quorum {
  provider: corosync_votequorum
}
"""
CLEAN = (Path(__file__).parent / "cibs" / "clean.xml").read_bytes()
INTERFACE = "totem {\n  interface {\n    linknumber: 0\n"

TRAPS = [
    ("C100 4", "  crypto_cipher: aes256", "  crypto_cipher aes256"),
    ("C101 6", "  token_coefficient: 0\n", ""),
    ("C102 7", "  token_coefficient: 0", "  consensus: 1199\n  token_coefficient: 0"),
    ("C103 6", "token: 1000", "token: 1200"),
    ("C104 10", "    ring1_addr: 198.51.100.1\n", ""),
    ("C105 4", "crypto_cipher: aes256", "crypto_cipher: none"),
    ("C106 30", "quorum {", "system {\n  sched_rr: no\n}\nquorum {"),
    ("C108 30", "quorum {", "quorum {\n  device {\n    model: net\n  }"),
    ("C111 30", "quorum {", "quorum {\n  expected_votes: 2"),
    ("C112 6", "token: 1000", "token: 125"),
    ("C113 3", "transport: knet", "transport: udpu"),
    ("C114 4", "totem {\n", f"{INTERFACE}    knet_ping_timeout: 1000\n    knet_ping_interval: 200\n  }}\n"),
    ("C115 7", "token_coefficient: 0", "token_coefficient: none"),
    ("C117 1", "token: 1000", "token: 400"),
]


def found(text: str, cib: Cib | None = None) -> list[str]:
    """Code and line of every finding."""
    return [f"{each.code} {each.where.rpartition(':')[2]}" for each in traps.check(cib, parse(text), where="c.conf")]


def test_good_file_has_no_finding() -> None:
    assert found(GOOD) == []
    assert found(GOOD, Cib(parse_cib(CLEAN, "cib"))) == []


@pytest.mark.parametrize(("expected", "old", "new"), TRAPS, ids=[each[0] for each in TRAPS])
def test_trap_is_found_at_its_line(expected: str, old: str, new: str) -> None:
    assert old in GOOD
    assert expected in found(GOOD.replace(old, new, 1))


def test_every_rule_is_tested() -> None:
    elsewhere = {rules.QDEVICE_SBD, rules.TWO_NODES, rules.OTHER_NODES, rules.NO_COROSYNC}
    assert {each[0].split()[0] for each in TRAPS} == {rule.code for rule in {*rules.COROSYNC_RULES} - elsewhere}


def test_defaults_are_too_slow_for_five_seconds() -> None:
    text = GOOD.replace("  token: 1000\n  token_coefficient: 0\n", "")
    (finding,) = traps.check(None, parse(text))
    assert (finding.code, finding.severity) == ("C103", "error")
    assert "8030 ms" in finding.message


def test_budgeted_timings_are_not_judged_twice() -> None:
    assert traps.check(None, parse(GOOD.replace("token: 1000", "token: 1500")), budgeted=True) == []


def test_both_links_at_once_may_be_judged_slowly() -> None:
    interface = (
        "totem {\n  link_mode: active\n  interface {\n    knet_ping_timeout: 1000\n    knet_ping_interval: 200\n  }\n"
    )
    assert found(GOOD.replace("totem {\n", interface)) == []


def test_hash_alone_is_a_warning() -> None:
    (finding,) = traps.check(None, parse(GOOD.replace("aes256", "none")))
    assert (finding.code, finding.severity) == ("C105", "warning")
    assert found(GOOD.replace("  crypto_cipher: aes256\n  crypto_hash: sha256\n", "  secauth: on\n")) == []


def test_two_nodes() -> None:
    start, end = GOOD.index("  node {\n    name: c3"), GOOD.index("}\nquorum")
    two = GOOD[:start] + GOOD[end:]
    assert [each.split()[0] for each in found(two)] == ["C109"]
    assert found(two.replace("quorum {", "quorum {\n  two_node: 1")) == []


def test_nodes_differ_from_the_cib() -> None:
    assert found(GOOD.replace("name: c3", "name: c4"), Cib(parse_cib(CLEAN, "cib"))) == ["C110 9"]


def test_quorum_device_and_diskless_sbd() -> None:
    option = b'<nvpair id="w" name="stonith-watchdog-timeout" value="10s"/></cluster_property_set>'
    cib = Cib(parse_cib(CLEAN.replace(b"</cluster_property_set>", option), "cib"))
    text = GOOD.replace("quorum {", "quorum {\n  device {\n    model: net\n    sync_timeout: 2000\n  }")
    assert found(text, cib) == ["C107 30"]


@pytest.mark.parametrize(("text", "problem"), [
    ("totem {\n token: 1\n", (1, "section `totem` is not closed")),
    ("}\n", (1, "a closing brace too many")),
    ("totem {\n} x\n", (2, "text beside the closing brace")),
    ("{\n}\n", (1, "a section without a name")),
    ("totem { token: 1\n}\n", (1, "text after the opening brace: `token: 1`")),
    (": 1\n", (1, "neither `section {`, `}` nor `key: value`: `: 1`")),
    ("a {\n" * 9 + "}\n" * 9, (8, "sections are nested deeper than any of corosync's")),
])  # fmt: skip
def test_malformed_line(text: str, problem: tuple[int, str]) -> None:
    assert problem in [(each.line, each.message) for each in parse(text).problems]


def test_comments_repetition_and_order() -> None:
    conf = parse("# totem {\n  totem {\n\ttoken: 1\n token:  2 \n}\ntotem {\n name: a: b\n}\n")
    totem = conf.root.merged("totem")
    assert (totem.get("token"), totem.line_of("token"), totem.get("name"), totem.line) == ("2", 4, "a: b", 2)
    assert not conf.problems


WORD = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
ENTRIES = st.lists(st.tuples(WORD, WORD), max_size=4)
TREES = st.recursive(
    st.tuples(ENTRIES, st.just([])), lambda inner: st.tuples(ENTRIES, st.lists(st.tuples(WORD, inner), max_size=3)),
    max_leaves=8,
)  # fmt: skip


def written(tree: tuple, depth: int = 0) -> str:  # type: ignore[type-arg]
    """`tree` as corosync.conf's text."""
    entries, sections = tree
    pad = "  " * depth
    lines = [f"{pad}{key}: {value}\n" for key, value in entries]
    return "".join(lines) + "".join(f"{pad}{name} {{\n{written(inner, depth + 1)}{pad}}}\n" for name, inner in sections)


def read(section: Section) -> tuple:  # type: ignore[type-arg]
    entries = [(entry.key, entry.value) for entry in section.entries]
    return entries, [(inner.name, read(inner)) for inner in section.sections]


def depth(tree: tuple) -> int:  # type: ignore[type-arg]
    return 1 + max((depth(inner) for _, inner in tree[1]), default=0)


@given(TREES)
def test_what_is_written_is_read_back(tree: tuple) -> None:  # type: ignore[type-arg]
    conf = parse(written(tree))
    assert read(conf.root) == tree
    assert not conf.problems or depth(tree) > 7


@given(st.text(st.sampled_from("totem{}:# \n\t0é\x00") | st.characters(), max_size=200))
def test_anything_is_read_without_a_traceback(text: str) -> None:
    conf = parse(text)
    assert all(1 <= problem.line <= text.count("\n") + 1 for problem in conf.problems)
    traps.check(None, conf)


@given(st.sampled_from(GOOD.splitlines()), st.text(max_size=20))
def test_any_broken_line_is_survived(line: str, junk: str) -> None:
    traps.check(None, parse(GOOD.replace(line, junk)))


def test_entry_is_the_last_of_its_key() -> None:
    section = Section("totem", 1, [Entry("token", "1", 2), Entry("token", "x", 3)])
    assert (section.get("token"), section.number("token", 7), section.number("join", 50)) == ("x", 7, 50)
