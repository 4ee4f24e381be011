"""Notices that somebody else writes to a file that was found right, so that it is looked at again before it is sent.

inotify(7) tells of writes, truncations, changes of names and removals, whoever makes them. It does not tell of what
happens below the file system, or of writes through a memory map: those are for the scrub. Only whole files are watched,
and the appliance never writes to one, so whatever is told is somebody else's doing.

Where there is no inotify (not Linux, or none left for this user) nothing is noticed, and that is said once.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress

from oca.store.inventory import FileKey

logger = logging.getLogger(__name__)

# linux/inotify.h
_MODIFY, _ATTRIB, _MOVE_SELF = 0x2, 0x4, 0x800
_OVERFLOW, _IGNORED = 0x4000, 0x8000
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC  # IN_NONBLOCK and IN_CLOEXEC are the same bits
_EVENT = struct.Struct("iIII")
_READ_BYTES = 64 * 1024
# The oldest is forgotten first. A watch pins an inode in the kernel's memory, about 1 KB.
_MOST_WATCHES = 65536


class Changes:
    """`written` hears of a file whose bytes may have changed, `moved` of one whose names may have."""

    def __init__(self, written: Callable[[FileKey], None], moved: Callable[[FileKey], None]) -> None:
        self._written, self._moved = written, moved
        self._fd = -1
        self._keys: dict[int, FileKey] = {}  # by watch, oldest first
        self._watches: dict[FileKey, int] = {}

    def start(self) -> None:
        try:
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._fd = self._libc.inotify_init1(_NONBLOCK_CLOEXEC)
        except (OSError, AttributeError):
            self._fd = -1
        if self._fd < 0:
            logger.warning("changes of files by others are not noticed here; the scrub will find them")
            return
        asyncio.get_running_loop().add_reader(self._fd, self._read)

    def close(self) -> None:
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def watch(self, key: FileKey, fd: int) -> None:
        """From now on, whatever happens to the file that is open as `fd`."""
        if self._fd < 0:
            return
        # By descriptor and not by path, which may be that of another file by now.
        path = f"/proc/self/fd/{fd}".encode()
        number = self._libc.inotify_add_watch(self._fd, path, _MODIFY | _ATTRIB | _MOVE_SELF)
        if number < 0:
            logger.warning("a file cannot be watched", extra={"file": str(key), "why": os.strerror(ctypes.get_errno())})
            return
        self._keys[number] = key
        self._watches[key] = number
        while len(self._watches) > _MOST_WATCHES:
            self.forget(next(iter(self._watches)))

    def forget(self, key: FileKey) -> None:
        """It is about to be written to by ourselves, or is gone."""
        number = self._watches.pop(key, None)
        if number is not None:
            self._keys.pop(number, None)
            self._libc.inotify_rm_watch(self._fd, number)

    def _read(self) -> None:
        written: set[FileKey] = set()
        moved: set[FileKey] = set()
        with suppress(BlockingIOError):
            for number, mask in _events(os.read(self._fd, _READ_BYTES)):
                if mask & _OVERFLOW:
                    written.update(list(self._watches))
                key = self._keys.get(number)
                if key is None:
                    continue
                if mask & _IGNORED:
                    del self._keys[number]
                    if self._watches.get(key) == number:
                        del self._watches[key]
                elif mask & _MODIFY:
                    written.add(key)
                else:
                    moved.add(key)
        for key in written:
            self._written(key)
        for key in moved:
            self._moved(key)


def _events(data: bytes) -> Iterator[tuple[int, int]]:
    """Watch and mask of each event."""
    offset = 0
    while offset < len(data):
        number, mask, _, length = _EVENT.unpack_from(data, offset)
        offset += _EVENT.size + length
        yield number, mask
