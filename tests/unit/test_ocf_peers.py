"""The list of members that clustered agents take: whatever is in it, addresses by name or one clear refusal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resource_agents.ocf.agent import CONFIGURED, OcfError
from resource_agents.ocf.peers import parse_members

NAMES = st.from_regex(r"[a-z][a-z0-9.-]{0,20}", fullmatch=True)
IPV4 = st.ip_addresses(v=4).map(str)
SPACES = st.text(" \t\n", min_size=1, max_size=3)


@given(st.dictionaries(NAMES, IPV4, min_size=1, max_size=9), SPACES)
def test_a_list_is_read_as_it_was_written_and_in_its_order(members: dict[str, str], between: str) -> None:
    text = between.join(f"{name}={address}" for name, address in members.items())
    assert list(parse_members(text, ipv4=True).items()) == list(members.items())
    assert parse_members(text) == members


@given(st.text(st.sampled_from("=. \n10ac:٣"), max_size=30), st.booleans())
def test_any_text_is_a_list_or_refused_everywhere(text: str, ipv4: bool) -> None:
    try:
        members = parse_members(text, ipv4=ipv4)
    except OcfError as refusal:
        assert refusal.code == CONFIGURED
        assert refusal.reason.startswith("parameter members")
    else:
        assert " ".join(f"{name}={address}" for name, address in members.items()) == " ".join(text.split())


@pytest.mark.parametrize(
    ("text", "ipv4", "reason"),
    [("c1", False, "parameter members: 'c1' is not NAME=ADDRESS"), ("c1=", False, "'c1=' is not NAME=ADDRESS"),
     ("=10.0.0.1", False, "'=10.0.0.1' is not NAME=ADDRESS"), (" ", False, "names no node: expected NAME=ADDRESS"),
     ("c1=fd00::1", True, "'c1=fd00::1' is not NAME=IPv4-ADDRESS"), ("c1=host", True, "is not NAME=IPv4-ADDRESS"),
     ("c1=10.0.0.256", True, "is not NAME=IPv4-ADDRESS"), ("c1=10.1", True, "is not NAME=IPv4-ADDRESS"),
     ("c1=10.0.0.1 c1=10.0.0.2", False, "names c1 twice")],
)  # fmt: skip
def test_what_is_wrong_with_it_is_said(text: str, ipv4: bool, reason: str) -> None:
    with pytest.raises(OcfError) as refusal:
        parse_members(text, ipv4=ipv4)
    assert (refusal.value.code, reason in refusal.value.reason) == (CONFIGURED, True), refusal.value.reason


def test_an_address_of_version_6_will_do_where_it_may() -> None:
    assert parse_members("c1=10.0.0.1  c2=fd00::2") == {"c1": "10.0.0.1", "c2": "fd00::2"}
