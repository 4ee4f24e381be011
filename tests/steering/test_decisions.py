from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st

from config.steering import SteeringSettings
from oca import access_log
from oca.report import EVERY_FILE
from steering.appliances.fleet import ORIGIN
from steering.appliances.roll import Appliance, Health, Roll
from steering.choice.cdns import Cdns
from steering.choice.cohorts import Policy
from steering.choice.ranking import MOST_PASSED_OVER, Beyond, Client, Content, Decision, begin
from steering.decisions import Decided, decided, truncated, why_not_nearest
from steering.errors import LogError
from steering.placement.nearby import Nearby
from steering.placement.sites import By, Placement, Sites
from steering.service import Service
from tests.steering.conftest import Clock, Origin, Steering
from tests.steering.values import NORTH, SOUTH, appliance, report

SITES = Sites((NORTH, SOUTH))
IN_NORTH = Placement("north", By.PREFIX, "127.0.0.1", 9, SITES.point("north"))
NOWHERE = Placement("", By.NOTHING)


def decision(*fleet: Appliance, placement: Placement = IN_NORTH, client: Client | None = None) -> Decision:
    content = Content("film", "0" * 32, frozenset({"v.mp4"}))
    asking = client or Client("127.0.0.1", "s1")
    beyond = Beyond("http://origin.localhost", Cdns())
    return begin(asking, content, placement, Nearby(SITES, Roll(fleet)), Policy(), beyond)


@pytest.mark.parametrize(
    ("states", "reason"),
    [
        ([Health.HEALTHY], ""),
        ([Health.LOST, Health.HEALTHY], ""),
        ([Health.FULL], "capacity"),
        ([Health.LOST, Health.DRAINING, Health.FULL], "capacity"),
        ([Health.DRAINING, Health.UNHEALTHY], "drain"),
        ([Health.UNHEALTHY], "health"),
        ([Health.LOST], "health"),
        ([], "health"),
    ],
)
def test_what_keeps_the_nearest_site_from_being_asked(states: list[Health], reason: str) -> None:
    fleet = [appliance(f"n{number}", health=health) for number, health in enumerate(states)]
    assert why_not_nearest(decision(*fleet, appliance("s1", "south"))) == reason


def test_a_client_of_no_site_has_no_route() -> None:
    assert why_not_nearest(decision(appliance("n1"), placement=NOWHERE)) == "route"


def test_a_line_says_who_was_told_and_who_of_the_site_was_passed_over() -> None:
    lost = [appliance(f"n{number:02}", health=Health.LOST) for number in range(20)]
    line = decided(decision(*lost, appliance("s1", "south")), "hls", "Northern", 1000.0)
    assert (line.kind, line.site, line.by, line.isp, line.client) == (
        "play",
        "north",
        "prefix",
        "Northern",
        "127.0.0.0",
    )
    assert (line.first, line.first_site, line.why) == ("s1", "south", "health")
    assert [choice.name for choice in line.choices[:2]] == ["s1", ORIGIN]
    assert len(line.choices) == 2 + MOST_PASSED_OVER


@given(st.ip_addresses())
def test_addresses_lose_what_they_lose_in_access_logs(address: IPv4Address | IPv6Address) -> None:
    assert truncated(str(address)) == access_log.truncated(str(address))


def test_what_is_no_address_is_not_logged() -> None:
    assert truncated("nobody") == access_log.truncated("nobody") == ""


async def run(settings: SteeringSettings, origin: Origin, clock: Clock, states: list[str]) -> list[Decided]:
    """A session that begins, and polls once in each state of the appliance n1."""
    assert settings.decision_log is not None
    origin.publish("film")
    service = Service(settings, clock)
    async with TestClient(TestServer(service.application())) as client:
        steering = Steering(service, client, clock)
        await steering.refresh()
        everything: dict[str, Any] = {"held": {f"film/{origin.entries['film']['package']}": EVERY_FILE}}
        await steering.report(report("n1", **everything), report("s1", site="south", **everything))
        text = await (await steering.get("/play/film/master.m3u8?session=abc")).text()
        uri = text.partition('SERVER-URI="')[2].partition('"')[0]
        for number, state in enumerate(states, start=2):
            await steering.report(report("n1", sequence=number, state=state, **everything))
            await steering.get(uri[uri.index("/steer") :])
    lines = settings.decision_log.read_bytes().splitlines()
    return [msgspec.json.decode(line, type=Decided) for line in lines]


@pytest.fixture
def logging_settings(settings: SteeringSettings, tmp_path: Path) -> SteeringSettings:
    return dataclasses.replace(settings, decision_log=tmp_path / "decisions.log")


async def test_a_session_that_begins_is_a_line(
    logging_settings: SteeringSettings, origin: Origin, clock: Clock
) -> None:
    (line,) = await run(logging_settings, origin, clock, ["serving", "serving"])
    assert (line.kind, line.session, line.title, line.form) == ("play", "abc", "film", "hls")
    assert (line.first, line.site, line.isp, line.why, line.holds_s) == ("n1", "north", "Northern", "", 0)


async def test_a_poll_is_a_line_only_where_it_sends_the_session_elsewhere(
    logging_settings: SteeringSettings, origin: Origin, clock: Clock
) -> None:
    play, poll = await run(logging_settings, origin, clock, ["serving", "draining", "serving"])
    assert (poll.kind, poll.session, poll.first, poll.why) == ("poll", play.session, "s1", "drain")
    assert poll.holds_s == 2 * logging_settings.ttl


async def test_without_a_log_nothing_is_written(steering: Steering, tmp_path: Path) -> None:
    await steering.get("/play/film/master.m3u8")
    assert not list(tmp_path.glob("*.log"))


def test_a_log_that_cannot_be_opened_is_one_sentence(settings: SteeringSettings, tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"decision_log .* cannot be written: No such file or directory"):
        Service(dataclasses.replace(settings, decision_log=tmp_path / "none" / "decisions.log"))
