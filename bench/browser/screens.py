"""Chromium with pages that play, and what they say of themselves."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from playwright.async_api import Browser, Page, async_playwright

from bench.errors import BenchError

T = TypeVar("T")

PLAYERS = ("hls", "dash", "shaka-hls", "shaka-dash")
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
    # Several players at once: none of them is in the background.
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
]  # fmt: skip
# What the page knows of itself, and the ranges of the film that were shown: a player that skips has more than one.
_STATS = """() => {
    const played = document.querySelector("video")?.played ?? { length: 0 };
    const ranges = Array.from(played, (_, n) => [played.start(n), played.end(n)]);
    return { ...globalThis.nearcast, ranges };
}"""
# The smallest that shows everything: eight software decoders have to share two cores.
_SIZE = {"width": 640, "height": 400}


def find_chromium() -> str | None:
    """The browser's executable: Debian's, or who else's is here."""
    return next((path for name in _NAMES if (path := shutil.which(name)) is not None), None)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Raises BenchError where there is none."""
    path = find_chromium()
    if path is None:
        raise BenchError("no Chromium was found; on Debian: sudo apt install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=_OPTIONS)
        yield browser
        await browser.close()


class Screen:
    """One page with one player. `buffer_s` is what it loads ahead; 0 is what the page thinks right."""

    def __init__(self, player: str, page: Page, buffer_s: float = 0.0) -> None:
        self.player, self.page, self.buffer_s = player, page, buffer_s

    async def open(self, steering: str, title: str) -> None:
        ahead = f"&buffer={self.buffer_s:g}" if self.buffer_s else ""
        await self.page.goto(f"{steering}/watch/{title}?player={self.player}&autoplay=1{ahead}")

    async def stats(self) -> dict[str, Any]:
        told: dict[str, Any] = await self.page.evaluate(_STATS)
        return told

    async def until(self, condition: str, limit_s: float) -> dict[str, Any]:
        """Waits for a condition on `stats`. Its AssertionError says what was so instead."""
        try:
            script = f"() => {{ const stats = globalThis.nearcast; return Boolean(stats && ({condition})); }}"
            await self.page.wait_for_function(script, timeout=limit_s * 1000, polling=100)
        except Exception as error:
            raise AssertionError(f"{self}: not so that {condition}: {await self.stats()}") from error
        return await self.stats()

    async def close(self) -> None:
        await self.page.context.close()

    def __str__(self) -> str:
        return f"{self.player} with {self.buffer_s:g} s ahead" if self.buffer_s else self.player


async def open_screens(
    browser: Browser, steering: str, title: str, players: Sequence[str] = PLAYERS, buffers_s: Sequence[float] = (0.0,)
) -> list[Screen]:
    """A page for each player and each buffer, all of them opened and none of them awaited."""

    async def one(player: str, buffer_s: float) -> Screen:
        # Service workers and caches are each page's own.
        context = await browser.new_context(viewport=_SIZE, bypass_csp=True)  # type: ignore[arg-type]
        screen = Screen(player, await context.new_page(), buffer_s)
        await screen.open(steering, title)
        return screen

    return list(await asyncio.gather(*(one(player, ahead) for player in players for ahead in buffers_s)))


async def on_each(screens: Sequence[Screen], work: Callable[[Screen], Awaitable[T]]) -> dict[Screen, T]:
    """The result of the work on each screen; one that fails does not hide the others. Raises AssertionError."""
    results = await asyncio.gather(*(work(screen) for screen in screens), return_exceptions=True)
    failures = [str(result) for result in results if isinstance(result, BaseException)]
    assert not failures, "\n".join(failures)
    return {
        screen: result for screen, result in zip(screens, results, strict=True) if not isinstance(result, BaseException)
    }


async def close_all(screens: Sequence[Screen]) -> None:
    await asyncio.gather(*(screen.close() for screen in screens))
