from __future__ import annotations

from pathlib import Path

from config.progress import Reporter
from fill.feed.ingest import ingest
from fill.feed.lines import Places
from fill.feed.scores import keep
from fill.feed.store import Store
from fill.feed.today import came_since, next_hour, planned_at
from fill.forecast.expected import Expected, Forecast
from fill.forecast.today import Came
from fill.history import flat_rhythm
from fill.names import FileName
from tests.fill.feed.values import DAY, NOW, line, write_log

HOUR = 3600.0
FILM = FileName("film", "v720.mp4")


def test_only_what_came_since_counts_and_of_the_hour_under_way_what_is_over(tmp_path: Path) -> None:
    events = f"file://{tmp_path}/events"
    times = {"before": 5 * HOUR, "first": 3 * HOUR, "now": 60.0, "later": -60.0}
    lines = [line(age, 1000, cmcd={"sid": name}, part=f"v720/{name}.m4s") for name, age in times.items()]
    log = write_log(tmp_path / "log", lines)
    ingest(
        Store(events),
        [str(log)],
        Places({}, {}, "here"),
        lambda: NOW + 120,
        keep_lines_s=7 * DAY,
        keep_hours_s=7 * DAY,
        reporter=Reporter(quiet=True),
    )
    since = next_hour(NOW - 4 * HOUR)
    assert came_since(events, "here", since, NOW) == {FILM: Came(2000.0, 2)}
    assert came_since(events, "elsewhere", since, NOW) == {}


def test_a_viewer_who_watches_past_a_full_hour_is_one_session(tmp_path: Path) -> None:
    events = f"file://{tmp_path}/events"
    past_hour = NOW % HOUR
    for cmcd in ({"sid": "one"}, None):
        lines = [line(past_hour + 600 - 60 * number, part=f"v720/{number}.m4s", cmcd=cmcd) for number in range(20)]
        log = write_log(tmp_path / "log", lines)
        store = Store(f"{events}-{cmcd is None}")
        ingest(
            store,
            [str(log)],
            Places({}, {}, "here"),
            lambda: NOW,
            keep_lines_s=7 * DAY,
            keep_hours_s=7 * DAY,
            reporter=Reporter(quiet=True),
        )
        came = came_since(f"file://{store.folder}", "here", next_hour(NOW - 3 * HOUR), NOW)
        assert came == {FILM: Came(20_000.0, 1)}


def test_hours_begin_at_whole_hours() -> None:
    assert [next_hour(moment) for moment in (7200.0, 7200.5, 10799.0)] == [7200.0, 10800.0, 10800.0]


def test_the_last_forecast_says_when_was_planned(tmp_path: Path) -> None:
    events = f"file://{tmp_path}/events"
    assert planned_at(events, "here") is None
    for made_at in (NOW - DAY, NOW):
        keep(events, Forecast("here", made_at, "prior", {FILM: Expected(1.0, "")}, flat_rhythm()[:24] * 7), {FILM: 9})
    assert planned_at(events, "here") == NOW
    assert planned_at(events, "here", NOW - 60) == NOW - DAY
