"""An appliance whose disks fail it: flipped bytes, volumes that go away, and being killed at bad moments."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from pytest_aiohttp.plugin import AiohttpServer

from encoder.package import BLOCK_SIZE
from tests.media import make_package
from tests.oca.running import Running
from tests.oca.upstream import Upstream
from tests.waiting import until


class Network:
    """An upstream that serves one package, and an appliance that pulls from it."""

    def __init__(self, directory: Path, upstream: Upstream, url: str, folder: Path) -> None:
        self.directory, self.upstream, self.url, self.folder = directory, upstream, url, folder
        self.base = f"/v1/title/{folder.name}"
        self.package = f"title/{folder.name}"
        self.data = (folder / "v360.mp4").read_bytes()
        self.oca: Running

    def appliance(self, *options: str) -> Running:
        self.oca = Running(self.directory / "oca", "--origin", self.url, "--stall-limit", "20s", *options)
        return self.oca

    def stock(self, volume: Path) -> Path:
        """Puts the whole package on a volume, as an earlier run would have; the video's path."""
        shutil.copytree(self.folder.parent.parent, volume, dirs_exist_ok=True)
        return volume / self.package / "v360.mp4"

    async def get(self, path: str = "v360.mp4", **headers: str) -> bytes:
        url = f"{self.oca.url}{self.base}/{path}"
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
            assert answer.status in (200, 206), await answer.text()
            return await answer.read()


@pytest.fixture
async def network(tmp_path: Path, aiohttp_server: AiohttpServer) -> AsyncIterator[Network]:
    folder = make_package(tmp_path / "source")
    upstream = Upstream(tmp_path / "source")
    server = await aiohttp_server(upstream.application())
    network = Network(tmp_path, upstream, str(server.make_url("")).rstrip("/"), folder)
    yield network
    if hasattr(network.oca, "process"):
        await network.oca.end(signal.SIGKILL)


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes((byte ^ 1,)))


async def test_a_byte_flipped_before_the_start_is_never_served_and_is_repaired(network: Network) -> None:
    path = network.stock(network.appliance().volume)
    flip(path, 2 * BLOCK_SIZE + 1)
    await network.oca.start()
    with pytest.raises(aiohttp.ClientError):
        await network.get()
    assert await network.get() == network.data
    assert network.upstream.asked == {("v360.mp4", 2): 1}
    await until(path.exists)
    assert path.read_bytes() == network.data
    assert (await network.oca.ask("status"))["rotten_blocks"] == {"repaired": 1}


async def test_a_byte_flipped_while_it_runs_is_found_by_the_scrub_and_repaired(network: Network) -> None:
    path = network.stock(network.appliance("--scrub-rate", "0 B/s").volume)
    await network.oca.start()
    assert await network.get() == network.data
    flip(path, 5)
    found = await network.oca.ask("scrub")
    assert (found["rotten"], found["lost"]) == ([f"{network.package}/v360.mp4"], [])
    assert await network.get() == network.data
    assert network.upstream.asked == {("v360.mp4", 0): 1}


async def test_the_scrub_in_the_background_needs_nobody(network: Network) -> None:
    path = network.stock(network.appliance("--scrub-rate", "1 GiB/s").volume)
    flip(path, BLOCK_SIZE)
    await network.oca.start()
    await until(lambda: path.exists() and path.read_bytes() == network.data)
    assert network.upstream.asked == {("v360.mp4", 1): 1}


async def test_rot_that_nobody_can_repair_is_told_of_and_not_served(network: Network) -> None:
    path = network.stock(network.appliance("--scrub-rate", "0 B/s").volume)
    flip(path, 5)
    await network.oca.start()
    network.upstream.status = 503
    found = await network.oca.ask("scrub")
    assert found["lost"] == [f"{network.package}/v360.mp4"]
    with pytest.raises((aiohttp.ClientError, AssertionError)):
        await network.get()
    assert await network.get(Range=f"bytes={BLOCK_SIZE}-") == network.data[BLOCK_SIZE:]
    assert "v360.mp4" not in (await network.oca.ask("status"))["held"][network.package]


async def test_killed_in_the_middle_of_a_repair_it_serves_only_right_bytes(network: Network) -> None:
    path = network.stock(network.appliance().volume)
    flip(path, 5)
    await network.oca.start()
    network.upstream.gate = asyncio.Event()
    with pytest.raises(aiohttp.ClientError):
        await network.get()
    await network.upstream.arrived.acquire()
    await until(path.with_name("v360.mp4.partial").exists)
    await network.oca.end(signal.SIGKILL)
    network.upstream.gate.set()
    network.upstream.asked.clear()
    began = time.monotonic()
    await network.oca.start()
    assert time.monotonic() - began < 10  # 2 s on a machine of its own
    assert await network.get() == network.data
    assert network.upstream.asked == {("v360.mp4", 0): 1}
    await until(path.exists)
    assert path.read_bytes() == network.data


@pytest.mark.parametrize("what", ["miss", "scrub", "drain"])
async def test_killed_at_some_instant_it_serves_only_right_bytes_afterwards(network: Network, what: str) -> None:
    oca = network.appliance("--scrub-rate", "8 MiB/s")
    if what == "scrub":
        flip(network.stock(oca.volume), 3 * BLOCK_SIZE)
    await oca.start()
    getting = asyncio.create_task(network.get())
    if what == "miss":
        await network.upstream.arrived.acquire()
    elif what == "drain":
        oca.process.send_signal(signal.SIGTERM)
    await oca.end(signal.SIGKILL)
    await asyncio.gather(getting, return_exceptions=True)
    await oca.start()
    for _ in range(5):
        try:
            assert await network.get() == network.data
            break
        except aiohttp.ClientError:  # what was wrong was cut, and is fetched
            continue
    else:
        pytest.fail("never served")


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=128m", "none", str(path)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system is not permitted here")
    yield path
    while subprocess.run(["umount", "-l", str(path)], capture_output=True, check=False).returncode == 0:
        pass


async def status(network: Network) -> tuple[list[str], list[str], int]:
    told = await network.oca.ask("status")
    return told["problems"], told["notes"], told["disk_bytes"]


async def taken_out(network: Network, *, back: bool = False) -> None:
    """Until a volume is, or none is any more; a probe looks every 10 s."""

    async def is_so() -> bool:
        return bool((await status(network))[1]) is not back

    await until(is_so, 40)


async def run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0


def two_volumes(network: Network, mount: Path) -> Running:
    oca = network.appliance("--scrub-rate", "0 B/s")
    other = network.directory / "other"
    other.mkdir()
    oca._options = (*oca._options, "--volume", f"{mount},{other}")
    return oca


@pytest.mark.slow
async def test_a_volume_that_is_unmounted_is_taken_out_and_the_rest_is_served(network: Network, mount: Path) -> None:
    oca = two_volumes(network, mount)
    network.stock(mount)
    await oca.start()
    assert await network.get() == network.data and not network.upstream.asked
    await run("umount", "-l", str(mount))
    await taken_out(network)
    problems, notes, _ = await status(network)
    assert not problems and f"volume {mount} was taken out: it is not there" in notes[0]
    assert await network.get() == network.data  # from the origin, onto the other volume
    assert network.upstream.asked.total() == 4
    assert not [path for path in mount.iterdir() if path.name == "title"]
    await oca.end(signal.SIGKILL)
    await oca.start()  # the empty mount point is not taken for a volume
    assert "is not mounted" in (await status(network))[1][0]


@pytest.mark.slow
async def test_a_volume_that_turns_read_only_is_taken_out_and_taken_in_again(network: Network, mount: Path) -> None:
    oca = two_volumes(network, mount)
    network.stock(mount)
    await oca.start()
    await run("mount", "-o", "remount,ro", str(mount))
    await taken_out(network)
    assert "Read-only file system" in (await status(network))[1][0]
    assert await network.get("poster.jpg") == (network.folder / "poster.jpg").read_bytes()
    await run("mount", "-o", "remount,rw", str(mount))
    await taken_out(network, back=True)
    assert await network.get() == network.data and not network.upstream.asked["v360.mp4", 0]


async def test_a_full_disk_serves_what_it_has_and_refuses_the_rest_with_a_sentence(
    network: Network, mount: Path
) -> None:
    oca = network.appliance()
    oca._options = (*oca._options, "--volume", str(mount))
    (mount / "ballast").write_bytes(bytes(60 * 1024 * 1024))
    await oca.start()
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{oca.url}{network.base}/v360.mp4") as answer:
            assert answer.status == 503
        async with session.get(f"{oca.url}{network.base}/poster.jpg") as answer:
            assert answer.status == 200
