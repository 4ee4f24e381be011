from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigError
from config.fill import FillSite
from fill.planner.inputs import make_terms, read_policy, spent_since, windows_of
from fill.transfer.outcome import Outcome, encode_outcome, outcome_key
from fill.transfer.window import parse_window
from origin.storage.file import FileStorage
from tests.fill.catalogs import NOW


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


def test_a_sites_settings_become_the_terms_of_the_coming_night() -> None:
    terms = make_terms(site(), WINDOW, "eu", 4 * 10**11, at("2026-11-21T20:00"))
    assert (terms.region, terms.window_s, terms.rate_bps, terms.link_bps) == ("eu", 4 * 3600, 10**9, None)
    assert (terms.budget_bytes, terms.nights_left) == (6 * 10**11, 9)  # 22nd to 30th
    assert (terms.reserve, terms.masters) == (0.1, 2)


def test_while_the_window_is_open_the_night_is_what_is_left_of_it() -> None:
    assert make_terms(site(), WINDOW, "eu", 0, at("2026-11-21T05:00")).window_s == 3600


def test_an_overdrawn_budget_is_none_left_and_no_budget_is_no_limit() -> None:
    assert make_terms(site(), WINDOW, "eu", 2 * 10**12, NOW).budget_bytes == 0
    assert make_terms(site(budget=0), WINDOW, "eu", 0, NOW).budget_bytes is None


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


async def test_only_what_came_from_outside_this_month_is_spent(tmp_path: Path) -> None:
    async with FileStorage(tmp_path) as storage:
        for started, fetched in ((100.0, {"origin": 7}), (200.0, {"origin": 10, "y": 5, "far": 1})):
            outcome = Outcome(appliance="x", version=1, started=started, fetched=fetched)
            await storage.put_bytes(outcome_key(outcome), encode_outcome(outcome))
        await storage.put_bytes("outcomes/x/1-300.json", b"garbage")
        assert await spent_since(storage, {"x", "y"}, 150.0) == 11


def test_a_policy_that_cannot_be_read_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"policy\.toml"):
        read_policy(tmp_path / "policy.toml")
    (tmp_path / "policy.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"policy\.toml"):
        read_policy(tmp_path / "policy.toml")
