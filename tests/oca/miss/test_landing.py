from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any, cast

import pytest

from oca.errors import SpaceError
from oca.miss.landing import Landing
from oca.store.volumes import OpenFile


class Disk:
    """A file whose writes take as long as `may_write` says; `full` of them find no room."""

    def __init__(self, full: int = 0) -> None:
        self.may_write = asyncio.Event()
        self.writes: list[tuple[int, list[bytes]]] = []
        self.full = full

    async def write(self, pieces: Sequence[bytes], offset: int, digest: Any) -> None:
        await self.may_write.wait()
        if self.full:
            self.full -= 1
            raise SpaceError("no room", status=507)
        self.writes.append((offset, list(pieces)))
        for piece in pieces:
            digest.update(piece)


def landing(disk: Disk, told: list[int], freed: int = 0) -> Landing:
    async def shed(_: int) -> int:
        return freed

    return Landing(cast(OpenFile, disk), 100, told.append, shed)


async def test_what_comes_while_others_are_written_is_written_in_one_go() -> None:
    disk, told = Disk(), list[int]()
    block = landing(disk, told)
    for piece in (b"a", b"bb", b"ccc"):
        await block.add(piece)
        await asyncio.sleep(0)
    assert (block.position, told) == (106, [])
    disk.may_write.set()
    assert await block.digest() == hashlib.sha256(b"abbccc").hexdigest()
    assert disk.writes == [(100, [b"a"]), (101, [b"bb", b"ccc"])]
    assert told == [101, 106]


async def test_a_fast_upstream_waits_for_a_slow_disk() -> None:
    disk = Disk()
    block = landing(disk, [])
    await block.add(b"x")
    await asyncio.sleep(0)
    adding = asyncio.create_task(block.add(bytes(2 * 1024 * 1024)))
    await asyncio.sleep(0)
    assert not adding.done()
    disk.may_write.set()
    await adding
    await block.settle()


@pytest.mark.parametrize("freed", [0, 1])
async def test_on_a_full_disk_it_is_tried_once_more_if_something_could_go(freed: int) -> None:
    disk, told = Disk(full=1), list[int]()
    disk.may_write.set()
    block = landing(disk, told, freed)
    await block.add(b"x")
    if freed:
        await block.settle()
        assert told == [101]
    else:
        with pytest.raises(SpaceError):
            await block.settle()
        with pytest.raises(SpaceError):
            await block.add(b"y")


async def test_closing_waits_for_the_write_under_way_and_begins_no_other() -> None:
    """A write that ended after what another fetch writes would put wrong bytes under right ones."""
    disk, told = Disk(), list[int]()
    block = landing(disk, told)
    for piece in (b"x", b"y"):
        await block.add(piece)
        await asyncio.sleep(0)
    closing = asyncio.create_task(block.close())
    await asyncio.sleep(0)
    assert not closing.done()
    disk.may_write.set()
    await closing
    assert (disk.writes, told) == ([(100, [b"x"])], [101])


async def test_one_who_is_cancelled_while_waiting_cancels_no_write() -> None:
    disk, told = Disk(), list[int]()
    block = landing(disk, told)
    await block.add(b"x")
    waiting = asyncio.create_task(block.settle())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    disk.may_write.set()
    await block.close()
    assert disk.writes == [(100, [b"x"])]
