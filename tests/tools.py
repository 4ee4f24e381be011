"""Real parts that a test needs: where they are, and what happens where they are not.

On a user's machine a test without its part is skipped and says how to get it; in CI that is a failure.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from bench.browser.screens import find_chromium

_PAGE = Path(__file__).parents[1] / "steering" / "web"


def missing(what: str, how: str) -> None:
    """Skips the test, or fails it where CI=true."""
    message = f"{what} is not here; {how}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def needs_chromium() -> None:
    """The browser."""
    if find_chromium() is None:
        missing("Chromium", "on Debian: sudo apt install chromium")


def bird() -> tuple[str, str, str]:
    """A router, the tool that asks it, and the tool that makes a network of its own for it. Needs root."""
    found = [
        shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") for name in ("bird", "birdc", "ip")
    ]
    if not all(found):
        missing("BIRD or iproute2", "on Debian: sudo apt install bird2 iproute2")
    if os.geteuid() != 0:
        missing("the right to make a network namespace", "run the tests as root")
    router, asks, network = (str(path) for path in found)
    return router, asks, network


def needs_page() -> None:
    """The players' libraries, which npm brings."""
    if not (_PAGE / "node_modules").is_dir():
        missing("the page's player libraries", "`make test` installs them (npm ci in steering/web)")
