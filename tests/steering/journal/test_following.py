"""The journal of a working set, written and read again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from config.steering import SteeringSettings
from oca.report import MeasuredPath
from steering.appliances.fleet import Fleet
from steering.catalog import Catalog
from steering.journal.following import Follower
from steering.journal.past import Past
from steering.journal.segments import SEGMENT_S, Journal
from steering.placement.paths import Paths, network_key
from tests.steering.conftest import Clock
from tests.steering.journal.worlds import heard, holding, title
from tests.steering.values import GIGABIT, NORTH, SOUTH, report

FILM = title()


class Watched:
    """A fleet and a catalog that a follower looks at whenever a test says so."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.folder = Clock(), folder
        self.fleet, self.paths = Fleet(6.0), Paths()
        self.catalog = SimpleNamespace(titles={"film": FILM})
        self.settings = SteeringSettings(sites=(NORTH,))
        self.follower = self.another()

    def another(self) -> Follower:
        catalog = cast(Catalog, self.catalog)
        return Follower(self.settings, self.folder, self.fleet, catalog, self.paths, self.clock, epoch=self.clock)

    async def later(self, seconds: float, **changes: Any) -> None:
        self.clock.now += seconds
        if changes:
            self.fleet.take(report(**changes), self.clock.now)
        await self.follower.look()

    def past(self, at: float = 1e9) -> Past:
        journal = Journal(self.folder)
        records = [record for record in journal.records(min(at, self.clock.now)) if record.time <= at]
        assert not journal.damage
        return heard(*records)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path / "journal")
    yield watched
    watched.follower._writer.close()


async def test_what_steering_knows_is_read_again(watched: Watched) -> None:
    await watched.later(1, name="a1", held=holding(FILM), serving_bps=GIGABIT)
    past = watched.past()
    assert past.settings is not None
    assert past.settings.sites == (NORTH,)
    assert past.titles["film"].content.files == FILM.files
    standing = past.standings["a1"]
    assert (standing.health, standing.serving_bps) == ("healthy", GIGABIT)
    assert dict(past.held(standing.held_version)) == holding(FILM)


async def test_silence_is_journalled_when_it_is_a_loss(watched: Watched) -> None:
    await watched.later(1, name="a1")
    await watched.later(10)
    assert watched.past().standings["a1"].health == "lost"
    assert watched.past(at=watched.clock.now - 1).standings["a1"].health == "healthy"


async def test_what_was_learned_of_a_way_is_said_and_said_again_in_the_next_hour(watched: Watched) -> None:
    for _ in range(2):
        watched.paths.learn(network_key("10.0.0.0"), "north", 12.0, 0.0, 3, watched.clock.now)
    await watched.later(1, name="a1", paths={"10.0.0.0": MeasuredPath(12_000, 0, 3)})
    await watched.later(SEGMENT_S)
    assert watched.past().ways == {"north": {"10.0.0.0": 12.0}}


async def test_each_hour_has_a_segment_that_says_everything(watched: Watched) -> None:
    await watched.later(1, name="a1", held=holding(FILM))
    await watched.later(SEGMENT_S)
    await watched.later(SEGMENT_S)
    assert len(Journal(watched.folder).segments) == 3
    past = watched.past()
    assert dict(past.held(past.standings["a1"].held_version)) == holding(FILM)


async def test_sites_that_were_read_again_are_journalled_without_what_needs_a_restart(watched: Watched) -> None:
    await watched.later(1)
    watched.follower.take_over(dataclasses.replace(watched.settings, sites=(NORTH, SOUTH), pathways=7))
    await watched.later(1)
    settings = watched.past().settings
    assert settings is not None
    assert (settings.sites, settings.pathways) == ((NORTH, SOUTH), 3)


async def test_a_quiet_journal_says_that_it_is_alive(watched: Watched) -> None:
    await watched.later(1)
    for _ in range(6):
        await watched.later(1)
    assert watched.past().at >= watched.clock.now - 5


async def test_another_worker_goes_on_when_the_one_that_wrote_is_gone(watched: Watched) -> None:
    first, second = watched.follower, watched.another()
    await watched.later(1, name="a1")
    await second.look()
    assert len(Journal(watched.folder).segments) == 1
    first._writer.close()
    watched.follower = second
    await watched.later(10)
    assert len(Journal(watched.folder).segments) == 2
    assert watched.past().standings["a1"].health == "lost"


async def test_a_fault_of_the_journal_is_said_and_ends_only_the_journal(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails() -> None:
        raise RuntimeError("nobody expected this")

    monkeypatch.setattr(watched.follower, "look", fails)
    monkeypatch.setattr("steering.journal.following._TAKE_OVER_EVERY_S", 0.0)
    await watched.follower.follow()
    assert watched.follower.trouble == "it met a fault; the log says more"
    assert "the journal met a fault and ends" in caplog.text
    await watched.follower.close()
