"""Options: both ways in give the same values; nothing that may be secret comes by argv."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fence_agents.fencing.errors import FenceError
from fence_agents.fencing.options import Option, Values, parse_argv, parse_lines

OPTIONS = (
    Option("ip", "", short="-a", required=True, obsoletes="ipaddr"),
    Option("plug", "", short="-n", obsoletes="port"),
    Option("password", "", secret=True, obsoletes="passwd"),
    Option("delay", "", kind="second", default="0"),
    Option("ipport", "", kind="integer", default="443"),
    Option("ssl_insecure", "", kind="boolean"),
)


def test_lines_take_comments_unknown_keys_old_names_and_the_last_of_a_key() -> None:
    text = "# ip=9.9.9.9\nip = 10.0.0.1\nnodename=c1\nport=c1\nssl-insecure=1\nip=10.0.0.2\nnonsense\npasswd=a=b\n"
    assert parse_lines(text, OPTIONS) == {"ip": "10.0.0.2", "plug": "c1", "ssl_insecure": "1", "password": "a=b"}


@pytest.mark.parametrize(
    "argv",
    [
        ["--ip", "10.0.0.2", "--plug=c1", "--ssl-insecure"],
        ["-a", "10.0.0.2", "-n", "c1", "--ssl_insecure"],
        ["--ipaddr=10.0.0.2", "--port", "c1", "--ssl-insecure=1"],
    ],
)
def test_argv_gives_what_lines_give(argv: list[str]) -> None:
    assert parse_argv(argv, OPTIONS) == parse_lines("ip=10.0.0.2\nplug=c1\nssl_insecure=1", OPTIONS)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--ipx=1"], "unknown option --ipx"),
        (["-z"], "unknown option -z"),
        (["c1"], "unknown option c1"),
        (["--ip"], "needs a value"),
        (["--password=s3cret"], "not taken from the command line"),
        (["--passwd", "s3cret"], "not taken from the command line"),
    ],
)
def test_bad_argv_is_named_without_its_value(argv: list[str], words: str) -> None:
    with pytest.raises(FenceError, match=words) as caught:
        parse_argv(argv, OPTIONS)
    assert "s3cret" not in str(caught.value)


def test_all_problems_are_told_at_once() -> None:
    values = Values(OPTIONS, {"delay": "soon", "ipport": "-1", "ssl_insecure": "maybe"})
    assert values.problems() == [
        "ip: required",
        "delay=soon: not a number of seconds",
        "ipport=-1: not a whole number",
        "ssl_insecure=maybe: neither 1 nor 0",
    ]


@pytest.mark.parametrize("text", ["-1", "inf", "nan", "1s", ""])
def test_a_delay_is_a_finite_number(text: str) -> None:
    values = Values((Option("delay", "", kind="second"),), {"delay": text})
    with pytest.raises(FenceError):
        values.seconds("delay")


@given(st.floats(min_value=0, max_value=1e6))
def test_every_fraction_of_a_second_is_kept(seconds: float) -> None:
    assert Values(OPTIONS, {"delay": repr(seconds)}).seconds("delay") == seconds


@given(st.text())
def test_no_input_breaks_the_line_parser(text: str) -> None:
    given_values = parse_lines(text, OPTIONS)
    assert set(given_values) <= {option.name for option in OPTIONS}
    Values(OPTIONS, given_values).problems()
