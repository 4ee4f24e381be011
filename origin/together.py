"""Does a few things at once, and fails with the first that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")


async def for_each(items: Iterable[Item], work: Callable[[Item], Awaitable[None]], *, at_once: int) -> None:
    """Awaits `work(item)` for every item, begun in their order, at most `at_once` of them at a time.

    Raises the first failure itself (a TaskGroup would wrap it), after the others were cancelled.
    """
    waiting = iter(items)  # shared: whoever is free takes the next

    async def take() -> None:
        for item in waiting:
            await work(item)

    failure: BaseException
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(take())
        return
    except BaseExceptionGroup as failures:
        failure = failures.exceptions[0]
    raise failure
