"""Carries out one appliance's plan: waits for the window, and asks the appliance for one file after the other.

The appliance does the work: it fetches, verifies and keeps each block, so the agent may be killed at any moment and
asks again from the start when it is back; what is held is answered at once. Files go in the plan's order, `transfers`
at a time. Room is made as it is needed: the plan's drops are carried out only when the next fetch does not fit, and
the rest of them at the end, so that nothing goes before what takes its place could come.

    plan  ->  [ window open ]  ->  keeps, fetches (drops between them)  ->  rest of the drops  ->  outcome
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Set
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec

from config.progress import Bar, Reporter
from config.units import show_bytes, show_duration, show_rate
from fill import sources
from fill.appliances import Seen
from fill.errors import ApplianceGone, FillError, FleetError, NoPlan
from fill.fleet import FleetClient
from fill.plan import WHOLE_PACKAGE, Line, Plan, decode_plan
from fill.window import Window, closes_at, next_open
from oca import messages
from oca.errors import OcaError
from oca.link import Link
from oca.messages import Message
from origin.errors import NotFound, StorageError
from origin.storage import Storage
from origin.together import for_each

# A file whose sources all failed is tried again after pauses of this, twice and four times this.
RETRY_AFTER_S = 1.0
ATTEMPTS = 4
# An appliance that restarts is back within seconds; one that is away for longer is left to the next look at the plan.
RECONNECT_EVERY_S = 0.25
GONE_AFTER_S = 60.0
# Who holds what changes while appliances fill; steering hears of it every two seconds.
FLEET_FRESH_S = 5.0
# Statuses that no other source can mend: the package is unknown everywhere, or the disk is full.
_NOT_FOUND, _FULL = 404, 507

logger = logging.getLogger(__name__)


class Failure(msgspec.Struct, frozen=True):
    title: str
    file: str
    reason: str


class Outcome(msgspec.Struct, kw_only=True):
    """What became of a plan. `left` were not come to before the window closed or the agent was stopped."""

    appliance: str
    fetched: int = 0
    fetched_bytes: int = 0
    kept: int = 0
    dropped: int = 0
    left: int = 0
    seconds: float = 0.0
    failed: list[Failure] = msgspec.field(default_factory=list)

    @property
    def ended(self) -> Literal["done", "unfinished", "failed"]:
        return "failed" if self.failed else "unfinished" if self.left else "done"


class Agent:
    """One appliance's agent; `clock` tells seconds since the epoch."""

    def __init__(
        self,
        appliance: str,
        socket: Path,
        plans: Storage,
        fleet: FleetClient,
        *,
        origin: str,
        window: Window | None,
        transfers: int,
        reporter: Reporter,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._appliance, self._socket, self._plans, self._fleet = appliance, socket, plans, fleet
        self._origin, self._window, self._transfers = origin, window, max(1, transfers)
        self._reporter, self._clock = reporter, clock

    async def run_once(self) -> Outcome:
        """Carries out the plan as it is when the window is open.

        Raises NoPlan, PlanError, StorageError, ApplianceGone.
        """
        plan = await self.read_plan()
        if await self._wait_until_open():
            plan = await self.read_plan()
        return await self._carry_out(plan)

    async def run(self, poll_every: float) -> None:
        """Carries out each new plan, and what was left of the last, until it is cancelled.

        Troubles are logged, each once until it changes; the next look tries again.
        """
        trouble = ""
        done_at = -1.0  # when the plan was made that is carried out
        while True:
            try:
                plan = await self.read_plan()
                if plan.made_at != done_at:
                    if await self._wait_until_open():
                        continue  # there may be another plan by now
                    outcome = await self._carry_out(plan)
                    logger.info("plan carried out", extra={"ended": outcome.ended, **msgspec.to_builtins(outcome)})
                    done_at = plan.made_at if outcome.ended == "done" else -1.0
                trouble = ""
            except (FillError, StorageError, OcaError) as error:
                if str(error) != trouble:
                    logger.warning("no plan is carried out", extra={"reason": str(error)})
                trouble = str(error)
            await asyncio.sleep(poll_every)

    async def read_plan(self) -> Plan:
        """Raises NoPlan, PlanError, StorageError."""
        try:
            data = await self._plans.read_bytes(plan_key(self._appliance))
        except NotFound as error:
            raise NoPlan(f"there is no plan for {self._appliance}; `nearcast fill plan` makes them") from error
        return decode_plan(data, self._appliance)

    async def _wait_until_open(self) -> bool:
        """True if the fill window was not open yet."""
        if self._window is None:
            return False
        now = self._clock()
        wait_s = next_open(self._window, now) - now
        if wait_s > 0:
            self._reporter.say(f"waiting {show_duration(wait_s)} for the fill window")
            await asyncio.sleep(wait_s)
        return wait_s > 0

    async def _carry_out(self, plan: Plan) -> Outcome:
        started = self._clock()
        closes = None if self._window is None else closes_at(self._window, started)
        limit = None if closes is None else closes - started
        outcome = Outcome(appliance=plan.appliance, left=len(plan.keeps) + len(plan.fetches) + len(plan.drops))
        async with Parent(self._socket) as parent:
            ranking = Ranking(self._fleet, plan.appliance, plan.site, self._origin, self._clock)
            with self._reporter.bar("filling", plan.fetch_bytes) as bar:
                progress = _Progress(bar, self._clock)
                work = _Pass(plan, parent, self._fleet, ranking, self._transfers, outcome, progress)
                try:
                    async with asyncio.timeout(limit):
                        await work.run()
                except TimeoutError:
                    self._reporter.say("the fill window closed")
        outcome.seconds = round(self._clock() - started, 3)
        self._reporter.say(_summary(outcome))
        return outcome


def plan_key(appliance: str) -> str:
    return f"{appliance}.json"


def _summary(outcome: Outcome) -> str:
    rate = show_rate(outcome.fetched_bytes * 8 / outcome.seconds) if outcome.seconds else "at once"
    return (
        f"{outcome.appliance}: {outcome.fetched} files fetched ({show_bytes(outcome.fetched_bytes)}, {rate}), "
        f"{outcome.kept} kept, {outcome.dropped} dropped, {len(outcome.failed)} failed, {outcome.left} left"
    )


class Ranking:
    """Sources of each file from the fleet as it is now; without steering, the appliance's own."""

    def __init__(self, fleet: FleetClient, appliance: str, site: str, origin: str, clock: Callable[[], float]) -> None:
        self._fleet, self._appliance, self._site, self._origin = fleet, appliance, site, origin
        self._clock = clock
        self._seen: tuple[Seen, ...] | None = None
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()
        self._is_silent = False

    async def sources(self, line: Line, failed: Set[str] = frozenset()) -> list[sources.Source]:
        """Best first. Empty if steering cannot be asked: the appliance then asks its own peers and origin."""
        async with self._asking:
            if self._clock() - self._asked_at >= FLEET_FRESH_S or failed:
                await self._look()
        if self._seen is None:
            return []
        return sources.rank(
            line.title,
            line.package,
            line.file,
            appliance=self._appliance,
            site=self._site,
            fleet=self._seen,
            origin=self._origin,
            failed=failed,
        )

    async def _look(self) -> None:
        try:
            self._seen = await self._fleet.fleet()
            self._is_silent = False
        except FleetError as error:
            if not self._is_silent:
                logger.warning("filling from the appliance's own sources", extra={"reason": str(error)})
            self._is_silent = True
        self._asked_at = self._clock()


class Parent:
    """The appliance's parent at its local socket, found again when the appliance restarts."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._link: Link | None = None
        self._connecting = asyncio.Lock()

    async def __aenter__(self) -> Parent:
        await self._connect(wait_s=0.0)
        return self

    async def __aexit__(self, *_: object) -> None:
        # The parent ends what was asked over a link when the link ends; verified blocks stay.
        if self._link is not None:
            await self._link.close()

    async def ask(self, build: Callable[[int], Message], hear: Callable[[Message], None] | None = None) -> Message:
        """Asks, and returns the last answer; `hear` gets those before it. An appliance that went away is asked again
        when it is back. Raises OcaError where it refuses, ApplianceGone where it stays away."""
        while True:
            link = await self._connect(wait_s=GONE_AFTER_S)
            try:
                return await _ask(link, build, hear or (lambda message: None))
            except OcaError:
                if not link.ended.is_set():
                    raise
                logger.warning("the appliance went away; waiting for it", extra={"socket": str(self._socket)})

    async def _connect(self, wait_s: float) -> Link:
        async with self._connecting:
            if self._link is not None and not self._link.ended.is_set():
                return self._link
            if self._link is not None:
                await self._link.close()
            self._link = await self._find(wait_s)
            return self._link

    async def _find(self, wait_s: float) -> Link:
        """Raises ApplianceGone after `wait_s` seconds without an appliance."""
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_s
        while True:
            link = Link()
            try:
                await link.start(self._socket)
                return link
            except OcaError as error:
                await link.close()
                if loop.time() >= until:
                    raise ApplianceGone(str(error)) from error
            await asyncio.sleep(RECONNECT_EVERY_S)


async def _ask(link: Link, build: Callable[[int], Message], hear: Callable[[Message], None]) -> Message:
    """Raises OcaError where the answer is Failed."""
    id = link.next_id()
    last: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

    def take(message: Message) -> None:
        if isinstance(message, messages.Moved):
            hear(message)
        elif not last.done():
            last.set_result(message)

    link.ask(id, build(id), take)
    try:
        answer = await last
    except asyncio.CancelledError:
        link.say(messages.Forget(id))
        raise
    finally:
        link.forget(id)
    if isinstance(answer, messages.Failed):
        raise OcaError(answer.reason, status=answer.status)
    return answer


class _Progress:
    """What the appliance says has moved, file by file, for the bar and for the outcome."""

    def __init__(self, bar: Bar, clock: Callable[[], float]) -> None:
        self._bar, self._clock, self._started = bar, clock, clock()
        self._held_before: dict[tuple[str, str], int] = {}  # bytes of a file that were there already
        self._done: dict[tuple[str, str], int] = {}
        self._total = self._total_before = 0

    def hear(self, line: Line, message: Message) -> None:
        if not isinstance(message, messages.Moved):
            return
        key = (line.title, line.file)
        if key not in self._held_before:
            self._held_before[key] = message.done
            self._total_before += message.done
        self._total += message.done - self._done.get(key, 0)
        self._done[key] = message.done
        rate = (self._total - self._total_before) * 8 / max(0.001, self._clock() - self._started)
        self._bar.update(self._total, f"{show_rate(rate)} {line.title}/{line.file}")

    def moved(self, line: Line) -> int:
        """Bytes of a file, now whole, that had to come."""
        return line.size - self._held_before.get((line.title, line.file), 0)


class _Pass:
    """One carrying out of one plan."""

    def __init__(
        self,
        plan: Plan,
        parent: Parent,
        fleet: FleetClient,
        ranking: Ranking,
        transfers: int,
        outcome: Outcome,
        progress: _Progress,
    ) -> None:
        self._plan, self._parent, self._fleet, self._ranking = plan, parent, fleet, ranking
        self._transfers, self._outcome, self._progress = transfers, outcome, progress
        self._drops = deque(plan.drops)
        self._dropping = asyncio.Lock()
        self._room = 0
        self._url = ""

    async def run(self) -> None:
        """Raises ApplianceGone; what fails for one file is noted in the outcome."""
        status = await self._parent.ask(partial(messages.Ask, what="status"))
        told = status.told if isinstance(status, messages.Told) else {}
        self._room = int(told.get("disk_bytes", 0)) - int(told.get("disk_used_bytes", 0))
        self._url = str(told.get("url", ""))
        # Keeps are asked for like fetches: the appliance answers at once, and knows them as planned from then on.
        await for_each(self._plan.keeps, partial(self._hold, is_kept=True), at_once=self._transfers)
        await for_each(self._plan.fetches, partial(self._hold, is_kept=False), at_once=self._transfers)
        while self._drops:
            await self._drop(self._drops.popleft())

    async def _hold(self, line: Line, is_kept: bool) -> None:
        """Has the appliance hold the file; a failure is noted, and ends nothing but this file."""
        if not is_kept:
            await self._make_room(line.size)
        try:
            await self._fetch(line, is_kept)
        except OcaError as error:
            self._fail(line, str(error))
        else:
            moved = self._progress.moved(line)
            if moved:
                self._outcome.fetched += 1
                self._outcome.fetched_bytes += moved
            else:
                self._outcome.kept += 1
        self._outcome.left -= 1

    async def _fetch(self, line: Line, is_kept: bool) -> None:
        """Raises OcaError when the last attempt failed."""
        failed: set[str] = set()
        for attempt in range(ATTEMPTS):
            ranked = [] if is_kept and not attempt else await self._ranking.sources(line, failed)
            urls = tuple(source.url for source in ranked)
            ask = partial(messages.Fill, title=line.title, package=line.package, file=line.file, sources=urls)
            try:
                await self._parent.ask(ask, partial(self._progress.hear, line))
                return
            except OcaError as error:
                if error.status == _NOT_FOUND or attempt + 1 == ATTEMPTS:
                    raise
                if error.status == _FULL and not await self._drop_next():
                    raise
                # The sources were asked in this order, each in turn: the first now comes last.
                failed.update(source.name for source in ranked[:1])
                logger.info("a file is tried again", extra={"file": f"{line.title}/{line.file}", "reason": str(error)})
            await asyncio.sleep(RETRY_AFTER_S * 2**attempt)

    async def _make_room(self, size: int) -> None:
        while self._room < size and await self._drop_next():
            pass
        self._room -= size

    async def _drop_next(self) -> bool:
        """False if there is nothing more to drop."""
        async with self._dropping:
            if not self._drops:
                return False
            line = self._drops.popleft()
            await self._drop(line)
            self._room += line.size
            return True

    async def _drop(self, line: Line) -> None:
        try:
            for file in await self._files_of(line):
                await self._parent.ask(partial(messages.Drop, title=line.title, package=line.package, file=file))
        except (OcaError, FleetError) as error:
            self._fail(line, str(error))
        else:
            self._outcome.dropped += 1
        self._outcome.left -= 1

    async def _files_of(self, line: Line) -> list[str]:
        """The names of the files of a drop: those of a package that the planner did not know, the appliance does."""
        if line.file != WHOLE_PACKAGE:
            return [line.file]
        return await self._fleet.held_files(self._url, line.title, line.package)

    def _fail(self, line: Line, reason: str) -> None:
        self._outcome.failed.append(Failure(line.title, line.file, reason))
