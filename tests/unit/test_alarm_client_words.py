"""What an operator says to the alarm service's client: where it is, and what is asked for."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vimha.alarms import filters
from vimha.alarms.client.access import Access, resolve
from vimha.alarms.client.asking import moment, wanted
from vimha.errors import UsageError, VimhaError

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


# Where the service is


def test_what_is_given_goes_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "alarms.yaml"
    file.write_text("url: https://vip:8780/\nca: ~/ca.pem\ntoken_file: /etc/t\n")
    assert resolve({}, file) == Access(url="https://vip:8780", ca=Path.home() / "ca.pem", token_file=Path("/etc/t"))
    given = resolve({"url": "https://other", "user": "alice", "password_file": Path("/p"), "ca": None}, file)
    assert (given.url, given.ca) == ("https://other", Path.home() / "ca.pem")
    assert (given.user, given.token_file) == ("alice", None)
    assert resolve({}, tmp_path / "none.yaml").url == "http://127.0.0.1:8780"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("url: ftp://vip\n", "alarms.yaml:1: url: not an http or https URL"),
        ("url: https://vip\ntoken: abc\n", "alarms.yaml:2: token: unknown"),
        ("url: https://u:p@vip\n", "alarms.yaml:1: url: a URL has no user and password here"),
        ("user: alice\n", "`user` and `password_file` belong together"),
        ("- url\n", "alarms.yaml"),
        ("url: [\n", "not valid YAML"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "alarms.yaml").write_text(text)
    with pytest.raises(UsageError) as raised:
        resolve({}, tmp_path / "alarms.yaml")
    assert said in raised.value.message


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("t0k3n\n")
    file.chmod(0o644)
    with pytest.raises(VimhaError) as raised:
        Access(token_file=file).auth()
    assert "t0k3n" not in raised.value.message and "chmod 600" in raised.value.remedy
    file.chmod(0o600)
    file.write_text("\n")
    with pytest.raises(VimhaError, match="first line is empty"):
        Access(token_file=file).auth()


# What is asked for


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=40))
def test_whatever_is_in_a_value_stays_a_value(text: str) -> None:
    (expression,) = filters.parse(wanted(objects=[text]) or "")
    assert expression == filters.Expression("cont", "managedObjectId", (text,))


def test_all_that_is_asked_for_is_one_filter() -> None:
    asked = wanted(
        severities=["MAJOR"], types=["node"], hosts=["c1", "c2"], domains=["VM"], acknowledged=False,
        raw="(cont,faultDetails,fan)",
    )  # fmt: skip
    assert len(filters.parse(asked or "")) == 6
    assert wanted() is None


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("90s", "2026-01-31T11:58:30.000000Z"),
        ("2h", "2026-01-31T10:00:00.000000Z"),
        ("1w", "2026-01-24T12:00:00.000000Z"),
        ("2026-01-30T10:00:00+02:00", "2026-01-30T08:00:00.000000Z"),
        ("2026-01-30T10:00:00.25Z", "2026-01-30T10:00:00.250000Z"),
    ],
)
def test_a_time_is_what_people_write(text: str, meant: str) -> None:
    assert moment(text, NOW) == meant


def test_a_time_without_a_zone_is_of_this_machine() -> None:
    assert moment("2026-01-30 10:00", NOW) == moment(datetime(2026, 1, 30, 10).astimezone().isoformat(), NOW)


@pytest.mark.parametrize("text", ["yesterday", "2", "h", "-2h", "999999w", "2026-13-01", ""])
def test_what_is_no_time_is_said_so(text: str) -> None:
    with pytest.raises(UsageError, match="is no time"):
        moment(text, NOW)
