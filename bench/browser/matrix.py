"""Players x failures x buffers, each play watched long enough to see what the failure cost.

North has one appliance here, so that all players are on it when something happens to it; the next in line is the
south's, and the origin is the last.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser

from bench.browser.outcome import Outcome, read_outcome
from bench.browser.screens import PLAYERS, Screen, close_all, on_each, open_screens
from bench.demo import CLIP, cache_folder, encode_films
from bench.fleet import STEERING_TTL_S, Fleet
from config.progress import Reporter
from encoder.running.process import ffmpeg_path

TITLE = "test-film"
FILM_S = 44.0
SEGMENT_S = 4.0
LANGUAGES = ("eng", "deu")  # of its sound
NEAREST, NEXT = "north-1", "south-1"
# The longest that a move may take, two segments and the start of an appliance; and less than one segment.
FULL_S, THIN_S = 14.0, 2.5
# When things happen: the players have shown something, and most of the film is still to be fetched.
EVENT_AT_S = 5.0
# Until then a full buffer has been played out, and what came after it is on the screen.
WATCHED_S = EVENT_AT_S + FULL_S + SEGMENT_S
OUTAGE_S = 6.0
START_LIMIT_S = 45.0
# What a play may take that stands still for as long as the longest outage and a player's back-off after it.
PLAY_LIMIT_S = WATCHED_S + 45.0
# From what happens to the first video segment from elsewhere there may be one poll, and one segment's time until a full
# buffer asks for the next.
MOVE_S = STEERING_TTL_S + SEGMENT_S

KILLED, REFUSES, HANGS, OUTAGE = "is killed", "answers 503", "hangs", "and all others answer 503 for 6 s"
FAILURES = (KILLED, REFUSES, HANGS, OUTAGE)


def make_film(folder: Path) -> Path:
    """The clip, longer, in two languages, and smaller: eight software decoders have to share two cores."""
    path = folder / f"{TITLE}.mp4"
    loop = ["-stream_loop", "1", "-i", str(CLIP), "-t", str(FILM_S), "-vf", "scale=426:-2"]
    tracks = ["-map", "0:v", "-map", "0:a", "-map", "0:a"]
    for track, language in enumerate(LANGUAGES):
        tracks += [f"-metadata:s:a:{track}", f"language={language}"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "20", "-c:a", "aac"]
    command = [ffmpeg_path(), "-v", "error", *loop, *tracks, *codecs, "-bitexact", str(path)]
    subprocess.run(command, check=True, timeout=120)
    return path


@asynccontextmanager
async def network(folder: Path, reporter: Reporter) -> AsyncIterator[Fleet]:
    """The local network with one appliance on each side, and the film on both."""
    packages = encode_films({TITLE: make_film(folder)}, cache_folder(), reporter)
    async with Fleet(folder / "fleet", appliances=3, reporter=reporter) as fleet:
        for package in packages:
            await fleet.publish(package)
        await fleet.fill()
        await fleet.stop("north-2")
        await fleet.until_health("north-2", "lost")
        yield fleet


async def playing(
    browser: Browser, fleet: Fleet, players: Sequence[str] = PLAYERS, buffers_s: Sequence[float] = (0.0,)
) -> list[Screen]:
    """A page for each player and each buffer, in the film, served by the nearest appliance."""
    screens = await open_screens(browser, fleet.steering_url, TITLE, players, buffers_s)
    begun = f"stats.time > {EVENT_AT_S} && stats.appliance === '{NEAREST}'"
    await on_each(screens, lambda screen: screen.until(begun, START_LIMIT_S))
    return screens


async def play_through(
    browser: Browser,
    fleet: Fleet,
    failure: str,
    players: Sequence[str] = PLAYERS,
    buffers_s: Sequence[float] = (FULL_S, THIN_S),
) -> list[Outcome]:
    """Breaks the appliance that serves them, and watches what the players make of it. Leaves the network broken."""
    screens = await playing(browser, fleet, players, buffers_s)
    before = {screen: await screen.stats() for screen in screens}
    watched = f"stats.time > {WATCHED_S} || stats.ended"
    failed_at = time.time()
    try:
        _, told = await asyncio.gather(
            _break(fleet, failure), on_each(screens, lambda screen: screen.until(watched, PLAY_LIMIT_S))
        )
    finally:
        await close_all(screens)
    return [
        read_outcome(failure, screen.player, screen.buffer_s, failed_at, before[screen], after)
        for screen, after in told.items()
    ]


async def repair(fleet: Fleet) -> None:
    """All well again, whatever was done to it."""
    await asyncio.gather(fleet.start_origin(), *(fleet.start_appliance(name) for name in (NEAREST, NEXT)))
    await fleet.order(NEAREST, "resume")
    await fleet.forget()


async def _break(fleet: Fleet, failure: str) -> None:
    if failure == OUTAGE:
        await _outage(fleet)
    else:
        {KILLED: fleet.kill, REFUSES: fleet.refuse, HANGS: fleet.pause}[failure](NEAREST)


async def _outage(fleet: Fleet) -> None:
    """Everybody refuses, the origin too, and is back after a while."""
    for name in (NEAREST, NEXT, "origin"):
        fleet.refuse(name)
    await asyncio.sleep(OUTAGE_S)  # the outage itself
    await asyncio.gather(fleet.start_origin(), *(fleet.start_appliance(name) for name in (NEAREST, NEXT)))


async def run(
    browser: Browser,
    fleet: Fleet,
    *,
    players: Sequence[str],
    failures: Sequence[str],
    rounds: int,
    reporter: Reporter,
) -> list[Outcome]:
    """The whole matrix, each failure once a round."""
    outcomes = []
    for number in range(rounds):
        for failure in failures:
            reporter.say(f"round {number + 1} of {rounds}: the nearest appliance {failure}")
            outcomes += await play_through(browser, fleet, failure, players)
            await repair(fleet)
    return outcomes
