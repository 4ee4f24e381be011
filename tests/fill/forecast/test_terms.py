from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fill.forecast.terms import Named, Term, is_show, matched, minutes_of, name_of, of_other, spelt_alike, with_kinds

NAN = float("nan")


def term(titles: list[str], *, kind: str = "film", hours: float = 1.0, minutes: float = NAN) -> Term:
    count = len(titles)
    return Term(
        "2025Jan-Jun", 0.0, 181.0, titles, [kind] * count, np.ones(count, bool), np.full(count, NAN),
        np.full(count, hours), np.full(count, minutes),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("title", "named"),
    [
        ("Dark: Season 2", Named("Dark", 2, False, "", 0)),
        ("The Glory: Season 1 // 더 글로리: 시즌 1", Named("The Glory", 1, False, "더 글로리: 시즌 1", 2)),
        ("Baby Reindeer: Limited Series", Named("Baby Reindeer", 0, True, "", 0)),
        ("Peninsula // 반도", Named("Peninsula", 0, False, "반도", 2)),
        ("Law: The Sixth Year", Named("Law", 6, False, "", 0)),
        ("Law: The Twenty-First Year", Named("Law", 21, False, "", 0)),
        ("Love: The Leap Year", Named("Love: The Leap Year", 0, False, "", 0)),
    ],
)
def test_names_tell_show_season_and_language(title: str, named: Named) -> None:
    assert name_of(title) == named


@given(st.text(max_size=60))
def test_any_title_has_a_name(title: str) -> None:
    assert name_of(title).season >= 0
    assert spelt_alike(title) == spelt_alike(title.upper().lower()) or not title.isascii()


def test_titles_are_found_again_as_they_are_spelt_or_by_what_spellings_have_in_common() -> None:
    before = term(["Berlin: Season 1 // Berlín: Season 1", "City // 城", "City // 市", "Poison"])
    now = term(["Berlin: Season 1 // Berlín: Temporada 1", "City // 市", "City", "POISON!", "New"])
    assert matched(now, before).tolist() == [0, 2, -1, 3, -1]


def test_what_another_term_has_not_is_not_known_of_it() -> None:
    np.testing.assert_array_equal(of_other(np.array([5.0]), np.array([-1, 0])), [NAN, 5.0])
    np.testing.assert_array_equal(of_other(np.zeros(0), np.array([-1])), [NAN])


def test_a_missing_runtime_is_an_earlier_report_s_or_the_kind_s() -> None:
    first, second = term(["Old"], minutes=80.0), term(["Old", "New"])
    assert minutes_of(second, [first]).tolist() == [80.0, 80.0]
    assert minutes_of(second, []).tolist() == [100.0, 100.0]


def test_films_and_shows_are_told_apart_by_another_report_or_the_name() -> None:
    unknown = term(["A", "B"], kind="any")
    assert with_kinds(unknown, [term(["A"], kind="show")]).kinds == ["show", "any"]
    assert is_show("any", name_of("B: Season 2"))
    assert not is_show("any", name_of("B"))


def test_a_schedule_tells_no_hours() -> None:
    assert np.isnan(term(["A"], hours=5.0).schedule.hours).all()
