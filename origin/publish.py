"""A package folder becomes visible, whole or not at all; and a title ceases to be.

    check every digest  ->  files  ->  package.json  ->  the catalog entry, the one step that shows it

Nothing before the last step can be seen, so a publisher may be killed at any instruction: what it leaves is garbage
that the next publish of the same package completes and `audit` reports. A title's lock is held throughout, for a file
counts as there when storage has one of its size, and a withdrawal at the same time would take it away again. Where
storage has no lock (S3), the check of all sizes just before the last step narrows that to a moment.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import aiofiles
import msgspec

from config.progress import Bar, Reporter
from config.units import show_bytes
from encoder.errors import PackageError
from encoder.package import MANIFEST_NAME, Package, StoredFile, block_range, decode, digest_blocks, package_name
from origin.catalog import Entry, encode_entry, entry_key, package_prefix, read_entry
from origin.errors import AlreadyThere, CatalogError, DamagedPackage, NotFound, PublishError, TitleTaken, UnknownTitle
from origin.storage import PIECE, Storage, check_key, open_storage
from origin.together import for_each

# Files that are hashed or uploaded at once: SHA-256 keeps a core busy, an upload a connection.
FILES_AT_ONCE = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class Folder:
    """A package on disk whose every byte was found to be what its manifest says."""

    path: Path
    name: str
    manifest: bytes
    package: Package
    stamps: dict[str, _Stamp]


class Availability(NamedTuple):
    """From when to when players may play a title: RFC 3339, UTC, empty for no limit; None leaves it as it is."""

    start: str | None = None
    end: str | None = None


UNCHANGED = Availability()


class _Stamp(NamedTuple):
    """Differs if a file was written to or exchanged since."""

    inode: int
    size: int
    modified_ns: int


async def publish_folder(
    folder: Path,
    storage_url: str,
    *,
    replace: bool = False,
    repair: bool = False,
    available: Availability = UNCHANGED,
    s3_endpoint: str = "",
    reporter: Reporter | None = None,
) -> Entry:
    """Publishes the package in `folder` (.../{title}/{package}) and returns its catalog entry.

    Publishing what is there already changes nothing and succeeds. `replace` puts it in the place of another package of
    the title, which stays stored for players that are in the middle of it; `repair` writes files anew that storage
    seems to have. Raises DamagedPackage, TitleTaken, StorageError, ConfigError; nothing is visible then.
    """
    reporter = reporter or Reporter(quiet=True)
    checked = await read_folder(folder, reporter)
    async with open_storage(storage_url, s3_endpoint=s3_endpoint) as storage:
        return await publish(
            checked,
            storage,
            replace=replace,
            repair=repair,
            reporter=reporter,
            now=datetime.now(UTC),
            available=available,
        )


async def read_folder(folder: Path, reporter: Reporter) -> Folder:
    """The package in `folder` after every digest was checked. Raises DamagedPackage: which file, which block."""
    folder = folder.resolve()
    try:
        async with aiofiles.open(folder / MANIFEST_NAME, "rb") as stored:
            manifest = await stored.read()
        package = decode(manifest)
    except OSError as error:
        raise DamagedPackage(f"{folder} is not a package: {MANIFEST_NAME}: {error.strerror}") from error
    except PackageError as error:
        raise DamagedPackage(f"{folder} is not a package: {error}") from error
    name = package_name(manifest)
    if folder.name != name:
        raise DamagedPackage(
            f"{folder}: the folder is named {folder.name}, but its {MANIFEST_NAME} is that of package {name}: "
            "either was changed after encoding"
        )
    stamps = {}
    with reporter.bar("checking", package.size) as bar:
        counter = _Counter(bar)

        async def check(file: StoredFile) -> None:
            stamps[file.name] = await _stamp(folder, file)
            await asyncio.to_thread(_check_file, folder / file.name, file, counter)

        await for_each(package.files, check, at_once=FILES_AT_ONCE)
    return Folder(folder, name, manifest, package, stamps)


async def publish(
    folder: Folder,
    storage: Storage,
    *,
    replace: bool,
    repair: bool,
    reporter: Reporter,
    now: datetime,
    available: Availability = UNCHANGED,
) -> Entry:
    """Makes a checked folder visible in `storage`. Raises TitleTaken, DamagedPackage, StorageError."""
    title = folder.package.title
    async with storage.lock(title):
        before = await read_entry(storage, title)
        _refuse_another(before, folder, replace)
        await _put_files(folder, storage, repair, reporter)
        prefix = package_prefix(title, folder.name)
        await storage.put_bytes(prefix + MANIFEST_NAME, folder.manifest)
        await _check_sizes(folder, storage, prefix)
        entry = _entry(folder, before, now, available)
        if entry == before:
            return before
        try:
            await storage.put_bytes(entry_key(title), encode_entry(entry), if_absent=before is None)
        except AlreadyThere:  # only without a lock: somebody else published this title while we uploaded
            taken = await read_entry(storage, title)
            _refuse_another(taken, folder, replace=False)
            entry = taken or entry
    reporter.say(f"{title}: package {folder.name} is published ({show_bytes(entry.size)})")
    return entry


async def withdraw(title: str, storage: Storage, *, superseded_only: bool = False) -> int:
    """Takes the title out of the catalog, then deletes its files; returns how many objects went.

    `superseded_only` keeps the current package. A withdrawal that was cut short is completed by another.
    Raises UnknownTitle if there is nothing of it, StorageError.
    """
    check_key(title)
    async with storage.lock(title):
        try:
            entry = await read_entry(storage, title)
        except CatalogError:
            if superseded_only:
                raise
            entry = None  # damaged: withdrawing is the way to be rid of it
        kept = ""
        if superseded_only:
            if entry is None:
                raise UnknownTitle(f"the catalog has no title {title!r}")
            kept = package_prefix(title, entry.package)
            await storage.put_bytes(entry_key(title), encode_entry(msgspec.structs.replace(entry, superseded=())))
        else:
            await storage.delete(entry_key(title))
        keys = [stored.key async for stored in storage.list(package_prefix(title))]
        gone = [key for key in keys if not kept or not key.startswith(kept)]
        # Manifests first: a package without one counts as unfinished everywhere.
        for key in sorted(gone, key=lambda key: not key.endswith("/" + MANIFEST_NAME)):
            await storage.delete(key)
    if entry is None and not gone:
        raise UnknownTitle(f"the catalog has no title {title!r}")
    return len(gone) + (entry is not None and not superseded_only)


def _refuse_another(entry: Entry | None, folder: Folder, replace: bool) -> None:
    if entry is not None and entry.package != folder.name and not replace:
        raise TitleTaken(
            f"{entry.title}: package {entry.package} is published already, and {folder.name} is another one; "
            "--replace puts it in its place"
        )


def _entry(folder: Folder, before: Entry | None, now: datetime, available: Availability) -> Entry:
    package = folder.package
    old = Availability(before.available_from, before.available_until) if before else Availability("", "")
    start, end = (is_now if is_now is not None else was for is_now, was in zip(available, old, strict=True))
    if start and end and end <= start:
        raise PublishError(f"{package.title} would be available until {end}, which is not after {start}")
    if before is not None and before.package == folder.name:
        return msgspec.structs.replace(before, available_from=start or "", available_until=end or "")
    earlier = before.packages if before else ()
    return Entry(
        title=package.title,
        package=folder.name,
        name=package.name,
        duration=package.duration,
        size=package.size,
        poster=package.poster,
        published_at=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        superseded=tuple(name for name in earlier if name != folder.name),
        available_from=start or "",
        available_until=end or "",
    )


async def _put_files(folder: Folder, storage: Storage, repair: bool, reporter: Reporter) -> None:
    prefix = package_prefix(folder.package.title, folder.name)
    with reporter.bar("publishing", folder.package.size) as bar:
        counter = _Counter(bar)

        async def put(file: StoredFile) -> None:
            if not repair and await _size_in(storage, prefix + file.name) == file.size:
                counter.add(file.size)
                return
            await storage.put_file(prefix + file.name, folder.path / file.name, counter.add)
            if await _stamp(folder.path, file) != folder.stamps[file.name]:
                raise DamagedPackage(f"{folder.path}: {file.name} was changed while it was being published")

        await for_each(folder.package.files, put, at_once=FILES_AT_ONCE)


async def _check_sizes(folder: Folder, storage: Storage, prefix: str) -> None:
    sizes = {stored.key: stored.size async for stored in storage.list(prefix)}
    for file in folder.package.files:
        if sizes.get(prefix + file.name) != file.size:
            raise PublishError(
                f"{folder.package.title}: {file.name} was taken out of storage while the package was being published; "
                "publish it again"
            )


async def _size_in(storage: Storage, key: str) -> int | None:
    try:
        return await storage.size(key)
    except NotFound:
        return None


async def _stamp(folder: Path, file: StoredFile) -> _Stamp:
    try:
        status = await asyncio.to_thread((folder / file.name).stat)
    except OSError as error:
        raise DamagedPackage(f"{folder}: {file.name}, which {MANIFEST_NAME} lists: {error.strerror}") from error
    return _Stamp(status.st_ino, status.st_size, status.st_mtime_ns)


def _check_file(path: Path, file: StoredFile, counter: _Counter) -> None:
    """Raises DamagedPackage naming the first block that is not what the manifest says."""
    try:
        size, digest, blocks = digest_blocks(_pieces(path, counter))
    except OSError as error:
        raise DamagedPackage(f"{path}: {error.strerror}") from error
    if size != file.size:
        raise DamagedPackage(f"{path} has {size} bytes, {MANIFEST_NAME} says {file.size}")
    for number, (found, expected) in enumerate(zip(blocks, file.blocks, strict=True)):
        if found != expected:
            first, end = block_range(number, size)
            raise DamagedPackage(
                f"{path}: block {number} (bytes {first}-{end - 1}) has SHA-256 {found[:16]}..., "
                f"{MANIFEST_NAME} says {expected[:16]}..."
            )
    if digest != file.digest:
        raise DamagedPackage(f"{path}: its blocks are right, but not its SHA-256: {MANIFEST_NAME} contradicts itself")


def _pieces(path: Path, counter: _Counter) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as source:
        while piece := source.read(PIECE):
            counter.add(len(piece))
            yield piece


class _Counter:
    """Adds up what several threads report to one bar."""

    def __init__(self, bar: Bar) -> None:
        self._bar, self._done, self._lock = bar, 0, threading.Lock()

    def add(self, size: int) -> None:
        with self._lock:
            self._done += size
            self._bar.update(self._done)
