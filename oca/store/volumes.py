"""The store: all volumes of an appliance as one, each file on one of them.

    open    a file, whole or as far as it is there -> OpenFile; a new one is placed, and room is made for it
    drop    off the disk, out of the inventory, and everybody is told
    start   volumes that are well are scanned; one that is not is left out, and probed until it is

What is known of names and room belongs to the event loop; the disks are touched in the volumes' threads. The names of
one file change one at a time, and each change is carried through even if nobody waits for it any more: `open`, `drop`,
`commit`, `plan` and `refute` take turns. A file that is in use is not shed, so making room for one file never waits for
the turn of another that is making room itself.

New files go to a volume by weighted rendezvous hashing: adding or losing one moves only its own share. A package's
manifest is on every volume that has a file of it, so that none depends on another.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import logging
import math
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import msgspec

from encoder import package as packages
from encoder.errors import PackageError
from encoder.package import MANIFEST_NAME, Package, StoredFile
from oca.errors import NotHeld, OcaError, SpaceError, VolumeFailed, VolumeInUse
from oca.store import health
from oca.store.blocks import NO_ROOM, Blocks, Digest, State, partial_path, remove, sync_folder
from oca.store.changes import Changes
from oca.store.inventory import Entry, FileKey, Found, Inventory
from oca.store.scan import keep_names, names_in, scan
from oca.store.volume import Volume

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

Gone = Callable[[FileKey, OcaError], None]

# A disk that was pulled out is noticed by the next file on it; this is for one that nobody asks for anything.
PROBE_EVERY_S = 10.0
# Packages handled between two turns of the event loop; one of 50 files takes 40 us.
_PACKAGES_AT_ONCE = 25
_FILES_AT_ONCE = 1000
# Manifests read in one turn of a thread.
_MANIFESTS_AT_ONCE = 16


class OpenFile:
    """A file as the store has it, open: who wants blocks of it checks, writes and marks them here.

    While it has `users` it is not shed. `failure` says why it is no more; its descriptor is good until `close`.
    """

    def __init__(self, key: FileKey, volume: Volume, blocks: Blocks) -> None:
        self.key, self.volume, self.blocks = key, volume, blocks
        self.users = 0
        self.times_written = 0  # by others
        self.failure: OcaError | None = None

    @property
    def file(self) -> StoredFile:
        return self.blocks.file

    @property
    def path(self) -> Path:
        return self.blocks.path

    @property
    def inode(self) -> int:
        return self.blocks.inode

    @property
    def has(self) -> bytearray:
        """One byte a block: 1 where the disk should have it."""
        return self.blocks.has

    @property
    def right(self) -> bytearray:
        """One byte a block: 1 where it was found right since the start."""
        return self.blocks.right

    @property
    def is_whole(self) -> bool:
        return self.blocks.is_whole

    @property
    def is_planned(self) -> bool:
        return self.blocks.is_planned

    async def write(self, pieces: Sequence[bytes], offset: int, digest: Digest) -> None:
        """Writes what has landed and adds it to the digest of its block. Raises SpaceError, VolumeFailed."""
        await self.volume.run(self.blocks.write, pieces, offset, digest)

    async def state(self, block: int) -> State:
        """Reads the block. Raises VolumeFailed."""
        return self._noted(await self.volume.run(self.blocks.state, block))

    async def state_on_disk(self, block: int) -> State:
        """The same of what the disk has, whatever memory remembers, and behind everybody who is in a hurry."""
        return self._noted(await self.volume.run_last(self.blocks.state_on_disk, block))

    def _noted(self, state: State) -> State:
        """A disk on which too much cannot be read is taken out."""
        if state == "unreadable":
            self.volume.unreadable()
        return state

    async def is_in_place(self) -> bool:
        """False where somebody took the file away, or put another one in its place."""
        return await self.volume.run(self.blocks.is_in_place)

    async def mark(self, block: int) -> None:
        await self.volume.run(self.blocks.mark, block)

    async def let_go(self, block: int) -> None:
        """A filled block that nobody asks for need not stay in memory."""
        await self.volume.run(self.blocks.let_go, block)


class ToldVolume(msgspec.Struct, frozen=True):
    """What operators are told of one volume."""

    path: str
    size_bytes: int
    used_bytes: int
    files: int
    failure: str


class Volumes:
    """`gone` hears of each file that is no longer held, and why; `written` of each that somebody else may have changed.

    `state` is the directory in which volumes are remembered.
    """

    def __init__(self, roots: Sequence[Path], limit_bytes: int = 0, state: Path | None = None) -> None:
        self.volumes = [Volume(number, root, limit_bytes, self._failed) for number, root in enumerate(roots)]
        self.inventory = Inventory()
        self.gone: list[Gone] = []
        self.written: list[Callable[[FileKey], None]] = []
        self._state = state
        self._remembered: dict[Path, health.Identity] = {}
        self._remembering = asyncio.Lock()
        self._changes_of_others = Changes(self._note_written, self._note_moved)
        self._open: dict[FileKey, OpenFile] = {}
        self._turns: WeakValueDictionary[FileKey, asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[None]] = set()
        self._changes: set[asyncio.Task[Any]] = set()
        self._forgetting: dict[int, asyncio.Task[None]] = {}

    # Lifecycle

    async def start(self) -> None:
        """Reads the inventory. Raises VolumeInUse, or VolumeFailed where no volume at all can be used."""
        self._changes_of_others.start()
        if self._state is not None:
            self._remembered = await asyncio.to_thread(health.remembered, self._state)
        outcomes = await asyncio.gather(*(self._join(volume) for volume in self.volumes), return_exceptions=True)
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        for failure in failures:
            if not isinstance(failure, VolumeFailed):
                raise failure
        if len(failures) == len(self.volumes):
            raise VolumeFailed("; ".join(map(str, failures)))

    async def close(self) -> None:
        self._changes_of_others.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._changes, return_exceptions=True)
        for opened in list(self._open.values()):
            opened.blocks.close()
        self._open.clear()
        await self.keep_names()
        for volume in self.volumes:
            await volume.close()

    async def watch_health(self) -> None:
        """Takes out volumes that are not well any more, and takes in again those that are; until cancelled."""
        while True:
            await asyncio.sleep(PROBE_EVERY_S)
            try:
                await self.check_health()
            except OSError as error:  # of the state directory: the volumes themselves tell by their failure
                logger.error("volumes could not be looked after", extra={"why": str(error)})

    async def check_health(self) -> None:
        await asyncio.gather(*map(self._look_after, self.volumes))

    async def _look_after(self, volume: Volume) -> None:
        was_well = volume.is_well
        if await volume.probe() and not was_well:
            with suppress(VolumeFailed, VolumeInUse):  # it stays out, and says why
                await self._join(volume)
                logger.warning("a volume is well again", extra={"volume": str(volume.root)})

    async def _join(self, volume: Volume) -> None:
        """Takes a volume in. Raises VolumeInUse, VolumeFailed."""
        if task := self._forgetting.pop(volume.number, None):
            await task
        await volume.open(self._remembered.get(volume.root))
        # A million new objects would have the garbage collector look at all of them again and again: 7 s became 4, and
        # pauses of 200 ms are none, for what is there afterwards mostly stays and need not be looked at any more.
        gc.disable()
        try:
            await self._add(volume, await volume.run(scan, volume.root, volume.number))
            gc.freeze()
        except OSError as error:
            volume.fail(f"it cannot be read: {error}")
            raise VolumeFailed(f"volume {volume.root} failed: {volume.failure}") from error
        finally:
            gc.enable()
        assert volume.identity is not None
        self._remembered[volume.root] = volume.identity
        if self._state is not None:
            async with self._remembering:
                await asyncio.to_thread(health.remember, self._state, dict(self._remembered))

    async def _add(self, volume: Volume, found: Found) -> None:
        copies: list[tuple[FileKey, int]] = []
        for count, (package_key, shelf) in enumerate(found.shelves.items(), 1):
            copies += self.inventory.add(package_key, shelf)
            if count % _PACKAGES_AT_ONCE == 0:
                await asyncio.sleep(0)
        for first in range(0, len(found.pulled), _FILES_AT_ONCE):
            self.inventory.add_pulled(found.pulled[first : first + _FILES_AT_ONCE])
            await asyncio.sleep(0)
        if not volume.is_well:  # it failed meanwhile
            await self._forget(volume)
            raise VolumeFailed(f"volume {volume.root} failed: {volume.failure}")
        if copies:
            self._spawn(self._remove_copies(copies))

    async def _remove_copies(self, copies: Iterable[tuple[FileKey, int]]) -> None:
        for key, number in copies:
            async with self._turn(key):
                entry = self.inventory.entry(key)
                if entry is not None and entry.volume != number:
                    volume = self.volumes[number]
                    await volume.run(remove, volume.path(key))

    def _failed(self, volume: Volume) -> None:
        """A volume was taken out: who uses a file of it hears now, the rest is forgotten little by little."""
        why = VolumeFailed(f"volume {volume.root} failed: {volume.failure}")
        for key in list(volume.right):
            self._tell_gone(key, why)
        for key, opened in list(self._open.items()):
            if opened.volume is volume:
                self._tell_gone(key, why)
        volume.right.clear()
        self._forgetting[volume.number] = self._spawn(self._forget(volume))

    async def _forget(self, volume: Volume) -> None:
        for count, package_key in enumerate(self.inventory.packages(), 1):
            self.inventory.forget(package_key, volume.number)
            if count % _PACKAGES_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.warning("work on the volumes was left undone", extra={"why": str(error)})

    # What is there

    def told(self) -> list[ToldVolume]:
        return [
            ToldVolume(
                path=str(volume.root),
                size_bytes=self._size_bytes(volume) if volume.is_well else 0,
                used_bytes=self.inventory.used_bytes(volume.number),
                files=self.inventory.count(volume.number),
                failure=volume.failure,
            )
            for volume in self.volumes
        ]

    @property
    def failures(self) -> list[str]:
        """A sentence for each volume that was taken out."""
        return [f"volume {volume.root} was taken out: {volume.failure}" for volume in self.volumes if volume.failure]

    @property
    def is_well(self) -> bool:
        """True while there is a volume to serve from."""
        return any(volume.is_well for volume in self.volumes)

    @property
    def used_bytes(self) -> int:
        return sum(self.inventory.used_bytes(volume.number) for volume in self.volumes if volume.is_well)

    @property
    def size_bytes(self) -> int:
        """What it may hold."""
        return sum(self._size_bytes(volume) for volume in self.volumes if volume.is_well)

    def _size_bytes(self, volume: Volume) -> int:
        return volume.size_bytes(self.inventory.used_bytes(volume.number))

    def entry(self, key: FileKey) -> Entry | None:
        """What there is of a file on volumes that are well."""
        entry = self.inventory.entry(key)
        return entry if entry is not None and self.volumes[entry.volume].is_well else None

    def holds(self, key: FileKey) -> bool:
        if key.file == MANIFEST_NAME:
            return bool(self._with_manifest(key.package_key))
        entry = self.entry(key)
        return entry is not None and entry.is_whole

    def volume_of(self, key: FileKey) -> Volume | None:
        entry = self.entry(key)
        return self.volumes[entry.volume] if entry is not None else None

    def _with_manifest(self, package_key: str) -> list[Volume]:
        volumes = (self.volumes[number] for number in self.inventory.manifests(package_key))
        return [volume for volume in volumes if volume.is_well]

    # Packages

    async def manifest(self, title: str, package: str) -> Package:
        """The package's manifest, from any volume. Raises NotHeld; a copy that has rotted is dropped first."""
        return (await self._manifest(FileKey(title, package, MANIFEST_NAME)))[0]

    async def check_manifests(self, title: str, package: str) -> bool:
        """Reads every copy of a manifest, and drops those that have rotted; whether all were right."""
        key = FileKey(title, package, MANIFEST_NAME)
        copies = self._with_manifest(key.package_key)
        right = [await self._read_manifest(key, volume) is not None for volume in copies]
        return all(right)

    async def manifest_place(self, title: str, package: str) -> tuple[Path, int]:
        """Path and inode of a manifest that was found right just now. Raises NotHeld."""
        key = FileKey(title, package, MANIFEST_NAME)
        _, _, volume = await self._manifest(key)
        path = volume.path(key)
        inode = (await volume.run(os.stat, path)).st_ino
        volume.right[key] = inode, bytearray(b"\1")
        return path, inode

    async def _manifest(self, key: FileKey) -> tuple[Package, bytes, Volume]:
        for volume in self._with_manifest(key.package_key):
            read = await self._read_manifest(key, volume)
            if read is not None:
                return (*read, volume)
        raise NotHeld(f"{key.package_key} is not here", status=404)

    async def _read_manifest(self, key: FileKey, volume: Volume) -> tuple[Package, bytes] | None:
        """One copy, if it is right; it is dropped if it has rotted."""
        try:
            data = await volume.run(volume.path(key).read_bytes)
            decoded = await asyncio.to_thread(decode_manifest, key.title, key.package, data)
        except (FileNotFoundError, PackageError) as error:
            logger.warning("a manifest has rotted", extra={"package": key.package_key, "why": str(error)})
            await self._drop_manifest(key, volume)
            return None
        except (VolumeFailed, OSError):
            return None
        self.inventory.learn(key.package_key, (file.name for file in decoded.files))
        return decoded, data

    async def store_manifest(self, title: str, package: str, data: bytes) -> Package:
        """Stores package.json, whole or not at all. Raises PackageError if it is not this package's, SpaceError."""
        decoded = await asyncio.to_thread(decode_manifest, title, package, data)
        key = FileKey(title, package, MANIFEST_NAME)
        await self._put_manifest(key, await self._place(key, len(data)), data)
        self.inventory.learn(key.package_key, (file.name for file in decoded.files))
        return decoded

    async def _put_manifest(self, key: FileKey, volume: Volume, data: bytes) -> None:
        async with self._turn(key):
            await volume.run(_write_manifest, volume.path(key), data)
            self.inventory.put_manifest(key.package_key, volume.number, len(data))

    async def _drop_manifest(self, key: FileKey, volume: Volume) -> None:
        async with self._turn(key):
            self.inventory.remove_manifest(key.package_key, volume.number)
            volume.right.pop(key, None)
            self._tell_gone(key, _dropped(key))
            await volume.run(remove, volume.path(key))

    async def learn_names(self) -> None:
        """Reads the names of all files of packages that nobody asked for yet, so that reports can say "all"."""
        unlearned = self.inventory.unlearned()
        for first in range(0, len(unlearned), _MANIFESTS_AT_ONCE):
            wanted: dict[int, list[str]] = {}
            for package_key in unlearned[first : first + _MANIFESTS_AT_ONCE]:
                for volume in self._with_manifest(package_key)[:1]:
                    wanted.setdefault(volume.number, []).append(package_key)
            for number, package_keys in wanted.items():
                volume = self.volumes[number]
                with suppress(OSError, VolumeFailed):
                    for package_key, names in await volume.run(_read_names, volume.root, package_keys):
                        self.inventory.learn(package_key, names)
        if unlearned:
            await self.keep_names()

    async def keep_names(self) -> None:
        names = self.inventory.names()
        for volume in self.volumes:
            if volume.is_well:
                own = {key: files for key, files in names.items() if volume.number in self.inventory.manifests(key)}
                with suppress(OSError, VolumeFailed):
                    await volume.run(keep_names, volume.root, own)

    # Files

    def _turn(self, key: FileKey) -> asyncio.Lock:
        turn = self._turns.get(key)
        if turn is None:
            turn = self._turns[key] = asyncio.Lock()
        return turn

    async def _carry_through(self, change: Coroutine[Any, Any, _Result]) -> _Result:
        """Cancelled half-way, names on the disk and the inventory would differ."""
        task = asyncio.create_task(change)
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        return await asyncio.shield(task)

    async def open(self, key: FileKey, file: StoredFile) -> OpenFile:
        """The file's blocks so far, to be added to. Raises SpaceError where a new one does not fit, VolumeFailed."""
        return await self._carry_through(self._open_file(key, file))

    async def _open_file(self, key: FileKey, file: StoredFile) -> OpenFile:
        async with self._turn(key):
            entry = self.entry(key)
            if entry is not None and entry.is_whole:
                with suppress(FileNotFoundError):
                    return await self._open_blocks(key, file, entry)
                await self._remove(key, NotHeld(f"{key.file} of {key.package_key} is gone from the disk", status=404))
                entry = None
            if entry is not None:
                return await self._open_blocks(key, file, entry)
            volume = await self._place(key, file.size)
            entry = Entry(volume.number, file.size, is_whole=False, is_planned=False)
            self.inventory.put(key, entry)
            try:
                await self._bring_manifest(key, volume)
                return await self._open_blocks(key, file, entry)
            except BaseException:
                self.inventory.remove(key)
                raise

    async def _open_blocks(self, key: FileKey, file: StoredFile, entry: Entry) -> OpenFile:
        volume = self.volumes[entry.volume]
        blocks = await volume.run(_open_blocks, volume.path(key), file, entry)
        if entry.is_whole:
            await volume.run(self._changes_of_others.watch, key, blocks.fd)
        inode, right = volume.right.get(key, (0, bytearray()))
        # The inode alone does not tell: file systems give the number of a removed file to the next one at once.
        is_same = inode == blocks.inode and len(right) == len(file.blocks)
        if is_same and all(has or not was_right for has, was_right in zip(blocks.has, right, strict=True)):
            blocks.right = right
        else:
            volume.right[key] = blocks.inode, blocks.right
        opened = self._open[key] = OpenFile(key, volume, blocks)
        return opened

    async def _bring_manifest(self, key: FileKey, volume: Volume) -> None:
        key = FileKey(key.title, key.package, MANIFEST_NAME)
        with_it = self._with_manifest(key.package_key)
        if with_it and volume not in with_it:
            _, data, _ = await self._manifest(key)
            await self._put_manifest(key, volume, data)

    def close_file(self, opened: OpenFile) -> None:
        """Nobody uses it now; what was verified of an unfinished file stays for who asks next."""
        if self._open.get(opened.key) is opened:
            del self._open[opened.key]
        opened.blocks.close()

    def _note_written(self, key: FileKey) -> None:
        """Somebody else wrote to a whole file: all that was found right of it is a claim again."""
        logger.warning("a file was written to by somebody else", extra={"file": f"{key.package_key}/{key.file}"})
        if (volume := self.volume_of(key)) and key in volume.right:
            _, right = volume.right[key]
            right[:] = bytes(len(right))
        if opened := self._open.get(key):
            opened.times_written += 1
        for hear in self.written:
            hear(key)

    def _note_moved(self, key: FileKey) -> None:
        self._spawn(self._look_for(key))

    async def _look_for(self, key: FileKey) -> None:
        """Forgets the file if somebody took it away, or put another one in its place."""
        async with self._turn(key):
            volume = self.volume_of(key)
            if volume is None or key not in volume.right or not self.holds(key):
                return
            try:
                inode = (await volume.run(volume.path(key).stat)).st_ino
            except FileNotFoundError:
                inode = 0
            if inode != volume.right.get(key, (inode, b""))[0]:
                await self._remove(key, NotHeld(f"{key.file} of {key.package_key} was taken off the disk", status=404))

    async def refute(self, opened: OpenFile, block: int) -> None:
        """The block is wrong: the file is not held until it is replaced."""
        self._changes_of_others.forget(opened.key)
        await self._carry_through(self._change(opened, lambda: partial(opened.blocks.refute, block)))

    async def commit(self, opened: OpenFile) -> None:
        """A file all of whose blocks are right is held, if it is not yet."""
        await self._carry_through(self._change(opened, lambda: opened.blocks.commit if _is_ready(opened) else None))

    async def plan(self, opened: OpenFile) -> None:
        """The plan placed the file: only a drop removes it."""
        await self._carry_through(self._change(opened, lambda: opened.blocks.plan))

    async def _change(self, opened: OpenFile, change: Callable[[], Callable[[], None] | None]) -> None:
        async with self._turn(opened.key):
            work = change() if opened.failure is None else None
            if work is None:
                return
            was_whole = opened.is_whole
            await opened.volume.run(work)
            if opened.is_whole and not was_whole:
                await opened.volume.run(self._changes_of_others.watch, opened.key, opened.blocks.fd)
            if opened.failure is None:
                blocks = opened.blocks
                entry = Entry(opened.volume.number, blocks.file.size, blocks.is_whole, blocks.is_planned)
                self.inventory.put(opened.key, entry)

    async def drop(self, key: FileKey, why: OcaError | None = None) -> bool:
        """Forgets a file at once and frees its room; False if it was not held. Answers under way go on from it."""
        if key.file == MANIFEST_NAME:
            held = self._with_manifest(key.package_key)
            for volume in held:
                await self._drop_manifest(key, volume)
            return bool(held)
        return await self._carry_through(self._drop_file(key, why or _dropped(key)))

    async def _drop_file(self, key: FileKey, why: OcaError) -> bool:
        async with self._turn(key):
            return await self._remove(key, why)

    async def _remove(self, key: FileKey, why: OcaError) -> bool:
        held = self.holds(key)
        volume = self.volume_of(key)
        self.inventory.remove(key)
        self._tell_gone(key, why)
        if volume is not None:
            volume.right.pop(key, None)
            await volume.run(remove, volume.path(key))
        return held

    def _tell_gone(self, key: FileKey, why: OcaError) -> None:
        self._changes_of_others.forget(key)
        if opened := self._open.pop(key, None):
            opened.failure = why
        for hear in self.gone:
            hear(key, why)

    # Room

    async def _place(self, key: FileKey, size: int) -> Volume:
        """A volume with room for a new file; pull-through content makes room where there is none. Raises SpaceError."""
        ranked = [volume for volume in self.volumes if volume.is_well]
        await _all(volume.measure() for volume in ranked)
        ranked = sorted((volume for volume in ranked if volume.is_well), key=lambda volume: self._score(volume, key))
        if not ranked:
            raise VolumeFailed("; ".join(self.failures))
        for volume in ranked:
            if self._room_bytes(volume) >= size:
                return volume
        for volume in ranked:
            missing = size - self._room_bytes(volume)
            if self.inventory.sheddable_bytes(volume.number) >= missing:
                await self.shed(volume, missing)
                if self._room_bytes(volume) >= size:
                    return volume
        raise SpaceError(f"no volume has room for {size} bytes, or enough that no plan placed", status=507)

    def _score(self, volume: Volume, key: FileKey) -> float:
        """The lower, the more does the file belong there; weighted as in Schindelhauer and Schomaker, SPAA 2005."""
        assert volume.identity is not None
        name = f"{volume.identity.name}/{key.package_key}/{key.file}".encode()
        share = (int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big") + 1) / 2**64
        return -math.log(share) / max(1, self._size_bytes(volume))

    def _room_bytes(self, volume: Volume) -> int:
        unwritten = sum(opened.blocks.unwritten_bytes for opened in self._open.values() if opened.volume is volume)
        return volume.room_bytes(self.inventory.used_bytes(volume.number), unwritten)

    async def shed(self, volume: Volume, size: int) -> int:
        """Drops pull-through content that nobody uses, oldest first, until `size` bytes are freed; how many were."""
        victims: list[tuple[FileKey, int]] = []
        wanted = size
        for key, file_size in self.inventory.pulled(volume.number):
            if wanted <= 0:
                break
            if not self._in_use(key):
                victims.append((key, file_size))
                wanted -= file_size
        freed = 0
        for key, file_size in victims:
            async with self._turn(key):
                if self.volume_of(key) is volume and not self._in_use(key):
                    await self._remove(key, _dropped(key))
                    freed += file_size
                    if not self.inventory.files(key.package_key):
                        await self.drop(FileKey(key.title, key.package, MANIFEST_NAME))
        if freed:
            await volume.measure_now()
        return freed

    def _in_use(self, key: FileKey) -> bool:
        opened = self._open.get(key)
        return opened is not None and opened.users > 0


def decode_manifest(title: str, package: str, data: bytes) -> Package:
    """The manifest that `data` is, if it is the one that `package` names. Raises PackageError."""
    if packages.package_name(data) != package:
        raise PackageError(f"the manifest of {title}/{package} has another digest than its name", status=502)
    decoded = packages.decode(data)
    if decoded.title != title:
        raise PackageError(f"package {package} is one of {decoded.title!r}, not of {title!r}", status=404)
    return decoded


def _is_ready(opened: OpenFile) -> bool:
    return not opened.is_whole and all(opened.right)


def _dropped(key: FileKey) -> NotHeld:
    return NotHeld(f"{key.file} of {key.package_key} was dropped", status=404)


def _open_blocks(path: Path, file: StoredFile, entry: Entry) -> Blocks:
    if not entry.is_whole:
        path.parent.mkdir(parents=True, exist_ok=True)
    return Blocks(path, file, is_whole=entry.is_whole, is_planned=entry.is_planned)


def _write_manifest(path: Path, data: bytes) -> None:
    fresh = partial_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno in NO_ROOM:
            raise SpaceError(f"no room for the manifest in {path.parent}", status=507) from error
        raise
    fresh.rename(path)
    sync_folder(path.parent)


def _read_names(root: Path, package_keys: Iterable[str]) -> list[tuple[str, frozenset[str]]]:
    """Of those whose manifest can be read; the others are found out when somebody asks for them."""
    names = []
    for package_key in package_keys:
        with suppress(FileNotFoundError, msgspec.DecodeError):
            names.append((package_key, names_in((root / package_key / MANIFEST_NAME).read_bytes())))
    return names


async def _all(works: Iterable[Awaitable[None]]) -> None:
    """Waits for all; a volume that fails meanwhile is seen by its failure."""
    for outcome in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, VolumeFailed):
            raise outcome
