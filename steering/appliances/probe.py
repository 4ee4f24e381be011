"""Asks appliances that fell silent whether they live, while it may be our ear that is gone and not they.

Whom that concerns the fleet says (`Fleet.silent`), and what follows from the answers: who answers is believed for
longer, who does not is lost. Few are asked at a time, however many are silent: steering is no burden to a network that
is in trouble already, and players leave a dead appliance by themselves.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Callable, Iterable
from enum import Enum, auto

import aiohttp

from steering.appliances.fleet import Fleet

# 20 a second: the 10 appliances of a small network at once, a fleet of 18,000 in a quarter of an hour.
_LOOK_EVERY_S = 0.5
_ASKED_A_LOOK = 10
_TIMEOUT = aiohttp.ClientTimeout(total=2)
# One question may be lost on the way.
_FAILURES = 2
_FAILED_AGAIN_S = 1.0
# Who answered, or was given up, is asked again after this.
_ASKED_AGAIN_S = 10.0

logger = logging.getLogger(__name__)


class Turns:
    """Whose turn it is to be asked."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}  # name -> when it may be asked again
        self._failures: dict[str, int] = {}

    def next(self, silent: Iterable[str], now: float, most: int) -> list[str]:
        """Up to so many of those that are silent; who was not asked for longest comes first."""
        names = set(silent)
        for known in (self._due, self._failures):
            for name in known.keys() - names:  # it is heard again
                del known[name]
        due = ((self._due.get(name, 0.0), name) for name in names)
        chosen = [name for at, name in heapq.nsmallest(most, due) if at <= now]
        self._due.update(dict.fromkeys(chosen, now + _ASKED_AGAIN_S))
        return chosen

    def answered(self, name: str) -> None:
        self._failures.pop(name, None)

    def failed(self, name: str, now: float) -> bool:
        """Whether it is to be given up."""
        failures = self._failures[name] = self._failures.get(name, 0) + 1
        if failures < _FAILURES:
            self._due[name] = now + _FAILED_AGAIN_S
        return failures >= _FAILURES


class Prober:
    def __init__(self, fleet: Fleet, clock: Callable[[], float]) -> None:
        """`clock` is the fleet's."""
        self._fleet, self._clock = fleet, clock
        self._turns = Turns()
        self._under_way: set[asyncio.Task[None]] = set()

    async def follow(self, session: aiohttp.ClientSession) -> None:
        """Asks for ever, as long as there is reason to."""
        try:
            while True:
                now = self._clock()
                seen = self._fleet.seen(now)
                for name in self._turns.next(self._fleet.silent(now), now, _ASKED_A_LOOK):
                    task = asyncio.create_task(self._ask(session, name, seen[name].url))
                    self._under_way.add(task)
                    task.add_done_callback(self._under_way.discard)
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            for task in list(self._under_way):
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _ask(self, session: aiohttp.ClientSession, name: str, url: str) -> None:
        sign = await look(session, url)
        if sign is Sign.ANSWERS:
            self._turns.answered(name)
            self._fleet.probe_answered(name, self._clock())
        elif self._turns.failed(name, self._clock()):
            logger.warning("a silent appliance does not answer and is lost", extra={"appliance": name})
            self._fleet.probe_failed(name, self._clock(), is_refused=sign is Sign.REFUSES)


class Sign(Enum):
    """What there is of an appliance."""

    ANSWERS = auto()  # whatever it says: who is full or lacks a file lives
    REFUSES = auto()  # its machine is there, and nobody listens on it
    NOTHING = auto()


async def look(session: aiohttp.ClientSession, url: str) -> Sign:
    """Its certificate is not looked at: nothing is told and nothing believed but that somebody is there."""
    try:
        async with session.options(f"{url}/v1/", timeout=_TIMEOUT, allow_redirects=False, ssl=False):
            return Sign.ANSWERS
    except aiohttp.ClientConnectorError as error:
        return Sign.REFUSES if isinstance(error.os_error, ConnectionRefusedError) else Sign.NOTHING
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return Sign.NOTHING
