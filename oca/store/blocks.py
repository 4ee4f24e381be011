"""One stored file, open: its bytes, and what is known of each of its blocks.

    {file}            every block was right once: the name is the commit
    {file}.partial    sparse, while blocks arrive, or after some were found to have rotted
    {file}.blocks     one byte a block of a partial file: 1 where the block was right once

Names and bytes on the disk are *claims* of an earlier run, and are written in any order and without a sync: whatever
instant a process or the machine dies at, each claim is tested against the block's digest before the block counts as
*right*, which only lives in memory. What cannot be told from a digest, that a file is there at all, is synced when the
plan is told that it is.

All calls block, and may be made from any thread. `close` is safe while another thread still reads or writes: the
descriptor goes with the last of them, so that none of them ever touches another file that got its number.
"""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Literal, Protocol, TypeAlias

from encoder import package as packages
from encoder.package import BLOCK_SIZE, StoredFile
from oca.errors import SpaceError
from oca.store.pages import forget_pages, reserve, write_back
from oca.store.scan import BLOCKS, PARTIAL, PLANNED_MODE, PLANNED_PARTIAL_MODE, PULLED_MODE

State: TypeAlias = Literal["right", "wrong", "unreadable"]

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# What a disk answers for a sector that it has lost (EIO), or a checksumming file system for a block (EILSEQ, EBADMSG).
_UNREADABLE = frozenset({errno.EIO, errno.EILSEQ, errno.EBADMSG})
# Instead of a descriptor for writing past memory.
_NOT_YET, _NEVER = -1, -2


class Digest(Protocol):
    """What hashlib makes."""

    def update(self, data: bytes | memoryview, /) -> None: ...


class Blocks:
    """`has` says which blocks the disk should have, `right` which of them were found right since the start.

    Raises FileNotFoundError if a whole file is not there; a partial one is made.
    """

    def __init__(self, path: Path, file: StoredFile, *, is_whole: bool, is_planned: bool = False) -> None:
        self.file = file
        self.is_whole = is_whole
        self.is_planned = is_planned
        self._final = path
        self._uses = 1
        self._lock = Lock()
        self._opened: list[int] = []
        self._fd = self._marks_fd = -1
        self._direct_fd = _NOT_YET
        self._in_memory: set[int] = set()
        try:
            if is_whole:
                self._fd = self._open(path, os.O_RDONLY)
                self.has = bytearray(b"\1" * len(file.blocks))
            else:
                self._open_partial()
                self.has = bytearray(os.pread(self._marks_fd, len(file.blocks), 0))
        except OSError:
            self.close()
            raise
        self.right = bytearray(len(file.blocks))
        status = os.fstat(self._fd)
        self.inode = status.st_ino
        self.unwritten_bytes = 0 if is_whole else _unwritten_bytes(file, status)

    def _open_partial(self) -> None:
        if not self.path.exists():
            _marks_path(self._final).unlink(missing_ok=True)  # of a file that is gone
        mode = PLANNED_PARTIAL_MODE if self.is_planned else PULLED_MODE
        self._fd = self._open(self.path, os.O_RDWR | os.O_CREAT, mode)
        if os.fstat(self._fd).st_size != self.file.size:
            os.ftruncate(self._fd, self.file.size)
        self._marks_fd = self._open(_marks_path(self._final), os.O_RDWR | os.O_CREAT, PULLED_MODE)
        os.ftruncate(self._marks_fd, len(self.file.blocks))

    def _open(self, path: Path, flags: int, mode: int = 0) -> int:
        fd = os.open(path, flags | os.O_CLOEXEC, mode)
        self._opened.append(fd)
        return fd

    @property
    def fd(self) -> int:
        """For looking at only."""
        return self._fd

    @property
    def path(self) -> Path:
        return self._final if self.is_whole else partial_path(self._final)

    def close(self) -> None:
        """No new calls from here on."""
        self._leave()

    @contextmanager
    def _using(self) -> Iterator[None]:
        with self._lock:
            if not self._uses:
                raise OSError(errno.EBADF, "the file was closed")
            self._uses += 1
        try:
            yield
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._lock:
            self._uses -= 1
            if not self._uses:
                for fd in self._opened:
                    os.close(fd)

    # Bytes

    def write(
        self,
        pieces: Sequence[bytes | memoryview],
        offset: int,
        digest: Digest,
        *,
        through_memory: bool = True,
    ) -> None:
        """Bytes that have landed, and go into the digest of their block once all are written. Raises SpaceError.

        What nobody asks for yet need not go through the page cache: where it can, it is written past it, which costs a
        tenth of the processor's time, leaves nothing to write for `commit`, and pushes out nothing that players want.
        """
        left: Sequence[bytes | memoryview] = pieces
        with self._using():
            try:
                while left:
                    written = 0 if through_memory else self._write_past_memory(left, offset)
                    if not written:
                        written = os.pwritev(self._fd, left, offset)
                        self._in_memory.add(offset // BLOCK_SIZE)
                    offset += written
                    self.unwritten_bytes = max(0, self.unwritten_bytes - written)
                    left = _without(left, written)
            except OSError as error:
                if error.errno in NO_ROOM:
                    raise SpaceError(f"no room for {self.file.name}: {error.strerror}", status=507) from error
                raise
        for piece in pieces:
            digest.update(piece)

    def _write_past_memory(self, pieces: Sequence[bytes | memoryview], offset: int) -> int:
        """How many bytes were written so: 0 where pieces are no whole pages, or the file system cannot."""
        if self._direct_fd == _NEVER or offset % mmap.PAGESIZE or any(len(piece) % mmap.PAGESIZE for piece in pieces):
            return 0
        try:
            return os.pwritev(self._open_direct(), pieces, offset)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOENT):
                raise
            self._direct_fd = _NEVER
            return 0

    def _open_direct(self) -> int:
        with self._lock:
            if self._direct_fd == _NOT_YET:
                fd = self._open(self.path, os.O_WRONLY | os.O_DIRECT)
                # The path may be another's by now, where the file was dropped: this one is on its way out then.
                self._direct_fd = fd if os.fstat(fd).st_ino == self.inode else _NEVER
            if self._direct_fd == _NEVER:
                raise OSError(errno.EINVAL, "not past memory")
            return self._direct_fd

    def is_in_memory(self, block: int) -> bool:
        """Whether something of the block went through the page cache since it was let go."""
        return block in self._in_memory

    def let_go(self, block: int) -> None:
        """The block was filled, and nobody asks for it yet: it goes to the disk now, and is out of memory soon."""
        first, end = packages.block_range(block, self.file.size)
        self._in_memory.discard(block)
        with self._using():
            write_back(self._fd, first, end)
            if block:
                forget_pages(self._fd, *packages.block_range(block - 1, self.file.size))

    def state(self, block: int) -> State:
        """Reads a block and compares its digest."""
        first, end = packages.block_range(block, self.file.size)
        try:
            with self._using():
                data = os.pread(self._fd, end - first, first)
        except OSError as error:
            if error.errno not in _UNREADABLE:
                raise
            return "unreadable"
        return "right" if hashlib.sha256(data).hexdigest() == self.file.blocks[block] else "wrong"

    def state_on_disk(self, block: int) -> State:
        """The same of what the disk has, whatever memory remembers, and without pushing out what it remembers."""
        first, end = packages.block_range(block, self.file.size)
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECT)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):  # a file system in memory; or it is just being renamed
                return self.state(block)
            raise
        try:
            if os.fstat(fd).st_ino != self.inode:
                return self.state(block)
            with mmap.mmap(-1, BLOCK_SIZE) as aligned:
                got = os.preadv(fd, [aligned], first)
                data = memoryview(aligned)[: min(got, end - first)]
                try:
                    is_right = hashlib.sha256(data).hexdigest() == self.file.blocks[block]
                finally:
                    data.release()
            return "right" if is_right else "wrong"
        except OSError as error:
            if error.errno == errno.EINVAL:  # a file system that needs another alignment
                return self.state(block)
            if error.errno in _UNREADABLE:
                return "unreadable"
            raise
        finally:
            os.close(fd)

    def is_in_place(self) -> bool:
        """Whether the file's names still lead to it, and its size is right."""
        # A commit or a refutation may be renaming it just now: one of three looks in this order finds it.
        for path in (partial_path(self._final), self._final, partial_path(self._final)):
            with suppress(FileNotFoundError):
                status = path.stat()
                if status.st_ino == self.inode and status.st_size == self.file.size:
                    return True
        return False

    # Claims

    def mark(self, block: int) -> None:
        """The block was found right."""
        self._claim(block, 1)
        self.right[block] = 1

    def refute(self, block: int) -> None:
        """The block was found wrong: a whole file becomes a partial one, its other blocks kept, on the same inode."""
        self.right[block] = 0
        if not self.is_whole:
            self._claim(block, 0)
            return
        self.has[block] = 0
        mode = PLANNED_PARTIAL_MODE if self.is_planned else PULLED_MODE
        with self._using():
            # Marks first: a partial file without them would be fetched whole again.
            marks = _marks_path(self._final)
            marks.unlink(missing_ok=True)
            marks.write_bytes(self.has)
            os.fchmod(self._fd, mode)
            self._final.rename(partial_path(self._final))
            self.is_whole = False
            self._open_partial()  # for writing; the other descriptor stays for those who are reading from it

    def _claim(self, block: int, mark: int) -> None:
        if not self.is_whole and self.has[block] != mark:
            with self._using():
                os.pwrite(self._marks_fd, bytes((mark,)), block)
        self.has[block] = mark

    def commit(self) -> None:
        """Gives a file, all of whose blocks are right, its name."""
        with self._using():
            os.fchmod(self._fd, PLANNED_MODE if self.is_planned else PULLED_MODE)
            if self.is_planned:
                os.fsync(self._fd)
            self.path.rename(self._final)
            _marks_path(self._final).unlink(missing_ok=True)
            self.is_whole = True
            if self.is_planned:
                sync_folder(self._final.parent)

    def plan(self) -> None:
        """Marks the file as placed by the plan: only a drop removes it. A whole one is then sure to be on the disk."""
        self.is_planned = True
        with self._using():
            os.fchmod(self._fd, PLANNED_MODE if self.is_whole else PLANNED_PARTIAL_MODE)
            if self.is_whole:
                os.fsync(self._fd)
                sync_folder(self._final.parent)
            else:
                reserve(self._fd, self.file.size)
                self.unwritten_bytes = _unwritten_bytes(self.file, os.fstat(self._fd))


def partial_path(path: Path) -> Path:
    return path.with_name(path.name + PARTIAL)


def _marks_path(path: Path) -> Path:
    return path.with_name(path.name + BLOCKS)


def remove(path: Path) -> None:
    """Takes a file off the disk, whole or not."""
    # The marks first: bytes without marks are fetched again.
    for victim in (_marks_path(path), partial_path(path), path):
        victim.unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _unwritten_bytes(file: StoredFile, status: os.stat_result) -> int:
    """For which room is not taken yet."""
    # stat(2) counts what is allocated in units of 512 bytes, whatever the file system's are.
    return max(0, file.size - status.st_blocks * 512)


def _without(pieces: Sequence[bytes | memoryview], count: int) -> Sequence[bytes | memoryview]:
    """What is left of the pieces behind their first `count` bytes: a disk that fills up takes a part first."""
    for number, piece in enumerate(pieces):
        if count < len(piece):
            return [memoryview(piece)[count:], *pieces[number + 1 :]]
        count -= len(piece)
    return ()
