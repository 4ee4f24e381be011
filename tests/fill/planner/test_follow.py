"""One follower through a day: its window, events, plans and logs are real; steering and origin answer from memory."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from config.fill import FillSettings
from config.progress import Reporter
from encoder.package import MANIFEST_NAME
from fill.errors import NoPlan
from fill.fleet import FleetClient
from fill.names import Offer
from fill.planner.follow import Follower
from fill.planner.form import Plan
from fill.planner.store import publish, read_published
from oca.report import EVERY_FILE
from origin.errors import StorageError
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

    def start(self, **change: Any) -> Follower:
        """Another process, as after a kill, with other settings perhaps."""
        self._settings = dataclasses.replace(self._settings, **change)
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


# What goes wrong: each of these lost content, or showed too much, or went round in circles once.

ALL = {package_key(FILM): EVERY_FILE, package_key(OTHER): EVERY_FILE}
LARGE = 100 * MIB


def new_title(name: str, at: float) -> Offer:
    return make_offer(name, age_s=NOW - at)


async def test_more_news_does_not_displace_what_is_being_fetched(fleet: Fleet) -> None:
    fleet.network.know(make_seen("x", disk=LARGE, held=ALL))
    await fleet.look(NIGHT)
    first, second = new_title("first", NOON - 600), new_title("second", NOON + 200)
    fleet.network.offer(FILM, OTHER, first)
    assert titles(await fleet.look(NOON)) == {"first"}
    fleet.network.offer(FILM, OTHER, first, second)
    both = await fleet.look(NOON + 300)
    assert titles(both) == {"first", "second"}
    assert await fleet.look(NOON + 600) == both


async def test_a_catalog_that_has_lost_all_drops_nothing_for_an_hour(fleet: Fleet) -> None:
    fleet.network.know(make_seen("x", disk=LARGE, held=ALL))
    night = await fleet.look(NIGHT)
    fleet.network.offer()
    assert await fleet.look(NOON) == night
    assert await fleet.look(NOON + 3500) == night
    assert {one.title for one in (await fleet.look(NOON + 3700)).drops} == {"film", "other"}


async def test_a_title_that_cannot_be_read_is_left_alone_and_others_are_planned(fleet: Fleet) -> None:
    fleet.network.know(make_seen("x", disk=LARGE, held={package_key(FILM): EVERY_FILE}))
    fleet.network.bodies[f"/v1/{package_key(FILM)}/{MANIFEST_NAME}"] = b"damaged"
    night = await fleet.look(NIGHT)
    assert (titles(night), night.drops) == ({"other"}, ())


async def test_a_night_that_could_not_be_published_is_planned_again(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.network.know(make_seen("x", disk=LARGE, held={package_key(FILM): EVERY_FILE}))
    await fleet.look(NIGHT)
    fleet.network.offer(FILM, OTHER, new_title("new", NOON - 600))
    assert (await fleet.look(NOON)).at_once

    async def fail(*_: object) -> None:
        raise StorageError("storage is away")

    with monkeypatch.context() as patch:
        patch.setattr("fill.planner.follow.publish", fail)
        with pytest.raises(StorageError):
            await fleet.look(NIGHT + 24 * HOUR)
    fleet.start()
    assert not (await fleet.look(NIGHT + 24 * HOUR + 300)).at_once


async def test_a_clock_that_was_ahead_once_does_not_end_planning(fleet: Fleet) -> None:
    await fleet.look(NIGHT)
    await fleet.look(NIGHT + 365 * 24 * HOUR)
    fleet.start()
    for day in (1, 2):
        assert (await fleet.look(NIGHT + day * 24 * HOUR)).made_at == NIGHT + day * 24 * HOUR


async def test_a_release_that_is_put_off_reaches_the_appliance_at_once(fleet: Fleet, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"

    def release_at(moment: float) -> None:
        when = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        policy.write_text(f'[[release]]\ntitle = "film"\nat = {when}\n')

    release_at(NOON + 6 * HOUR)
    fleet.start(policy=policy)
    fleet.network.know(make_seen("x", disk=LARGE, held=ALL))
    await fleet.look(NIGHT)
    release_at(NOON + 48 * HOUR)
    put_off = await fleet.look(NOON)
    assert {one.not_before for one in put_off.keeps if one.title == "film"} == {NOON + 48 * HOUR}
    assert await fleet.look(NOON + 300) == put_off


async def test_what_is_banned_before_it_came_is_not_fetched_by_anybody(fleet: Fleet, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text("")
    fleet.start(policy=policy)
    fleet.network.know(make_seen("x", disk=LARGE), make_seen("y", disk=LARGE))
    assert "film" in titles(await fleet.look(NIGHT))
    policy.write_text('ban = ["film"]\n')
    fleet.network.know(make_seen("x", disk=LARGE, held={package_key(FILM): EVERY_FILE}), make_seen("y", disk=LARGE))
    assert {one.title for one in (await fleet.look(NIGHT + 1800)).drops} == {"film"}
    assert "film" not in titles(await read_published(fleet.storage, "y"))


async def test_while_somebody_is_missing_nobody_is_planned_in_his_place(fleet: Fleet) -> None:
    held = make_seen("x", disk=LARGE, held={package_key(FILM): EVERY_FILE})
    fleet.network.know(held, make_seen("y", disk=LARGE, held={package_key(OTHER): EVERY_FILE}))
    night = await fleet.look(NIGHT)
    # Steering was started again, and has not heard of y yet.
    fleet.network.know(held)
    fleet.network.offer(FILM, OTHER, new_title("new", NIGHT + HOUR))
    assert await fleet.look(NIGHT + 2 * HOUR) == night


async def test_what_an_appliance_holds_is_waited_for(fleet: Fleet) -> None:
    known = make_seen("x", disk=LARGE, held=ALL)
    unknown = msgspec.structs.replace(known, report=msgspec.structs.replace(known.report, held={}))
    fleet.network.know(known)
    night = await fleet.look(NIGHT)
    fleet.network.know(unknown)
    fleet.network.offer(FILM, OTHER, new_title("new", NOON - 600))
    assert await fleet.look(NOON) == night


async def test_who_joins_by_day_does_not_end_the_others_work(fleet: Fleet) -> None:
    held = make_seen("x", disk=LARGE, held=ALL)
    fleet.network.know(held)
    await fleet.look(NIGHT)
    fleet.network.offer(FILM, OTHER, new_title("new", NOON - 600))
    assert titles(await fleet.look(NOON)) == {"new"}
    fleet.network.know(held, make_seen("y", disk=LARGE))
    by_day = await fleet.look(NOON + 300)
    theirs = await read_published(fleet.storage, "y")
    assert by_day.at_once and theirs.at_once
    assert "new" in titles(by_day) | titles(theirs)


async def test_a_title_whose_upload_took_its_time_is_news_all_the_same(fleet: Fleet) -> None:
    fleet.network.know(make_seen("x", disk=LARGE, held=ALL))
    await fleet.look(NIGHT)
    fleet.network.offer(FILM, OTHER, new_title("new", NIGHT - 600))
    assert titles(await fleet.look(NOON)) == {"new"}


async def test_what_an_operator_planned_by_hand_is_seen(fleet: Fleet) -> None:
    fleet.network.know(make_seen("x", disk=LARGE, held=ALL))
    night = await fleet.look(NIGHT)
    fleet.network.offer(FILM, OTHER, new_title("new", NOON - 600))
    await fleet.look(NOON)
    await publish(fleet.storage, {"x": msgspec.structs.replace(night, made_at=NOON + 60)}, None)
    assert titles(await fleet.look(NOON + 300)) == {"new"}
