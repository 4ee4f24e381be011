from __future__ import annotations

from typing import Any

from fill.names import FileName
from fill.planner.due import Due, Key, Site, Standing, due

NOW = 100_000.0
HOUR = 3600.0
FILM: Key = ("film", "a" * 32, "v720.mp4")
OTHER: Key = ("other", "a" * 32, "v720.mp4")
FILES = frozenset({FileName("film", "v720.mp4")})


def decide(news: frozenset[Key] = frozenset(), considered: frozenset[Key] = frozenset(), **change: Any) -> Due:
    values: dict[str, Any] = {"opens_at": None, "night": NOW - 12 * HOUR, "planned": frozenset(), **change}
    return due({"north": Standing(NOW, **values)}, {"north": news}, {"north": considered})


def test_a_site_that_was_never_planned_is_planned_for_its_night_whatever_the_hour() -> None:
    assert decide(members=Site.NEW, night=0.0).nightly == {"north"}


def test_a_night_is_planned_once() -> None:
    assert decide(opens_at=NOW + 60).nightly == {"north"}
    assert not decide(opens_at=NOW + 60, night=NOW + 60)


def test_who_is_lacking_is_waited_for_until_the_window_opens() -> None:
    assert not decide(opens_at=NOW + 60, members=Site.LACKING)
    assert decide(opens_at=NOW, members=Site.LACKING).nightly == {"north"}
    assert not decide(news=frozenset({FILM}), is_stale=True, members=Site.LACKING)


def test_news_by_night_is_a_whole_plan_and_by_day_only_itself() -> None:
    assert decide(news=frozenset({FILM}), opens_at=NOW, night=NOW).anew == {"north"}
    assert decide(news=frozenset({FILM})).by_day == {"north": FILES}


def test_more_news_takes_along_what_is_being_fetched() -> None:
    found = decide(news=frozenset({FILM, OTHER}), planned=frozenset({OTHER}))
    assert found.by_day == {"north": FILES | {FileName("other", "v720.mp4")}}


def test_what_is_planned_or_was_considered_is_no_news() -> None:
    assert not decide(news=frozenset({FILM}), planned=frozenset({FILM}))
    assert not decide(news=frozenset({FILM}), considered=frozenset({FILM}))


def test_what_may_not_be_held_any_more_and_who_has_joined_are_reason_enough() -> None:
    for reason in ({"is_stale": True}, {"has_joined": True}):
        change: dict[str, Any] = dict(reason)
        assert decide(**change).by_day == {"north": frozenset()}
        assert decide(opens_at=NOW, night=NOW, **change).anew == {"north"}
