"""What the page cache does with bytes that were written: when they go to the disk, and whether they stay in memory.

Hints only: where the system has no such call, it does as it likes.
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
