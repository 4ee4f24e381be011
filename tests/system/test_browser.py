"""Real players in a real browser: they play through steering from an appliance, and go on when that appliance fails.

All four players play side by side in one Chromium, each with the settings that our page ships. North has one appliance
here, so that all four are on it when something happens to it; the next in line is the south's.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from bench.control import Control
from bench.demo import CLIP, cache_folder, encode_films
from bench.fleet import STEERING_TTL_S, Fleet
from config.progress import Reporter
from encoder.process import ffmpeg_path
from tests.tools import chromium, needs_page

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

PLAYERS = ("hls", "dash", "shaka-hls", "shaka-dash")
TITLE = "test-film"
FILM_S = 48.0
SEGMENT_S = 4.0
# The film's own length, and what a start and a switch may cost on a machine with two cores and four players.
PLAY_LIMIT_S = FILM_S + 60.0
START_LIMIT_S = 40.0
# When things happen: the players have shown something, and most of the film is still to be fetched.
EVENT_AT_S = 5.0
# From what steering says to the first video segment from elsewhere there may be one poll, and one segment's time until
# a full buffer asks for the next; the rest is what two busy cores add.
MOVE_LIMIT_S = STEERING_TTL_S + SEGMENT_S + 2.5
_CHROMIUM_OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
    # Four players at once: none of them is in the background.
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
]  # fmt: skip

# What the page knows of itself, and the ranges of the film that were shown: a player that skips has more than one.
_STATS = """() => {
    const played = document.querySelector("video")?.played ?? { length: 0 };
    const ranges = Array.from(played, (_, n) => [played.start(n), played.end(n)]);
    return { ...globalThis.nearcast, ranges };
}"""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real clip, longer and smaller: four software decoders have to share two cores."""
    path = tmp_path_factory.mktemp("film") / f"{TITLE}.mp4"
    loop = ["-stream_loop", "1", "-i", str(CLIP), "-t", str(FILM_S), "-vf", "scale=640:-2"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "20", "-c:a", "aac"]
    subprocess.run([ffmpeg_path(), "-v", "error", *loop, *codecs, "-bitexact", str(path)], check=True, timeout=120)
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(film: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    needs_page()
    packages = encode_films({TITLE: film}, cache_folder(), Reporter(quiet=True))
    async with Fleet(tmp_path_factory.mktemp("fleet"), appliances=3) as fleet:
        for package in packages:
            await fleet.publish(package)
        await fleet.fill()
        await fleet.stop("north-2")
        await fleet.until_health("north-2", "lost")
        yield fleet


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=_CHROMIUM_OPTIONS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def healthy(fleet: Fleet) -> AsyncIterator[Fleet]:
    """The fleet, and after the test the appliance that it broke is well again."""
    yield fleet
    await fleet.start_appliance("north-1")
    await fleet.order("north-1", "resume")
    await fleet.until_health("north-1", "healthy")


class Screen:
    """One page with one player."""

    def __init__(self, player: str, page: Page) -> None:
        self.player, self.page = player, page

    async def stats(self) -> dict[str, Any]:
        told: dict[str, Any] = await self.page.evaluate(_STATS)
        return told

    async def until(self, condition: str, limit_s: float) -> dict[str, Any]:
        """Waits for a condition on `stats`. Its AssertionError says what was so instead."""
        try:
            script = f"() => {{ const stats = globalThis.nearcast; return Boolean(stats && ({condition})); }}"
            await self.page.wait_for_function(script, timeout=limit_s * 1000, polling=100)
        except Exception as error:
            raise AssertionError(f"{self.player}: not so that {condition}: {await self.stats()}") from error
        return await self.stats()


async def screens(browser: Browser, fleet: Fleet) -> list[Screen]:
    """All four players, playing from north-1."""

    async def start(player: str) -> Screen:
        context = await browser.new_context(viewport={"width": 960, "height": 540}, bypass_csp=True)
        screen = Screen(player, await context.new_page())
        await screen.page.goto(f"{fleet.steering_url}/watch/{TITLE}?player={player}&autoplay=1")
        await screen.until(f"stats.time > {EVENT_AT_S} && stats.appliance === 'north-1'", START_LIMIT_S)
        return screen

    return list(await asyncio.gather(*(start(player) for player in PLAYERS)))


async def on_each(screens: list[Screen], work: Callable[[Screen], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """The result of each player's work; one that fails does not hide the others."""
    results = await asyncio.gather(*(work(screen) for screen in screens), return_exceptions=True)
    failures = [str(result) for result in results if isinstance(result, BaseException)]
    assert not failures, "\n".join(failures)
    return {screen.player: result for screen, result in zip(screens, results, strict=True)}


async def play_to_the_end(screens: list[Screen]) -> dict[str, Any]:
    try:
        return await on_each(screens, lambda screen: screen.until("stats.ended", PLAY_LIMIT_S))
    finally:
        for screen in screens:
            await screen.page.context.close()


def faults(told: dict[str, Any], *, moved: bool) -> list[str]:
    """What is not as it should be at the end of the film, for each player."""
    found = []
    for player, stats in told.items():
        if stats["stalls"]:
            found.append(f"{player} stalled {stats['stalls']} times, {stats['stallSeconds']:.1f} s: {stats}")
        if abs(stats["duration"] - FILM_S) > 0.1 or stats["time"] < stats["duration"] - 0.1:
            found.append(f"{player} ended at {stats['time']} of {stats['duration']}")
        if len(stats["ranges"]) != 1:
            found.append(f"{player} left out a part of the film, it showed {stats['ranges']}: {stats}")
        if moved and stats["appliance"] == "north-1":
            found.append(f"{player} never left north-1: {stats}")
        if not moved and set(stats["requests"]) != {"north-1"}:
            found.append(f"{player} was not served by the nearest appliance alone: {stats['requests']}")
    return found


async def test_every_player_plays_the_film_to_its_end_from_the_nearest_appliance(
    browser: Browser, fleet: Fleet
) -> None:
    playing = await screens(browser, fleet)
    assert not faults(await play_to_the_end(playing), moved=False)


@pytest.mark.parametrize("failure", ["is killed", "answers 503", "hangs"])
async def test_every_player_goes_on_without_a_stall_when_its_appliance(
    browser: Browser, healthy: Fleet, failure: str
) -> None:
    playing = await screens(browser, healthy)
    break_it = {"is killed": healthy.kill, "answers 503": healthy.refuse, "hangs": healthy.pause}
    break_it[failure]("north-1")
    assert not faults(await play_to_the_end(playing), moved=True)


async def test_every_player_moves_within_a_ttl_and_a_segment_when_steering_says_so(
    browser: Browser, healthy: Fleet
) -> None:
    playing = await screens(browser, healthy)
    await healthy.order("north-1", "drain")
    await healthy.until_health("north-1", "draining")
    moved = "stats.appliance !== 'north-1'"
    await on_each(playing, lambda screen: screen.until(moved, MOVE_LIMIT_S))
    assert not faults(await play_to_the_end(playing), moved=True)


async def test_the_viewer_sees_who_serves_and_stops_it(browser: Browser, package: Path, tmp_path: Path) -> None:
    """The demo as a newcomer has it. What they see is kept in .cache/screenshots, as is the README's picture."""
    pictures = cache_folder() / "screenshots"
    pictures.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        fleet = Fleet(tmp_path, appliances=3)
        control = Control(fleet)
        fleet.control_url = await control.start()
        stack.push_async_callback(control.close)
        await stack.enter_async_context(fleet)
        await fleet.publish(package)
        await fleet.fill()
        context = await browser.new_context(viewport={"width": 1280, "height": 900}, bypass_csp=True)
        stack.push_async_callback(context.close)
        page = await context.new_page()
        outside: list[str] = []
        page.on("request", lambda request: outside.append(request.url) if "//127." not in request.url else None)

        await page.goto(fleet.steering_url)
        await page.locator("main img").first.wait_for()
        await page.screenshot(path=pictures / "catalog.png")
        await page.get_by_role("link", name="Big Buck Bunny").first.click()
        await page.wait_for_url("**/watch/*")
        await page.goto(page.url + "?autoplay=1")
        screen = Screen("hls", page)
        serving = (await screen.until("stats.time > 4 && stats.appliance", START_LIMIT_S))["appliance"]
        assert await page.locator(".server").inner_text() == serving
        await page.screenshot(path=pictures / "playing.png")

        await page.get_by_role("button", name=f"Stop {serving}").click()
        stats = await screen.until(f"stats.appliance !== '{serving}' && stats.switches.length === 1", START_LIMIT_S)
        assert fleet.sites[stats["appliance"]] == "north"
        await page.get_by_role(
            "button", name=f"Start {serving}"
        ).wait_for()  # steering has noticed, and so has the page
        await page.screenshot(path=pictures / "player.png", full_page=True)
        await page.get_by_role("button", name=f"Start {serving}").click()
        await page.get_by_role("button", name=f"Stop {serving}").wait_for()
        ended = await screen.until("stats.ended", PLAY_LIMIT_S)
        assert (ended["stalls"], len(ended["ranges"])) == (0, 1)
        assert [url for url in outside if not url.startswith(("blob:", "data:"))] == []
