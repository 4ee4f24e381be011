"""A directory that holds content, whose tree is its own inventory.

    {title}/{package}/package.json      stored first; its digest is the package's name
    {title}/{package}/{file}            whole, every block verified: the name is the commit
    {title}/{package}/{file}.partial    sparse, while blocks arrive
    {title}/{package}/{file}.blocks     one byte a block: 1 once the block was verified and synced

A block's byte is set only after the block's bytes were synced, and a file gets its name only after all its blocks were.
So whatever instant a process or the machine dies at, what is there afterwards is right, and nothing has to be replayed.

Files that a plan placed are read-only (mode 0444); those that a miss pulled through are not (0644) and are the first to
go when room is needed, oldest first. The format reserves the two suffixes, so no file of a package
can be called so.

One process owns a volume at a time (flock). All calls block. The parent makes those of `Partial`, which move or sync
bytes, in threads, and those of `Volume` in its event loop: they touch only names, and so need no locks.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from encoder import package as packages
from encoder.errors import PackageError
from encoder.package import MANIFEST_NAME, Package, StoredFile
from oca.errors import NotHeld, SpaceError, VolumeInUse
from oca.report import EVERY_FILE

logger = logging.getLogger(__name__)

_PARTIAL, _BLOCKS = packages.RESERVED_SUFFIXES
_LOCK_NAME = ".lock"
_PLANNED_MODE = 0o444
_PULLED_MODE = 0o644
# A volume that is filled to the last byte slows down and cannot even log; keep this much of it free.
_HEADROOM_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, order=True)
class FileKey:
    """Names one stored file of one package."""

    title: str
    package: str
    file: str

    @property
    def package_key(self) -> str:
        return f"{self.title}/{self.package}"


class Partial:
    """A file whose blocks are arriving: open for writing, with the record of which are there."""

    def __init__(self, path: Path, file: StoredFile) -> None:
        self.file = file
        self.path = path.with_name(path.name + _PARTIAL)
        self.is_committed = False
        self._final = path
        self._blocks_path = path.with_name(path.name + _BLOCKS)
        if not self.path.exists():
            # Marks without the bytes they vouch for: a crash came between the tidying of the two.
            self._blocks_path.unlink(missing_ok=True)
        self._fd = self._blocks_fd = -1
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PULLED_MODE)
            self._blocks_fd = os.open(self._blocks_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PULLED_MODE)
            os.ftruncate(self._fd, file.size)
            os.ftruncate(self._blocks_fd, len(file.blocks))
            self.have = bytearray(os.pread(self._blocks_fd, len(file.blocks), 0))
        except OSError:
            self.close()
            raise
        self.inode = os.fstat(self._fd).st_ino

    def write(self, data: bytes, offset: int) -> None:
        """Bytes that have landed but are not verified yet. Raises SpaceError."""
        view = memoryview(data)
        try:
            while view:
                written = os.pwrite(self._fd, view, offset)
                view, offset = view[written:], offset + written
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise SpaceError(f"no room for {self.file.name}: {error.strerror}", status=507) from error
            raise

    def verify(self, block: int) -> bool:
        """Reads a block back and, if its digest is right, makes it held."""
        first, end = packages.block_range(block, self.file.size)
        digest = hashlib.sha256(os.pread(self._fd, end - first, first)).hexdigest()
        if digest != self.file.blocks[block]:
            return False
        os.fdatasync(self._fd)
        os.pwrite(self._blocks_fd, b"\x01", block)
        self.have[block] = 1
        return True

    @property
    def is_whole(self) -> bool:
        return all(self.have)

    def commit(self, *, planned: bool) -> None:
        """Gives the whole file its name."""
        os.fdatasync(self._blocks_fd)
        os.fchmod(self._fd, _PLANNED_MODE if planned else _PULLED_MODE)
        os.fsync(self._fd)
        self.path.rename(self._final)
        self._blocks_path.unlink()
        _sync_directory(self._final.parent)
        self.is_committed = True

    def close(self) -> None:
        for fd in (self._fd, self._blocks_fd):
            if fd >= 0:
                os.close(fd)
        self._fd = self._blocks_fd = -1


class Volume:
    """One directory of content. `limit_bytes` is what it may hold; 0 means what the file system has.

    `gone` hears the path of every file that was dropped, for whatever reason.
    """

    def __init__(self, root: Path, limit_bytes: int = 0, gone: Callable[[Path], None] = lambda path: None) -> None:
        self.root = root
        self._gone = gone
        self._limit_bytes = limit_bytes
        self._held: dict[str, set[str]] = {}  # package -> its files that are whole
        self._room: dict[FileKey, int] = {}  # bytes that a file takes up, or will when it is whole
        self._open: set[FileKey] = set()  # partial files that somebody writes to
        self._told: dict[str, tuple[str, ...]] = {}  # package -> what a report says of it, until that changes
        self.used_bytes = 0
        self._lock_fd = -1

    def start(self) -> None:
        """Takes the lock and reads the inventory. Raises VolumeInUse."""
        self.root.mkdir(parents=True, exist_ok=True)
        self._lock_fd = lock(self.root)
        for key, size in self._scan():
            if key.file.endswith(_PARTIAL):
                self._take_room(FileKey(key.title, key.package, key.file.removesuffix(_PARTIAL)), size)
            else:
                self._note(key, size)

    def close(self) -> None:
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def _scan(self) -> Iterator[tuple[FileKey, int]]:
        """Every file and its size. Names that are none of ours are left alone and not served."""
        for title in _entries(self.root):
            if packages.TITLE_PATTERN.fullmatch(title.name) and title.is_dir(follow_symlinks=False):
                for package in _entries(title.path):
                    if packages.PACKAGE_PATTERN.fullmatch(package.name) and package.is_dir(follow_symlinks=False):
                        for file in _entries(package.path):
                            if file.name.endswith(_BLOCKS):
                                continue
                            if packages.FILE_PATTERN.fullmatch(file.name) and file.is_file(follow_symlinks=False):
                                key = FileKey(title.name, package.name, file.name)
                                yield key, file.stat(follow_symlinks=False).st_size

    def _note(self, key: FileKey, size: int) -> None:
        self._held.setdefault(key.package_key, set()).add(key.file)
        self._told.pop(key.package_key, None)
        self._take_room(key, size)

    def _take_room(self, key: FileKey, size: int) -> None:
        self.used_bytes += size - self._room.get(key, 0)
        self._room[key] = size

    def _free_room(self, key: FileKey) -> None:
        self.used_bytes -= self._room.pop(key, 0)

    def path(self, key: FileKey) -> Path:
        return self.root / key.title / key.package / key.file

    def holds(self, key: FileKey) -> bool:
        return key.file in self._held.get(key.package_key, ())

    def inode(self, key: FileKey) -> int:
        """Of a file that should be held. Raises NotHeld if somebody took it away; it is forgotten then."""
        status = _stat(self.path(key))
        if status is None:
            self.drop(key)
            raise NotHeld(f"{key.file} of {key.package_key} is gone from the disk", status=404)
        return status.st_ino

    # Packages

    def manifest(self, title: str, package: str) -> Package:
        """The package's manifest, if it is held. Raises NotHeld; a manifest that has rotted is dropped first."""
        key = FileKey(title, package, MANIFEST_NAME)
        try:
            data = self.path(key).read_bytes()
        except FileNotFoundError as error:
            raise NotHeld(f"{key.package_key} is not here", status=404) from error
        try:
            return decode_manifest(title, package, data)
        except PackageError as error:
            logger.warning("dropped a manifest that has rotted", extra={"package": key.package_key, "why": str(error)})
            self.drop(key)
            raise NotHeld(f"{key.package_key} is not here", status=404) from error

    def store_manifest(self, title: str, package: str, data: bytes) -> Package:
        """Stores package.json, whole or not at all. Raises PackageError if it is not this package's, SpaceError."""
        decoded = decode_manifest(title, package, data)
        key = FileKey(title, package, MANIFEST_NAME)
        path = self.path(key)
        fresh = path.with_name(path.name + _PARTIAL)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with fresh.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise SpaceError(f"no room for the manifest of {key.package_key}", status=507) from error
            raise
        fresh.rename(path)
        _sync_directory(path.parent)
        self._note(key, len(data))
        return decoded

    # Files

    def open_partial(self, key: FileKey, file: StoredFile) -> Partial:
        """The file's blocks so far, to be added to.

        Sheds pull-through content where there is no room. Raises SpaceError.
        """
        self.make_room(file.size - self._room.get(key, 0))
        self.path(key).parent.mkdir(parents=True, exist_ok=True)
        partial = Partial(self.path(key), file)
        self._take_room(key, file.size)
        self._open.add(key)
        return partial

    def close_partial(self, key: FileKey, partial: Partial) -> None:
        """Nobody writes to it now; the verified blocks of an unfinished file stay for who asks next."""
        partial.close()
        self._open.discard(key)

    def adopt(self, key: FileKey, partial: Partial) -> None:
        """The file got its name: it is held."""
        self._note(key, partial.file.size)

    def plan(self, key: FileKey) -> None:
        """Marks a held file as placed by the plan: only a drop removes it. Raises NotHeld if the disk has lost it."""
        try:
            self.path(key).chmod(_PLANNED_MODE)
        except FileNotFoundError as error:
            self.drop(key)
            raise NotHeld(f"{key.file} of {key.package_key} is gone from the disk", status=404) from error

    def drop(self, key: FileKey) -> bool:
        """Forgets a file and frees its room; False if it was not held. Downloads under way keep their descriptor."""
        path = self.path(key)
        existed = self.holds(key)
        # The marks first: bytes without marks are fetched again, marks without bytes would be believed.
        for victim in (path.with_name(path.name + _BLOCKS), path.with_name(path.name + _PARTIAL), path):
            victim.unlink(missing_ok=True)
        names = self._held.get(key.package_key)
        if names is not None:
            names.discard(key.file)
        self._told.pop(key.package_key, None)
        self._free_room(key)
        self._gone(path)
        return existed

    # Room

    @property
    def size_bytes(self) -> int:
        """What it may hold."""
        disk = shutil.disk_usage(self.root)
        whole = self.used_bytes + max(0, disk.free - _HEADROOM_BYTES)
        return min(self._limit_bytes, whole) if self._limit_bytes else whole

    def make_room(self, size: int) -> None:
        """Sheds pull-through content until `size` bytes fit. Raises SpaceError, and then has shed nothing."""
        missing = size - (self.size_bytes - self.used_bytes)
        if missing <= 0:
            return
        if sum(self._room[key] for _, key in self._pulled()) >= missing:
            self.shed(missing)
        else:
            raise SpaceError(
                f"{self.root} has no room for {size} bytes, and nothing pulled through is left to drop", status=507
            )

    def shed(self, size: int) -> int:
        """Drops pull-through content, oldest first, until `size` bytes are freed; how many were."""
        freed = 0
        for _, key in sorted(self._pulled()):
            if freed >= size:
                break
            freed += self._room[key]
            self.drop(key)
        return freed

    def _pulled(self) -> Iterator[tuple[float, FileKey]]:
        """Files that no plan placed and nobody is writing, with the time of their last change."""
        for key in self._room.keys() - self._open:
            path = self.path(key)
            status = _stat(path) or _stat(path.with_name(path.name + _PARTIAL))
            if status is not None and key.file != MANIFEST_NAME and status.st_mode & 0o777 != _PLANNED_MODE:
                yield status.st_mtime, key

    # Inventory

    def held(self) -> dict[str, tuple[str, ...]]:
        """What a report says: package -> its files, or ("*",) for all; packages without content are left out."""
        for key, names in self._held.items():
            if key not in self._told:
                self._told[key] = self._tell(key, names - {MANIFEST_NAME})
        return {key: files for key, files in self._told.items() if files}

    def _tell(self, package_key: str, files: set[str]) -> tuple[str, ...]:
        title, _, package = package_key.partition("/")
        try:
            every = {file.name for file in self.manifest(title, package).files} if files else set()
        except NotHeld:
            return ()  # without its manifest a package cannot be served
        return EVERY_FILE if files and files >= every else tuple(sorted(files))

    def files(self) -> list[FileKey]:
        """Every file that is held whole, manifests left out."""
        return [
            FileKey(title, package, name)
            for (title, _, package), names in ((key.partition("/"), names) for key, names in self._held.items())
            for name in sorted(names - {MANIFEST_NAME})
        ]


def lock(directory: Path) -> int:
    """Takes a directory for this process; the lock goes with the descriptor that is returned. Raises VolumeInUse."""
    fd = os.open(directory / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(fd)
        raise VolumeInUse(f"{directory} belongs to another appliance that is running (process {owner})") from error
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def decode_manifest(title: str, package: str, data: bytes) -> Package:
    """The manifest that `data` is, if it is the one that `package` names. Raises PackageError."""
    if packages.package_name(data) != package:
        raise PackageError(f"the manifest of {title}/{package} has another digest than its name", status=502)
    decoded = packages.decode(data)
    if decoded.title != title:
        raise PackageError(f"package {package} is one of {decoded.title!r}, not of {title!r}", status=404)
    return decoded


def _entries(path: str | Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        yield from entries


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
