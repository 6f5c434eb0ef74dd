"""Quantities and durations as Kubernetes writes them, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudherd.api.quantity import format_bytes, parse_duration, parse_quantity

MILLISECONDS = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}


@given(st.integers(0, 2**53))
def test_bytes_come_back_as_they_were_written(value: int) -> None:
    assert parse_quantity(format_bytes(value)) == value


@given(st.integers(1, 1023), st.integers(1, 5))
def test_whole_units_are_written_as_units(count: int, power: int) -> None:
    assert format_bytes(count * 1024**power) == f"{count}{'KMGTP'[power - 1]}i"


@pytest.mark.parametrize(
    ("text", "value"),
    [("64", 64), (64, 64), ("0.5", 0.5), ("500m", 0.5), ("1.5Gi", 1.5 * 1024**3), ("2k", 2000), ("2K", 2000), (0, 0)],
)
def test_a_quantity_is_a_number(text: str | int, value: float) -> None:
    assert parse_quantity(text) == value


@pytest.mark.parametrize("text", ["", "lots", "-1", "1e3", "1.2345", "1 Gi", "1gi", "Gi", "1Gi\n", ".5"])
def test_what_is_no_quantity_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="256Gi"):
        parse_quantity(text)


@given(st.lists(st.tuples(st.integers(0, 999_999), st.sampled_from(list(MILLISECONDS))), min_size=1, max_size=4))
def test_the_parts_of_a_duration_add_up(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert parse_duration(text) == sum(number * MILLISECONDS[unit] for number, unit in parts) / 1000


@pytest.mark.parametrize("text", ["", "10", "m", "1d", "-1s", "1.5h", "1h 30m", "1s\n", "1000000s"])
def test_what_is_no_duration_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="1h30m"):
        parse_duration(text)
