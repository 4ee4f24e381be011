"""One follower through a day: its window, events, plans and logs are real; steering and origin answer from memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from config.fill import FillSettings
from config.progress import Reporter
from fill.errors import NoPlan
from fill.fleet import FleetClient
from fill.planner.follow import Follower
from fill.planner.form import Plan
from fill.planner.store import read_published
from oca.report import EVERY_FILE
from origin.storage.file import FileStorage
from tests.fill.catalogs import MIB, NOW, make_offer, make_seen, package_key
from tests.fill.feed.values import line, write_log
from tests.fill.network import Network

HOUR = 3600.0
# NOW is 08:00 UTC; the window is from 02:00 to 06:00.
EVENING = NOW + 12 * HOUR
NIGHT = EVENING + 5.1 * HOUR  # within the hour before the window
NOON = EVENING + 16 * HOUR
FILM, OTHER = make_offer("film"), make_offer("other")
# What one of them takes, with what lies beside it; the appliance has room for one.
ROOM = 14 * MIB


class Fleet:
    """One appliance, x, of which the test says what it holds and what was watched; `moment` is what the clock says."""

    def __init__(self, folder: Path, network: Network, storage: FileStorage, client: FleetClient) -> None:
        self.moment, self.network, self.storage, self._client = EVENING, network, storage, client
        self._log = write_log(folder / "access.log", [])
        self._settings = FillSettings(
            events=f"file://{folder}/events",
            access_logs=(str(self._log),),
            steering=network.url,
            origin=network.url,
            window="02:00-06:00",
        )
        self.follower = self.start()

    def start(self) -> Follower:
        """Another process, as after a kill."""
        self.follower = Follower(
            self._settings, self.storage, self._client, None, Reporter(quiet=True), clock=lambda: self.moment
        )
        return self.follower

    async def look(self, moment: float) -> Plan:
        self.moment = moment
        await self.follower.look()
        return await read_published(self.storage, "x")

    def watched(self, title: str, viewers: int, *, at: float) -> None:
        lines = [
            line(
                now=at, age_s=0, size=MIB, title=title, appliance="x", client=f"192.0.{viewer}.0",
                part=f"v720/{part}.m4s", cmcd={"sid": f"{title}-{viewer}-{at}"},
            )
            for viewer in range(viewers)
            for part in range(8)
        ]  # fmt: skip
        write_log(self._log, lines, mode="ab")


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with (
        Network([FILM, OTHER], [make_seen("x", disk=ROOM)]) as network,
        FileStorage(tmp_path / "plans") as storage,
        FleetClient(network.url, network.url) as client,
    ):
        yield Fleet(tmp_path, network, storage, client)


def titles(plan: Plan) -> set[str]:
    return {line.title for line in plan.fetches}


async def test_a_night_is_planned_once_also_by_a_follower_that_was_started_again(fleet: Fleet) -> None:
    first = await fleet.look(EVENING)
    assert first.fetches and not first.at_once
    tonight = await fleet.look(NIGHT)
    assert tonight.version > first.version
    fleet.start()
    assert await fleet.look(NIGHT + 1800) == tonight
    assert (await fleet.look(NIGHT + 24 * HOUR)).version > tonight.version


async def test_what_is_watched_more_than_expected_is_fetched_by_day(fleet: Fleet) -> None:
    fleet.watched("film", 10, at=EVENING - HOUR)
    night = await fleet.look(NIGHT)
    assert titles(night) == {"film"}
    held = make_seen("x", disk=ROOM, held={package_key(FILM): EVERY_FILE})
    fleet.network.know(held)
    assert await fleet.look(NOON - 3 * HOUR) == night
    fleet.watched("other", 30, at=NOON - 2 * HOUR)
    fleet.start()
    by_day = await fleet.look(NOON)
    assert by_day.at_once and "other" in titles(by_day)
    assert {line.title for line in by_day.drops} == {"film"}
    assert "since the plan" in next(one.reason for one in by_day.fetches if one.file == "v720.mp4")
    assert await fleet.look(NOON + 600) == by_day


async def test_a_new_title_is_fetched_at_once_and_a_withdrawn_one_dropped(fleet: Fleet) -> None:
    fleet.network.know(make_seen("x", held={package_key(FILM): EVERY_FILE}))
    night = await fleet.look(NIGHT)
    new = make_offer("new", age_s=NOW - NOON + HOUR)
    fleet.network.offer(OTHER, new)
    by_day = await fleet.look(NOON)
    assert by_day.at_once and by_day.version > night.version
    assert titles(by_day) == {"new"}
    assert {line.title for line in by_day.drops} == {"film"}
    assert by_day.rate_bps == 100_000_000


async def test_what_has_no_events_yet_is_planned_all_the_same(fleet: Fleet) -> None:
    with pytest.raises(NoPlan):
        await read_published(fleet.storage, "x")
    assert (await fleet.look(NOON)).fetches
