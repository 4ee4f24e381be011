from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path
from threading import Event

import pytest

from oca.errors import NotHeld, VolumeFailed, VolumeInUse
from oca.store import health
from oca.store import volume as volume_module
from oca.store.volume import Volume


@pytest.fixture
async def failed() -> list[Volume]:
    return []


@pytest.fixture
async def volume(tmp_path: Path, failed: list[Volume]) -> AsyncIterator[Volume]:
    volume = Volume(0, tmp_path / "volume", 0, failed.append)
    await volume.open(None)
    yield volume
    await volume.close()


def broken(number: int) -> None:
    raise OSError(number, os.strerror(number))


async def test_a_volume_has_one_owner(volume: Volume) -> None:
    with pytest.raises(VolumeInUse, match="belongs to another appliance that is running"):
        await Volume(1, volume.root, 0, lambda volume: None).open(None)


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS, errno.ENODEV, errno.ESTALE, errno.ENXIO, errno.EUCLEAN])
async def test_an_error_of_the_disk_takes_the_volume_out_once(
    volume: Volume, failed: list[Volume], number: int
) -> None:
    for _ in range(2):
        with pytest.raises(VolumeFailed, match=os.strerror(number)):
            await volume.run(broken, number)
    assert failed == [volume] and not volume.is_well


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENOSPC, errno.EACCES])
async def test_an_error_of_one_file_does_not(volume: Volume, number: int) -> None:
    with pytest.raises(OSError, match=os.strerror(number)):
        await volume.run(broken, number)
    assert volume.is_well


async def test_whoever_waits_for_a_disk_that_hangs_hears_when_it_is_taken_out(
    volume: Volume, failed: list[Volume]
) -> None:
    hanging = Event()
    waiting = [asyncio.create_task(volume.run(hanging.wait)) for _ in range(20)]
    await asyncio.sleep(0)
    volume.fail("it hangs")
    for waits in waiting:
        with pytest.raises(VolumeFailed, match="it hangs"):
            await waits
    hanging.set()


async def test_a_probe_that_does_not_come_back_takes_the_volume_out(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = Event()
    monkeypatch.setattr(volume_module, "_PROBE_LIMIT_S", 0.01)
    monkeypatch.setattr(health, "probe", lambda root, identity: hanging.wait() and 0)
    assert not await volume.probe()
    assert "has not answered" in volume.failure
    assert not await volume.probe()
    hanging.set()


async def test_a_volume_that_was_taken_out_can_come_back(volume: Volume) -> None:
    volume.fail("somebody pulled it")
    assert await volume.probe() and not volume.is_well
    await volume.open(volume.identity)
    assert await volume.run(lambda: 5) == 5


async def test_one_lost_sector_is_no_failure_and_many_are(volume: Volume, failed: list[Volume]) -> None:
    for _ in range(16):
        volume.unreadable()
    assert volume.is_well
    volume.unreadable()
    assert failed == [volume] and "17 blocks cannot be read" in volume.failure


async def test_whoever_gives_up_does_not_wait_for_the_thread(volume: Volume) -> None:
    hanging = Event()
    work = asyncio.create_task(volume.run(hanging.wait))
    await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    hanging.set()
    assert await volume.run(lambda: 1) == 1


async def test_errors_that_are_ours_pass_as_they_are(volume: Volume) -> None:
    def refuse() -> None:
        raise NotHeld("not here", status=404)

    with pytest.raises(NotHeld, match="not here"):
        await volume.run(refuse)
    assert volume.is_well


async def test_what_can_wait_runs_behind_everybody_else(volume: Volume) -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, 0)  # on Linux of the calling thread

    assert await volume.run_last(niceness) == 19
    assert await volume.run(niceness) == os.getpriority(os.PRIO_PROCESS, 0) < 19


async def test_the_limit_and_the_disk_bound_what_fits(volume: Volume) -> None:
    headroom = volume_module._HEADROOM_BYTES
    volume.free_bytes = headroom + 1000
    assert (volume.size_bytes(500), volume.room_bytes(500, 0), volume.room_bytes(500, 300)) == (1500, 1000, 700)
    volume._limit_bytes = 1200
    assert (volume.size_bytes(500), volume.room_bytes(500, 0), volume.room_bytes(500, 300)) == (1200, 700, 700)
