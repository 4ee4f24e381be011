from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fill.forecast.daily import ELSEWHERE_SHARE, NEW_FOR_S, UNWATCHED_SHARE, forecast
from fill.history import History, flat_rhythm
from fill.names import FileName
from fill.policy import Policy, Release
from tests.fill.catalogs import MIB, NOW, make_offer

DAY = 86400.0


def history(
    served: Mapping[tuple[str, str], list[float]], region: str = "de", days_known: int | None = None
) -> History:
    """Mebibytes served by file and day."""
    days = max((len(one) for one in served.values()), default=3)
    amounts = np.array([np.array(one) * MIB for one in served.values()]).reshape(len(served), days)
    files = [FileName(*key) for key in served]
    return History(region, NOW, files, amounts, days if days_known is None else days_known, amounts * 0, flat_rhythm())


NOTHING = History("de", NOW, [], np.zeros((0, 28)), 0, np.zeros((0, 28)), flat_rhythm())


def plays(found: Mapping[FileName, object], title: str) -> float:
    return sum(one.plays for name, one in found.items() if name.title == title and name.file.startswith("v"))  # type: ignore[attr-defined]


def test_what_is_watched_is_expected_to_be_watched() -> None:
    found = forecast([make_offer("film")], history({("film", "v720.mp4"): [8000.0] * 3}), now=NOW).expected
    assert found[FileName("film", "v720.mp4")].plays == pytest.approx(1000, rel=0.01)
    assert found[FileName("film", "v480.mp4")].plays < 5


def test_a_silent_film_has_a_forecast() -> None:
    offer = make_offer("film")
    silent = msgspec.structs.replace(offer.package, renditions=offer.package.of_kind("video"))
    found = forecast([replace(offer, package=silent)], NOTHING, now=NOW).expected
    assert {name.file for name in found} == {"v480.mp4", "v720.mp4"}


def test_a_rung_that_nobody_used_yet_is_not_worthless() -> None:
    found = forecast([make_offer("film")], history({("film", "v720.mp4"): [8.0]}), now=NOW).expected
    assert found[FileName("film", "v480.mp4")].plays > 0.1


def test_sidecars_are_not_expected_to_be_watched() -> None:
    names = {name.file for name in forecast([make_offer("film")], NOTHING, now=NOW).expected}
    assert names == {"v480.mp4", "v720.mp4", "audio-en.mp4"}


def test_a_new_title_gets_the_mean_of_the_watched_ones() -> None:
    offers = [make_offer("a"), make_offer("b"), make_offer("new", age_s=0)]
    found = forecast(offers, history({("a", "v720.mp4"): [80.0], ("b", "v720.mp4"): [160.0]}), now=NOW).expected
    assert plays(found, "new") == pytest.approx(15)
    assert "new title" in found[FileName("new", "v720.mp4")].reason


def test_a_new_season_is_expected_to_be_watched_like_the_show() -> None:
    offers = [make_offer("dark-s01"), make_offer("b"), make_offer("dark-s02", age_s=0)]
    found = forecast(offers, history({("dark-s01", "v720.mp4"): [800.0], ("b", "v720.mp4"): [8.0]}), now=NOW).expected
    assert plays(found, "dark-s02") == pytest.approx(100)
    assert "dark-s01 of the same show" in found[FileName("dark-s02", "v720.mp4")].reason


@pytest.mark.parametrize(
    ("release", "expected", "reason"),
    [(Release("new", like=("a",)), 10.0, "like a"), (Release("new", plays=500.0), 500.0, "operator expects 500")],
)
def test_the_operator_knows_better(release: Release, expected: float, reason: str) -> None:
    offers = [make_offer("a"), make_offer("b"), make_offer("new", age_s=0)]
    watched = history({("a", "v720.mp4"): [80.0], ("b", "v720.mp4"): [160.0]})
    found = forecast(offers, watched, Policy(releases={"new": release}), NOW).expected
    assert plays(found, "new") == pytest.approx(expected)
    assert reason in found[FileName("new", "v720.mp4")].reason


def test_a_title_is_worth_nothing_long_before_its_release_and_all_the_night_before() -> None:
    def expected(days: float) -> float:
        policy = Policy(releases={"new": Release("new", at=NOW + days * DAY, plays=9.0)})
        return plays(forecast([make_offer("new", age_s=0)], NOTHING, policy, NOW).expected, "new")

    assert expected(30) == 0
    assert expected(0.5) == pytest.approx(9)


def test_what_is_watched_since_corrects_the_prior() -> None:
    offers = [make_offer("a"), make_offer("new", age_s=3 * DAY)]
    watched = history({("a", "v720.mp4"): [800.0] * 4, ("new", "v720.mp4"): [0.0, 8.0, 8.0, 8.0]})
    assert 1 < plays(forecast(offers, watched, now=NOW).expected, "new") < 50


def test_a_new_encode_is_no_new_title() -> None:
    served = {("hot", "v720.mp4"): [800.0] * 28, ("quiet", "v720.mp4"): [0.8] * 28}
    watched = history(served)
    before = forecast([make_offer("hot"), make_offer("quiet")], watched, now=NOW).expected
    again = forecast([make_offer("hot"), make_offer("quiet", age_s=3600, seed="av1")], watched, now=NOW).expected
    assert plays(before, "quiet") == pytest.approx(0.1)
    assert plays(again, "quiet") == pytest.approx(plays(before, "quiet"))


def test_a_title_that_was_watched_the_day_it_was_published_is_new() -> None:
    watched = history({("a", "v720.mp4"): [800.0] * 4, ("new", "v720.mp4"): [0.0, 0.0, 0.0, 8.0]})
    found = forecast([make_offer("a"), make_offer("new", age_s=6 * 3600.0)], watched, now=NOW).expected
    assert plays(found, "new") > 20


def test_a_second_release_is_one_even_of_what_was_watched_before() -> None:
    watched = history({("a", "v720.mp4"): [800.0] * 28, ("back", "v720.mp4"): [0.8] * 28})
    policy = Policy(releases={"back": Release("back", at=NOW + 3600, plays=500.0)})
    found = forecast([make_offer("a"), make_offer("back")], watched, policy, NOW).expected
    assert plays(found, "back") == pytest.approx(500)


def test_an_archive_that_is_imported_at_once_does_not_displace_what_is_watched() -> None:
    watched = history({(f"hot-{number:02d}x", "v720.mp4"): [8.0 * (50 - number)] * 28 for number in range(50)})
    offers = [make_offer(f"hot-{number:02d}x") for number in range(50)]
    archive = [make_offer(f"old-{number:04d}x", age_s=3600) for number in range(1000)]
    found = forecast([*offers, *archive], watched, now=NOW).expected
    assert sum(plays(found, offer.package.title) for offer in archive) < 0.5 * 1275
    assert plays(found, "old-0000x") < plays(found, "hot-48x")
    assert "one of 1000 new titles" in found[FileName("old-0000x", "v720.mp4")].reason


def test_what_is_counted_of_a_region_once_serves_the_forecasts_of_all() -> None:
    here = history({("a", "v720.mp4"): [80.0]})
    there = history({("a", "v720.mp4"): [8.0], ("b", "v720.mp4"): [80.0]}, "fr")
    offers = [make_offer("a"), make_offer("b")]
    alone = forecast(offers, there, now=NOW).expected
    forecast(offers, here, now=NOW, others=[there])
    assert forecast(offers, there, now=NOW).expected == alone
    # Of another catalog it is counted anew.
    assert plays(forecast([make_offer("b", seed="2")], there, now=NOW).expected, "b") == pytest.approx(10)


def test_an_old_title_that_nobody_watched_is_worth_little_and_not_nothing() -> None:
    offers = [make_offer("a"), make_offer("old", age_s=NEW_FOR_S + 1)]
    found = forecast(offers, history({("a", "v720.mp4"): [80.0]}), now=NOW).expected
    assert plays(found, "old") == pytest.approx(10 * UNWATCHED_SHARE)


def test_what_is_watched_in_other_regions_only_is_expected_here_a_little() -> None:
    offers = [make_offer("a"), make_offer("there")]
    here, there = (
        history({("a", "v720.mp4"): [80.0]}),
        history({("a", "v720.mp4"): [8.0], ("there", "v720.mp4"): [80.0]}),
    )
    found = forecast(offers, here, now=NOW, others=[there]).expected
    assert plays(found, "there") == pytest.approx(100 * ELSEWHERE_SHARE)


def test_what_an_earlier_package_was_watched_counts_for_its_title() -> None:
    found = forecast([make_offer("film")], history({("film", "v1080.mp4"): [600.0]}), now=NOW).expected
    assert plays(found, "film") == pytest.approx(100)


def test_before_anything_was_watched_every_title_is_worth_the_same() -> None:
    found = forecast([make_offer("a", age_s=1), make_offer("b", age_s=1)], NOTHING, now=NOW).expected
    assert plays(found, "a") == plays(found, "b") > 0


def test_a_weekend_is_expected_on_its_eve() -> None:
    """NOW is a Friday; a region that watches three times as much on Saturdays than on other days."""
    friday = (NOW // 3600 + 72) % 168 // 24 == 4
    assert friday
    rhythm = np.ones(168)
    rhythm[(int(NOW // 3600 + 72) + np.arange(24)) % 168] = 3.0
    seasonal = [24.0 * (3.0 if (28 - day) % 7 == 0 else 1.0) for day in range(28)]
    watched = replace(history({("a", "v720.mp4"): seasonal}), rhythm=rhythm / rhythm.sum())
    assert plays(forecast([make_offer("a")], watched, now=NOW).expected, "a") == pytest.approx(9, rel=0.05)


def test_hours_are_those_from_now_on() -> None:
    rhythm = np.zeros(168)
    rhythm[int(NOW // 3600 + 72 + 5) % 168] = 1.0
    found = forecast([], replace(NOTHING, rhythm=rhythm), now=NOW)
    assert found.hours.argmax() == 5
    assert found.peak == 1


def test_the_error_grows_with_the_plays_and_shrinks_beside_them() -> None:
    watched = history({("a", "v720.mp4"): [8.0] * 5, ("b", "v720.mp4"): [8000.0] * 5})
    found = forecast([make_offer("a"), make_offer("b")], watched, now=NOW).expected
    few, many = found[FileName("a", "v720.mp4")], found[FileName("b", "v720.mp4")]
    assert 0 < few.error < many.error
    assert many.error / many.plays < few.error / few.plays


@given(
    arrays(np.float64, (2, 6), elements=st.floats(allow_nan=True, allow_infinity=True, width=64)),
    st.integers(-3, 40),
    arrays(np.float64, st.integers(0, 170), elements=st.floats(allow_nan=True)),
)
def test_a_broken_history_gives_a_forecast_of_sound_numbers(
    served: np.ndarray,
    days_known: int,
    rhythm: np.ndarray,
) -> None:
    files = [FileName("a", "v720.mp4"), FileName("gone", "x.mp4")]
    amounts = np.clip(served, -1e15, 1e15)
    broken = History("de", NOW, files, amounts, days_known, served, rhythm)
    found = forecast([make_offer("a"), make_offer("new", age_s=0)], broken, now=NOW, others=[broken])
    assert all(np.isfinite(one.plays) and one.plays >= 0 and np.isfinite(one.error) for one in found.expected.values())
    assert found.hours.sum() == pytest.approx(1)
