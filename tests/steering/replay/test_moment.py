"""What steering would have said at a moment, from its journal, beside what it did say."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

import pytest

from steering.errors import JournalError, TitleUnknown
from steering.journal.segments import Journal
from steering.prefixes.table_file import TableWriter
from steering.replay.moment import explain_at, moment_as_text
from tests.steering.replay.days import IN_NORTH, START, Day
from tests.steering.values import NORTH, SOUTH


async def kept(day: Day) -> Journal:
    await day.follower.close()
    return Journal(day.journal)


@pytest.fixture
async def day(tmp_path: Path) -> Day:
    day = Day(tmp_path)
    await day.begin()
    return day


async def test_a_decision_is_as_it_was_then(day: Day) -> None:
    await day.later(10)
    was = START + 20
    day.silent = {"n1", "n2"}
    await day.later(10)
    lost = START + 30
    journal = await kept(day)
    assert explain_at(journal, was, IN_NORTH, "film", "s")["priority"][0] in ("n1", "n2")
    explained = explain_at(journal, lost, IN_NORTH, "film", "s")
    assert explained["priority"] == ["s1", "origin"]
    reasons = {pathway["name"]: pathway["reasons"][0] for pathway in explained["pathways"]}
    assert reasons["n1"].startswith("lost: silent for more than 6.0s")


async def test_it_says_how_old_its_state_is(day: Day) -> None:
    journal = await kept(day)
    explained = explain_at(journal, day.clock.now + 2, IN_NORTH, "film", "s")
    assert explained["age_s"] <= 7
    assert not explained["remarks"]
    text = moment_as_text(explained)
    assert text.startswith("as of 2027-01-15T08:00:12Z, by what was known ")


async def test_a_time_that_nobody_wrote_of_is_said(day: Day) -> None:
    journal = await kept(day)
    explained = explain_at(journal, day.clock.now + 600, IN_NORTH, "film", "s")
    (remark,) = explained["remarks"]
    assert re.fullmatch("nothing was kept of the 10m .*s before: steering did not run, or could not write", remark)
    assert f"note: {remark}" in moment_as_text(explained)


async def test_a_file_that_is_gone_or_has_changed_since_is_said(tmp_path: Path) -> None:
    routes, prefixes = tmp_path / "routes", tmp_path / "prefixes.txt"
    prefixes.write_text("192.0.2.0/24\n")
    day = Day(tmp_path, routes=routes, sites=(dataclasses.replace(NORTH, prefix_files=(prefixes,)), SOUTH))
    await day.begin()
    journal = await kept(day)
    prefixes.unlink()
    gone = explain_at(journal, day.clock.now, IN_NORTH, "film", "s")["remarks"]
    assert gone == [f"{path} is not here, and places nobody" for path in (routes, prefixes)]
    prefixes.write_text("198.51.100.0/24\n")
    os.utime(prefixes, (START + 3600, START + 3600))
    _, newer = explain_at(journal, day.clock.now, "198.51.100.1", "film", "s")["remarks"]
    assert newer == f"{prefixes} was changed after 2027-01-15T08:00:10Z, and says what it says now"


async def test_routes_that_are_others_by_now_are_said(tmp_path: Path) -> None:
    table = TableWriter(tmp_path / "routes")
    table.replace({(4, 0xC0000200, 24): ("north",)})  # 192.0.2.0/24
    day = Day(tmp_path, routes=tmp_path / "routes")
    await day.begin()
    journal, at = await kept(day), day.clock.now
    explained = explain_at(journal, at, "192.0.2.1", "film", "s")
    assert explained["placement"]["by"] == "route"
    assert not explained["remarks"]
    generation = table.generation
    table.apply({(4, 0xC0000200, 24): ()})
    table.close()
    (remark,) = explain_at(journal, at, "192.0.2.1", "film", "s")["remarks"]
    assert remark.endswith(f"says what it says now: generation {generation + 1}, and it was {generation}")


async def test_a_title_that_was_not_there_then_is_said(day: Day) -> None:
    journal = await kept(day)
    with pytest.raises(TitleUnknown, match="no title 'other' in the catalog of 2027-01-15T08:00:10Z"):
        explain_at(journal, day.clock.now, IN_NORTH, "other", "s")


async def test_before_the_first_segment_nothing_is_explained(day: Day) -> None:
    journal = await kept(day)
    with pytest.raises(JournalError, match="found nothing before 2027-01-15T08:00:01Z"):
        explain_at(journal, START, IN_NORTH, "film", "s")
