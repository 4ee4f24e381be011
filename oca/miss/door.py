"""The door to one upstream: so many requests through at once, in order of arrival, and one at a time while it is ill.

A cold start wants thousands of blocks in one instant: the upstream sees as many requests as it can bear, players'
before fills', and the others wait here. They do not wait for long. Whoever has waited its time goes on to the next
upstream, which means that this one is busy and not that it failed; when it does fail and rests, all go on at once.

An appliance that has players to serve refuses fills, and says for how long. Until then fills are not let through here
either, and go to others; players' misses are, for it refuses only fills.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from oca.errors import UpstreamError
from oca.miss.breaker import Breaker, State

logger = logging.getLogger(__name__)

# Of the rate of answers, for the latest one: some ten blocks tell what a source gives now.
_LATEST_SHARE = 0.2
# Of a smaller answer the way there and back is most of its time.
_MEASURED_FROM_BYTES = 256 * 1024
# A source that asks for more is looked at again before: an evening's peak ends, and so does a mistake.
_LONGEST_HOLD_OFF_S = 300.0


class Priority(IntEnum):
    """Who goes first."""

    MISS = 0  # a player waits
    FILL = 1


class Unavailable(UpstreamError):
    """The upstream is down, cut us off or has no room: the same question may be answered the next time."""

    def __init__(self, message: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(message, status=503)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class UpstreamState:
    """What an operator sees of an upstream. Counts are since the start."""

    url: str
    state: State
    opened: int
    requests: int
    failures: int
    retries: int
    busy: int  # not asked, because they had waited too long for room
    bytes: int
    under_way: int  # now
    waiting: int  # now
    failed_for: str  # the latest failure, in words; empty if there was none
    refused: int  # fills, because it had players to serve
    rate_bytes_s: float  # of one answer of late; 0 while unknown


class Door:
    def __init__(self, url: str, breaker: Breaker, limit: int, clock: Callable[[], float]) -> None:
        self.requests = self.failures = self.retries = self.busy = self.bytes = self.under_way = 0
        self.failed_for = ""
        self.refused = 0
        self.rate_bytes_s = 0.0
        self._held_off_until = -math.inf
        self._url = url
        self._breaker = breaker
        self._limit = limit
        self._clock = clock
        self._numbers = itertools.count()
        self._queue: list[tuple[Priority, int, asyncio.Future[int]]] = []  # a heap; those who went away are done

    def is_next(self) -> bool:
        """True if the upstream is to be asked in its turn, False if only when nobody else is left."""
        return self._breaker.is_next(self._clock())

    def is_held_off(self) -> bool:
        """True while it wants no fills."""
        return self._clock() < self._held_off_until

    def hold_off(self, seconds: float) -> None:
        """It refused a fill, and asks for so much time."""
        self.refused += 1
        self._held_off_until = self._clock() + min(seconds, _LONGEST_HOLD_OFF_S)

    # One request

    async def enter(self, priority: Priority, patience_s: float) -> int:
        """Waits for room. The ticket is for the methods below, and `leave` has to have it. Raises Unavailable."""
        if priority is Priority.FILL and self.is_held_off():
            left_s = self._held_off_until - self._clock()
            raise Unavailable(f"{self._url} has players to serve first", retry_after_s=left_s)
        if self._has_room:
            return self._admit()
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[int] = loop.create_future()
        heapq.heappush(self._queue, (priority, next(self._numbers), turn))
        timer = loop.call_later(patience_s, self._send_away, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:  # let in, in the same instant
                self.leave(turn.result())
            raise
        finally:
            timer.cancel()

    def moved(self, ticket: int, count: int) -> None:
        """Bytes of the answer came."""
        self.bytes += count
        was_open = self._breaker.is_open
        self._breaker.answers(ticket, self._clock())
        self._note_success(was_open)

    def measured(self, count: int, seconds: float) -> None:
        """An answer of so many bytes took so long, without what we waited of our own accord."""
        if count < _MEASURED_FROM_BYTES:
            return
        rate = count / max(seconds, 1e-6)
        known = self.rate_bytes_s
        self.rate_bytes_s = known + (rate - known) * _LATEST_SHARE if known else rate

    def succeed(self, ticket: int) -> None:
        was_open = self._breaker.is_open
        self._breaker.succeed(ticket, self._clock())
        self._note_success(was_open)

    def fail(self, ticket: int, why: str, *, is_costly: bool) -> None:
        was_open = self._breaker.is_open
        self._breaker.fail(ticket, self._clock(), is_costly=is_costly)
        self._note_failure(was_open, why)

    def leave(self, ticket: int) -> None:
        """The request is over, however it ended."""
        self.under_way -= 1
        self._breaker.give_up(ticket)
        self._let_in()

    # All requests

    def trip(self, why: str) -> None:
        """Bytes that came whole were found to be wrong."""
        was_open = self._breaker.is_open
        self._breaker.trip(self._clock())
        self._note_failure(was_open, why)

    def state(self) -> UpstreamState:
        return UpstreamState(
            url=self._url,
            state=self._breaker.state(self._clock()),
            opened=self._breaker.opened,
            requests=self.requests,
            failures=self.failures,
            retries=self.retries,
            busy=self.busy,
            bytes=self.bytes,
            under_way=self.under_way,
            waiting=sum(not turn.done() for _, _, turn in self._queue),
            failed_for=self.failed_for,
            refused=self.refused,
            rate_bytes_s=self.rate_bytes_s,
        )

    @property
    def _has_room(self) -> bool:
        return self.under_way < self._limit and self._breaker.admits

    def _admit(self) -> int:
        self.under_way += 1
        self.requests += 1
        return self._breaker.begin()

    def _let_in(self) -> None:
        while self._queue and self._has_room:
            _, _, turn = heapq.heappop(self._queue)
            if not turn.done():
                turn.set_result(self._admit())

    def _send_away(self, turn: asyncio.Future[int]) -> None:
        if not turn.done():
            self.busy += 1
            turn.set_exception(Unavailable(f"{self._url} is busy: {self.under_way} requests are under way"))

    def _note_success(self, was_open: bool) -> None:
        if was_open and not self._breaker.is_open:
            logger.info("an upstream answers again", extra={"upstream": self._url})
            self._let_in()

    def _note_failure(self, was_open: bool, why: str) -> None:
        self.failures += 1
        self.failed_for = why
        if self._breaker.is_open and not was_open:  # each later trial that fails is only counted
            logger.warning("an upstream failed and rests", extra={"upstream": self._url, "why": why})
        if self._breaker.is_open and self._breaker.admits:
            waiting, self._queue = self._queue, []
            for _, _, turn in waiting:
                if not turn.done():
                    turn.set_exception(Unavailable(f"{self._url} does not answer ({why})"))
