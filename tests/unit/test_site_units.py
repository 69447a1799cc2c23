"""vimha/site/units: durations as site.yaml writes them."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vimha.site.units import parse_ms, show_ms


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=10**9 - 1))
def test_what_is_shown_is_parsed_again(value: int) -> None:
    assert parse_ms(show_ms(value)) == value


@pytest.mark.parametrize(("text", "value"), [("5s", 5000), ("500ms", 500), ("0s", 0), (" 1s ", 1000)])
def test_durations(text: str, value: int) -> None:
    assert parse_ms(text) == value


@pytest.mark.parametrize(
    "value", [5, 5.0, True, None, "", "5", "s", "5m", "5 s", "-5s", "5s5s", "1e3s", "9" * 10 + "s", []]
)
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="500ms or 5s"):
        parse_ms(value)


@pytest.mark.parametrize(("text", "instead"), [("0.5s", "500ms"), (".25s", "250ms"), ("1.0s", "1000ms")])
def test_a_fraction_is_refused_with_what_to_write(text: str, instead: str) -> None:
    with pytest.raises(ValueError, match=f"write {instead}"):
        parse_ms(text)


@settings(deadline=None)
@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_ms(text) >= 0
