from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from pytest_aiohttp.plugin import AiohttpServer

from encoder.package import BLOCK_SIZE
from oca.errors import NotHeld, SpaceError, UpstreamError
from oca.miss.fetcher import Fetcher
from oca.miss.upstream import Source, Upstreams
from oca.store.volume import FileKey, Volume
from tests.media import make_package
from tests.oca.upstream import Upstream

STALL_S = 0.3


class Setting:
    """An empty volume with a fetcher between it and upstreams of our making."""

    def __init__(self, folder: Path, volume: Volume, session: aiohttp.ClientSession, serve: AiohttpServer) -> None:
        self.folder, self.volume, self._session, self._serve = folder, volume, session, serve
        self.data = (folder / "v360.mp4").read_bytes()
        self.key = FileKey("title", folder.name, "v360.mp4")
        self.sources: list[Source] = []
        self.fetcher = self.fetcher_of()

    def fetcher_of(self) -> Fetcher:
        return Fetcher(self.volume, Upstreams(self._session, STALL_S), self.sources)

    async def upstream(self, *, cached_only: bool = False) -> Upstream:
        upstream = Upstream(self.folder.parent.parent)
        server = await self._serve(upstream.application())
        self.sources.append(Source(str(server.make_url("")).rstrip("/"), cached_only))
        self.fetcher = self.fetcher_of()
        return upstream

    async def watch(self, first: int, end: int) -> list[int]:
        """What a miss of these bytes was told, one position after another."""
        told: list[int] = []
        await self.fetcher.watch(self.key, first, end, lambda path, inode: None, told.append)
        return told


@pytest.fixture
async def setting(tmp_path: Path, aiohttp_server: AiohttpServer) -> AsyncIterator[Setting]:
    volume = Volume(tmp_path / "volume")
    volume.start()
    async with aiohttp.ClientSession() as session:
        setting = Setting(make_package(tmp_path / "source"), volume, session, aiohttp_server)
        yield setting
        await setting.fetcher.close()
    volume.close()


async def test_a_miss_fetches_only_the_blocks_under_it(setting: Setting) -> None:
    upstream = await setting.upstream()
    told = await setting.watch(BLOCK_SIZE + 10, BLOCK_SIZE + 5000)
    assert told[-1] == BLOCK_SIZE + 5000
    assert upstream.asked == {("v360.mp4", 1): 1}
    assert not setting.volume.holds(setting.key)


async def test_many_who_want_one_block_share_one_fetch(setting: Setting) -> None:
    upstream = await setting.upstream()
    upstream.gate = asyncio.Event()
    watches = [asyncio.create_task(setting.watch(n, 2 * BLOCK_SIZE - n)) for n in range(100)]
    await upstream.arrived.acquire()
    await upstream.arrived.acquire()
    upstream.gate.set()
    told = await asyncio.gather(*watches)
    assert [positions[-1] for positions in told] == [2 * BLOCK_SIZE - n for n in range(100)]
    assert upstream.asked == {("v360.mp4", 0): 1, ("v360.mp4", 1): 1}


async def test_bytes_flow_before_the_block_is_whole_but_the_last_waits_for_the_digest(setting: Setting) -> None:
    upstream = await setting.upstream()
    upstream.gate = asyncio.Event()
    told: list[int] = []
    first_told = asyncio.Event()

    def tell(upto: int) -> None:
        told.append(upto)
        first_told.set()

    miss = asyncio.create_task(setting.fetcher.watch(setting.key, 0, 5000, lambda path, inode: None, tell))
    await first_told.wait()  # half of the block has landed, all 5000 bytes among it
    assert told == [4999]
    upstream.gate.set()
    await miss
    assert told == [4999, 5000]


async def test_a_file_is_held_once_all_its_blocks_were_missed(setting: Setting) -> None:
    await setting.upstream()
    for block in range(4):
        await setting.watch(block * BLOCK_SIZE, min((block + 1) * BLOCK_SIZE, len(setting.data)))
    await setting.fetcher.close()
    assert setting.volume.path(setting.key).read_bytes() == setting.data
    assert setting.volume.holds(setting.key)


async def test_wrong_bytes_are_never_the_end_of_an_answer(setting: Setting) -> None:
    upstream = await setting.upstream()
    upstream.corrupt = True
    told: list[int] = []
    with pytest.raises(UpstreamError, match="another digest"):
        await setting.fetcher.watch(setting.key, 0, 5000, lambda path, inode: None, told.append)
    assert 5000 not in told
    upstream.corrupt = False
    assert (await setting.watch(0, 5000))[-1] == 5000


async def test_after_wrong_bytes_the_next_who_asks_is_served_from_elsewhere(setting: Setting) -> None:
    bad = await setting.upstream()
    await setting.watch(BLOCK_SIZE, BLOCK_SIZE + 1)  # the manifest is known: only blocks go wrong
    good = await setting.upstream()
    bad.corrupt = True
    with pytest.raises(UpstreamError):
        await setting.watch(0, 5000)
    assert (await setting.watch(0, 5000))[-1] == 5000
    assert good.asked.total() == 1


@pytest.mark.parametrize("trouble", ["status", "cut", "silent", "missing"])
async def test_the_next_upstream_goes_on_where_one_failed(setting: Setting, trouble: str) -> None:
    first = await setting.upstream(cached_only=True)
    await setting.watch(BLOCK_SIZE, BLOCK_SIZE + 1)  # its manifest is known, and one block of it
    second = await setting.upstream()
    if trouble == "status":
        first.status = 500
    elif trouble == "missing":
        first.status = 504
    elif trouble == "cut":
        first.cut_after = 1_000_000
    else:
        first.silent_after = 1_000_000
    assert (await setting.watch(0, BLOCK_SIZE))[-1] == BLOCK_SIZE
    assert second.asked == {("v360.mp4", 0): 1}


async def test_peers_are_asked_only_for_what_they_hold(setting: Setting) -> None:
    peer = await setting.upstream(cached_only=True)
    peer.status = 504
    origin = await setting.upstream()
    await setting.watch(0, 100)
    assert all(peer.cached_only) and not any(origin.cached_only)


async def test_without_any_upstream_the_answer_is_clear_and_quick(setting: Setting) -> None:
    with pytest.raises(NotHeld) as caught:
        await setting.watch(0, 100)
    assert caught.value.status == 404


async def test_an_unknown_package_is_asked_for_upstream_once(setting: Setting) -> None:
    upstream = await setting.upstream()
    key = FileKey("title", "0" * 32, "v360.mp4")
    for _ in range(3):
        with pytest.raises(NotHeld, match="no upstream knows"):
            await setting.fetcher.watch(key, 0, 1, lambda path, inode: None, lambda upto: None)
    assert len(upstream.cached_only) == 1


async def test_no_network_is_not_mistaken_for_an_unknown_package(setting: Setting) -> None:
    setting.sources.append(Source("http://127.0.0.1:1", cached_only=False))  # tcpmux: nobody listens
    setting.fetcher = setting.fetcher_of()
    with pytest.raises(UpstreamError, match="does not answer") as caught:
        await setting.watch(0, 100)
    assert caught.value.status == 503


async def test_a_manifest_with_a_byte_changed_is_refused(setting: Setting) -> None:
    upstream = await setting.upstream()
    upstream.corrupt = True
    with pytest.raises(UpstreamError, match="another digest than its name"):
        await setting.watch(0, 100)


async def test_a_fill_makes_the_file_planned_and_tells_how_far_it_is(setting: Setting) -> None:
    await setting.upstream()
    moved: list[tuple[int, int]] = []
    await setting.fetcher.fill(setting.key, [], lambda done, size: moved.append((done, size)))
    assert moved[0] == (0, len(setting.data)) and moved[-1] == (len(setting.data), len(setting.data))
    assert setting.volume.path(setting.key).stat().st_mode & 0o777 == 0o444


async def test_a_fill_resumes_with_the_blocks_that_are_missing(setting: Setting) -> None:
    upstream = await setting.upstream()
    await setting.watch(2 * BLOCK_SIZE, 2 * BLOCK_SIZE + 1)
    upstream.asked.clear()
    await setting.fetcher.fill(setting.key, [], lambda done, size: None)
    assert upstream.asked == {("v360.mp4", 0): 1, ("v360.mp4", 1): 1, ("v360.mp4", 3): 1}


async def test_a_fill_and_misses_of_the_same_file_do_not_fetch_twice(setting: Setting) -> None:
    upstream = await setting.upstream()
    await asyncio.gather(
        setting.fetcher.fill(setting.key, [], lambda done, size: None),
        *(setting.watch(0, len(setting.data)) for _ in range(5)),
    )
    assert set(upstream.asked.values()) == {1}
    assert setting.volume.path(setting.key).read_bytes() == setting.data


async def test_a_drop_ends_the_fetches_of_the_file(setting: Setting) -> None:
    upstream = await setting.upstream()
    upstream.gate = asyncio.Event()
    fill = asyncio.create_task(setting.fetcher.fill(setting.key, [], lambda done, size: None))
    await upstream.arrived.acquire()
    await setting.fetcher.drop(setting.key)
    with pytest.raises(NotHeld, match="was dropped"):
        await fill
    upstream.gate.set()
    assert not list(setting.volume.path(setting.key).parent.glob("v360.mp4*"))
    await setting.fetcher.fill(setting.key, [], lambda done, size: None)
    assert setting.volume.holds(setting.key)


async def test_a_client_that_goes_away_does_not_stop_the_block_for_others(setting: Setting) -> None:
    upstream = await setting.upstream()
    upstream.gate = asyncio.Event()
    leaver = asyncio.create_task(setting.watch(0, 100))
    await upstream.arrived.acquire()
    stayer = asyncio.create_task(setting.watch(0, 200))
    leaver.cancel()
    upstream.gate.set()
    assert (await stayer)[-1] == 200
    assert upstream.asked == {("v360.mp4", 0): 1}


async def test_a_disk_without_room_refuses_and_keeps_what_is_there(setting: Setting) -> None:
    await setting.upstream()
    small = Volume(setting.volume.root.parent / "small", limit_bytes=1024 * 1024)
    small.start()
    fetcher = Fetcher(small, setting.fetcher._upstreams, setting.sources)
    poster = FileKey("title", setting.folder.name, "poster.jpg")
    await fetcher.fill(poster, [], lambda done, size: None)
    with pytest.raises(SpaceError, match="has no room"):
        await fetcher.fill(setting.key, [], lambda done, size: None)
    assert small.holds(poster)
    await fetcher.close()
    small.close()


async def test_wrong_bytes_of_one_source_are_never_told_while_the_next_is_asked(setting: Setting) -> None:
    bad = await setting.upstream()
    await setting.watch(BLOCK_SIZE, BLOCK_SIZE + 1)  # the manifest is known: only blocks go wrong
    good = await setting.upstream()
    bad.corrupt, good.gate, good.second_half_only = True, asyncio.Event(), True
    fill = asyncio.create_task(setting.fetcher.fill(setting.key, setting.sources, lambda done, size: None))
    while ("v360.mp4", 0) not in good.asked:
        await good.arrived.acquire()
    # The first block came wrong from one source, and the other one has sent nothing of it yet.
    told: list[int] = []
    located = asyncio.Event()
    miss = asyncio.create_task(
        setting.fetcher.watch(setting.key, 0, 5000, lambda path, inode: located.set(), told.append)
    )
    await located.wait()
    assert told == []
    good.gate.set()
    await asyncio.gather(fill, miss)
    assert told[-1] == 5000


async def test_an_answer_that_was_told_wrong_bytes_never_becomes_whole(setting: Setting) -> None:
    bad = await setting.upstream()
    await setting.watch(BLOCK_SIZE, BLOCK_SIZE + 1)
    await setting.upstream()
    bad.corrupt = True
    told: list[int] = []
    with pytest.raises(UpstreamError, match="wrong bytes"):
        await setting.fetcher.watch(setting.key, 0, 5000, lambda path, inode: None, told.append)
    assert 5000 not in told
    assert (await setting.watch(0, 5000))[-1] == 5000  # the next who asks has the right ones


async def test_a_drop_while_a_thread_writes_leaves_other_files_alone(setting: Setting) -> None:
    await setting.upstream()
    poster = FileKey("title", setting.folder.name, "poster.jpg")
    for _ in range(20):
        fill = asyncio.create_task(setting.fetcher.fill(setting.key, [], lambda done, size: None))
        await asyncio.sleep(0.005)
        await setting.fetcher.drop(setting.key)
        await setting.fetcher.fill(poster, [], lambda done, size: None)
        await asyncio.gather(fill, return_exceptions=True)
        assert setting.volume.path(poster).read_bytes() == (setting.folder / "poster.jpg").read_bytes()
        await setting.fetcher.drop(poster)
    await setting.fetcher.fill(setting.key, [], lambda done, size: None)
    assert setting.volume.path(setting.key).read_bytes() == setting.data


async def test_a_fill_of_what_a_miss_pulled_makes_it_planned(setting: Setting) -> None:
    await setting.upstream()
    await asyncio.gather(
        setting.watch(0, len(setting.data)),
        setting.fetcher.fill(setting.key, [], lambda done, size: None),
    )
    assert setting.volume.path(setting.key).stat().st_mode & 0o777 == 0o444
