"""Gets the blocks that are wanted right, each once however many want it, and passes bytes on as they land.

A *flight* is one file some of whose blocks are wanted. It has one task for each block under way, which makes the block
*right*: reads and digests what the disk has, or, where it has nothing or nothing right, fetches it. Its watchers are
told whenever more may be sent. A watcher is one answer under way (a miss: bytes [first, end), now) or one fill (the
whole file, in its own time).

A watcher may send what has landed, or what the disk claims to have, before the block's digest is known, but not the
last byte of its answer: that waits until every block under the answer is right. So nobody ever receives a wrong answer
whole, and nobody waits for a whole block to see its first bytes. If the block is wrong after all, all who were told of
it are cut, and the block is fetched, because somebody wanted it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from cachetools import LRUCache

from encoder import package as packages
from encoder.errors import PackageError
from encoder.package import MANIFEST_NAME, Package, StoredFile
from oca.errors import NotHeld, OcaError, SpaceError, UpstreamError, VolumeFailed
from oca.miss.door import Priority
from oca.miss.landing import Landing, Take
from oca.miss.reception import PIECE_BYTES, Pace, Reception
from oca.miss.upstream import Attempts, Source, Upstreams
from oca.store.blocks import State
from oca.store.inventory import FileKey
from oca.store.volumes import OpenFile, Volumes

logger = logging.getLogger(__name__)

# Blocks fetched at once for one answer: the next one is on its way while this one is sent.
_READ_AHEAD = 2
# Blocks fetched at once for one fill: some are digested, some are written, some are on their way. With 3, two cores had
# nothing to do for a quarter of the time (nearcast bench fill --only transfer). Beside players more would only compete.
_FILL_AHEAD, _YIELDING_AHEAD = 6, 2
# Longer than any worker takes to open the file that it was told of, so that none finds another file by its inode; and
# whoever plays on asks again within this time.
_LINGER_S = 5.0
_LARGEST_MANIFEST = 64 * 1024 * 1024
# An unknown package is asked for upstream at most this often: a wrong link in the wild must not become load there.
_UNKNOWN_FOR_S = 5.0
# Digests of the blocks of some 400 long films.
_MOST_TABLE_BYTES = 64 * 1024 * 1024
# A digest in hex is a str of 113 bytes and a place in a tuple; what else a file costs is about this much.
_DIGEST_BYTES = 121
_FILE_BYTES = 400

_ALL_BLOCKS = -1  # of messages.Rotten

# The files of one package, by name.
Table: TypeAlias = dict[str, StoredFile]
Rotten = Callable[[FileKey, int], None]
# What became of a block that was looked at: it was right; wrong, and is right again; wrong, and nobody who answers has
# it right (the file was dropped), or nobody answers (it will be asked for again); or there was nothing to look at.
Checked = Literal["right", "repaired", "dropped", "missing", "absent"]


class Watcher:
    """Wants bytes [first, end) of a file; `tell(upto)` whenever [first, upto) may be sent.

    A spoiled watcher was told of bytes that turned out wrong: its answer must never become whole.
    """

    __slots__ = ("_told", "end", "first", "spoiled", "tell")

    def __init__(self, first: int, end: int, tell: Callable[[int], None]) -> None:
        self.first, self.end, self.tell = first, end, tell
        self.spoiled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._told = first

    def notice(self, upto: int) -> None:
        if upto > self._told and not self.spoiled.done():
            self._told = upto
            self.tell(upto)

    def spoil(self, wrong_from: int, wrong_to: int) -> None:
        """Bytes [wrong_from, wrong_to) were wrong."""
        if self._told > max(wrong_from, self.first) and self.first < wrong_to and not self.spoiled.done():
            self.spoiled.set_result(None)


class Place(NamedTuple):
    """Where a file's bytes are: `verified` has one byte a block, `hit` says that none of those asked for is missing."""

    path: Path
    inode: int
    verified: bytes | bytearray
    hit: bool


class Pacing(NamedTuple):
    """What fills go by; asked in any thread.

    `pace` hears of each piece that a fill brought, and says for how many seconds it is to wait (of 0 bytes: how many
    more); `yields` says whether there are players to yield to; pieces of `piece_bytes` are worth a turn.
    """

    pace: Pace
    yields: Callable[[], bool]
    piece_bytes: Callable[[], int]


UNPACED = Pacing(lambda count: 0.0, lambda: False, lambda: PIECE_BYTES)


class _Errand(NamedTuple):
    """How blocks are to be had: from whom, how urgently, how many at once, and whether the disk's are surely wrong.

    The first `equals` sources are as good as each other.
    """

    sources: Sequence[Source]
    priority: Priority
    ahead: int
    is_wrong: bool = False
    equals: int = 1


class _Flight:
    """One file some of whose blocks are wanted. Its users are watchers, fills, and tasks of blocks."""

    def __init__(self, key: FileKey, opening: asyncio.Task[OpenFile]) -> None:
        self.key = key
        self.opening = opening
        self.landed: dict[int, int] = {}  # block under way -> end of what has landed of it
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.givers: dict[int, str] = {}  # block -> URL of who gave the end of it
        self.watchers: set[Watcher] = set()
        self.users = 0
        self.was_told_of = False
        self.landing: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        return self.opening.done() and not self.opening.cancelled() and self.opening.exception() is None

    @property
    def opened(self) -> OpenFile:
        return self.opening.result()

    def count(self, change: int) -> None:
        self.users += change
        if self.is_open:
            self.opened.users = self.users

    def sendable(self, watcher: Watcher) -> int:
        """How far the watcher's bytes may be sent."""
        opened = self.opened
        position, is_right = watcher.first, True
        for block in packages.blocks_of(watcher.first, watcher.end - watcher.first):
            _, end = packages.block_range(block, opened.file.size)
            is_right = is_right and bool(opened.right[block])
            if not opened.has[block]:
                position = max(position, min(self.landed.get(block, 0), watcher.end))
                break
            position = min(end, watcher.end)
        return position if is_right else min(position, watcher.end - 1)

    def notice(self) -> None:
        for watcher in self.watchers:
            watcher.notice(self.sendable(watcher))


class Fetcher:
    """The one place in an appliance that asks upstreams for content.

    `sources` are the appliance's own, in order; a fill may bring others. `rotten` hears of each block that was held and
    is wrong, before anything else is done about it; `pacing` is what fills go by.
    """

    def __init__(
        self,
        volumes: Volumes,
        upstreams: Upstreams,
        sources: Sequence[Source],
        rotten: Rotten = lambda key, block: None,
        pacing: Pacing = UNPACED,
    ) -> None:
        self._volumes = volumes
        self._upstreams = upstreams
        self._sources = tuple(sources)
        self._rotten = rotten
        self._pacing = pacing
        self._flights: dict[FileKey, _Flight] = {}
        self._settling: set[asyncio.Task[None]] = set()
        self._tables: LRUCache[tuple[str, str], Table] = LRUCache(maxsize=_MOST_TABLE_BYTES, getsizeof=_table_bytes)
        self._loading: dict[tuple[str, str, bool], asyncio.Task[Package]] = {}
        self._unknown: LRUCache[tuple[str, str], float] = LRUCache(maxsize=65536)
        self._is_closing = False
        self.verified_bytes = 0  # read from disk and found right
        self.rotten_blocks: Counter[str] = Counter()  # by what became of them: repaired, dropped, missing
        volumes.gone.append(self._forget)
        volumes.written.append(self._distrust)

    def use(self, sources: Sequence[Source]) -> None:
        """Asks these from now on."""
        self._sources = tuple(sources)

    async def close(self) -> None:
        """Stops every fetch; verified blocks stay."""
        if self._is_closing:
            return
        self._is_closing = True
        self._volumes.gone.remove(self._forget)
        self._volumes.written.remove(self._distrust)
        flights = list(self._flights.values())
        tasks: list[asyncio.Task[Any]] = [
            *(task for flight in flights for task in flight.tasks.values()),
            *self._loading.values(),
        ]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *(flight.opening for flight in flights), return_exceptions=True)
        await asyncio.gather(*self._settling, return_exceptions=True)
        for flight in list(self._flights.values()):
            self._land(flight)  # not left to those who watched: they may never be scheduled again

    # Packages

    async def table(
        self, title: str, package: str, sources: Sequence[Source] | None = None, *, cached_only: bool = False
    ) -> Table:
        """The package's files, its manifest fetched if need be.

        Raises NotHeld (404: no upstream knows it; 504: it may not be fetched) or UpstreamError.
        """
        name = (title, package)
        table = self._tables.get(name)
        if table is None or not self._volumes.holds(FileKey(title, package, MANIFEST_NAME)):
            try:
                decoded = await self._load(name, None)
            except NotHeld:
                if cached_only:
                    raise NotHeld(f"{title}/{package} is not held here", status=504) from None
                decoded = await self._load(name, self._sources if sources is None else sources)
            table = {file.name: file for file in decoded.files}
            with suppress(ValueError):  # larger than all the room that there is for tables
                self._tables[name] = table
        return table

    async def _file(
        self, key: FileKey, sources: Sequence[Source] | None = None, *, cached_only: bool = False
    ) -> StoredFile:
        table = await self.table(key.title, key.package, sources, cached_only=cached_only)
        if key.file not in table:
            raise NotHeld(f"{key.package_key} has no file {key.file!r}", status=404)
        return table[key.file]

    async def _load(self, name: tuple[str, str], sources: Sequence[Source] | None) -> Package:
        """From our volumes (None) or from sources: once however many ask at the same time."""
        title, package = name
        request = (title, package, sources is None)
        task = self._loading.get(request)
        if task is None:
            work = self._volumes.manifest(title, package) if sources is None else self._fetch_manifest(name, sources)
            task = self._loading[request] = asyncio.create_task(work)
            task.add_done_callback(lambda _: self._loading.pop(request, None))
            task.add_done_callback(_retrieve)
        return await asyncio.shield(task)

    async def _fetch_manifest(self, name: tuple[str, str], sources: Sequence[Source]) -> Package:
        title, package = name
        now = asyncio.get_running_loop().time()
        if self._unknown.get(name, 0.0) > now:
            raise NotHeld(f"no upstream knows package {title}/{package}", status=404)
        failure: OcaError = UpstreamError(f"{title}/{package} is not here, and there is nobody to ask", status=404)
        unknown = True
        attempts = self._upstreams.attempts(sources)
        async for source in attempts:
            try:
                path = f"/v1/{title}/{package}/{MANIFEST_NAME}"
                data = await attempts.read_whole(path, _LARGEST_MANIFEST)
                return await self._volumes.store_manifest(title, package, data)
            except PackageError as error:
                failure = UpstreamError(f"{source.url}: {error}", status=502)
                unknown = False
                self._upstreams.rest(source, "wrong manifest")
            except UpstreamError as error:
                failure = error
                unknown = unknown and (error.status == 404 or source.cached_only)
        if unknown:
            self._unknown[name] = now + _UNKNOWN_FOR_S
            raise NotHeld(f"no upstream knows package {title}/{package}", status=404) from failure
        raise failure

    async def _manifest_place(self, key: FileKey, *, cached_only: bool) -> Place:
        """A copy of the manifest that was found right just now, fetched if need be."""
        for attempt in (1, 2):
            hit = self._volumes.holds(key)
            await self.table(key.title, key.package, cached_only=cached_only)
            try:
                path, inode = await self._volumes.manifest_place(key.title, key.package)
                blocks = len(packages.blocks_of(0, path.stat().st_size))
            except (NotHeld, FileNotFoundError):  # it has rotted, or somebody took it off the disk
                if attempt == 2:
                    raise
            else:
                return Place(path, inode, b"\1" * blocks, hit)
        raise AssertionError

    # Files

    async def watch(
        self,
        key: FileKey,
        first: int,
        end: int,
        located: Callable[[Place], None],
        tell: Callable[[int], None],
        *,
        cached_only: bool = False,
    ) -> None:
        """A miss: makes bytes [first, end) of a file sendable, told through `tell` as they land; ends when all are.

        `located` hears once where the bytes are read from. With `cached_only` nothing is fetched that is not on the
        disk. Raises NotHeld, UpstreamError, SpaceError (503 here: it is no fault of who asked) or VolumeFailed.
        """
        if key.file == MANIFEST_NAME:
            located(await self._manifest_place(key, cached_only=cached_only))
            tell(end)
            return
        file = await self._file(key, cached_only=cached_only)
        if cached_only and self._volumes.entry(key) is None:
            raise _not_held(key)
        if first == end:  # only whether it is there
            hit = self._volumes.holds(key)
            if cached_only and not hit:
                raise _not_held(key)
            located(Place(Path(), 0, b"", hit))
            tell(end)
            return
        try:
            flight = await self._board(key, file)
        except VolumeFailed:
            flight = await self._board(key, file)  # on another volume, if there is one
        except SpaceError as error:
            raise SpaceError(str(error), status=503) from error
        watcher = Watcher(first, end, tell)
        flight.watchers.add(watcher)
        try:
            opened = flight.opened
            blocks = packages.blocks_of(first, end - first)
            hit = all(opened.has[block] for block in blocks)
            if cached_only and not hit:
                raise _not_held(key)
            flight.was_told_of = True
            located(Place(opened.path, opened.inode, opened.right, hit))
            watcher.notice(flight.sendable(watcher))
            while True:
                try:
                    await self._fetch_unless_spoiled(flight, watcher, blocks)
                except SpaceError as error:
                    raise SpaceError(str(error), status=503) from error
                if all(opened.right[block] for block in blocks):
                    break  # or one was found wrong again, while another was fetched
            watcher.notice(end)
        finally:
            flight.watchers.discard(watcher)
            self._leave(flight)

    async def _fetch_unless_spoiled(self, flight: _Flight, watcher: Watcher, blocks: Sequence[int]) -> None:
        fetching = asyncio.ensure_future(
            self._fetch(flight, blocks, _Errand(self._sources, Priority.MISS, _READ_AHEAD))
        )
        try:
            await asyncio.wait([fetching, watcher.spoiled], return_when=asyncio.FIRST_COMPLETED)
            if watcher.spoiled.done():
                why = f"wrong bytes of {flight.key.file} of {flight.key.package_key} were on their way"
                raise flight.opened.failure or UpstreamError(why, status=502)
            fetching.result()
        finally:
            fetching.cancel()
            fetching.add_done_callback(_retrieve)

    async def fill(
        self, key: FileKey, sources: Sequence[Source], moved: Callable[[int, int, str], None], equals: int = 1
    ) -> None:
        """Holds a file whole and safe on disk, as the plan asks; `moved(done, size, source URL)` with each block.

        The URL is empty of blocks that were there. Raises as `watch` does, SpaceError as 507.
        """
        sources = sources or self._sources
        if key.file == MANIFEST_NAME:
            await self.table(key.title, key.package, sources)
            return
        file = await self._file(key, sources)
        flight = await self._board(key, file)
        try:
            opened = flight.opened
            await self._volumes.plan(opened)
            missing = [] if opened.is_whole else [block for block, right in enumerate(opened.right) if not right]
            done = file.size - _bytes_of(file, missing)
            moved(done, file.size, "")

            def tell(block: int) -> None:
                nonlocal done
                done += _bytes_of(file, [block])
                moved(done, file.size, flight.givers.get(block, ""))

            await self._fetch(flight, missing, _Errand(sources, Priority.FILL, _FILL_AHEAD, equals=equals), tell)
            await self._volumes.commit(opened)
            if not self._volumes.holds(key):
                raise opened.failure or UpstreamError(
                    f"{key.file} of {key.package_key} rots as it is filled", status=503
                )
        finally:
            self._leave(flight)

    async def drop(self, key: FileKey) -> bool:
        """Forgets a file at once; fetches of it that are under way fail. False if it was not held."""
        self._tables.pop((key.title, key.package), None)
        return await self._volumes.drop(key)

    async def check(self, key: FileKey, block: int, *, on_disk: bool = True) -> Checked:
        """Reads a block that should be held, and has it repaired if it is wrong. Raises OcaError."""
        file = await self._file(key, cached_only=True)
        if self._volumes.entry(key) is None or block >= len(file.blocks):
            return "absent"
        flight = await self._board(key, file)
        try:
            opened = flight.opened
            if not opened.has[block] or block in flight.tasks:
                return "absent"  # it is being fetched, and looked at then
            state = await self._state(opened, block, on_disk=on_disk)
            if state == "right" and opened.has[block]:
                self._found_right(flight, block)
                return "right"
            if not opened.has[block] or opened.failure is not None:
                return "absent"
            await self._fetch(flight, [block], _Errand(self._sources, Priority.FILL, 1, is_wrong=True))
            return "repaired"
        except UpstreamError as error:
            return "dropped" if error.is_final else "missing"
        finally:
            self._leave(flight)

    async def check_manifest(self, title: str, package: str) -> Checked:
        """The same of a package's manifest, wherever there are copies of it."""
        if not self._volumes.inventory.manifests(f"{title}/{package}"):
            return "absent"
        if await self._volumes.check_manifests(title, package):
            return "right"
        self._tables.pop((title, package), None)
        try:
            await self.table(title, package)  # from another volume, or from upstream
        except (NotHeld, UpstreamError) as error:
            logger.error("a manifest has rotted, and it cannot be fetched", extra={"why": str(error)})
            self.rotten_blocks["missing"] += 1
            return "missing"
        self.rotten_blocks["repaired"] += 1
        return "repaired"

    async def suspect(self, key: FileKey, block: int) -> None:
        """Somebody could not read this block of a file that is held: looks at it, and at whether the file is there."""
        flight = self._flights.get(key)
        if flight is not None and flight.is_open:
            await self._drop_if_taken_away(flight)
        await self.check(key, block, on_disk=False)

    # Flights

    async def _board(self, key: FileKey, file: StoredFile) -> _Flight:
        """Opens the file, or joins those who have. Raises SpaceError, VolumeFailed."""
        flight = self._flights.get(key)
        if flight is not None and flight.landing is not None:
            await self._drop_if_taken_away(flight)
            flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(key, asyncio.create_task(self._volumes.open(key, file)))
            flight.opening.add_done_callback(partial(self._note_opening, flight))
        if flight.landing is not None:
            flight.landing.cancel()
            flight.landing = None
        flight.count(+1)
        try:
            await asyncio.shield(flight.opening)
            flight.count(0)
        except BaseException:
            self._leave(flight)
            raise
        return flight

    async def _drop_if_taken_away(self, flight: _Flight) -> None:
        in_place = await flight.opened.is_in_place()
        if not in_place and self._flights.get(flight.key) is flight:
            why = f"{flight.key.file} of {flight.key.package_key} is gone from the disk"
            await self._volumes.drop(flight.key, NotHeld(why, status=404))

    def _note_opening(self, flight: _Flight, opening: asyncio.Task[OpenFile]) -> None:
        """Whoever boards after a failure tries anew."""
        if not flight.is_open:
            self._flights.pop(flight.key, None)

    def _leave(self, flight: _Flight) -> None:
        """The last to leave has the flight settled, in a task of its own: whoever leaves may have been cancelled."""
        flight.count(-1)
        if not flight.users:
            task = asyncio.create_task(self._settle(flight))
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)
            task.add_done_callback(_retrieve)

    async def _settle(self, flight: _Flight) -> None:
        """Gives a whole file its name, and closes the flight unless somebody boards."""
        await asyncio.wait([flight.opening])
        if not flight.is_open:
            return
        opened = flight.opened
        if not opened.is_whole and all(opened.has):
            flight.count(+1)
            # Blocks of an earlier run that nobody asked for in this one.
            unknown = [block for block, right in enumerate(opened.right) if not right]
            with suppress(OcaError, OSError):
                await self._fetch(flight, unknown, _Errand(self._sources, Priority.FILL, 1))
                await self._volumes.commit(opened)
            flight.count(-1)
        if flight.users or self._flights.get(flight.key) is not flight:
            return
        if flight.landing is not None:  # of a settling before this one: it must not close what is boarded later
            flight.landing.cancel()
        if flight.was_told_of and not self._is_closing:
            flight.landing = asyncio.get_running_loop().call_later(_LINGER_S, self._land, flight)
        else:
            self._land(flight)

    def _land(self, flight: _Flight) -> None:
        if self._flights.get(flight.key) is flight:
            self._flights.pop(flight.key, None)
        if flight.landing is not None:
            flight.landing.cancel()
        if flight.is_open:
            self._volumes.close_file(flight.opened)

    def _forget(self, key: FileKey, why: OcaError) -> None:
        """The file is gone: whoever waits for its blocks hears why."""
        flight = self._flights.get(key)
        if flight is None or not flight.is_open:
            return
        del self._flights[key]
        for task in flight.tasks.values():
            task.cancel()
        # Its inode stays taken for a while: a worker that opens the path late must not find another file by it.
        asyncio.get_running_loop().call_later(_LINGER_S, flight.opened.blocks.close)

    def _distrust(self, key: FileKey) -> None:
        """Somebody else wrote to the file: who was told of any of it is cut, and who asks next has it looked at."""
        flight = self._flights.get(key)
        if flight is not None and flight.is_open:
            for watcher in flight.watchers:
                watcher.spoil(0, flight.opened.file.size)
        self._rotten(key, _ALL_BLOCKS)

    # Blocks

    async def _fetch(
        self,
        flight: _Flight,
        blocks: Sequence[int],
        errand: _Errand,
        done: Callable[[int], None] = lambda block: None,
    ) -> None:
        """Waits until all these blocks are right. Raises the first failure."""
        under_way: dict[asyncio.Task[None], int] = {}
        for block in blocks:
            if not errand.is_wrong and flight.opened.right[block]:
                done(block)
                continue
            while len(under_way) >= self._ahead(errand):
                await self._reap(flight, under_way, errand, done)
            under_way[self._block_task(flight, block, errand)] = block
        while under_way:
            await self._reap(flight, under_way, errand, done)

    def _ahead(self, errand: _Errand) -> int:
        """Blocks to fetch at once."""
        is_to_yield = errand.priority is Priority.FILL and self._pacing.yields()
        return min(errand.ahead, _YIELDING_AHEAD) if is_to_yield else errand.ahead

    async def _reap(
        self, flight: _Flight, under_way: dict[asyncio.Task[None], int], errand: _Errand, done: Callable[[int], None]
    ) -> None:
        """Waits for the first block, or for any of a fill: one that a slow source has must not hold up the others."""
        tasks = [*under_way] if errand.priority is Priority.FILL else [next(iter(under_way))]
        # Not awaited themselves: that one was dropped must not look like our own end.
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            block = under_way.pop(task)
            if task.cancelled():
                raise flight.opened.failure or UpstreamError("the appliance ends", status=503)
            task.result()
            done(block)

    def _block_task(self, flight: _Flight, block: int, errand: _Errand) -> asyncio.Task[None]:
        task = flight.tasks.get(block)
        if task is None:
            if flight.opened.failure is not None:
                raise flight.opened.failure
            flight.count(+1)
            task = flight.tasks[block] = asyncio.create_task(self._make_right(flight, block, errand))
            # Whoever wants the block hears of its failure; if all have gone meanwhile, nobody needs to.
            task.add_done_callback(_retrieve)
        return task

    async def _make_right(self, flight: _Flight, block: int, errand: _Errand) -> None:
        """By what the disk has, or else by the first source that has it right."""
        opened = flight.opened
        try:
            if opened.has[block]:
                state = "wrong" if errand.is_wrong else await self._state(opened, block)
                if state == "right":
                    self._found_right(flight, block)
                else:
                    await self._repair(flight, block, errand, state)
            else:
                await self._fetch_block(flight, block, errand)
            if not opened.is_whole and not opened.is_planned and all(opened.right):
                await self._volumes.commit(opened)
        except BaseException:
            if block in flight.landed:
                # What landed was never found right, and another fetch will not write it again for those who were told:
                # also one who still waits for earlier blocks must not end whole.
                self._spoil(flight, block)
            raise
        finally:
            flight.landed.pop(block, None)
            flight.tasks.pop(block, None)
            self._leave(flight)

    async def _state(self, opened: OpenFile, block: int, *, on_disk: bool = False) -> State:
        """Of the block as it is now: while it was read, somebody else may have written to it."""
        while True:
            times_written = opened.times_written
            state = await (opened.state_on_disk(block) if on_disk else opened.state(block))
            if opened.times_written == times_written:
                return state

    def _found_right(self, flight: _Flight, block: int) -> None:
        first, end = packages.block_range(block, flight.opened.file.size)
        self.verified_bytes += end - first
        flight.opened.right[block] = 1
        flight.notice()

    async def _repair(self, flight: _Flight, block: int, errand: _Errand, state: str) -> None:
        """The disk's block is wrong: nobody gets it from now on, and it is fetched; the rest of the file stays."""
        key = flight.key
        facts = {"file": f"{key.package_key}/{key.file}", "block": block, "volume": str(flight.opened.volume.root)}
        logger.error(f"a block of what is held is {state}", extra=facts)
        flight.opened.right[block] = flight.opened.has[block] = 0
        self._spoil(flight, block)
        self._rotten(key, block)
        await self._volumes.refute(flight.opened, block)
        try:
            await self._fetch_block(flight, block, errand)
        except UpstreamError as error:
            self.rotten_blocks["dropped" if error.is_final else "missing"] += 1
            what = "nobody has it right, the file is dropped" if error.is_final else "it cannot be fetched for now"
            logger.error(what, extra={**facts, "why": str(error)})
            if error.is_final:
                # In a task of its own: a drop ends all tasks of blocks, and this is one of them.
                self._settling.add(task := asyncio.create_task(self._lose(key)))
                task.add_done_callback(self._settling.discard)
            raise
        self.rotten_blocks["repaired"] += 1
        logger.warning("it was fetched again and is right", extra=facts)

    async def _lose(self, key: FileKey) -> None:
        why = f"{key.file} of {key.package_key} has rotted, and nobody has it right"
        await self._volumes.drop(key, NotHeld(why, status=404))

    def _spoil(self, flight: _Flight, block: int) -> None:
        first, end = packages.block_range(block, flight.opened.file.size)
        for watcher in flight.watchers:
            watcher.spoil(first, end)

    async def _fetch_block(self, flight: _Flight, block: int, errand: _Errand) -> None:
        """One block from the first source that has it right, going on at the next one where the last broke off.

        The failure is final where the origin answers, and has no such thing or has it wrong. Peers may come and go.
        """
        opened = flight.opened
        _, end = packages.block_range(block, opened.file.size)
        path = f"/v1/{flight.key.title}/{flight.key.package}/{flight.key.file}"
        failure = UpstreamError(f"{path} is not held whole, and there is nobody to ask", status=503)
        lacking: dict[Source, bool] = {}  # of each origin, whether it certainly lacks the block
        landing = self._landing(flight, block)
        givers: list[Source] = []
        attempts = self._upstreams.attempts(errand.sources, errand.priority, errand.equals)
        is_fill = errand.priority is Priority.FILL
        try:
            async for source in attempts:
                givers.append(source)
                try:
                    yields = is_fill and not flight.watchers and self._pacing.yields()
                    if attempts.is_plain and opened.volume.can_receive(yields=yields):
                        receive = partial(self._receive, flight, attempts, path, landing, end, is_fill, yields)
                        await landing.receive(receive, lambda: bool(flight.watchers) or not is_fill)
                    else:
                        async with aclosing(attempts.read(path, landing.position, end)) as pieces:
                            async for piece in pieces:
                                await landing.add(piece)
                                if is_fill and not flight.watchers and (wait_s := self._pacing.pace(len(piece))) > 0:
                                    await asyncio.sleep(wait_s)
                except UpstreamError as error:
                    failure = error
                    if not source.cached_only:
                        lacking[source] = error.status == 404
                    if landing.position < end:  # or it failed after the last byte, and that may be right
                        continue
                if await landing.digest() == opened.file.blocks[block]:
                    await opened.mark(block)
                    flight.givers[block] = source.url
                    flight.notice()
                    if is_fill and not flight.watchers and opened.blocks.is_in_memory(block):
                        await opened.let_go(block)
                    return
                failure = UpstreamError(f"{path}: block {block} has another digest than the package says", status=502)
                for giver in givers:
                    self._upstreams.rest(giver, f"wrong bytes in block {block} of {path}")
                if not source.cached_only:
                    lacking[source] = True
                flight.landed.pop(block, None)  # nobody may be told of those bytes
                self._spoil(flight, block)
                landing = self._landing(flight, block)
                givers = []
        finally:
            await landing.close()
        failure.is_final = bool(lacking) and all(lacking.values())
        raise failure

    async def _receive(
        self,
        flight: _Flight,
        attempts: Attempts,
        path: str,
        landing: Landing,
        end: int,
        is_fill: bool,
        yields: bool,
        take: Take,
    ) -> None:
        """Bytes from where the landing is, in a thread. Raises UpstreamError, and what `take` raises."""
        loop = asyncio.get_running_loop()

        def pace(count: int) -> float:
            return 0.0 if flight.watchers else self._pacing.pace(count)

        async def run(reception: Reception, length: int, least_bytes_s: float, note: Callable[[], None]) -> None:
            told = True  # there is nothing yet that the event loop was not told of

            def tell() -> None:
                nonlocal told
                told = True
                note()
                landing.note()

            def take_and_tell(piece: memoryview) -> None:
                nonlocal told
                take(piece)
                if told and (flight.watchers or not is_fill):
                    told = False
                    loop.call_soon_threadsafe(tell)

            work = partial(
                reception.run,
                length,
                take_and_tell,
                pace=pace if is_fill else None,
                least_bytes_s=least_bytes_s,
                piece_bytes=lambda: self._pacing.piece_bytes() if is_fill and not flight.watchers else 0,
            )
            thread = asyncio.create_task(flight.opened.volume.receive(work, yields=yields))
            landing.wait_for(thread)
            try:
                await asyncio.shield(thread)
            except BaseException:  # whoever waited goes, or the volume does, and the thread may still be at work
                reception.stop()
                raise
            tell()

        await attempts.receive(path, landing.position, end, run)

    def _landing(self, flight: _Flight, block: int) -> Landing:
        def landed(position: int) -> None:
            flight.landed[block] = position
            flight.notice()

        first, _ = packages.block_range(block, flight.opened.file.size)
        return Landing(flight.opened, first, landed, partial(self._volumes.shed, flight.opened.volume))


def _not_held(key: FileKey) -> NotHeld:
    return NotHeld(f"{key.file} of {key.package_key} is not held here", status=504)


def _bytes_of(file: StoredFile, blocks: Iterable[int]) -> int:
    return sum(end - first for first, end in (packages.block_range(block, file.size) for block in blocks))


def _table_bytes(table: Table) -> int:
    return sum(_FILE_BYTES + _DIGEST_BYTES * len(file.blocks) for file in table.values())


def _retrieve(task: asyncio.Future[Any]) -> None:
    """Its failure is for whoever waits; if nobody does any more, it is nobody's."""
    if not task.cancelled():
        task.exception()


def sources_of(peers: Sequence[str], origin: str) -> tuple[Source, ...]:
    """Peers in their order, then the origin, which alone may be asked for what it has to fetch."""
    known = tuple(Source(peer.rstrip("/"), cached_only=True) for peer in peers)
    return (*known, Source(origin.rstrip("/"), cached_only=False)) if origin else known
