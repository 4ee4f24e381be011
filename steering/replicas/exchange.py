"""The exchange with the other replicas, over the database and behind the requests: a second late, and in nobody's way.

What is decided is in steering/replicas/hearsay.py, the statements are in steering/replicas/database.py; here are the
thread that waits for the database, and slices: 9,000 reports a second are a tenth of a core at the fleet's full size,
and a poll that came just then would wait for all of them.

If the database fails, steering goes on from memory, says so once, and tells everything again when it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import secrets
import threading
import time
import zlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from config.units import show_duration
from oca.report import Held
from steering.appliances.fleet import Fleet, Known, Stored
from steering.appliances.roll import Health
from steering.catalog import Catalog
from steering.errors import DatabaseError
from steering.replicas.database import Database, HeldRow, Incoming, Outgoing, Row, decode_held
from steering.replicas.hearsay import ALIVE_FOR_S, CHUNK, Heard, Replicas, Written

# Written, then read by the others at their own time: a report is everywhere after one and a half seconds at most.
EXCHANGE_EVERY_S = 0.75
# A database that has not answered for so long is in trouble, whatever it is doing.
SLOW_AFTER_S = 5.0
# What one beat may write: a fleet of 18,000 that is new to a database is in it within a minute.
_MOST_ROWS = 250
_MOST_HELD_BYTES = 16 * 1024 * 1024
# Lists that one beat may read; an appliance's next report asks again.
_MOST_LISTS = 256
_MOST_TITLES = 256
# How long the start may wait for what the database kept; it comes in later then.
_RESTORED_WITHIN_S = 5.0
# Appliances taken out of the database before somebody else has a turn: each may hold a thousand packages.
_RESTORED_AT_ONCE = 16
_LISTENED_EVERY_S = 0.5

Result = TypeVar("Result")
logger = logging.getLogger(__name__)


class _Telling(NamedTuple):
    """What is about to be written, and of whom."""

    out: Outgoing
    rows: Sequence[Known]
    held: Sequence[Known]


class Exchange:
    """One replica's part in it."""

    def __init__(
        self,
        fleet: Fleet,
        catalog: Catalog,
        database: Database,
        clock: Callable[[], float],
        *,
        hear: Callable[[Stored], None],
    ) -> None:
        """`hear` takes in what another replica heard; `clock` is the fleet's."""
        self._fleet, self._catalog, self._database = fleet, catalog, database
        self._clock, self._hear = clock, hear
        self._thread = _Thread("database")
        self._replicas = Replicas(secrets.token_hex(8))
        self._written = Written()
        self._number = 0
        self._noted: set[str] = set()
        self._identity = ""
        self._ahead_s = 0.0  # the database's clock less ours
        self._read_at = self._clock()
        self._is_restored = False
        self._failure = ""
        self._first: asyncio.Task[None] | None = None  # the beat that fills fleet and catalog

    @property
    def trouble(self) -> str:
        """Why what others hear does not come here, and what is heard here is not kept; empty if all is well."""
        late_s = self._clock() - self._read_at
        if not self._failure and late_s > SLOW_AFTER_S:
            return f"database: no answer for {show_duration(round(late_s))}"
        return self._failure

    @property
    def replicas(self) -> int:
        """How many are alive, as far as it is known here."""
        return self._replicas.living(self._clock())

    def memory(self) -> list[Heard]:
        """All that is known of the fleet but what it holds, which is long."""
        now = self._clock()
        return [self._replicas.recall(known, now, now + self._ahead_s) for known in self._fleet.known().values()]

    async def remember(self, recall: Callable[[], Awaitable[Sequence[Heard]]]) -> None:
        """Takes over another worker's memory, if the database had none: appliances may go on reporting to that one."""
        if self._is_restored:
            return
        now = self._clock()
        for number, heard in enumerate(await recall()):
            name = heard.report.name
            if self._fleet.known_of(name) is None:
                self._replicas.remember(name, heard.report.url, heard.since)
                self._take(heard, now - heard.age_s)
            if number % CHUNK == 0:
                await asyncio.sleep(0)

    def note(self, name: str) -> None:
        """The appliance reported here; the others will be told."""
        self._noted.add(name)

    async def start(self) -> None:
        """Fills fleet and catalog with what the database kept, or goes on with that behind the requests."""
        self._first = asyncio.create_task(self.beat())
        await asyncio.wait([self._first], timeout=_RESTORED_WITHIN_S)

    async def follow(self) -> None:
        """Exchanges for ever."""
        if self._first is not None:
            await self._first
        while True:
            await asyncio.sleep(EXCHANGE_EVERY_S)
            await self.beat()

    async def listen(self) -> None:
        """Tells the fleet for ever whether the other replicas are heard: also while the database says nothing."""
        while True:
            now = self._clock()
            seen = self._fleet.seen(now)
            unheard = (seen.get(name) for name in self._replicas.unheard(now))
            is_missed = any(one is not None and one.health is not Health.LOST for one in unheard)
            is_late = now - self._read_at > ALIVE_FOR_S
            self._fleet.hear_replicas(not (self._failure or is_late or is_missed), now)
            self._fleet.replicas = self._replicas.living(now)
            await asyncio.sleep(_LISTENED_EVERY_S)

    async def close(self) -> None:
        """Tells what is left, if the database is there to hear it."""
        if self._first is not None:
            self._first.cancel()
            await asyncio.gather(self._first, return_exceptions=True)
        if (self._noted or self._catalog.unsaved(1)) and not self.trouble:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RESTORED_WITHIN_S):
                    await self.beat()
        if not self._thread.is_busy:  # else a statement of its is under way, and ends with the process
            self._database.close()
        self._thread.close()

    async def beat(self) -> None:
        """Tells what was heard here since the last time, and takes in what the others tell."""
        names, self._noted = self._noted, set()
        try:
            await self._restore()
            telling = await self._tell(names)
            asked_at = self._clock()
            incoming = await self._thread.run(self._database.exchange, telling.out, self._replicas.seen())
            self._told(telling, incoming, asked_at)
            await self._take_in(incoming)
            self._read_at = asked_at
            await self._keep_titles()
        except DatabaseError as error:
            self._noted |= names
            self._say(str(error))
        except asyncio.CancelledError:
            self._noted |= names
            raise
        except Exception:
            # A fault of ours must not end the exchange: a report that meets it is another by the next beat.
            self._noted |= names
            if not self._failure:
                logger.exception("the exchange with the other replicas met a fault")
            self._say("database: the exchange met a fault of ours; the log says more")
        else:
            self._say("")

    async def _restore(self) -> None:
        if self._is_restored:
            return
        kept, now = await self._thread.run(self._database.load), self._clock()
        for slice_ in _sliced(kept, _RESTORED_AT_ONCE):
            for one in slice_:
                self._replicas.remember(one.report.name, one.report.url, one.since)
                self._written.wrote_held(one.report.name, one.held_version, now)
            self._fleet.restore((Stored(*one[:4]) for one in slice_), now)
            await asyncio.sleep(0)
        await self._catalog.restore(await self._thread.run(self._database.load_titles))
        self._is_restored = True

    async def _tell(self, names: Iterable[str]) -> _Telling:
        """The batch of what was heard here, and those rows that the database lacks."""
        now, made_at = self._clock(), time.monotonic()
        told = [known for name in names if (known := self._fleet.known_of(name)) is not None]
        chunks: list[bytes] = []
        rows: list[tuple[Known, Row]] = []
        for slice_ in _sliced(told, CHUNK):
            heard = [self._replicas.tell(known, now, now + self._ahead_s) for known in slice_]
            chunks.append(msgspec.msgpack.encode(heard))
            for known, said in zip(slice_, heard, strict=True):
                if len(rows) < _MOST_ROWS and self._written.lacks(known, now):
                    # Paths are learned when they are heard, and not from a memory.
                    report = msgspec.msgpack.encode(msgspec.structs.replace(known.report, paths={}))
                    rows.append((known, Row(known.report.name, said.age_s, said.since, report)))
            await asyncio.sleep(0)
        held = await self._lists(told, now)
        self._number += 1
        batch = await self._thread.run(zlib.compress, msgspec.msgpack.encode(chunks), 1)
        out = Outgoing(
            self._replicas.own, self._number, made_at, batch, [row for _, row in rows], [row for _, row in held]
        )
        return _Telling(out, [known for known, _ in rows], [known for known, _ in held])

    async def _lists(self, told: Iterable[Known], now: float) -> list[tuple[Known, HeldRow]]:
        """Of what appliances hold, the lists that the database lacks; the rest waits for the next report."""
        lists: list[tuple[Known, HeldRow]] = []
        size = 0
        for known in told:
            if self._written.lacks_held(known, now):
                files = msgspec.msgpack.encode(known.held)
                lists.append((known, HeldRow(known.report.name, known.held_version, files)))
                size += len(files)
                if size >= _MOST_HELD_BYTES:
                    break
                await asyncio.sleep(0)
        return lists

    def _told(self, telling: _Telling, incoming: Incoming, now: float) -> None:
        """It is written, unless that was the first that a database heard of us."""
        self._ahead_s = incoming.now - (self._clock() - (time.monotonic() - incoming.read_at))
        if self._identity and incoming.identity != self._identity:
            self._catalog.save_all()
            self._written.forget()
        self._identity = incoming.identity
        for one in telling.rows:
            self._written.wrote(one, now)
        for one in telling.held:
            self._written.wrote_held(one.report.name, one.held_version, now)

    async def _take_in(self, incoming: Incoming) -> None:
        waiting: list[tuple[Heard, float]] = []
        for batch in incoming.batches:
            read_at = self._clock() - (time.monotonic() - incoming.read_at)
            told_at = read_at - self._replicas.lay(batch.replica, batch.age_s, self._read_at, read_at)
            try:
                chunks = msgspec.msgpack.decode(await self._thread.run(zlib.decompress, batch.heard), type=list[bytes])
                for chunk in chunks:
                    waiting += self._take_chunk(msgspec.msgpack.decode(chunk, type=list[Heard]), batch.replica, told_at)
                    await asyncio.sleep(0)
            except (zlib.error, msgspec.DecodeError) as error:
                logger.warning("what a replica tells cannot be read", extra={"reason": str(error)})
            self._replicas.note(batch.replica, batch.number, told_at)
        await self._take_with_lists(waiting)
        self._replicas.forget_the_gone(self._clock())

    def _take_chunk(self, chunk: Sequence[Heard], replica: str, told_at: float) -> list[tuple[Heard, float]]:
        """Takes in what is news; returns those, with the time they were heard, of which another list must be read."""
        seen = self._fleet.seen(self._clock())
        waiting = []
        for heard in chunk:
            name, heard_at = heard.report.name, told_at - heard.age_s
            known = self._fleet.known_of(name)
            is_lost = known is not None and seen[name].health is Health.LOST
            if not self._replicas.takes(heard, replica, known, heard_at, is_lost=is_lost):
                continue
            if heard.report.held_version != (known.held_version if known is not None else ""):
                waiting.append((heard, heard_at))
            else:
                self._take(heard, heard_at)
        return waiting

    async def _take_with_lists(self, waiting: Sequence[tuple[Heard, float]]) -> None:
        versions = {heard.report.name: heard.report.held_version for heard, _ in waiting[:_MOST_LISTS]}
        lists = await self._thread.run(self._database.held, versions) if versions else {}
        for number, (heard, heard_at) in enumerate(waiting):
            name, version = heard.report.name, heard.report.held_version
            files = lists.get(name)  # none: it is not written yet, and what was known goes on
            if files is not None:
                self._written.wrote_held(name, version, self._clock())
            self._take(heard, heard_at, (decode_held(files), version) if files is not None else None)
            if files is not None or number % CHUNK == 0:
                await asyncio.sleep(0)

    def _take(self, heard: Heard, heard_at: float, told: tuple[Held, str] | None = None) -> None:
        """`told`: what it holds, with the version of that; as it is known, if there is nothing new."""
        now, name = self._clock(), heard.report.name
        known = self._fleet.known_of(name)
        held, version = told or ((known.held, known.held_version) if known is not None else ({}, ""))
        # Replicas settled whose the name is, by one clock; the fleet, which goes by ours, need not judge again.
        moves = known is not None and known.report.url != heard.report.url
        held_for_s = self._fleet.held_for_s(name, now) + 1.0 if moves else 0.0
        self._hear(Stored(heard.report, held, version, max(0.0, now - heard_at), held_for_s))

    async def _keep_titles(self) -> None:
        changes = self._catalog.unsaved(_MOST_TITLES)
        if changes is not None:
            await self._thread.run(self._database.save_titles, changes.changed, changes.gone)
            self._catalog.saved(changes)

    def _say(self, failure: str) -> None:
        if failure and not self._failure:
            logger.warning("the fleet is not kept; steering goes on from memory", extra={"reason": failure})
        elif self._failure and not failure:
            logger.info("the fleet is kept again")
        self._failure = failure


class _Thread:
    """One thread that waits for the database, one call at a time.

    A daemon, unlike asyncio's own: a server that stopped answering must not keep the process from ending.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._under_way = 0
        threading.Thread(target=self._work, name=name, daemon=True).start()

    @property
    def is_busy(self) -> bool:
        return self._under_way > 0

    async def run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """The function's result, or what it raised."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()

        def call() -> None:
            try:
                result = function(*arguments)
            except BaseException as error:
                self._settle(loop, future, None, error)
            else:
                self._settle(loop, future, result, None)

        self._under_way += 1
        self._calls.put(call)
        return await future

    def close(self) -> None:
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()

    def _settle(
        self, loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], result: Any, error: BaseException | None
    ) -> None:
        def settle() -> None:
            self._under_way -= 1
            if future.cancelled():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle)


def _sliced(values: Sequence[Result], size: int) -> Iterable[Sequence[Result]]:
    return (values[start : start + size] for start in range(0, len(values), size))
