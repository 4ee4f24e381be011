"""A whole network of real processes, and what becomes of players when parts of it fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bench.errors import ProcessFailed
from bench.fleet import VIEWERS, Fleet
from bench.playback import Pace
from bench.players import Player
from bench.presentation import Protocol
from bench.processes import Process
from bench.reference import Reference
from bench.result import Played
from tests.media import make_package

pytestmark = pytest.mark.slow

# Four times the film's speed. When something fails, four seconds of the wall's clock are fetched ahead: more than the
# three that a player waits for a silent host.
PACE = Pace(speed=4.0, ahead_s=18.0)
# Half a minute of film, of which the last is fetched after 12 s: a busy machine has started anything anew by then.
SLOW = Pace(speed=1.0, ahead_s=18.0)
FAILS_AT_S = 16.0
BOTH = pytest.mark.parametrize("protocol", ["HLS", "DASH"])


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with Fleet(tmp_path, ttl_s=1) as fleet:
        yield fleet


@pytest.fixture
async def filled(fleet: Fleet, package: Path) -> Fleet:
    await fleet.publish(package)
    await fleet.fill()
    return fleet


@pytest.fixture(scope="module")
def reference(package: Path) -> Reference:
    return Reference(package)


class Theatre:
    """Plays the film in the north, and does something to the serving appliance in the middle."""

    def __init__(self, fleet: Fleet, reference: Reference, protocol: Protocol) -> None:
        self.fleet, self.reference, self.protocol = fleet, reference, protocol
        self.victim = ""
        self.player: Player | None = None

    async def play(
        self, in_the_middle: Callable[[str], Any] | None = None, site: str = "north", pace: Pace = PACE
    ) -> Played:
        async def after_segment(player: Player) -> None:
            if in_the_middle is not None and not self.victim and player.played.duration_s >= FAILS_AT_S:
                self.victim = player.pathway
                result = in_the_middle(self.victim)
                if result is not None:
                    await result

        self.player = Player(
            VIEWERS[site],
            self.protocol,
            pace=pace if in_the_middle is not None else None,
            reference=self.reference,
            on_segment=after_segment,
        )
        played = await self.player.play(self.fleet.steering_url, self.reference.package.title)
        assert played.given_up == ""
        assert played.duration_s == pytest.approx(self.reference.package.duration, abs=0.1)
        assert played.wrong_bytes == 0
        return played


@BOTH
async def test_what_an_appliance_lacks_it_pulls_and_keeps(
    fleet: Fleet, package: Path, reference: Reference, protocol: Protocol
) -> None:
    await fleet.publish(package)
    theatre = Theatre(fleet, reference, protocol)
    first = await theatre.play(site="south")
    (served,) = first.served.values()
    assert list(first.served) == ["south-1"]
    # What shares a 4 MiB block with something pulled before is there already, and of this clip most does.
    assert 0 < served.pulled_bytes < served.bytes
    second = await theatre.play(site="south")
    assert second.served["south-1"].pulled_bytes == 0


@BOTH
@pytest.mark.parametrize("fault", ["kill", "pause", "refuse"])
async def test_players_do_not_notice_when_their_appliance_fails(
    filled: Fleet, reference: Reference, protocol: Protocol, fault: str
) -> None:
    theatre = Theatre(filled, reference, protocol)
    played = await theatre.play(getattr(filled, fault))
    assert played.stalls == 0
    assert [switch.source for switch in played.switches] == [theatre.victim]
    assert set(played.served) == {"north-1", "north-2"}, "the other one of the site takes over"
    assert sum(served.pulled_bytes for served in played.served.values()) == 0
    await filled.until_health(theatre.victim, "lost")
    await filled.start_appliance(theatre.victim)
    await filled.until_health(theatre.victim, "healthy")


@BOTH
async def test_a_drained_appliance_is_left_without_a_failed_request(
    filled: Fleet, reference: Reference, protocol: Protocol
) -> None:
    async def drain(name: str) -> None:
        await filled.order(name, "drain")
        await filled.until_health(name, "draining")

    theatre = Theatre(filled, reference, protocol)
    played = await theatre.play(drain)
    assert (played.failures, played.stalls) == ([], 0)
    assert [(switch.source, switch.reason) for switch in played.switches] == [(theatre.victim, "steering")]
    await filled.order(theatre.victim, "resume")
    await filled.until_health(theatre.victim, "healthy")


async def test_a_site_without_appliances_is_served_by_the_others_and_then_by_the_origin(
    filled: Fleet, reference: Reference
) -> None:
    filled.kill("south-1")
    await filled.until_health("south-1", "lost")
    theatre = Theatre(filled, reference, "HLS")
    assert set((await theatre.play(site="south")).served) <= {"north-1", "north-2"}
    for name in ("north-1", "north-2"):
        filled.kill(name)
    for name in ("north-1", "north-2"):
        await filled.until_health(name, "lost")
    assert set((await theatre.play(site="south")).served) == {"origin"}


async def test_without_the_origin_appliances_serve_on_and_a_miss_is_a_clear_503(
    filled: Fleet, reference: Reference, tmp_path: Path
) -> None:
    other = make_package(tmp_path / "other", "other", size=100_000)
    await filled.publish(other)
    await filled.stop("origin")
    played = await Theatre(filled, reference, "DASH").play()
    assert (played.failures, played.switches) == ([], [])
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{filled.url('north-1')}/v1/other/{other.name}/v360.mp4") as answer,
    ):
        assert answer.status == 503
        assert answer.content_type == "application/problem+json"
        assert (await answer.json(content_type=None))["detail"]
    await filled.start_origin()
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{filled.url('north-1')}/v1/other/{other.name}/v360.mp4") as answer,
    ):
        assert answer.status == 200
        assert await answer.read() == (other / "v360.mp4").read_bytes()


async def test_a_second_appliance_of_a_name_ends_and_says_why(fleet: Fleet, tmp_path: Path) -> None:
    state = tmp_path / "second"
    second = Process(
        "second", tmp_path, "oca",
        [
            "serve", "--name", "north-1", "--site", "north", "--state", str(state), "--volume", str(state / "volume"),
            "--listen", "127.0.1.9:0", "--admin", "127.0.1.9:0", "--origin", fleet.origin_url,
            "--steering", fleet.steering_url, "--workers", "1",
        ],
    )  # fmt: skip
    second.start()
    with pytest.raises(ProcessFailed, match="another living appliance named 'north-1'"):
        await second.finished(20.0)
    await fleet.until_health("north-1", "healthy")


async def test_a_restart_of_steering_is_nobodys_trouble(filled: Fleet, reference: Reference) -> None:
    theatre = Theatre(filled, reference, "HLS")
    answered_before = 0

    async def restart() -> None:
        nonlocal answered_before
        await filled.stop("steering")
        await filled.start_steering()
        assert theatre.player is not None
        answered_before = theatre.player.played.steering_answers

    restarts: list[asyncio.Task[None]] = []
    # Beside the film, which would stand still as long as a busy machine takes; and slow enough to outlast it.
    played = await theatre.play(lambda _: restarts.append(asyncio.create_task(restart())), pace=SLOW)
    (restarted,) = restarts
    await restarted
    assert (played.stalls, played.switches) == (0, [])
    assert played.steering_answers > answered_before, "the one that was started anew answers its sessions"
    after = await theatre.play()
    assert set(after.served) <= {"north-1", "north-2"}, "the fleet is known again at once"


async def test_an_appliance_that_was_killed_holds_what_it_held(filled: Fleet, package: Path) -> None:
    filled.kill("south-1")
    await filled.until_health("south-1", "lost")
    await filled.start_appliance("south-1")
    await filled.until_health("south-1", "healthy")
    held = f"{package.parent.name}/{package.name}"

    def is_held(seen: dict[str, Any]) -> bool:
        report = seen["south-1"]["report"]
        return bool(report["held"] == {held: ["*"]})

    await filled.until(is_held, "south-1 holds the film")
