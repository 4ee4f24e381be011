from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.progress import Reporter
from fill.feed import scores
from fill.feed.ingest import ingest
from fill.feed.lines import Places
from fill.feed.scores import KEPT_S, keep, measure, running, score
from fill.feed.store import Store
from fill.forecast.expected import Expected, Forecast
from fill.history import flat_rhythm
from fill.names import FileName
from tests.fill.feed.values import DAY, NOW, line, write_log

A, B, NEW = FileName("a", "v.mp4"), FileName("b", "v.mp4"), FileName("new", "v.mp4")


def forecast(plays: dict[FileName, float], made_at: float, *, error: float = 1.0) -> Forecast:
    expected = {name: Expected(amount, "", error) for name, amount in plays.items()}
    return Forecast("here", made_at, "guess", expected, flat_rhythm()[:24] * 7)


def watched(events: str, tmp_path: Path, plays: dict[FileName, float], since: float) -> None:
    """`plays` bytes for each of a file's 1,000, in the day after `since`."""
    lines = [
        line(NOW - since - 7200 - number, int(amount * 1000), title=name.title, file=name.file, part="v/1.m4s")
        for number, (name, amount) in enumerate(plays.items())
    ]
    log = write_log(tmp_path / f"log-{since}", lines)
    ingest(
        Store(events),
        [str(log)],
        Places({}, {}, "here"),
        lambda: NOW,
        keep_lines_s=90 * DAY,
        keep_hours_s=400 * DAY,
        reporter=Reporter(quiet=True),
    )


def test_a_forecast_is_scored_by_what_came_in_its_day(tmp_path: Path) -> None:
    events = f"file://{tmp_path}/events"
    yesterday = NOW - 1.5 * DAY
    keep(events, forecast({A: 10, B: 4}, yesterday, error=3), {A: 1000, B: 1000}, storage=1000)
    watched(events, tmp_path, {A: 8, B: 9, NEW: 3}, yesterday)
    watched(events, tmp_path, {A: 500}, yesterday - 2 * DAY)
    (found,) = score(events, "here", NOW)
    assert (found.model, found.files, found.came_bytes, found.expected_bytes) == ("guess", 2, 20_000, 14_000)
    assert found.error == pytest.approx((2 + 5 + 3) / 20)
    assert found.bias == pytest.approx((14 - 20) / 20)
    assert found.share == pytest.approx(8 / 9)
    assert (found.within_one, found.within_two) == (0.5, 1.0)
    assert found.unforeseen_bytes == 3000


def test_a_forecast_whose_day_is_not_over_or_of_which_nothing_came_has_no_score(tmp_path: Path) -> None:
    events = f"file://{tmp_path}/events"
    keep(events, forecast({A: 1}, NOW - 0.5 * DAY), {A: 1000})
    keep(events, forecast({A: 1}, NOW - 3 * DAY), {A: 1000})
    watched(events, tmp_path, {A: 1}, NOW - 0.5 * DAY)
    assert score(events, "here", NOW) == []
    assert score(events, "nowhere", NOW) == []


def test_what_is_not_a_number_is_scored_as_nothing_and_what_has_no_size_is_left_out(tmp_path: Path) -> None:
    events = f"file://{tmp_path}/events"
    made_at = NOW - 2 * DAY
    keep(events, forecast({A: math.nan, B: 7, NEW: -5}, made_at, error=math.inf), {A: 1000, NEW: 1000})
    watched(events, tmp_path, {A: 2}, made_at)
    (found,) = score(events, "here", NOW)
    assert (found.files, found.expected_bytes, found.error) == (2, 0, 1.0)


def test_old_forecasts_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "FEWEST_KEPT", 2)
    events = f"file://{tmp_path}/events"
    for made_at in (NOW - KEPT_S - DAY, NOW - 5 * DAY, NOW):
        keep(events, forecast({A: 1}, made_at), {A: 1})
    assert [int(file.stem) for file in Store(events).forecasts_of("here")] == [int(NOW - 5 * DAY), int(NOW)]


def test_a_forecast_of_a_wrong_clock_does_not_end_the_others(tmp_path: Path) -> None:
    events = f"file://{tmp_path}/events"
    keep(events, forecast({A: 10}, NOW - 2 * DAY), {A: 1000})
    keep(events, forecast({A: 10}, NOW + 400 * DAY), {A: 1000})
    watched(events, tmp_path, {A: 8}, NOW - 2 * DAY)
    assert [one.came_bytes for one in score(events, "here", NOW)] == [8000]


def test_a_damaged_forecast_has_no_score(tmp_path: Path) -> None:
    events = f"file://{tmp_path}/events"
    for days in (3, 2):
        keep(events, forecast({A: 10}, NOW - days * DAY), {A: 1000})
        watched(events, tmp_path, {A: 8}, NOW - days * DAY)
    Store(events).forecasts_of("here")[0].write_bytes(b"damaged")
    assert [one.made_at for one in score(events, "here", NOW)] == [NOW - 2 * DAY]


def test_the_running_score_weighs_days_by_what_came(tmp_path: Path) -> None:
    events = f"file://{tmp_path}/events"
    for days, came in ((4, 1), (3, 9)):
        keep(events, forecast({A: came * (1 if days == 4 else 2)}, NOW - days * DAY), {A: 1000})
        watched(events, tmp_path, {A: came}, NOW - days * DAY)
    found = score(events, "here", NOW)
    assert [one.error for one in found] == [0, 1]
    mean = running(found)
    assert mean is not None
    assert mean.error == pytest.approx(0.9)
    assert mean.came_bytes == 10_000
    assert running([]) is None


_amounts = st.floats(0, 1e6)


@given(st.lists(st.tuples(st.integers(1, 10**9), _amounts, _amounts, _amounts, st.booleans()), min_size=1, max_size=30))
def test_no_score_is_better_than_the_oracle(rows: list[tuple[Any, ...]]) -> None:
    size, plays, error, came, foreseen = (np.array(column) for column in zip(*rows, strict=True))
    columns = {"size": size, "plays": plays, "error": error, "came": came + 1, "foreseen": foreseen}
    columns |= {"storage": np.zeros(len(rows), dtype=np.int64)}
    found = measure(columns, region="here", made_at=0.0, model="")
    assert -1e-9 <= found.share <= 1 + 1e-9
    assert 0 <= found.within_one <= found.within_two <= 1
    assert found.error >= abs(found.bias) - 1e-9
    perfect = measure(columns | {"plays": (came + 1) / size}, region="here", made_at=0.0, model="")
    assert perfect.share == pytest.approx(1 if foreseen.any() else 0)
