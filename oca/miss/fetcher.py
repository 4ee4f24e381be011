"""Gets the blocks that are wanted, each once however many want it, and passes bytes on as they land.

A *flight* is one file some of whose blocks are wanted: it owns the partial file, fetches each wanted block in one task,
and tells its watchers whenever more has landed. A watcher is one answer under way (a miss: bytes [first, end), now) or
one fill (the whole file, in its own time).

A watcher may send what has landed before the block's digest is known, but not the last byte of its answer: that waits
until every block under the answer is verified. So nobody ever receives a wrong answer whole, and nobody waits for a
whole block to see its first bytes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, TypeVar

from cachetools import LRUCache

from encoder import package as packages
from encoder.errors import PackageError
from encoder.package import MANIFEST_NAME, Package, PackageIndex, StoredFile
from oca.errors import NotHeld, OcaError, SpaceError, UpstreamError
from oca.miss.upstream import Source, Upstreams
from oca.store.volume import FileKey, Partial, Volume

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

# Blocks fetched at once for one answer: the next one is on its way while this one is sent.
_READ_AHEAD = 2
# Blocks fetched at once for one fill; more would only compete with players for the same link.
_FILL_AHEAD = 2
# Longer than any answer may wait for its first byte, so nobody opens a file by its inode later than this.
_INODE_KEPT_S = 5.0
_LARGEST_MANIFEST = 64 * 1024 * 1024
# An unknown package is asked for upstream at most this often: a wrong link in the wild must not become load there.
_UNKNOWN_FOR_S = 5.0


class Watcher:
    """Wants bytes [first, end) of a file; `tell(upto)` whenever [first, upto) may be sent.

    A spoiled watcher was told of bytes that turned out wrong: its answer must never become whole.
    """

    __slots__ = ("_told", "end", "first", "is_spoiled", "tell")

    def __init__(self, first: int, end: int, tell: Callable[[int], None]) -> None:
        self.first, self.end, self.tell = first, end, tell
        self.is_spoiled = False
        self._told = first

    def notice(self, upto: int) -> None:
        if upto > self._told and not self.is_spoiled:
            self._told = upto
            self.tell(upto)

    def spoil(self, wrong_from: int) -> None:
        """Bytes from here on were wrong."""
        self.is_spoiled = self.is_spoiled or self._told > max(wrong_from, self.first)


class _Flight:
    """One file whose blocks are being fetched."""

    def __init__(self, key: FileKey, partial: Partial) -> None:
        self.key = key
        self.partial = partial
        self.landed: dict[int, int] = {}  # block under way -> end of what has landed of it
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.watchers: set[Watcher] = set()
        self.users = 0
        self.planned = False
        self.is_dropped = False
        self.naming = asyncio.Lock()  # a drop and the commit that gives the file its name take turns

    def sendable(self, watcher: Watcher) -> int:
        """How far the watcher's bytes may be sent."""
        size, have = self.partial.file.size, self.partial.have
        position = watcher.first
        verified = True
        for block in packages.blocks_of(watcher.first, watcher.end - watcher.first):
            _, end = packages.block_range(block, size)
            if have[block]:
                position = min(end, watcher.end)
                continue
            verified = False
            position = max(position, min(self.landed.get(block, 0), watcher.end))
            break
        return position if verified else min(position, watcher.end - 1)

    def notice(self) -> None:
        for watcher in self.watchers:
            watcher.notice(self.sendable(watcher))


class Fetcher:
    """The one place in an appliance that asks upstreams for content.

    `sources` are the appliance's own, in order; a fill may bring others.
    """

    def __init__(self, volume: Volume, upstreams: Upstreams, sources: Sequence[Source]) -> None:
        self._volume = volume
        self._upstreams = upstreams
        self._sources = tuple(sources)
        self._flights: dict[FileKey, _Flight] = {}
        self._settling: set[asyncio.Task[None]] = set()
        self._indexes: LRUCache[tuple[str, str], PackageIndex] = LRUCache(maxsize=1024)
        self._manifests: dict[tuple[str, str], asyncio.Task[Package]] = {}
        self._unknown: LRUCache[tuple[str, str], float] = LRUCache(maxsize=65536)

    async def close(self) -> None:
        """Stops every fetch; verified blocks stay."""
        tasks: list[asyncio.Task[Any]] = [
            *(task for flight in self._flights.values() for task in flight.tasks.values()),
            *self._manifests.values(),
        ]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*self._settling, return_exceptions=True)
        for flight in list(self._flights.values()):
            self._land(flight)  # not left to those who watched: they may never be scheduled again

    # Packages

    async def index(
        self, title: str, package: str, sources: Sequence[Source] | None, *, cached_only: bool
    ) -> PackageIndex:
        """The package's index, its manifest fetched if need be.

        Raises NotHeld (404: no upstream knows it; 504: it may not be fetched) or UpstreamError.
        """
        name = (title, package)
        if name not in self._indexes or not self._volume.holds(FileKey(title, package, MANIFEST_NAME)):
            try:
                decoded = self._volume.manifest(title, package)
            except NotHeld:
                if cached_only:
                    raise NotHeld(f"{title}/{package} is not held here", status=504) from None
                decoded = await self._manifest(name, self._sources if sources is None else sources)
            self._indexes[name] = PackageIndex(decoded)
        return self._indexes[name]

    async def _manifest(self, name: tuple[str, str], sources: Sequence[Source]) -> Package:
        """Fetched once however many ask at the same time."""
        task = self._manifests.get(name)
        if task is None:
            task = self._manifests[name] = asyncio.create_task(self._fetch_manifest(name, sources))
            task.add_done_callback(lambda _: self._manifests.pop(name, None))
        return await asyncio.shield(task)

    async def _fetch_manifest(self, name: tuple[str, str], sources: Sequence[Source]) -> Package:
        title, package = name
        now = asyncio.get_running_loop().time()
        if self._unknown.get(name, 0.0) > now:
            raise NotHeld(f"no upstream knows package {title}/{package}", status=404)
        failure: OcaError = UpstreamError(f"{title}/{package} is not here, and there is nobody to ask", status=404)
        unknown = True
        for source in self._upstreams.order(sources):
            try:
                path = f"/v1/{title}/{package}/{MANIFEST_NAME}"
                data = await self._upstreams.read_whole(source, path, _LARGEST_MANIFEST)
                return self._volume.store_manifest(title, package, data)
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

    # Files

    async def watch(
        self, key: FileKey, first: int, end: int, located: Callable[[Path, int], None], tell: Callable[[int], None]
    ) -> None:
        """A miss: makes bytes [first, end) of a file sendable, told through `tell` as they land; ends when all are.

        `located` hears once which file (path, inode) the bytes are read from. Raises NotHeld, UpstreamError or
        SpaceError.
        """
        index = await self.index(key.title, key.package, None, cached_only=False)
        file = index.file(key.file)
        if self._volume.holds(key):
            with suppress(NotHeld):  # somebody took it off the disk: then it is fetched like any other
                located(self._volume.path(key), self._volume.inode(key))
                tell(end)
                return
        flight = self._board(key, file)
        watcher = Watcher(first, end, tell)
        flight.watchers.add(watcher)
        try:
            located(flight.partial.path, flight.partial.inode)
            watcher.notice(flight.sendable(watcher))
            blocks = packages.blocks_of(first, end - first)
            await self._fetch(flight, list(blocks), self._sources, _READ_AHEAD)
            if watcher.is_spoiled:
                raise UpstreamError(f"wrong bytes of {key.file} of {key.package_key} had landed", status=502)
            watcher.notice(end)
        finally:
            flight.watchers.discard(watcher)
            self._leave(flight)

    async def fill(self, key: FileKey, sources: Sequence[Source], moved: Callable[[int, int], None]) -> None:
        """Holds a file whole, as the plan asks; `moved(done, size)` with each block. Raises as `watch` does."""
        sources = sources or self._sources
        index = await self.index(key.title, key.package, sources, cached_only=False)
        if key.file == MANIFEST_NAME:
            return
        file = index.file(key.file)
        if self._volume.holds(key):
            with suppress(NotHeld):
                self._volume.plan(key)
                moved(file.size, file.size)
                return
        flight = self._board(key, file)
        flight.planned = True
        try:
            missing = [block for block, have in enumerate(flight.partial.have) if not have]

            def tell(_: int) -> None:
                held = sum(
                    end - first
                    for first, end in (packages.block_range(block, file.size) for block in range(len(file.blocks)))
                    if flight.partial.have[first // packages.BLOCK_SIZE]
                )
                moved(held, file.size)

            tell(0)
            await self._fetch(flight, missing, sources, _FILL_AHEAD, tell)
            await asyncio.shield(self._name(flight))  # a fill is done when the file is held, not before
            if not self._volume.holds(key):
                raise _dropped(key)
            self._volume.plan(key)  # a miss may have given it its name first
        finally:
            self._leave(flight)

    async def drop(self, key: FileKey) -> bool:
        """Forgets a file at once; fetches of it that are under way fail. False if it was not held."""
        flight = self._flights.get(key)
        if flight is None:
            return self._volume.drop(key)
        async with flight.naming:
            if self._flights.get(key) is not flight:
                return await self.drop(key)  # it landed, or another drop was first
            flight.is_dropped = True
            del self._flights[key]
            for task in flight.tasks.values():
                task.cancel()
            return self._volume.drop(key)

    def _board(self, key: FileKey, file: StoredFile) -> _Flight:
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(key, self._volume.open_partial(key, file))
        flight.users += 1
        return flight

    def _leave(self, flight: _Flight) -> None:
        """The last to leave has the flight settled, in a task of its own: whoever leaves may have been cancelled."""
        flight.users -= 1
        if not flight.users:
            task = asyncio.create_task(self._settle(flight))
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)

    async def _settle(self, flight: _Flight) -> None:
        """Gives a whole file its name, and closes the flight unless somebody boarded meanwhile."""
        await self._name(flight)
        if not flight.users and (flight.is_dropped or self._flights.get(flight.key) is flight):
            self._land(flight)

    async def _name(self, flight: _Flight) -> None:
        async with flight.naming:
            partial = flight.partial
            if partial.is_whole and not partial.is_committed and not flight.is_dropped:
                await asyncio.to_thread(partial.commit, planned=flight.planned)
                self._volume.adopt(flight.key, partial)

    def _land(self, flight: _Flight) -> None:
        if flight.is_dropped:
            # Its inode stays taken for a while: a worker that opens the path late must not find another file by it.
            asyncio.get_running_loop().call_later(_INODE_KEPT_S, flight.partial.close)
        else:
            self._flights.pop(flight.key, None)
            self._volume.close_partial(flight.key, flight.partial)

    # Blocks

    async def _fetch(
        self,
        flight: _Flight,
        blocks: list[int],
        sources: Sequence[Source],
        ahead: int,
        done: Callable[[int], None] = lambda block: None,
    ) -> None:
        """Waits until all these blocks are held, `ahead` of them under way at once. Raises the first failure."""
        under_way: list[tuple[int, asyncio.Task[None]]] = []
        for block in [*blocks, *([-1] * ahead)]:
            if block >= 0 and not flight.partial.have[block]:
                under_way.append((block, self._block_task(flight, block, sources)))
            if under_way and (block < 0 or len(under_way) >= ahead):
                fetched, task = under_way.pop(0)
                await asyncio.wait([task])  # not the task itself: its being dropped must not look like our own end
                if task.cancelled():
                    raise _dropped(flight.key)
                task.result()
                done(fetched)

    def _block_task(self, flight: _Flight, block: int, sources: Sequence[Source]) -> asyncio.Task[None]:
        task = flight.tasks.get(block)
        if task is None:
            flight.users += 1
            task = flight.tasks[block] = asyncio.create_task(self._fetch_block(flight, block, sources))
            # Whoever wants the block hears of its failure; if all have gone meanwhile, nobody needs to.
            task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return task

    async def _fetch_block(self, flight: _Flight, block: int, sources: Sequence[Source]) -> None:
        """One block from the first source that has it right, going on at the next one where the last broke off."""
        first, end = packages.block_range(block, flight.partial.file.size)
        path = f"/v1/{flight.key.title}/{flight.key.package}/{flight.key.file}"
        failure: OcaError = UpstreamError(f"{path} is not held whole, and there is nobody to ask", status=503)
        position = first
        givers: list[Source] = []
        try:
            for source in self._upstreams.order(sources):
                givers.append(source)
                try:
                    async with aclosing(self._upstreams.read(source, path, position, end)) as pieces:
                        async for piece in pieces:
                            await self._write(flight, piece, position)
                            position += len(piece)
                            flight.landed[block] = position
                            flight.notice()
                except UpstreamError as error:
                    failure = error
                    continue
                if await _in_thread(flight.partial.verify, block):
                    flight.notice()
                    return
                failure = UpstreamError(f"{path}: block {block} has another digest than the package says", status=502)
                for giver in givers:
                    self._upstreams.rest(giver, f"wrong bytes in block {block} of {path}")
                for watcher in flight.watchers:
                    watcher.spoil(first)
                position = first
                givers = []
                flight.landed.pop(block, None)  # nobody may be told of those bytes
            raise failure
        finally:
            flight.landed.pop(block, None)
            flight.tasks.pop(block, None)
            self._leave(flight)

    async def _write(self, flight: _Flight, piece: bytes, position: int) -> None:
        """Writes what has landed; where the disk is full after all, once more when something was shed."""
        try:
            await _in_thread(flight.partial.write, piece, position)
        except SpaceError:
            if not self._volume.shed(packages.BLOCK_SIZE):
                raise
            await _in_thread(flight.partial.write, piece, position)


def _dropped(key: FileKey) -> NotHeld:
    return NotHeld(f"{key.file} of {key.package_key} was dropped", status=404)


async def _in_thread(work: Callable[..., _Result], *arguments: Any) -> _Result:
    """asyncio.to_thread, but its cancellation waits for the thread, whose descriptors must not be closed before."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


def sources_of(peers: Sequence[str], origin: str) -> tuple[Source, ...]:
    """Peers in their order, then the origin, which alone may be asked for what it has to fetch."""
    known = tuple(Source(peer.rstrip("/"), cached_only=True) for peer in peers)
    return (*known, Source(origin.rstrip("/"), cached_only=False)) if origin else known
