"""Objects as files of a directory.

A write goes to ROOT/.tmp, is synced, renamed to its key and the directory synced: after a crash the key has the old
bytes or the new ones, never a mixture. What a killed writer left in .tmp is removed when storage is opened much later.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import secrets
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from origin.errors import AlreadyThere, NotFound, SpaceError, StorageError
from origin.storage import PIECE, Moved, Stored, check_key, check_prefix

# A living writer touches its file every few milliseconds; one untouched for this long has no writer any more.
STALE_AFTER_S = 3600.0
LOCK_POLL_S = 0.1
_TEMPORARY, _LOCKS = ".tmp", ".locks"


class FileStorage:
    def __init__(self, root: Path) -> None:
        self._root = root

    def __repr__(self) -> str:
        return f"FileStorage({str(self._root)!r})"

    async def __aenter__(self) -> Self:
        with _translated(str(self._root)):
            await asyncio.to_thread(self._prepare, time.time())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def put_file(self, key: str, path: Path, moved: Moved | None = None) -> None:
        def write(target: int) -> None:
            with path.open("rb", buffering=0) as source:
                while piece := source.read(4 * PIECE):
                    _write_all(target, piece)
                    if moved:
                        moved(len(piece))

        await self._put(key, write, replace=True)

    async def put_bytes(self, key: str, data: bytes, *, if_absent: bool = False) -> None:
        await self._put(key, lambda target: _write_all(target, data), replace=not if_absent)

    async def read(self, key: str, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        with _translated(key), await _open(self._path(key), offset) as file:
            left = length
            while left is None or left > 0:
                piece = await asyncio.to_thread(file.read, PIECE if left is None else min(PIECE, left))
                if not piece:
                    return
                if left is not None:
                    left -= len(piece)
                yield piece

    async def read_bytes(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        async with aclosing(self.read(key, offset, length)) as pieces:
            return b"".join([piece async for piece in pieces])

    async def size(self, key: str) -> int:
        with _translated(key):
            return (await asyncio.to_thread(self._path(key).stat)).st_size

    async def list(self, prefix: str) -> AsyncIterator[Stored]:
        with _translated(prefix):
            found = await asyncio.to_thread(lambda: list(self._walk(check_prefix(prefix))))
        for stored in found:
            yield stored

    async def delete(self, key: str) -> None:
        with _translated(key):
            await asyncio.to_thread(self._delete, self._path(key))

    @asynccontextmanager
    async def lock(self, name: str) -> AsyncIterator[None]:
        """flock: the kernel releases it when the holder ends, however it ends."""
        with _translated(f"lock {name}"):
            path = self._root / _LOCKS / check_key(name)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            # Polled: the holder is another process, and a thread that waits in flock() could not be cancelled.
            while not _try_lock(fd):  # noqa: ASYNC110
                await asyncio.sleep(LOCK_POLL_S)
            yield
        finally:
            os.close(fd)

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    def _prepare(self, now: float) -> None:
        for name in (_TEMPORARY, _LOCKS):
            (self._root / name).mkdir(parents=True, exist_ok=True)
        for left in (self._root / _TEMPORARY).iterdir():
            with contextlib.suppress(FileNotFoundError):  # renamed by its writer, or removed by another of us
                if now - left.stat().st_mtime > STALE_AFTER_S:
                    left.unlink()

    async def _put(self, key: str, write: Callable[[int], None], *, replace: bool) -> None:
        with _translated(key):
            await asyncio.to_thread(self._write, self._path(key), write, replace)

    def _write(self, path: Path, write: Callable[[int], None], replace: bool) -> None:
        temporary = self._root / _TEMPORARY / secrets.token_hex(8)
        try:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            try:
                write(fd)
                os.fsync(fd)
            finally:
                os.close(fd)
            self._make_directory(path.parent)
            if replace:
                temporary.replace(path)
            else:
                os.link(temporary, path)  # unlike rename, fails if the name is taken
            _sync_directory(path.parent)
        finally:
            temporary.unlink(missing_ok=True)

    def _make_directory(self, directory: Path) -> None:
        """Makes it durable as well: a synced file in a directory whose own name is lost is lost."""
        if directory != self._root and not directory.is_dir():
            self._make_directory(directory.parent)
            directory.mkdir(exist_ok=True)
            _sync_directory(directory.parent)

    def _walk(self, prefix: str) -> Iterator[Stored]:
        start = self._root / prefix.rpartition("/")[0]
        for directory, names, files in os.walk(start):
            names[:] = [name for name in names if not name.startswith(".")]
            for name in files:
                path = Path(directory, name)
                key = path.relative_to(self._root).as_posix()
                if name.startswith(".") or not key.startswith(prefix):
                    continue
                with contextlib.suppress(FileNotFoundError):  # deleted since its directory was read
                    status = path.stat()
                    yield Stored(key, status.st_size, f"{status.st_ino}-{status.st_mtime_ns}")

    def _delete(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except NotADirectoryError:
            return
        with contextlib.suppress(OSError):
            # Emptied directories go too, except the outermost: writers of other titles are making files there.
            while path.parent.parent != self._root and path.parent != self._root:
                path = path.parent
                path.rmdir()


async def _open(path: Path, offset: int) -> FileIO:
    """Opens in a thread. Who is cancelled meanwhile never gets the file, so it is closed for him, even if the event
    loop is gone when it is there (aiofiles.open leaves that to the garbage collector)."""
    opening = _Opening()
    try:
        return await asyncio.to_thread(opening.open, path, offset)
    except asyncio.CancelledError:
        opening.abandon()
        raise


class _Opening:
    """A file that a thread opens for somebody who may not wait for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._file: FileIO | None = None
        self._is_abandoned = False

    def open(self, path: Path, offset: int) -> FileIO:
        file = FileIO(path)
        file.seek(offset)
        with self._lock:
            self._file = file
            if self._is_abandoned:
                file.close()
        return file

    def abandon(self) -> None:
        with self._lock:
            self._is_abandoned = True
            if self._file is not None:
                self._file.close()


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise NotFound(f"{what} is not in storage") from error
    except FileExistsError as error:
        raise AlreadyThere(f"{what} is in storage already") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SpaceError(f"{what} does not fit: storage is full ({error.strerror})") from error
        raise StorageError(f"{what}: storage cannot be used: {error.strerror or error}") from error


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
