from __future__ import annotations

from pathlib import Path

import msgspec
from rich.console import Console

from steering.replay.change import Change
from steering.replay.outcome import Outcome
from steering.replay.show import show
from tests.steering.replay.days import FILM, Day


def text(outcome: Outcome) -> str:
    console = Console(record=True, width=120)
    with console.capture() as captured:
        console.print(show(outcome))
    return captured.get()


async def outcome(tmp_path: Path, change: Change | None = None) -> Outcome:
    day = Day(tmp_path, capacity_bps=50 * FILM.nominal_bps)
    await day.begin()
    await day.later(200, plays=1)
    return await day.replay(change)


async def test_a_replay_without_a_change_says_how_far_it_can_be_trusted(tmp_path: Path) -> None:
    said = text(await outcome(tmp_path))
    assert "200 sessions from 2027-01-15T08:00:11Z to 2027-01-15T08:03:30Z (3m 19s)" in said
    assert "of 200 (" in said
    assert "are decided as they are logged" in said
    assert "becomes" not in said


async def test_a_change_is_shown_beside_what_was(tmp_path: Path) -> None:
    change = Change(sites_down=frozenset({"north"}), words=("site north is down",))
    said = text(await outcome(tmp_path, change))
    assert "changed: site north is down" in said
    assert "200 sessions (100.0%) are sent to another appliance first" in said
    assert "away: health" in said
    assert "becomes full: s1" in said


async def test_the_whole_outcome_is_json(tmp_path: Path) -> None:
    found = await outcome(tmp_path)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Outcome) == found
