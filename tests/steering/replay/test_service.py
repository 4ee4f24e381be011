"""A running service keeps a journal and a log, and what they say of it is what it said."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from config.progress import Reporter
from config.steering import SteeringSettings
from steering.journal.following import Follower
from steering.journal.segments import Journal
from steering.replay.change import Change
from steering.replay.compare import compare
from steering.replay.moment import explain_at
from steering.service import Service
from tests.steering.conftest import Clock, Origin, Steering
from tests.steering.test_service import fleet_of_three
from tests.steering.values import report


@pytest.fixture
def keeping(settings: SteeringSettings, tmp_path: Path) -> SteeringSettings:
    return dataclasses.replace(settings, journal=tmp_path / "journal", decision_log=tmp_path / "decisions.log")


@asynccontextmanager
async def running(settings: SteeringSettings, clock: Clock) -> AsyncIterator[tuple[Steering, Follower]]:
    service = Service(settings, clock)
    follower = service._journal
    assert follower is not None
    async with TestClient(TestServer(service.application())) as client:
        steering = Steering(service, client, clock)
        await steering.refresh()
        await fleet_of_three(steering)
        await follower.look()
        yield steering, follower


def kept(settings: SteeringSettings) -> Journal:
    assert settings.journal is not None
    return Journal(settings.journal)


async def test_a_service_is_explained_as_it_explained_itself(
    keeping: SteeringSettings, origin: Origin, clock: Clock
) -> None:
    origin.publish("film")
    said: list[tuple[float, dict[str, Any]]] = []
    async with running(keeping, clock) as (steering, follower):
        for state in ("serving", "draining"):
            clock.now += 2
            await steering.report(report("n1", sequence=int(clock.now), state=state))
            await follower.look()
            question = "/api/v1/explain?client=127.0.0.9&title=film&session=s"
            said.append((follower._epoch(), await steering.json(question)))
            await follower.look()
        ready = await steering.json("/readyz")
        assert not any("journal" in reason for reason in ready["degraded"])
    for at, then in said:
        explained = explain_at(kept(keeping), at, "127.0.0.9", "film", "s")
        assert {key: explained[key] for key in then} == then


async def test_the_sessions_of_a_service_are_replayed(keeping: SteeringSettings, origin: Origin, clock: Clock) -> None:
    origin.publish("film")
    async with running(keeping, clock) as (steering, _):
        for number in range(20):
            await steering.get(f"/play/film/master.m3u8?session=s{number}")
    assert keeping.decision_log is not None
    change = Change(sites_down=frozenset({"north"}), words=("site north is down",))
    span = (0.0, float("inf"))
    outcome = compare(kept(keeping), [keeping.decision_log], *span, change, Reporter(quiet=True))
    assert (outcome.agreement.agree, outcome.agreement.sessions) == (20, 20)
    assert [(mover.was, mover.becomes, mover.sessions) for mover in outcome.movers] == [("north", "south", 20)]


async def test_a_journal_that_cannot_be_kept_costs_nobody_anything(
    keeping: SteeringSettings, origin: Origin, clock: Clock, tmp_path: Path
) -> None:
    origin.publish("film")
    (tmp_path / "file").write_text("")
    async with running(dataclasses.replace(keeping, journal=tmp_path / "file" / "journal"), clock) as (steering, _):
        assert (await steering.get("/play/film/master.m3u8")).status == 200
        degraded = (await steering.json("/readyz"))["degraded"]
        assert "the journal is not kept: Not a directory" in degraded
