from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fill.forecast.expected import Expected, Forecast
from fill.forecast.today import Came, corrected, elapsed_share
from fill.forecast.within import Rule
from fill.names import FileName

FILM, NEWS = FileName("film", "v720.mp4"), FileName("news", "v720.mp4")
SIZES = {FILM: 1000, NEWS: 500}
DAY = Forecast("de", 0.0, "prior", {FILM: Expected(24.0, "watched 24 times a day")}, np.full(24, 1 / 24))
RULE = Rule(kappa=0.1, margin=1.2, admit_at=2)
HOUR = 3600.0


def test_what_was_expected_comes_and_the_forecast_stays() -> None:
    today = corrected(DAY, {FILM: Came(6 * 1000.0, 6)}, SIZES, 0.0, 6 * HOUR, RULE)
    assert today.forecast.expected[FILM].plays == pytest.approx(24.0)
    assert today.risen == frozenset()


def test_nothing_comes_and_the_forecast_falls() -> None:
    today = corrected(DAY, {}, SIZES, 0.0, 12 * HOUR, RULE)
    assert today.forecast.expected[FILM].plays == pytest.approx(0.1 * 24 / 0.6)


def test_a_file_that_nobody_expected_rises_on_its_second_session() -> None:
    once = corrected(DAY, {NEWS: Came(500.0, 1)}, SIZES, 0.0, HOUR, RULE)
    twice = corrected(DAY, {NEWS: Came(1000.0, 2)}, SIZES, 0.0, HOUR, RULE)
    assert (once.risen, twice.risen) == (frozenset(), frozenset({NEWS}))
    assert twice.forecast.expected[NEWS].plays == pytest.approx(2 / (0.1 + 1 / 24))
    assert twice.forecast.expected[NEWS].reason == ("watched 2 times since the plan, 0 expected; not expected at all")


def test_a_file_of_unknown_size_is_passed_over() -> None:
    today = corrected(DAY, {NEWS: Came(1000.0, 9)}, {FILM: 1000}, 0.0, HOUR, RULE)
    assert set(today.forecast.expected) == {FILM}


def test_what_came_is_compared_with_the_hours_that_it_came_in() -> None:
    today = corrected(DAY, {FILM: Came(6 * 1000.0, 6)}, SIZES, 3 * HOUR, 9 * HOUR, RULE)
    assert today.forecast.expected[FILM].plays == pytest.approx(24.0)


def test_what_nobody_could_watch_nobody_did() -> None:
    new = corrected(DAY, {}, SIZES, 0.0, 12 * HOUR, RULE, {"film": 12 * HOUR})
    assert new.forecast.expected[FILM].plays == pytest.approx(24.0)
    half = corrected(DAY, {FILM: Came(6 * 1000.0, 6)}, SIZES, 0.0, 12 * HOUR, RULE, {"film": 6 * HOUR})
    assert half.forecast.expected[FILM].plays == pytest.approx(24.0)


def test_quiet_hours_say_little() -> None:
    evening = np.r_[np.full(12, 0.01), np.full(12, 0.88 / 12)]
    night = replace(DAY, hours=evening)
    assert elapsed_share(night, 12 * HOUR) == pytest.approx(0.12)
    assert elapsed_share(night, 12.5 * HOUR) == pytest.approx(0.12 + 0.44 / 12)
    assert elapsed_share(night, 36 * HOUR) == pytest.approx(1.12)
    assert elapsed_share(night, -HOUR) == 0.0


@given(
    st.floats(0, 1e6), st.floats(0, 1e12), st.integers(0, 1000), st.floats(0, 3 * 86400.0), st.sampled_from([0.03, 1.0])
)
def test_the_corrected_rate_is_between_what_was_expected_and_what_came(
    plays: float, size: float, sessions: int, now: float, kappa: float
) -> None:
    forecast = replace(DAY, expected={FILM: Expected(plays, "")})
    found = corrected(forecast, {FILM: Came(size, sessions)}, SIZES, 0.0, now, Rule(kappa=kappa))
    elapsed = elapsed_share(forecast, now)
    measured = size / 1000 / elapsed if elapsed else float("inf")
    low, high = sorted((plays, measured))
    assert low * 0.999 - 1e-9 <= found.forecast.expected[FILM].plays <= high * 1.001 + 1e-9
