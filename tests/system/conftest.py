"""What the tests with a real browser share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser

from bench.browser.screens import chromium
from tests.tools import needs_chromium, needs_page


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    needs_page()
    needs_chromium()
    async with chromium() as browser:
        yield browser
