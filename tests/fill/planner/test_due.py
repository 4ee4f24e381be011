from __future__ import annotations

from fill.names import FileName
from fill.planner.due import Key, Standing, due

HOUR = 3600.0
FILM: Key = ("film", "a" * 32, "v720.mp4")
NEWS = {"north": frozenset({FILM})}


def standing(
    *, opens_at: float | None = None, planned_at: float = 10 * HOUR, planned: frozenset[Key] = frozenset(), **more: bool
) -> dict[str, Standing]:
    return {"north": Standing(opens_at, planned_at, planned, **more)}


def test_a_site_that_was_never_planned_is_planned_for_its_night_whatever_the_hour() -> None:
    assert due(standing(planned_at=0.0), {}, HOUR).nightly == {"north"}


def test_a_night_is_planned_once_ahead_of_its_window() -> None:
    assert due(standing(opens_at=20 * HOUR), {}, HOUR).nightly == {"north"}
    assert not due(standing(opens_at=20 * HOUR, planned_at=19 * HOUR), {}, HOUR)


def test_news_by_night_is_a_whole_plan_and_by_day_only_itself() -> None:
    assert due(standing(opens_at=10 * HOUR), NEWS, HOUR).anew == {"north"}
    assert due(standing(), NEWS, HOUR).by_day == {"north": {FileName("film", "v720.mp4")}}


def test_what_is_planned_already_is_no_news() -> None:
    assert not due(standing(planned=frozenset({FILM})), NEWS, HOUR)


def test_what_may_not_be_held_any_more_is_reason_enough() -> None:
    assert due(standing(is_stale=True), {}, HOUR).by_day == {"north": frozenset()}
    assert due(standing(is_stale=True, opens_at=10 * HOUR), {}, HOUR).anew == {"north"}
