"""Players' complaints over HTTP, from what they post to whom they and others are then sent to."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from config.steering import SteeringSettings
from oca.report import EVERY_FILE
from tests.steering.conftest import Clock, Origin, Steering
from tests.steering.values import report

NAMES = ("a1", "a2")
WITNESSES = 8


@pytest.fixture
def settings(settings: SteeringSettings) -> SteeringSettings:
    """Clients say through a proxy who they are."""
    return replace(settings, trusted_proxies=("127.0.0.0/8",))


def client(number: int) -> dict[str, str]:
    """The headers of one of many clients, each in a network of its own at the northern site."""
    return {"X-Forwarded-For": f"127.0.{number}.7"}


async def begin(steering: Steering, number: int) -> tuple[str, str]:
    """A new session: its token, and the pathway it begins at."""
    async with await steering.get("/play/film/master.m3u8", headers=client(number)) as answer:
        text = await answer.text()
    uri, first = re.search(r'SERVER-URI="([^"]+)",PATHWAY-ID="([^"]+)"', text).groups()  # type: ignore[union-attr]
    return uri.partition("?s=")[2], first


async def polled(steering: Steering, token: str, number: int) -> list[str]:
    async with await steering.get(f"/steer/hls?s={token}&_HLS_pathway=a1", headers=client(number)) as answer:
        priority: list[str] = (await answer.json())["PATHWAY-PRIORITY"]
    return priority


async def complain(steering: Steering, token: str, number: int, host: str) -> None:
    record = f'e=rr,rc=503,sid="s",ts=1764752430000,v=2,url="http://{host}:8080/v1/film/p/v720/1.m4s"'
    headers = {**client(number), "Content-Type": "application/cmcd"}
    async with steering.client.post(f"/cmcd?s={token}", data=record.encode(), headers=headers) as answer:
        assert (answer.status, await answer.read()) == (204, b"")


async def test_players_leave_an_appliance_that_fails_them_and_come_back_to_it(
    steering: Steering, origin: Origin, clock: Clock
) -> None:
    held = {f"film/{origin.entries['film']['package']}": EVERY_FILE}
    sequence = 0

    async def go_on(seconds: float) -> None:
        nonlocal sequence
        until = clock.now + seconds
        while clock.now < until:
            clock.now += 2.0
            sequence += 1
            await steering.report(*(report(name, sequence=sequence, held=held) for name in NAMES))

    await go_on(10.0)
    sessions = [await begin(steering, number) for number in range(WITNESSES)]
    failing = sessions[0][1]
    other = next(name for name in NAMES if name != failing)
    for number, (token, _) in enumerate(sessions):
        await complain(steering, token, number, f"{failing}.localhost")
    await go_on(2.0)
    for number, (token, _) in enumerate(sessions):
        assert (await polled(steering, token, number))[0] == other
    assert {(await begin(steering, number))[1] for number in range(20, 40)} == {other}
    fleet = {one["report"]["name"]: one for one in (await steering.json("/api/v1/fleet"))["appliances"]}
    assert fleet[failing]["health"] == "stalling"
    assert "players stall here: 8 of 8 sessions of the last 30 s" in fleet[failing]["reason"]
    while fleet[failing]["health"] == "stalling":
        await go_on(2.0)
        fleet = {one["report"]["name"]: one for one in (await steering.json("/api/v1/fleet"))["appliances"]}
    returning = [(await begin(steering, number))[1] for number in range(40, 140)]
    assert returning.count(failing) < 25  # a sixteenth of what it would get
    await go_on(60.0)
    assert failing in {(await begin(steering, number))[1] for number in range(140, 180)}
