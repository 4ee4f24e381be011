from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigError
from config.fill import FillSite
from fill.planner.inputs import make_terms, read_policy, windows_of
from fill.planner.terms import SiteTerms
from fill.transfer.window import parse_window


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def site(**change: Any) -> FillSite:
    values: dict[str, Any] = {
        "region": "",
        "window": "02:00-06:00",
        "time_zone": "UTC",
        "rate": 10**9,
        "budget": 10**12,
        "percentile_95": 0,
        "reserve": 0.1,
        "masters": 2,
    }
    return FillSite(**{"name": "north", **values, **change})


WINDOW = parse_window("02:00-06:00", "UTC")


GBIT = 10**9


def terms(text: str, window: str = "02:00-06:00", *, spent: int = 0, ahead: float = 3600.0, **change: Any) -> SiteTerms:
    """Terms at a moment, where `spent` was spent an hour ago, all of it."""
    now = at(text)

    def spent_since(moment: float) -> int:
        return spent if moment <= now - 3600 else 0

    return make_terms(site(**change), parse_window(window, "UTC"), "eu", spent_since, now, ahead)


def test_a_sites_settings_become_the_terms_of_the_coming_night() -> None:
    found = terms("2026-11-21T20:00", spent=4 * 10**11)
    assert (found.region, found.window_s, found.rate_bps, found.link_bps) == ("eu", 4 * 3600, 10**9, None)
    assert (found.budget_bytes, found.nights_left) == (6 * 10**11, 9)  # 22nd to 30th
    assert (found.reserve, found.masters) == (0.1, 2)


def test_while_the_window_is_open_the_night_is_what_is_left_of_it() -> None:
    assert terms("2026-11-21T05:00").window_s == 3600


def test_an_overdrawn_budget_is_none_left_and_no_budget_is_no_limit() -> None:
    assert terms("2026-11-21T20:00", spent=2 * 10**12).budget_bytes == 0
    assert terms("2026-11-21T20:00", budget=0).budget_bytes is None


def test_a_window_that_is_always_open_has_a_day_when_it_is_planned_ahead() -> None:
    assert terms("2026-11-20T23:00", "00:00-24:00").window_s == 24 * 3600


@pytest.mark.parametrize("now", ["2026-11-20T23:00", "2026-11-20T12:00", "2026-11-20T13:30"])
@pytest.mark.parametrize("window", ["00:00-24:00", "02:00-14:00"])
def test_a_committed_rate_holds_in_a_long_window_to_its_end(window: str, now: str) -> None:
    found = terms(now, window, rate=0, percentile_95=2 * GBIT)
    assert found.rate_of_each(10) == GBIT // 5
    assert found.by_day().rate_of_each(300) == 2 * GBIT // 300
    assert found.rate_of_each(10**10) == 1  # 0 would be no limit


def test_a_night_has_its_share_of_the_budget_once() -> None:
    first = terms("2026-11-21T02:00", budget=10**12).bytes_from_outside
    assert first == 10**12 // 10
    assert terms("2026-11-21T05:00", budget=10**12, spent=first).bytes_from_outside == 0
    by_day = terms("2026-11-21T15:00", budget=10**12, spent=first * 3 // 4)
    assert by_day.by_day().bytes_from_outside == first // 4
    assert by_day.bytes_from_outside == (10**12 - first * 3 // 4) // 9


def test_the_first_night_of_a_month_has_the_new_months_budget() -> None:
    assert terms("2026-11-30T23:30", "00:30-06:00", spent=10**12).bytes_from_outside == 10**12 // 31


def test_every_bad_site_is_told_with_its_place() -> None:
    with pytest.raises(ConfigError) as caught:
        windows_of([site(), site(), site(name="b", window="night"), site(name="c", reserve=1.0, masters=0)])
    told = str(caught.value)
    for part in (
        "fill.sites[1]: name",
        "fill.sites[2]: window: found 'night'",
        "sites[3]: reserve",
        "sites[3]: masters",
    ):
        assert part in told


def test_a_policy_that_cannot_be_read_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"policy\.toml"):
        read_policy(tmp_path / "policy.toml")
    (tmp_path / "policy.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"policy\.toml"):
        read_policy(tmp_path / "policy.toml")
