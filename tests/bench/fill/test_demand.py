from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.errors import BenchError
from bench.fill.demand import measure
from bench.fill.evening import expectations
from bench.fill.policies import _kept
from bench.fill.reading import Lists, read_lists
from bench.fill.reveal import Evening, evenings
from bench.fill.sample import HALVES_HEADER, LISTS_HEADER, halves, lists
from bench.fill.stream import draw
from bench.rows import OURS, Row
from config.progress import Reporter
from tests.bench.fill.files import to_csv

QUIET = Reporter(quiet=True)


@pytest.fixture(scope="module")
def made() -> Lists:
    return read_lists("made", LISTS_HEADER, iter(lists(days=44, countries=("AA", "BB", "CC"))))


@pytest.fixture(scope="module")
def nights(made: Lists) -> list[Evening]:
    return list(evenings(made))


def value(rows: list[Row], subject: str, case: str, metric: str) -> float:
    return next(row.median for row in rows if (row.subject, row.case, row.metric) == (subject, case, metric))


def test_a_model_learns_neither_from_the_country_nor_from_the_month_it_is_asked_about(
    made: Lists, nights: list[Evening], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[set[int], int]] = []

    def taught(past: list[Evening], _rounds: int) -> None:
        asked.append(({one.region for one in past}, max(one.day for one in past)))

    monkeypatch.setattr("bench.fill.evening._worthwhile", taught)
    expectations(made, nights, QUIET, quick=True)
    assert asked
    assert all(len(regions) < 3 and last < 31 for regions, last in asked)


def test_the_sample_gives_rows_of_every_case(tmp_path: Path) -> None:
    lists_file, halves_file = tmp_path / "lists.csv", tmp_path / "halves.csv"
    lists_file.write_text(to_csv(LISTS_HEADER, lists(days=36, countries=("AA", "BB"))))
    halves_file.write_text(to_csv(HALVES_HEADER, halves(titles=300)))
    rows, notes = measure([lists_file, halves_file], quick=True, reporter=QUIET)
    cases = {row.case.split("/")[0] for row in rows}
    assert cases == {"nightly", "within", "policies", "halves"}
    assert all(np.isfinite([row.median, row.min, row.max]).all() for row in rows)
    ceiling = value(rows, "ceiling", "nightly/K10", "share of oracle")
    assert 0 < value(rows, "yesterday", "nightly/K10", "share of oracle") <= ceiling <= 1
    within = "within/R200/K10", "share of the static oracle"
    assert value(rows, OURS, *within) > value(rows, "static plan", *within)
    assert not [note for note in notes if "left out" in note]


def test_one_country_is_measured_by_its_own_earlier_days(tmp_path: Path) -> None:
    path = tmp_path / "lists.csv"
    path.write_text(to_csv(LISTS_HEADER, lists(days=12, countries=("AA",))))
    rows, notes = measure([path], quick=True, reporter=QUIET, only=["daily"])
    assert any("one country only" in note for note in notes)
    assert value(rows, OURS, "nightly/K10", "share of oracle") > 0


def test_a_single_report_is_said_not_to_be_enough(tmp_path: Path) -> None:
    path = tmp_path / "halves.csv"
    rows = [row for row in halves(titles=50) if row[0] == "2025Jan-Jun"]
    path.write_text(to_csv(HALVES_HEADER, rows))
    found, notes = measure([path], quick=True, reporter=QUIET)
    assert not found
    assert any("a half-year needs one before it" in note for note in notes)


def test_lists_of_a_single_day_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "lists.csv"
    path.write_text(to_csv(LISTS_HEADER, lists(days=1)))
    with pytest.raises(BenchError, match="lists of two days"):
        measure([path], quick=True, reporter=QUIET)


def test_everybody_is_asked_for_the_same(nights: list[Evening]) -> None:
    first, second = draw(nights[0], 200, 1), draw(nights[0], 200, 1)
    np.testing.assert_array_equal(first.item, second.item)
    assert 150 < len(first.item) < 350
    assert (np.diff(first.elapsed) >= 0).all()


def test_what_is_held_stays_unless_another_is_worth_its_fill() -> None:
    assert set(_kept([1, 2], {1: 5.0, 2: 4.0, 3: 6.0}, 2)) == {1, 2}
    assert set(_kept([1, 2], {1: 5.0, 2: 4.0, 3: 60.0}, 2)) == {1, 3}
