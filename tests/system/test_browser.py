"""Real players in a real browser: they play through steering from an appliance, and go on when that appliance fails.

All four players play side by side in one Chromium, each with a full and a thin buffer where that matters, and with the
settings that our page ships. `nearcast bench players` measures the same plays and prints what they came to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from bench.browser.matrix import (
    FILM_S,
    FULL_S,
    HANGS,
    KILLED,
    MOVE_S,
    NEAREST,
    NEXT,
    OUTAGE,
    REFUSES,
    THIN_S,
    network,
    play_through,
    playing,
    repair,
)
from bench.browser.outcome import Outcome
from bench.browser.screens import Screen, close_all, on_each
from bench.fleet import STEERING_TTL_S, Fleet
from config.progress import Reporter
from tests.tools import needs_chromium, needs_page

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.asyncio(loop_scope="module")]

# The film's own length, and what a start and a switch may cost on a machine with two cores and four players.
PLAY_LIMIT_S = FILM_S + 60.0
# What two busy cores add to a move.
SLACK_S = 2.5
# What players wait for an appliance that is silent.
PATIENCE_S = 3.0
# None was measured (docs/players.md), but a busy machine may take what there is of so thin a buffer.
LONGEST_THIN_STALL_S = 3.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    needs_page()
    needs_chromium()
    async with network(tmp_path_factory.mktemp("network"), Reporter(quiet=True)) as fleet:
        yield fleet


@pytest_asyncio.fixture(loop_scope="module")
async def healthy(fleet: Fleet) -> AsyncIterator[Fleet]:
    """The fleet, and after the test the appliances that it broke are well again."""
    yield fleet
    await repair(fleet)


async def play_to_the_end(screens: Sequence[Screen]) -> dict[Screen, dict[str, Any]]:
    try:
        return await on_each(screens, lambda screen: screen.until("stats.ended", PLAY_LIMIT_S))
    finally:
        await close_all(screens)


def faults(told: dict[Screen, dict[str, Any]]) -> list[str]:
    """What is not as it should be at the end of the film, for each player."""
    found = []
    for screen, stats in told.items():
        if stats["stalls"]:
            found.append(f"{screen} stalled {stats['stalls']} times, {stats['stallSeconds']:.1f} s: {stats}")
        if abs(stats["duration"] - FILM_S) > 0.1 or stats["time"] < stats["duration"] - 0.1:
            found.append(f"{screen} ended at {stats['time']} of {stats['duration']}")
        if len(stats["ranges"]) != 1:
            found.append(f"{screen} left out a part of the film, it showed {stats['ranges']}: {stats}")
    return found


def of(buffer_s: float, outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.buffer_s == buffer_s]


async def test_every_player_plays_to_the_end_and_moves_within_a_ttl_and_a_segment_when_its_appliance_drains(
    browser: Browser, healthy: Fleet
) -> None:
    screens = await playing(browser, healthy)
    await on_each(screens, choose_german)
    served = [set((await screen.stats())["requests"]) for screen in screens]
    assert served == [{NEAREST}] * len(screens)
    await healthy.order(NEAREST, "drain")
    await healthy.until_health(NEAREST, "draining")
    await on_each(screens, lambda screen: screen.until(f"stats.appliance === '{NEXT}'", MOVE_S + SLACK_S))
    await on_each(screens, lambda screen: screen.until("stats.time > 25", PLAY_LIMIT_S))
    assert await on_each(screens, german) == dict.fromkeys(screens, True)
    assert not faults(await play_to_the_end(screens))


@pytest.mark.parametrize("failure", [KILLED, REFUSES, HANGS])
async def test_every_player_goes_on_elsewhere_when_its_appliance(
    browser: Browser, healthy: Fleet, failure: str
) -> None:
    outcomes = await play_through(browser, healthy, failure)
    assert [outcome for outcome in outcomes if outcome.moved_after_s is None or not outcome.went_on] == []
    assert [outcome for outcome in of(FULL_S, outcomes) if outcome.stalls] == []
    limit_s = MOVE_S + SLACK_S + (PATIENCE_S if failure == HANGS else 0)
    assert [outcome for outcome in of(FULL_S, outcomes) if (outcome.moved_after_s or 0) > limit_s] == []
    assert [outcome for outcome in of(THIN_S, outcomes) if outcome.stalled_s > LONGEST_THIN_STALL_S] == []


async def test_every_player_comes_back_after_six_seconds_without_any_appliance(
    browser: Browser, healthy: Fleet
) -> None:
    outcomes = await play_through(browser, healthy, OUTAGE)
    assert [outcome for outcome in outcomes if not outcome.went_on] == []
    # Six seconds, and what processes take to start: that is less than a full buffer, unless the machine is very busy.
    assert [outcome for outcome in of(FULL_S, outcomes) if outcome.stalled_s > SLACK_S] == []


async def choose_german(screen: Screen) -> None:
    await screen.page.locator(".settings select").nth(2).select_option("Deutsch", force=True)


async def german(screen: Screen) -> bool:
    """Whether German is chosen, and the newest segment of sound that came is German too."""
    names = await screen.page.evaluate(
        "performance.getEntriesByType('resource').map((one) => one.name).filter((name) => /a[0-9]+.*m4s/.test(name))"
    )
    chosen = await screen.page.locator(".settings select").nth(2).input_value()
    return chosen == "Deutsch" and "/a2/" in names[-1]


async def test_every_player_goes_on_without_steering_and_obeys_it_when_it_is_back(
    browser: Browser, healthy: Fleet
) -> None:
    screens = await playing(browser, healthy)
    healthy.kill("steering")
    unheard = {screen: (await screen.stats())["polls"]["failed"] for screen in screens}
    await on_each(screens, lambda one: one.until(f"stats.polls.failed > {unheard[one]}", 6 * STEERING_TTL_S))
    await healthy.start_steering()
    await asyncio.gather(healthy.until_health(NEAREST, "healthy"), healthy.until_health(NEXT, "healthy"))
    await healthy.order(NEAREST, "drain")
    await healthy.until_health(NEAREST, "draining")
    # A poll that failed is tried again after a TTL, so there may be two until one is heard.
    limit_s = MOVE_S + STEERING_TTL_S + SLACK_S
    await on_each(screens, lambda screen: screen.until(f"stats.appliance === '{NEXT}'", limit_s))
    told = await on_each(screens, Screen.stats)
    await close_all(screens)
    assert [f"{screen} stalled" for screen, stats in told.items() if stats["stalls"]] == []
