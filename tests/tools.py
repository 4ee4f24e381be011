"""Real parts that a test needs: where they are, and what happens where they are not.

On a user's machine a test without its part is skipped and says how to get it; in CI that is a failure.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

_PAGE = Path(__file__).parents[1] / "steering" / "web"


def missing(what: str, how: str) -> None:
    """Skips the test, or fails it where CI=true."""
    message = f"{what} is not here; {how}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def chromium() -> str:
    """The browser's executable."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if (path := shutil.which(name)) is not None:
            return path
    missing("Chromium", "on Debian: sudo apt install chromium")
    raise AssertionError("unreachable")


def needs_page() -> None:
    """The players' libraries, which npm brings."""
    if not (_PAGE / "node_modules").is_dir():
        missing("the page's player libraries", "`make test` installs them (npm ci in steering/web)")
