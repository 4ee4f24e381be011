"""Carries out one appliance's plan: waits for the window, and asks the appliance for one file after the other.

The appliance does the work: it fetches, verifies and keeps each block, so the agent may be killed at any moment and
asks again from the start when it is back; what is held is answered at once. Files go in the plan's order, `transfers`
at a time; one that nobody may be asked for yet (escalation), or whose sources have players to serve first, lets those
after it go ahead. Room is made as it is needed: the plan's drops are carried out only when the next fetch does not fit,
and the rest of them at the end, so that nothing goes before what takes its place could come.

    plan  ->  [ window open ]  ->  keeps, fetches (drops between them)  ->  rest of the drops  ->  outcome

While it fills it goes on looking for a newer plan, and takes that up at once: what is done stays, what is under way and
still wanted goes on from the block it is at, and the rest of what is under way is dropped.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from config.progress import Bar, Reporter
from config.units import show_bytes, show_duration, show_rate
from fill.appliances import Seen
from fill.errors import FillError, FleetError, PlanError, WindowNeverOpens
from fill.fleet import FleetClient
from fill.planner.form import WHOLE_PACKAGE, Line, Plan
from fill.transfer import sources
from fill.transfer.escalation import AT_ONCE, NIGHTLY, Reach, Waits, reach
from fill.transfer.outcome import Failure, Left, Outcome, encode_outcome, outcome_key
from fill.transfer.parent import Parent
from fill.transfer.sources import Source
from fill.transfer.spending import Spending
from fill.transfer.status import WRITE_EVERY_S, Begun, Status, StatusFile, Transfer
from fill.transfer.window import Window, closes_at, next_open
from oca import messages
from oca.errors import OcaError, UpstreamError
from oca.messages import Message
from origin.errors import StorageError
from origin.storage import Storage

# A file whose sources all failed is tried again after pauses of this, twice and four times this.
RETRY_AFTER_S = 1.0
ATTEMPTS = 4
# Sources that have players to serve are asked again at least this often, and where no window closes not for ever.
_LONGEST_REFUSAL_S = 30.0
_REFUSED_FOR_S = 600.0
# Who holds what changes while appliances fill; steering hears of it every two seconds.
FLEET_FRESH_S = 5.0
# What an appliance is taken to fetch before it was measured; Netflix's flash appliances fill with 300 Mbit/s at most.
_UNKNOWN_RATE_BPS = 300e6
_NOT_FOUND, _FULL = 404, 507

logger = logging.getLogger(__name__)


class Plans(Protocol):
    """Where plans come from (fill.planner.store.PlanReader)."""

    async def read(self) -> Plan:
        """The newest. Raises NoPlan, PlanError, StorageError."""
        ...

    async def last(self) -> Plan | None:
        """The one that was read last, without a look at storage."""
        ...


class Agent:
    """One appliance's agent; `clock` tells seconds since the epoch, `outcomes` is where outcomes are left."""

    def __init__(
        self,
        appliance: str,
        parent: Callable[[], Parent],
        plans: Plans,
        fleet: FleetClient,
        *,
        origin: str,
        window: Window | None,
        transfers: int,
        reporter: Reporter,
        outcomes: Storage | None = None,
        status: StatusFile | None = None,
        poll_every: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._appliance, self._parent, self._plans, self._fleet = appliance, parent, plans, fleet
        self._origin, self._window, self._transfers = origin, window, max(1, transfers)
        self._reporter, self._outcomes, self._status = reporter, outcomes, status or StatusFile(None)
        self._poll_every, self._clock = poll_every, clock
        self._last: Outcome | None = None
        self._waits_until = 0.0
        self._trouble = ""

    async def run_once(self) -> Outcome:
        """Carries out the plan as it is when the window is open, and whatever takes its place meanwhile.

        Raises NoPlan, PlanError, StorageError, ApplianceGone, WindowNeverOpens.
        """
        plan = await self._plans.read()
        while await self._wait_for_window(plan):
            plan = await self._plans.read()
        outcome = await self._carry_out(plan)
        while outcome.why == "plan changed":
            outcome = await self._carry_out(await self._plans.read())
        return outcome

    async def run(self) -> None:
        """Carries out each new plan, and what was left of the last, until it is cancelled.

        Troubles are logged, each once until it changes; the next look tries again. Where the newest plan is not to be
        had, or not to be trusted, the last one goes on.
        """
        done = 0  # version of the plan that was carried out to its end
        while True:
            outcome = None
            try:
                plan = await self._newest()
                if plan.version != done:
                    if await self._wait_for_window(plan):
                        continue  # there may be another plan by now
                    outcome = await self._carry_out(plan)
                    done = outcome.version if outcome.is_done else 0
                    self._trouble = ""
            except (FillError, StorageError, OcaError) as error:
                self._note_trouble("no plan is carried out", error)
                await self._status.write(
                    Status(appliance=self._appliance, state="waiting for a plan", as_of=time.time())
                )
            if outcome is None or outcome.why != "plan changed":
                await asyncio.sleep(self._poll_every)

    async def _newest(self) -> Plan:
        """Raises NoPlan, PlanError, StorageError where there is no other plan to go on with."""
        try:
            return await self._plans.read()
        except (PlanError, StorageError) as error:
            last = await self._plans.last()
            if last is None:
                raise
            self._note_trouble("the last plan goes on", error)
            return last

    def _note_trouble(self, what: str, error: Exception) -> None:
        if str(error) != self._trouble:
            logger.warning(what, extra={"reason": str(error)})
        self._trouble = str(error)

    def _window_of(self, plan: Plan) -> Window | None:
        return None if plan.at_once else self._window

    async def _wait_for_window(self, plan: Plan) -> bool:
        """False if the plan may be carried out now; otherwise waits until it may, or until it is time to look for
        another plan, which need not wait. Raises WindowNeverOpens."""
        window = self._window_of(plan)
        if window is None:
            return False
        now = self._clock()
        opens = next_open(window, now)
        if opens is None:
            raise WindowNeverOpens(f"the fill window of {self._appliance} does not open within days: nothing is filled")
        if opens <= now:
            return False
        if opens != self._waits_until:
            self._waits_until = opens
            self._reporter.say(f"waiting {show_duration(opens - now)} for the fill window")
        status = Status(appliance=self._appliance, state="waiting for the window", as_of=now, last=self._last)
        await self._status.write(status)
        await asyncio.sleep(min(opens - now, self._poll_every))
        return True

    async def _carry_out(self, plan: Plan) -> Outcome:
        started = self._clock()
        window = self._window_of(plan)
        closes = None if window is None else closes_at(window, started)
        before = self._status.read()
        async with self._parent() as parent:
            with self._reporter.bar("filling", plan.fetch_bytes) as bar:
                work = _Pass(
                    plan,
                    parent,
                    self._fleet,
                    _Ranking(self._fleet, plan, self._origin, self._clock),
                    transfers=self._transfers,
                    closes=closes,
                    waits=AT_ONCE if window is None else NIGHTLY,
                    bar=bar,
                    clock=self._clock,
                )
                reporting = asyncio.create_task(self._keep_status(work))
                following = asyncio.create_task(self._until_another(plan))
                try:
                    await work.forsake(before.begun if before else ())
                    await _first(work.run(), following, None if closes is None else closes - started)
                    work.outcome.why = "budget" if work.is_short_of_budget else "done"
                except _Replaced:
                    work.outcome.why = "plan changed"
                except TimeoutError:
                    work.outcome.why = "window closed"
                    self._reporter.say("the fill window closed")
                except asyncio.CancelledError:
                    work.outcome.why = "stopped"
                    raise
                finally:
                    reporting.cancel()
                    following.cancel()
                    await asyncio.shield(self._leave_outcome(work))
        self._reporter.say(_summary(work.outcome))
        return work.outcome

    async def _until_another(self, plan: Plan) -> None:
        """Ends when there is a newer plan."""
        while True:
            await asyncio.sleep(self._poll_every)
            try:
                if (await self._plans.read()).version != plan.version:
                    return
            except (FillError, StorageError) as error:
                self._note_trouble("the plan under way goes on", error)

    async def _keep_status(self, work: _Pass) -> None:
        while True:
            await self._status.write(work.status(self._last))
            await asyncio.sleep(WRITE_EVERY_S)

    async def _leave_outcome(self, work: _Pass) -> None:
        outcome = self._last = work.finish()
        logger.info("a plan was carried out", extra={"why": outcome.why, "summary": _summary(outcome)})
        await self._status.write(work.status(outcome, state="ended"))
        if self._outcomes is not None:
            try:
                await self._outcomes.put_bytes(outcome_key(outcome), encode_outcome(outcome))
            except StorageError as error:
                logger.warning("what became of the plan cannot be kept", extra={"reason": str(error)})


class _Replaced(Exception):
    """There is another plan."""


async def _first(work: Coroutine[Any, Any, None], other: asyncio.Task[None], limit_s: float | None) -> None:
    """Waits for the work. Raises _Replaced or TimeoutError, and the work has ended by then."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task, other], timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        elif other.done():
            raise _Replaced
        else:
            raise TimeoutError
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task


def _summary(outcome: Outcome) -> str:
    rate = show_rate(outcome.fetched_bytes * 8 / outcome.seconds) if outcome.seconds else "at once"
    return (
        f"{outcome.appliance}: {outcome.fetched_files} files fetched ({show_bytes(outcome.fetched_bytes)}, {rate}), "
        f"{outcome.kept} kept, {outcome.dropped} dropped, {len(outcome.failed)} failed, {outcome.left.files} left"
    )


class _Ranking:
    """Sources of each file from the fleet as it is now; without steering, the appliance's own."""

    def __init__(self, fleet: FleetClient, plan: Plan, origin: str, clock: Callable[[], float]) -> None:
        self._fleet, self._origin, self._clock = fleet, origin, clock
        self._appliance, self._site = plan.appliance, plan.site
        self._seen: tuple[Seen, ...] | None = None
        self._asked_at = float("-inf")
        self._is_silent = False

    async def look(self) -> None:
        """Asks steering, if it was not asked just now."""
        if self._clock() - self._asked_at < FLEET_FRESH_S:
            return
        try:
            self._seen = await self._fleet.fleet()
            self._is_silent = False
        except FleetError as error:
            if not self._is_silent:
                logger.warning("filling from the appliance's own sources", extra={"reason": str(error)})
            self._is_silent = True
        self._asked_at = self._clock()

    def forget(self) -> None:
        """What failed may have changed: steering is asked again before the next file."""
        self._asked_at = float("-inf")

    @property
    def is_blind(self) -> bool:
        """Steering was never heard: the appliance asks its own peers and origin."""
        return self._seen is None

    @property
    def has_peers(self) -> bool:
        return sources.has_peers(self._appliance, self._site, self._seen or ())

    def sources(self, line: Line, within: Reach, failed: Set[str]) -> list[Source]:
        return sources.rank(
            line.title,
            line.package,
            line.file,
            appliance=self._appliance,
            site=self._site,
            fleet=self._seen or (),
            origin=self._origin,
            reach=within,
            failed=failed,
        )

    def name_of(self, url: str) -> str:
        """Of a source: the appliance's, "origin", or the URL where steering does not know it."""
        if url == self._origin.rstrip("/"):
            return "origin"
        return next((seen.report.name for seen in self._seen or () if seen.report.url == url), url)

    def is_near(self, name: str) -> bool:
        return any(seen.report.name == name and seen.report.site == self._site for seen in self._seen or ())


@dataclass
class _Job:
    """A file of the plan that is not held yet, as far as is known."""

    line: Line
    is_kept: bool
    has_room: bool = False
    tries: int = 0
    not_before: float = float("-inf")
    refused_since: float = 0.0
    failed: set[str] = field(default_factory=set)
    done: int = -1  # bytes that are there; -1 while nothing is known
    came: int = 0  # bytes that came in this pass
    came_from_afar: int = 0
    source: str = ""


class _Pass:
    """One carrying out of one plan. Every file of it is in `_waiting`, under way, or counted in the outcome."""

    def __init__(
        self,
        plan: Plan,
        parent: Parent,
        fleet: FleetClient,
        ranking: _Ranking,
        *,
        transfers: int,
        closes: float | None,
        waits: Waits,
        bar: Bar,
        clock: Callable[[], float],
    ) -> None:
        self.plan = plan
        self.spending = Spending(plan.budget_bytes)
        self._parent, self._fleet, self._ranking = parent, fleet, ranking
        self._transfers, self._closes, self._waits, self._bar, self._clock = transfers, closes, waits, bar, clock
        self._waiting = [_Job(line, True) for line in plan.keeps] + [_Job(line, False) for line in plan.fetches]
        self._under_way: dict[asyncio.Task[None], _Job] = {}
        self._drops = deque(plan.drops)
        self._dropping = asyncio.Lock()
        self._room = 0
        self._url = ""
        self._started = self._near_at = clock()
        self._done_files = self._done_bytes = 0
        self.outcome = Outcome(
            appliance=plan.appliance,
            site=plan.site,
            version=plan.version,
            at_once=plan.at_once,
            started=self._started,
            planned_files=len(plan.fetches),
            planned_bytes=plan.fetch_bytes,
        )

    async def run(self) -> None:
        """Raises ApplianceGone; what fails for one file is noted in the outcome."""
        status = await self._parent.ask(partial(messages.Ask, what="status"))
        told = status.told if isinstance(status, messages.Told) else {}
        self._room = int(told.get("disk_bytes", 0)) - int(told.get("disk_used_bytes", 0))
        self._url = str(told.get("url", ""))
        try:
            while self._waiting or self._under_way:
                await self._begin_what_can()
                if not self._under_way and not self._can_wait():
                    break
                await self._wait()
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)
        while self._drops:
            await self._drop_next()

    async def forsake(self, begun: Sequence[Begun]) -> None:
        """Drops what an earlier plan began and this one does not want."""
        wanted = {line.key for line in (*self.plan.fetches, *self.plan.keeps)}
        for one in begun:
            if (one.title, one.package, one.file) not in wanted:
                with suppress(OcaError):
                    await self._parent.ask(partial(messages.Drop, title=one.title, package=one.package, file=one.file))

    @property
    def is_short_of_budget(self) -> bool:
        """Something is left, and only because it may not come from outside the site."""
        return bool(self._waiting) and self.spending.refused

    # Which file next

    async def _begin_what_can(self) -> None:
        if len(self._under_way) >= self._transfers:
            return
        await self._ranking.look()
        now = self._clock()
        for job in list(self._waiting):
            if len(self._under_way) >= self._transfers:
                return
            if job.not_before > now:
                continue
            asked = self._sources(job, now)
            if asked is not None:
                self._waiting.remove(job)
                task = asyncio.create_task(self._hold(job, asked))
                self._under_way[task] = job

    def _sources(self, job: _Job, now: float) -> list[Source] | None:
        """Whom the appliance shall ask, an empty list for its own sources; None if the file has to wait."""
        if self._ranking.is_blind or (job.is_kept and not job.tries):
            return []  # what is kept is there, and nobody is asked
        within = reach(
            is_master=job.line.master,
            has_peers=self._ranking.has_peers,
            idle_s=now - self._near_at,
            spare_s=self._spare_s(now),
            waits=self._waits,
        )
        missing = job.line.size - max(0, job.done)
        if within > Reach.PEERS and not self.spending.may(missing):
            within = Reach.PEERS
        return self._ranking.sources(job.line, within, job.failed) or None

    def _spare_s(self, now: float) -> float | None:
        """Of the window, what is left beyond what the plan still takes."""
        if self._closes is None:
            return None
        jobs = (*self._waiting, *self._under_way.values())
        missing = sum(job.line.size - max(0, job.done) for job in jobs if not job.is_kept)
        rate_bps = self._rate_bps(now) or self.plan.rate_bps or _UNKNOWN_RATE_BPS
        return self._closes - now - missing * 8 / rate_bps

    def _rate_bps(self, now: float) -> float:
        return self.outcome.fetched_bytes * 8 / (now - self._started) if now > self._started else 0.0

    def _can_wait(self) -> bool:
        """False where what is left would wait in vain: it may not come from outside, and no peer comes to hold it."""
        now = self._clock()
        if not self.is_short_of_budget or any(job.not_before > now for job in self._waiting):
            return bool(self._waiting)
        return self._ranking.has_peers and (self._closes is not None or now - self._near_at < _REFUSED_FOR_S)

    async def _wait(self) -> None:
        """Until a transfer ends, or something may have changed for those that wait."""
        now = self._clock()
        pauses = [job.not_before - now for job in self._waiting if job.not_before > now]
        if any(job.not_before <= now for job in self._waiting):
            pauses.append(FLEET_FRESH_S)
        pause_s = max(0.0, min(pauses)) if pauses else None
        if not self._under_way:
            await asyncio.sleep(pause_s or 0.0)
            return
        is_full = len(self._under_way) >= self._transfers
        ended, _ = await asyncio.wait(
            self._under_way, timeout=None if is_full else pause_s, return_when=asyncio.FIRST_COMPLETED
        )
        for task in ended:
            del self._under_way[task]
            task.result()

    # One file

    async def _hold(self, job: _Job, asked: Sequence[Source]) -> None:
        """Has the appliance hold the file; a failure is noted, and ends nothing but this file. Raises ApplianceGone."""
        line = job.line
        promised = line.size - max(0, job.done) if any(source.reach > Reach.PEERS for source in asked) else 0
        came_before = job.came_from_afar
        self.spending.promise(promised)
        try:
            if not job.is_kept and not job.has_room:
                await self._make_room(line.size)
                job.has_room = True
            ask = partial(
                messages.Fill,
                title=line.title,
                package=line.package,
                file=line.file,
                sources=tuple(source.url for source in asked),
                equals=sources.equals(asked),
                rate_bps=self.plan.rate_bps,
                not_before=line.not_before,
            )
            await self._parent.ask(ask, partial(self._hear, job))
        except UpstreamError as error:
            await self._note_failure(job, asked, error)
        else:
            self._note_held(job)
        finally:
            self.spending.settle(promised, job.came_from_afar - came_before)

    def _hear(self, job: _Job, message: Message) -> None:
        if not isinstance(message, messages.Moved):
            return
        came = message.done - job.done if job.done >= 0 else 0
        job.done = message.done
        if came <= 0 or not message.source:
            return
        name = job.source = self._ranking.name_of(message.source)
        now = self._clock()
        if self._ranking.is_near(name):
            self._near_at = now
        else:
            job.came_from_afar += came
        job.came += came
        fetched = self.outcome.fetched
        fetched[name] = fetched.get(name, 0) + came
        self._bar.update(
            self.outcome.fetched_bytes, f"{show_rate(self._rate_bps(now))} {job.line.title}/{job.line.file}"
        )

    def _note_held(self, job: _Job) -> None:
        self._done_files += not job.is_kept
        self._done_bytes += 0 if job.is_kept else job.line.size
        if job.came:
            self.outcome.fetched_files += 1
        else:
            self.outcome.kept += 1

    async def _note_failure(self, job: _Job, asked: Sequence[Source], error: UpstreamError) -> None:
        """Puts the file back to be tried again, or notes that it failed."""
        now = self._clock()
        name = f"{job.line.title}/{job.line.file}"
        is_near = bool(asked) and all(source.reach == Reach.PEERS for source in asked)
        if error.retry_after_s:
            job.refused_since = job.refused_since or now
            if self._closes is None and now - job.refused_since > _REFUSED_FOR_S:
                self._fail(job.line, str(error))
                return
            pause_s = min(error.retry_after_s, _LONGEST_REFUSAL_S)
        else:
            job.tries += 1
            is_hopeless = error.status == _NOT_FOUND and not is_near
            if error.status == _FULL:
                is_hopeless = not await self._drop_next()
            if is_hopeless or (job.tries >= ATTEMPTS and not is_near):
                self._fail(job.line, str(error))
                return
            pause_s = RETRY_AFTER_S * 2 ** min(job.tries - 1, ATTEMPTS)
            # The sources were asked in this order, each in turn: the first now comes last.
            job.failed.update(source.name for source in asked[:1])
            self._ranking.forget()
        logger.info("a file is tried again", extra={"file": name, "reason": str(error)})
        job.not_before = now + pause_s
        self._waiting.insert(0, job)

    def _fail(self, line: Line, reason: str) -> None:
        self.outcome.failed.append(Failure(line.title, line.file, reason))

    # Room

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
            self.outcome.dropped += 1

    async def _files_of(self, line: Line) -> list[str]:
        """The names of the files of a drop: those of a package that the planner did not know, the appliance does."""
        if line.file != WHOLE_PACKAGE:
            return [line.file]
        return await self._fleet.held_files(self._url, line.title, line.package)

    # How far it is

    def finish(self) -> Outcome:
        """What became of the plan by now."""
        left = [*self._waiting, *self._under_way.values()]
        self.outcome.ended = self._clock()
        self.outcome.left = Left(
            len(left) + len(self._drops), sum(job.line.size - max(0, job.done) for job in left if not job.is_kept)
        )
        return self.outcome

    def status(self, last: Outcome | None, state: Any = "filling") -> Status:
        now = self._clock()
        under_way = list(self._under_way.values())
        rate_bps = self._rate_bps(now)
        fetched = [job for job in (*under_way, *self._waiting) if not job.is_kept]
        missing = sum(job.line.size - max(0, job.done) for job in fetched)
        return Status(
            appliance=self.plan.appliance,
            state=state,
            as_of=now,
            version=self.plan.version,
            started=self._started,
            planned_files=len(self.plan.fetches),
            planned_bytes=self.plan.fetch_bytes,
            done_files=self._done_files,
            done_bytes=self._done_bytes + sum(max(0, job.done) for job in fetched),
            rate_bps=int(rate_bps),
            eta_s=missing * 8 / rate_bps if rate_bps else 0.0,
            by_source=dict(self.outcome.fetched),
            now=tuple(
                Transfer(job.line.title, job.line.package, job.line.file, max(0, job.done), job.line.size, job.source)
                for job in under_way
            ),
            begun=tuple(
                Begun(job.line.title, job.line.package, job.line.file)
                for job in fetched
                if job.done >= 0 or job in under_way
            ),
            waiting=len(self._waiting),
            failed=tuple(self.outcome.failed),
            last=last,
        )
