from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import ConfigError
from fill.transfer.window import Window, closes_at, is_open, next_open, parse_window


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def test_a_window_is_open_from_its_start_and_closed_from_its_end() -> None:
    window = parse_window("02:00-14:00", "UTC")
    assert not is_open(window, at("2026-11-20T01:59:59"))
    assert is_open(window, at("2026-11-20T02:00"))
    assert is_open(window, at("2026-11-20T13:59:59"))
    assert not is_open(window, at("2026-11-20T14:00"))


def test_a_window_may_go_over_midnight() -> None:
    window = parse_window("22:00-06:00", "UTC")
    assert is_open(window, at("2026-11-20T23:00"))
    assert is_open(window, at("2026-11-21T05:59"))
    assert not is_open(window, at("2026-11-21T06:00"))
    assert closes_at(window, at("2026-11-20T23:00")) == at("2026-11-21T06:00")


def test_a_window_may_be_the_whole_day() -> None:
    window = parse_window("00:00-24:00", "UTC")
    assert is_open(window, at("2026-11-20T00:00"))
    assert is_open(window, at("2026-11-20T23:59:59"))


def test_the_next_opening_is_today_tomorrow_or_now() -> None:
    window = parse_window("02:00-14:00", "Europe/Berlin")
    berlin = "Europe/Berlin"
    assert next_open(window, at("2026-11-20T01:00", berlin)) == at("2026-11-20T02:00", berlin)
    assert next_open(window, at("2026-11-20T15:00", berlin)) == at("2026-11-21T02:00", berlin)
    assert next_open(window, at("2026-11-20T03:00", berlin)) == at("2026-11-20T03:00", berlin)


def test_a_start_that_the_clocks_skip_is_an_hour_later_on_the_new_clock() -> None:
    # On 2026-03-29 Berlin goes from 02:00 to 03:00.
    window = parse_window("02:30-06:00", "Europe/Berlin")
    assert next_open(window, at("2026-03-29T00:00", "Europe/Berlin")) == at("2026-03-29T01:30", "UTC")
    assert closes_at(window, at("2026-03-29T02:00", "UTC")) == at("2026-03-29T04:00", "UTC")


def test_a_window_opens_once_where_the_clocks_show_its_time_twice() -> None:
    # On 2026-10-25 Berlin goes from 03:00 back to 02:00: 02:00-02:59 is at 00:00 and at 01:00 UTC.
    window = parse_window("02:15-02:45", "Europe/Berlin")
    assert is_open(window, at("2026-10-25T00:30", "UTC"))
    assert not is_open(window, at("2026-10-25T01:30", "UTC"))


@pytest.mark.parametrize(
    "text", ["", "02:00", "2-14", "02:00-02:00", "25:00-26:00", "02:60-03:00", "02:00-24:30", "a-b"]
)
def test_nonsense_is_no_window(text: str) -> None:
    with pytest.raises(ConfigError, match="window"):
        parse_window(text, "UTC")


@pytest.mark.parametrize("zone", ["", "Nowhere/City", "../../etc/passwd"])
def test_an_unknown_time_zone_is_a_configuration_error(zone: str) -> None:
    with pytest.raises(ConfigError, match="time_zone"):
        parse_window("02:00-14:00", zone)


MINUTES = st.integers(0, 24 * 60 - 1)


@given(
    MINUTES,
    MINUTES,
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    st.floats(at("2026-01-01T00:00"), at("2027-01-01T00:00")),
)
def test_a_window_opens_within_two_days_and_then_is_open(start: int, end: int, zone: str, now: float) -> None:
    if start == end:
        return
    text = f"{start // 60:02d}:{start % 60:02d}-{end // 60:02d}:{end % 60:02d}"
    window = parse_window(text, zone)
    opens = next_open(window, now)
    assert opens is not None
    assert now <= opens < now + 2 * 86400
    closes = closes_at(window, opens)
    assert closes is not None
    assert opens < closes <= opens + 25 * 3600


def test_a_window_that_never_opens_is_a_configuration_error_that_says_so() -> None:
    with pytest.raises(ConfigError, match="never opens"):
        parse_window("02:00-02:00", "UTC")
    assert next_open(Window(120, 120, ZoneInfo("UTC")), at("2026-01-01T00:00")) is None
