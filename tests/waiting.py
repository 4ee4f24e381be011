"""Waiting for what another process does: by looking, bounded, and only where there is no event to wait on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

_LOOK_EVERY_S = 0.02


async def until(condition: Callable[[], bool | Awaitable[bool]], limit_s: float = 20.0) -> None:
    """Returns as soon as the condition holds. Raises AssertionError at the limit."""
    deadline = time.monotonic() + limit_s
    while True:
        holds = condition()
        if holds if isinstance(holds, bool) else await holds:
            return
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(_LOOK_EVERY_S)


def is_alive(process_id: int) -> bool:
    """False also for a process that ended and that nobody has waited for yet."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the second, if it ends between opening and reading
        return False
