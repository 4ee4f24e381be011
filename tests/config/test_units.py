from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from config import units


@pytest.mark.parametrize(
    ("text", "value"), [("512", 512), ("4 MiB", 4 * 2**20), ("120 TB", 120 * 10**12), ("1.5KiB", 1536), ("0", 0)]
)
def test_sizes_are_read_as_operators_write_them(text: str, value: int) -> None:
    assert units.parse_bytes(text) == value


@pytest.mark.parametrize(("text", "value"), [("1.2 Gbit/s", 1_200_000_000), ("300Mbit/s", 300_000_000)])
def test_rates_are_bits_a_second(text: str, value: int) -> None:
    assert units.parse_rate(text) == value


@pytest.mark.parametrize(("text", "value"), [("250ms", 0.25), ("10s", 10), ("5m", 300), ("12h", 43200), ("7d", 604800)])
def test_durations_are_seconds(text: str, value: float) -> None:
    assert units.parse_duration(text) == value


@pytest.mark.parametrize("text", ["", "4 mib", "-1 MiB", "MiB", "1e9", "4 MiB extra"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        units.parse_bytes(text)


@pytest.mark.parametrize("text", ["1000", "5 MB/s", "1 Gbps"])
def test_a_rate_without_its_unit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="bit/s"):
        units.parse_rate(text)


@given(st.integers(0, 10**16))
@example(999_600)
@example(1023 * 1024 + 900)
def test_what_is_shown_can_be_read_again_and_is_nearly_the_same(value: int) -> None:
    assert units.parse_bytes(units.show_bytes(value)) == pytest.approx(value, rel=0.01)
    assert units.parse_rate(units.show_rate(value)) == pytest.approx(value, rel=0.01)


@given(st.integers(0, 2**53))  # beyond that a float, as which it is read, has only every second number
@example(200 * 10**9)
def test_what_is_written_is_read_again_as_it_was(value: int) -> None:
    assert units.parse_bytes(units.write_bytes(value)) == value
    assert units.parse_rate(units.write_rate(value)) == value


@given(st.floats(0.001, 10**9))
@example(3.84)
@example(0.0)
def test_durations_are_written_as_they_are_read_again(seconds: float) -> None:
    assert units.parse_duration(units.write_duration(seconds)) == seconds


def test_what_is_written_is_short() -> None:
    assert [units.write_bytes(value) for value in (0, 512, 2**29, 200 * 10**9)] == ["0 B", "512 B", "512 MiB", "200 GB"]
    assert [units.write_rate(value) for value in (0, 1_200_000_000)] == ["0 bit/s", "1.2 Gbit/s"]
    durations = [units.write_duration(seconds) for seconds in (0, 0.25, 3.84, 4, 5400, 30 * 86400)]
    assert durations == ["0s", "250ms", "3.84s", "4s", "90m", "30d"]


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0.0s"), (0.25, "250ms"), (12, "12.0s"), (200, "3m 20s"), (3725, "1h 02m")]
)
def test_durations_are_shown_for_people(seconds: float, shown: str) -> None:
    assert units.show_duration(seconds) == shown
