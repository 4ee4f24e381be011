"""Hints to the file system about what is or will be written: room for it, when it goes to the disk, whether it stays.

Where the system has no such call, it does as it likes.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

# sync_file_range(2): wait for what is being written, begin to write what is dirty, wait for that.
_WAIT_BEFORE, _WRITE, _WAIT_AFTER = 1, 2, 4

_sync_file_range = getattr(ctypes.CDLL(None, use_errno=True), "sync_file_range", None)
if _sync_file_range is not None:
    _sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
_fallocate = getattr(ctypes.CDLL(None, use_errno=True), "fallocate", None)
if _fallocate is not None:
    _fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def reserve(fd: int, size: int) -> None:
    """Takes the room of a file that will be written in any order: then its writers need not wait for each other.

    Not os.posix_fallocate: where a file system cannot, that writes zeros instead.
    """
    if _fallocate is not None:
        _fallocate(fd, 0, 0, size)


def write_back(fd: int, first: int, end: int) -> None:
    """Has the kernel begin to write these bytes, and does not wait."""
    if _sync_file_range is not None:
        _sync_file_range(fd, first, end - first, _WRITE)


def forget_pages(fd: int, first: int, end: int) -> None:
    """Waits until these bytes are on their disk (not for its own memory: fsync does), and frees their pages."""
    if _sync_file_range is not None:
        _sync_file_range(fd, first, end - first, _WAIT_BEFORE | _WRITE | _WAIT_AFTER)
    with suppress(AttributeError, OSError):
        os.posix_fadvise(fd, first, end - first, os.POSIX_FADV_DONTNEED)
