"""The page in a real browser: it fits the window, in light and dark, and asks for nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import ConsoleMessage, Page, Request

from bench.browser.screens import chromium
from encoder.report.facts import Report
from encoder.report.page import page
from tests.tools import needs_chromium

pytestmark = pytest.mark.slow

_DESK, _PHONE = 1280, 360
# Lightness (WCAG 2) of the text and of what is behind it, for all texts that are seen.
_CONTRASTS = """() => {
    const light = (colour) => {
        const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map((part) => part / 255)
            .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = getComputedStyle(at).backgroundColor;
            if (!colour.endsWith(", 0)")) return colour;
        }
    };
    return [...document.querySelectorAll("h1, h2, p, dt, dd, td, th, a, summary, li")]
        .filter((element) => element.checkVisibility() && element.textContent.trim())
        .map((element) => {
            const pair = [light(getComputedStyle(element).color), light(behind(element))].sort((a, b) => a - b);
            return (pair[1] + 0.05) / (pair[0] + 0.05);
        });
}"""


def _listen(tab: Page) -> list[str]:
    """URLs that the page asks for, and what it says to the console."""
    heard: list[str] = []

    def on_request(request: Request) -> None:
        heard.append(request.url)

    def on_console(message: ConsoleMessage) -> None:
        heard.append(message.text)

    tab.on("request", on_request)
    tab.on("console", on_console)
    return heard


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_page_fits_and_can_be_read(report: Report, tmp_path: Path, scheme: Literal["light", "dark"]) -> None:
    needs_chromium()
    file = tmp_path / "report.html"
    file.write_text(page(report))
    async with chromium() as browser:
        for width in (_DESK, _PHONE):
            context = await browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
            tab = await context.new_page()
            heard = _listen(tab)
            await tab.goto(file.as_uri())
            assert await tab.evaluate("document.documentElement.scrollWidth") <= width
            seen = await tab.locator("svg.chart:visible").evaluate_all("all => all.map(one => one.classList[1])")
            assert seen == ["wide" if width == _DESK else "narrow"] * 4
            contrasts = await tab.evaluate(_CONTRASTS)
            assert len(contrasts) > 50 and min(contrasts) >= 4.5
            assert [one for one in heard if not one.startswith(("file:", "data:"))] == []
            await context.close()
