"""The player page in a real browser: what a viewer sees, presses and is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Request
from playwright.async_api import TimeoutError as PlaywrightTimeout

from bench.browser.screens import PLAYERS, Screen
from bench.control import Control
from bench.demo import cache_folder
from bench.fleet import Fleet
from tests.tools import needs_chromium, needs_page

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.asyncio(loop_scope="module")]

TITLE = "big-buck-bunny"
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
START_LIMIT_S = 40.0
# Google calls a page with less than 0.1 good; half of it is what fonts and the browser's own controls may cost.
LARGEST_SHIFT = 0.05
# A decoder that changes to another quality may say for a moment that it waits (2.5 ms were seen): nobody sees that.
LONGEST_BLINK_S = 0.1
_COUNT_SHIFTS = """
    globalThis.shift = 0;
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) globalThis.shift += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(package: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    """The demo as a newcomer has it, with the buttons that stop appliances."""
    needs_page()
    needs_chromium()
    async with AsyncExitStack() as stack:
        fleet = Fleet(tmp_path_factory.mktemp("fleet"), appliances=3)
        control = Control(fleet)
        fleet.control_url = await control.start()
        stack.push_async_callback(control.close)
        await stack.enter_async_context(fleet)
        await fleet.publish(package)
        await fleet.fill()
        yield fleet


@asynccontextmanager
async def opened(browser: Browser) -> AsyncIterator[Page]:
    # With its content security policy, unlike the tests of the players: it is a part of the page.
    context = await browser.new_context(viewport=DESKTOP)  # type: ignore[arg-type]
    page = await context.new_page()
    await page.add_init_script(_COUNT_SHIFTS)
    yield page
    await context.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    async with opened(browser) as page:
        yield page


@pytest.fixture
def pictures() -> Path:
    """Where what viewers see is kept, the README's picture among it."""
    folder = cache_folder() / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def play(page: Page, fleet: Fleet, player: str = "hls", query: str = "") -> Screen:
    """The film on the page, playing since a moment."""
    screen = Screen(player, page)
    await page.goto(f"{fleet.steering_url}/watch/{TITLE}?player={player}&autoplay=1{query}")
    await screen.until("stats.time > 1 && stats.appliance", START_LIMIT_S)
    return screen


async def test_the_viewer_sees_who_serves_and_stops_it(page: Page, fleet: Fleet, pictures: Path) -> None:
    outside: list[str] = []
    page.on("request", lambda request: outside.append(request.url) if "//127." not in request.url else None)
    await page.goto(fleet.steering_url)
    await page.locator("main img").first.wait_for()
    await page.screenshot(path=pictures / "catalog.png")
    await page.get_by_role("link", name="Big Buck Bunny").first.click()
    await page.wait_for_url("**/watch/*")
    screen = await play(page, fleet)
    serving = (await screen.until("stats.time > 4", START_LIMIT_S))["appliance"]
    assert await page.locator(".server").inner_text() == serving
    await page.screenshot(path=pictures / "playing.png")

    await page.get_by_role("button", name=f"Stop {serving}").click()
    stats = await screen.until(f"stats.appliance !== '{serving}' && stats.switches.length === 1", START_LIMIT_S)
    assert fleet.sites[stats["appliance"]] == "north"
    # Steering has noticed, and so has the page.
    await page.get_by_role("button", name=f"Start {serving}").wait_for()
    assert (await screen.until("stats.switches[0].reason", START_LIMIT_S))["switches"][0]["reason"]
    assert f"{serving} → {stats['appliance']}" in await page.locator(".log").inner_text()
    assert await page.locator(".announcer").inner_text() == f"Now served by {stats['appliance']}"
    await page.screenshot(path=pictures / "player.png", full_page=True)
    await page.get_by_role("button", name=f"Start {serving}").click()
    await page.get_by_role("button", name=f"Stop {serving}").wait_for()
    told = await screen.stats()
    assert (told["stalls"], len(told["ranges"])) == (0, 1)
    assert [url for url in outside if not url.startswith(("blob:", "data:"))] == []
    assert await page.evaluate("globalThis.shift") < LARGEST_SHIFT


async def test_every_player_names_its_session_and_reports_events(browser: Browser, fleet: Fleet) -> None:
    """CMCD version 2: in the query of each request, and as events that name the session to steering."""

    async def play_a_while(player: str) -> list[Request]:
        requests: list[Request] = []
        async with opened(browser) as page:
            page.on("request", lambda request: requests.append(request))
            screen = await play(page, fleet, player, "&session=my-session")
            await screen.until("stats.time > 6", START_LIMIT_S)
        return requests

    for requests in await asyncio.gather(*map(play_a_while, PLAYERS)):
        segments = [request.url for request in requests if ".m4s" in request.url]
        assert segments
        assert [url for url in segments if "sid%3D%22my-session%22" not in url or "v%3D2" not in url] == []
        assert [request.method for request in requests if request.method == "OPTIONS"] == []
        reports = [request for request in requests if request.url.startswith(f"{fleet.steering_url}/cmcd")]
        records = "\n".join(request.post_data or "" for request in reports)
        assert 'sid="my-session"' in records
        assert "?s=" in reports[-1].url
        assert [url for url in quoted(records, "url") if "?" in url] == []


async def test_a_report_names_the_appliance_and_no_token(page: Page, fleet: Fleet) -> None:
    await page.goto(fleet.steering_url)
    script = """async (body) => {
        const { prepare } = await import("/assets/players/cmcd.js");
        return prepare({ url: "/cmcd", body }, { token: "a b", host: "127.0.1.1:8080" });
    }"""
    body = 'e=ps,sta=r,v=2\ne=rr,rc=503,url="http://127.0.1.2:8080/t/SECRET/v1/film/1.m4s?CMCD=v%3D2",v=2\n'
    told = await page.evaluate(script, body)
    assert told["url"] == "/cmcd?s=a%20b"
    stalled, failed, end = told["body"].split("\n")
    assert stalled == 'e=ps,sta=r,v=2,h="127.0.1.1:8080"'
    assert failed == 'e=rr,rc=503,url="http://127.0.1.2:8080/v1/film/1.m4s",v=2'
    assert end == ""


def quoted(records: str, key: str) -> list[str]:
    return [part.partition('"')[0] for part in records.split(f'{key}="')[1:]]


async def test_keys_do_what_the_help_says(page: Page, fleet: Fleet) -> None:
    screen = await play(page, fleet)
    video = page.locator("video")

    async def holds(condition: str) -> None:
        await page.wait_for_function(f"(video) => {condition}", arg=await video.element_handle(), timeout=10_000)

    await page.keyboard.press("Space")
    await holds("video.paused")
    await page.keyboard.press("5")
    await holds("Math.abs(video.currentTime - 15) < 0.1")
    await page.keyboard.press("l")
    await holds("Math.abs(video.currentTime - 25) < 0.1")
    await page.keyboard.press("ArrowLeft")
    await holds("Math.abs(video.currentTime - 20) < 0.1")
    await page.keyboard.press("m")
    await holds("!video.muted")
    await page.keyboard.press("ArrowDown")
    await holds("Math.abs(video.volume - 0.9) < 0.01")
    await page.keyboard.press(">")
    await holds("video.playbackRate === 1.25")
    await page.keyboard.press("?")
    await page.get_by_role("dialog", name="Keyboard").wait_for()
    await page.keyboard.press("Escape")
    await page.get_by_role("dialog", name="Keyboard").wait_for(state="hidden")
    await page.keyboard.press("f")
    await page.wait_for_function("document.fullscreenElement !== null")
    await page.keyboard.press("f")
    await page.wait_for_function("document.fullscreenElement === null")
    await page.keyboard.press("k")
    await holds("!video.paused")
    assert (await screen.stats())["errors"] == []


async def test_captions_and_quality_stay_as_chosen_when_the_appliance_changes(browser: Browser, fleet: Fleet) -> None:
    async with AsyncExitStack() as stack:
        pages = [await stack.enter_async_context(opened(browser)) for _ in PLAYERS]
        # One session's name gives all of them the same appliance.
        plays = zip(pages, PLAYERS, strict=True)
        screens = await asyncio.gather(*(play(page, fleet, player, "&session=same") for page, player in plays))
        chosen = await asyncio.gather(*map(choose, screens))
        (serving,) = {(await screen.stats())["appliance"] for screen in screens}
        await fleet.order(serving, "drain")
        await asyncio.gather(*(page.keyboard.press("k") for page in pages))
        try:
            await asyncio.gather(
                *(stays(screen, lowest, serving) for screen, lowest in zip(screens, chosen, strict=True))
            )
        finally:
            await fleet.order(serving, "resume")
            await fleet.until_health(serving, "healthy")


async def choose(screen: Screen) -> str:
    """Captions, and the lowest quality, whose name it returns. Stops the film: most of it is still to be fetched."""
    page = screen.page
    await shown_captions(screen, False)
    # While it plays: Shaka fetches captions of HLS for a film that stands still only when it goes on.
    await page.keyboard.press("c")
    await shown_captions(screen, True)
    await page.keyboard.press("k")
    await page.locator(".stage").hover()
    await page.get_by_role("button", name="Settings").click()
    quality = page.get_by_role("combobox", name="Quality")
    lowest = await quality.locator("option").last.inner_text()
    await quality.select_option(lowest)
    await page.keyboard.press("Escape")
    return lowest


async def stays(screen: Screen, quality: str, serving: str) -> None:
    """Raises AssertionError unless all is as it was chosen, once another appliance than `serving` serves."""
    await screen.until(f"stats.appliance !== '{serving}'", START_LIMIT_S)
    told = await screen.until(f"stats.rendition.height === {int(quality.partition('p')[0])}", START_LIMIT_S)
    assert await screen.page.locator(".settings select").first.input_value() == quality
    await shown_captions(screen, True)
    assert told["stallSeconds"] < LONGEST_BLINK_S, f"{screen}: {told}"


async def shown_captions(screen: Screen, are_shown: bool) -> None:
    """Waits until the button says so and the film's text tracks do so."""
    await screen.page.locator(f".icon[data-icon=captions][aria-pressed={json.dumps(are_shown)}]").wait_for()
    tracks = (
        "[...document.querySelector('video').textTracks].map((one) => [one.label, one.mode, one.cues?.length ?? 0])"
    )
    wanted = f"{tracks}.some(([, mode, cues]) => mode === 'showing' && cues) === {json.dumps(are_shown)}"
    try:
        await screen.page.wait_for_function(f"() => {wanted}", timeout=10_000)
    except PlaywrightTimeout as error:
        raise AssertionError(f"{screen}: {await screen.page.evaluate(tracks)} {await screen.stats()}") from error


async def test_the_seek_bar_shows_pictures_of_the_film(page: Page, fleet: Fleet, pictures: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await play(page, fleet)
    bar = await page.locator(".line").bounding_box()
    assert bar is not None
    await page.mouse.move(bar["x"] + bar["width"] * 0.6, bar["y"] + bar["height"] / 2)
    await page.locator(".preview canvas").wait_for()
    await page.screenshot(path=pictures / "preview.png")
    # A picture, and not a black or an empty one: its pixels differ.
    script = """(canvas) => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return new Set(data).size;
    }"""
    assert await page.locator(".preview canvas").evaluate(script) > 50
    assert await page.locator(".moment").inner_text() in ("0:17", "0:18")
    assert sum("/thumbnails-" in one for one in asked) == 1, "one sheet has the pictures of minutes"


async def test_a_shared_link_keeps_the_player_and_the_place(page: Page, fleet: Fleet) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    screen = await play(page, fleet, "shaka-dash", "&t=12")
    assert (await screen.stats())["time"] >= 12
    await page.get_by_role("button", name="Copy link").click()
    await page.get_by_role("button", name="Copied").wait_for()
    link = await page.evaluate("navigator.clipboard.readText()")
    assert link.startswith(f"{fleet.steering_url}/watch/{TITLE}?player=shaka-dash&t=1")


async def test_a_film_that_is_not_there_is_said_in_words(page: Page, fleet: Fleet) -> None:
    await page.goto(f"{fleet.steering_url}/watch/no-such-film")
    alert = page.get_by_role("alert")
    assert "no title 'no-such-film' in the catalog" in await alert.inner_text()
    await alert.get_by_role("button", name="Try again").wait_for()
    await alert.get_by_role("link", name="All films").wait_for()


async def test_a_film_that_waits_says_why_and_can_be_tried_again(page: Page, fleet: Fleet) -> None:
    screen = await play(page, fleet, "hls", "&buffer=2.5")
    for name in fleet.places:
        fleet.pause(name)
    fleet.pause("origin")
    try:
        await page.get_by_text("Waiting for data").wait_for(timeout=START_LIMIT_S * 1000)
        # Which request is given up first is chance: a segment's, by its guard, or a playlist's, by its time limit.
        await page.get_by_text("The last thing that failed: ").wait_for(timeout=START_LIMIT_S * 1000)
    finally:
        fleet.resume("origin")
        for name in fleet.places:
            fleet.resume(name)
    await page.get_by_role("button", name="Try now").click()
    now = (await screen.stats())["time"]
    await screen.until(f"stats.time > {now} + 1", START_LIMIT_S)
    await page.locator(".waiting").wait_for(state="hidden")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_phone_shows_everything_and_a_finger_can_use_it(
    browser: Browser, fleet: Fleet, pictures: Path, scheme: Any
) -> None:
    context = await browser.new_context(
        viewport=PHONE,  # type: ignore[arg-type]
        is_mobile=True,
        has_touch=True,
        device_scale_factor=2,
        color_scheme=scheme,
    )
    try:
        page = await context.new_page()
        await play(page, fleet)
        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        await page.locator(".stage.idle").wait_for()  # the controls have gone
        await page.locator("video").tap(position={"x": 30, "y": 40})
        await page.locator(".stage:not(.idle)").wait_for()
        await page.get_by_role("button", name="Settings").tap()
        await page.get_by_role("combobox", name="Speed").select_option("1.5")
        assert await page.locator("video").evaluate("(video) => video.playbackRate") == 1.5
        await page.screenshot(path=pictures / f"phone-{scheme}.png")
        small = await page.locator("button:visible, select:visible").evaluate_all(too_small)
        assert small == [], "a finger needs 36 px at least"
    finally:
        await context.close()


too_small = """(all) => all
    .map((one) => [one.getAttribute("aria-label") ?? one.textContent, one.getBoundingClientRect()])
    .filter(([, box]) => box.height < 36 || box.width < 36)
    .map(([name, box]) => `${name} ${box.width}x${box.height}`)"""


async def test_everything_that_can_be_pressed_has_a_name_and_a_visible_focus(page: Page, fleet: Fleet) -> None:
    await play(page, fleet)
    seen = []
    for _ in range(30):
        await page.keyboard.press("Tab")
        script = """() => {
            const one = document.activeElement;
            const name = one.getAttribute("aria-label") ?? one.labels?.[0]?.textContent ?? one.textContent.trim();
            return [one.tagName, name, getComputedStyle(one).outlineStyle];
        }"""
        seen.append(await page.evaluate(script))
    focused = [one for one in seen if one[0] != "BODY"]
    assert {"Pause", "Position", "Volume", "Captions", "Settings", "Full screen"} <= {name for _, name, _ in focused}
    assert [one for one in focused if not one[1] or one[2] == "none"] == []
