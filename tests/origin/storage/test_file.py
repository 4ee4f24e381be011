from __future__ import annotations

import asyncio
import errno
import os
import threading
from io import FileIO
from pathlib import Path

import pytest

from origin.errors import NotFound, SpaceError, StorageError
from origin.storage import file as storage_file
from origin.storage.file import STALE_AFTER_S, FileStorage


async def test_a_failed_write_leaves_the_old_bytes_and_no_garbage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FileStorage(tmp_path) as storage:
        await storage.put_bytes("k", b"old")

        def full(fd: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(SpaceError, match="full"):
            await storage.put_bytes("k", b"new")
        monkeypatch.undo()
        assert await storage.read_bytes("k") == b"old"
        assert list((tmp_path / ".tmp").iterdir()) == []


async def test_a_full_device_is_a_space_error(tmp_path: Path) -> None:
    """/dev/full fails every write the way a full disk does."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")

    def write(fd: int) -> None:
        with Path("/dev/full").open("wb", buffering=0) as full:
            full.write(b"x")

    async with FileStorage(tmp_path) as storage:
        with pytest.raises(SpaceError):
            await storage._put("k", write, replace=True)
        with pytest.raises(NotFound):
            await storage.size("k")


async def test_a_root_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        async with FileStorage(tmp_path / "file" / "below"):
            pass


async def test_what_a_killed_writer_left_goes_when_it_is_old(tmp_path: Path) -> None:
    async with FileStorage(tmp_path):
        pass
    old, fresh = tmp_path / ".tmp" / "old", tmp_path / ".tmp" / "fresh"
    for left in (old, fresh):
        left.write_bytes(b"half")
    long_ago = old.stat().st_mtime - STALE_AFTER_S - 1
    os.utime(old, (long_ago, long_ago))
    async with FileStorage(tmp_path):
        assert [path.name for path in (tmp_path / ".tmp").iterdir()] == ["fresh"]


async def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    held = asyncio.Event()
    release = asyncio.Event()
    order = []

    async def first() -> None:
        async with FileStorage(tmp_path) as storage, storage.lock("film"):
            held.set()
            await release.wait()
            order.append("first")

    async def second() -> None:
        await held.wait()
        async with FileStorage(tmp_path) as storage:
            async with storage.lock("other"):
                release.set()
            async with storage.lock("film"):
                order.append("second")

    async with asyncio.timeout(10):
        await asyncio.gather(first(), second())
    assert order == ["first", "second"]


async def test_emptied_directories_go_and_the_outermost_stays(tmp_path: Path) -> None:
    async with FileStorage(tmp_path) as storage:
        await storage.put_bytes("packages/film/p/f", b"x")
        await storage.delete("packages/film/p/f")
    assert [path.name for path in (tmp_path / "packages").iterdir()] == []


def test_a_file_that_is_opened_when_the_event_loop_ends_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader is cancelled at the end of the program while a thread opens its file, and the thread comes last."""
    (tmp_path / "k").write_bytes(b"x")
    is_opening, may_open = threading.Event(), threading.Event()
    opened = []

    class SlowFile(FileIO):
        def __init__(self, path: Path) -> None:
            is_opening.set()
            assert may_open.wait(10)
            super().__init__(path)
            opened.append(self)

    monkeypatch.setattr(storage_file, "FileIO", SlowFile)

    async def read_and_end() -> None:
        async with FileStorage(tmp_path) as storage:
            reading = asyncio.ensure_future(storage.read_bytes("k"))
            await asyncio.to_thread(is_opening.wait, 10)
            reading.cancel()
            await asyncio.wait([reading])
        may_open.set()

    asyncio.run(read_and_end())
    assert [file.closed for file in opened] == [True]
