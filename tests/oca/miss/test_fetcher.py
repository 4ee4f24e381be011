from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pytest_aiohttp.plugin import AiohttpServer

from encoder.package import BLOCK_SIZE, MANIFEST_NAME
from oca.errors import NotHeld, SpaceError, UpstreamError, VolumeFailed
from oca.miss.fetcher import UNPACED, Fetcher, Place
from oca.miss.upstream import Attempts, Source, Upstreams
from oca.store.blocks import Blocks, Digest, State
from oca.store.inventory import FileKey
from oca.store.volumes import OpenFile, Volumes
from tests.media import make_package
from tests.oca.upstream import Upstream
from tests.waiting import until

# Long enough that a busy machine is not taken for a silent upstream.
STALL_S = 2.0


class Setting:
    """An empty volume with a fetcher between it and upstreams of our making."""

    def __init__(self, folder: Path, volumes: Volumes, session: aiohttp.ClientSession, serve: AiohttpServer) -> None:
        self.folder, self.volumes, self._session, self._serve = folder, volumes, session, serve
        self.data = (folder / "v360.mp4").read_bytes()
        self.key = FileKey("title", folder.name, "v360.mp4")
        self.sources: list[Source] = []
        self.rotten: list[tuple[FileKey, int]] = []
        self.distrusted: list[FileKey] = []
        self.upstreams: list[Upstreams] = []
        self.fetcher = self.fetcher_of()

    def fetcher_of(self) -> Fetcher:
        self.upstreams.append(Upstreams(self._session, STALL_S))
        return Fetcher(
            self.volumes,
            self.upstreams[-1],
            self.sources,
            self.note_rotten,
        )

    def note_rotten(self, key: FileKey, block: int) -> None:
        if block < 0:
            self.distrusted.append(key)
        else:
            self.rotten.append((key, block))

    @property
    def path(self) -> Path:
        """Of the video, once it is held."""
        return self.volumes.volumes[0].path(self.key)

    async def restart(self) -> None:
        """What is there afterwards is what was on the disk."""
        await self.fetcher.close()
        await self.volumes.close()
        self.volumes = Volumes([volume.root for volume in self.volumes.volumes])
        await self.volumes.start()
        self.fetcher = self.fetcher_of()

    async def fill(self) -> None:
        await self.fetcher.fill(self.key, [], lambda done, size, source: None)

    async def upstream(self, *, cached_only: bool = False) -> Upstream:
        upstream = Upstream(self.folder.parent.parent)
        server = await self._serve(upstream.application())
        self.sources.append(Source(str(server.make_url("")).rstrip("/"), cached_only))
        self.fetcher = self.fetcher_of()
        return upstream

    async def watch(self, first: int, end: int) -> list[int]:
        """What a miss of these bytes was told, one position after another."""
        told: list[int] = []
        await self.fetcher.watch(self.key, first, end, lambda place: None, told.append)
        return told


@pytest.fixture
async def setting(tmp_path: Path, aiohttp_server: AiohttpServer) -> AsyncIterator[Setting]:
    volumes = Volumes([tmp_path / "volume"])
    await volumes.start()
    async with aiohttp.ClientSession() as session:
        setting = Setting(make_package(tmp_path / "source"), volumes, session, aiohttp_server)
        yield setting
        await setting.fetcher.close()
        for upstreams in setting.upstreams:
            upstreams.close()
        await setting.volumes.close()


async def test_a_miss_fetches_only_the_blocks_under_it(setting: Setting) -> None:
    upstream = await setting.upstream()
    told = await setting.watch(BLOCK_SIZE + 10, BLOCK_SIZE + 5000)
    assert told[-1] == BLOCK_SIZE + 5000
    assert upstream.asked == {("v360.mp4", 1): 1}
    assert not setting.volumes.holds(setting.key)


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

    miss = asyncio.create_task(setting.fetcher.watch(setting.key, 0, 5000, lambda place: None, tell))
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
    assert setting.path.read_bytes() == setting.data
    assert setting.volumes.holds(setting.key)


async def test_wrong_bytes_are_never_the_end_of_an_answer(setting: Setting) -> None:
    upstream = await setting.upstream()
    await setting.watch(BLOCK_SIZE, BLOCK_SIZE + 1)  # the manifest is known: only blocks go wrong
    upstream.corrupt = True
    told: list[int] = []
    with pytest.raises(UpstreamError, match="wrong bytes"):
        await setting.fetcher.watch(setting.key, 0, 5000, lambda place: None, told.append)
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
            await setting.fetcher.watch(key, 0, 1, lambda place: None, lambda upto: None)
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
    await setting.fetcher.fill(setting.key, [], lambda done, size, source: moved.append((done, size)))
    assert moved[0] == (0, len(setting.data)) and moved[-1] == (len(setting.data), len(setting.data))
    assert setting.path.stat().st_mode & 0o777 == 0o444


async def test_a_fill_resumes_with_the_blocks_that_are_missing(setting: Setting) -> None:
    upstream = await setting.upstream()
    await setting.watch(2 * BLOCK_SIZE, 2 * BLOCK_SIZE + 1)
    upstream.asked.clear()
    await setting.fetcher.fill(setting.key, [], lambda done, size, source: None)
    assert upstream.asked == {("v360.mp4", 0): 1, ("v360.mp4", 1): 1, ("v360.mp4", 3): 1}


async def test_a_fill_and_misses_of_the_same_file_do_not_fetch_twice(setting: Setting) -> None:
    upstream = await setting.upstream()
    await asyncio.gather(
        setting.fetcher.fill(setting.key, [], lambda done, size, source: None),
        *(setting.watch(0, len(setting.data)) for _ in range(5)),
    )
    assert set(upstream.asked.values()) == {1}
    assert setting.path.read_bytes() == setting.data


async def test_a_fill_goes_past_memory_and_what_a_player_waits_for_through_it(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, through = Blocks.write, set()

    def write(self: Blocks, pieces: Any, offset: int, digest: Digest, *, through_memory: bool = True) -> None:
        through.add((self.file.name, through_memory))
        real(self, pieces, offset, digest, through_memory=through_memory)

    monkeypatch.setattr(Blocks, "write", write)
    await setting.upstream()
    await setting.watch(0, 10)
    assert through == {("v360.mp4", True)}
    through.clear()
    await setting.fill()
    assert through == {("v360.mp4", False)}
    assert setting.path.read_bytes() == setting.data


async def test_a_block_that_a_slow_source_has_holds_up_no_other_of_a_fill(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oca.miss.fetcher._FILL_AHEAD", 2)
    upstream = await setting.upstream()
    upstream.gate, upstream.gated = asyncio.Event(), 0
    fill = asyncio.create_task(setting.fill())
    for _ in range(4):
        await upstream.arrived.acquire()
    upstream.gate.set()
    await fill
    assert set(upstream.asked.values()) == {1}


async def test_beside_players_a_fill_has_fewer_blocks_under_way(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oca.miss.fetcher._YIELDING_AHEAD", 1)
    upstream = await setting.upstream()
    fetcher = Fetcher(
        setting.volumes, setting.upstreams[-1], setting.sources, pacing=UNPACED._replace(yields=lambda: True)
    )
    upstream.gate = asyncio.Event()
    fill = asyncio.create_task(fetcher.fill(setting.key, [], lambda done, size, source: None))
    await upstream.arrived.acquire()
    assert sum(upstream.asked.values()) == 1
    upstream.gate.set()
    await fill
    await fetcher.close()
    assert setting.path.read_bytes() == setting.data


async def test_a_drop_ends_the_fetches_of_the_file(setting: Setting) -> None:
    upstream = await setting.upstream()
    upstream.gate = asyncio.Event()
    fill = asyncio.create_task(setting.fetcher.fill(setting.key, [], lambda done, size, source: None))
    await upstream.arrived.acquire()
    await setting.fetcher.drop(setting.key)
    with pytest.raises(NotHeld, match="was dropped"):
        await fill
    upstream.gate.set()
    assert not list(setting.path.parent.glob("v360.mp4*"))
    await setting.fetcher.fill(setting.key, [], lambda done, size, source: None)
    assert setting.volumes.holds(setting.key)


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
    small = Volumes([setting.path.parents[2].parent / "small"], limit_bytes=1024 * 1024)
    await small.start()
    fetcher = Fetcher(small, setting.fetcher._upstreams, setting.sources)
    poster = FileKey("title", setting.folder.name, "poster.jpg")
    await fetcher.fill(poster, [], lambda done, size, source: None)
    with pytest.raises(SpaceError, match="no volume has room") as fill:
        await fetcher.fill(setting.key, [], lambda done, size, source: None)
    with pytest.raises(SpaceError, match="no volume has room") as miss:
        await fetcher.watch(setting.key, 0, 100, lambda place: None, lambda upto: None)
    assert (fill.value.status, miss.value.status) == (507, 503)
    assert small.holds(poster)
    await fetcher.close()
    await small.close()


async def test_wrong_bytes_of_one_source_are_never_told_while_the_next_is_asked(setting: Setting) -> None:
    bad = await setting.upstream()
    await setting.watch(BLOCK_SIZE, BLOCK_SIZE + 1)  # the manifest is known: only blocks go wrong
    good = await setting.upstream()
    bad.corrupt, good.gate, good.second_half_only = True, asyncio.Event(), True
    fill = asyncio.create_task(setting.fetcher.fill(setting.key, setting.sources, lambda done, size, source: None))
    while ("v360.mp4", 0) not in good.asked:
        await good.arrived.acquire()
    # The first block came wrong from one source, and the other one has sent nothing of it yet.
    told: list[int] = []
    located = asyncio.Event()
    miss = asyncio.create_task(setting.fetcher.watch(setting.key, 0, 5000, lambda place: located.set(), told.append))
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
        await setting.fetcher.watch(setting.key, 0, 5000, lambda place: None, told.append)
    assert 5000 not in told
    assert (await setting.watch(0, 5000))[-1] == 5000  # the next who asks has the right ones


async def test_a_drop_while_a_thread_writes_leaves_other_files_alone(setting: Setting) -> None:
    await setting.upstream()
    poster = FileKey("title", setting.folder.name, "poster.jpg")
    for _ in range(20):
        fill = asyncio.create_task(setting.fetcher.fill(setting.key, [], lambda done, size, source: None))
        await asyncio.sleep(0.005)
        await setting.fetcher.drop(setting.key)
        await setting.fetcher.fill(poster, [], lambda done, size, source: None)
        await asyncio.gather(fill, return_exceptions=True)
        assert setting.volumes.volumes[0].path(poster).read_bytes() == (setting.folder / "poster.jpg").read_bytes()
        await setting.fetcher.drop(poster)
    await setting.fetcher.fill(setting.key, [], lambda done, size, source: None)
    assert setting.path.read_bytes() == setting.data


async def test_a_fill_of_what_a_miss_pulled_makes_it_planned(setting: Setting) -> None:
    await setting.upstream()
    await asyncio.gather(
        setting.watch(0, len(setting.data)),
        setting.fetcher.fill(setting.key, [], lambda done, size, source: None),
    )
    assert setting.path.stat().st_mode & 0o777 == 0o444


# What the disk claims to have


def flip(path: Path, offset: int) -> None:
    """As rot does: without a trace in the file's names."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes((byte ^ 1,)))


async def test_a_held_file_is_verified_before_it_is_served_and_then_no_more(setting: Setting) -> None:
    upstream = await setting.upstream()
    await setting.fill()
    await setting.restart()
    upstream.asked.clear()
    places: list[Place] = []
    verified: list[bytes] = []

    def locate(place: Place) -> None:
        places.append(place)
        verified.append(bytes(place.verified))

    for _ in range(2):
        told: list[int] = []
        await setting.fetcher.watch(setting.key, BLOCK_SIZE - 5, BLOCK_SIZE + 5, locate, told.append)
        assert told[-1] == BLOCK_SIZE + 5
    assert places[0].path == setting.path and places[0].inode == setting.path.stat().st_ino and places[0].hit
    assert verified == [b"\0\0\0\0", b"\1\1\0\0"]
    assert setting.fetcher.verified_bytes == 2 * BLOCK_SIZE and not upstream.asked


async def test_what_this_run_fetched_is_not_read_again(setting: Setting) -> None:
    await setting.upstream()
    await setting.fill()
    await setting.watch(0, len(setting.data))
    assert setting.fetcher.verified_bytes == 0


async def test_bytes_of_a_held_file_flow_before_its_digest_is_known_but_the_last(setting: Setting) -> None:
    await setting.upstream()
    await setting.fill()
    await setting.restart()
    assert await setting.watch(10, 5000) == [4999, 5000]


async def test_a_rotten_block_cuts_who_was_told_of_it_and_only_that_block_is_fetched(setting: Setting) -> None:
    upstream = await setting.upstream()
    await setting.fill()
    flip(setting.path, BLOCK_SIZE + 7)
    await setting.restart()
    upstream.asked.clear()
    inode = setting.path.stat().st_ino
    with pytest.raises(UpstreamError, match="wrong bytes"):
        await setting.watch(0, len(setting.data))
    assert setting.rotten == [(setting.key, 1)]
    assert (await setting.watch(0, len(setting.data)))[-1] == len(setting.data)
    await setting.fetcher.close()
    assert upstream.asked == {("v360.mp4", 1): 1}
    assert setting.path.read_bytes() == setting.data and setting.path.stat().st_ino == inode
    assert setting.path.stat().st_mode & 0o777 == 0o444  # it is still the plan's
    assert setting.fetcher.rotten_blocks == {"repaired": 1}


async def test_who_asks_for_other_blocks_of_a_rotten_file_is_not_cut(setting: Setting) -> None:
    await setting.upstream()
    await setting.fill()
    flip(setting.path, BLOCK_SIZE + 7)
    await setting.restart()
    outcomes = await asyncio.gather(
        setting.watch(0, 100),
        setting.watch(BLOCK_SIZE, BLOCK_SIZE + 100),
        setting.watch(2 * BLOCK_SIZE, 2 * BLOCK_SIZE + 1),
        return_exceptions=True,
    )
    assert outcomes[0] == [99, 100] and outcomes[2] == [2 * BLOCK_SIZE + 1]
    assert isinstance(outcomes[1], UpstreamError)


async def test_a_file_with_a_rotten_block_is_not_held_until_it_is_repaired(setting: Setting) -> None:
    upstream = await setting.upstream()
    await setting.fill()
    flip(setting.path, 7)
    await setting.restart()
    upstream.status = 503
    with pytest.raises(UpstreamError):
        await setting.watch(0, 100)
    await until(lambda: bool(setting.fetcher.rotten_blocks))
    assert not setting.volumes.holds(setting.key) and setting.volumes.inventory.held == {}
    assert setting.fetcher.rotten_blocks == {"missing": 1}
    assert (await setting.watch(BLOCK_SIZE, BLOCK_SIZE + 9))[-1] == BLOCK_SIZE + 9  # the rest is served
    upstream.status = 0
    await setting.fill()
    assert setting.volumes.holds(setting.key) and setting.path.read_bytes() == setting.data


async def test_a_file_that_nobody_has_right_is_dropped(setting: Setting) -> None:
    upstream = await setting.upstream()
    await setting.fill()
    flip(setting.path, 7)
    await setting.restart()
    upstream.corrupt = True
    assert await setting.fetcher.check(setting.key, 0) == "dropped"
    await until(lambda: setting.volumes.entry(setting.key) is None)
    assert setting.fetcher.rotten_blocks == {"dropped": 1}


async def test_a_block_that_the_disk_cannot_read_is_fetched_again(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream = await setting.upstream()
    await setting.fill()
    await setting.restart()
    upstream.asked.clear()
    pread = os.pread

    def fail(fd: int, size: int, offset: int) -> bytes:
        if offset == 2 * BLOCK_SIZE and "v360.mp4" in Path(f"/proc/self/fd/{fd}").readlink().name:
            raise OSError(errno.EIO, "Input/output error")
        return pread(fd, size, offset)

    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(UpstreamError, match="wrong bytes"):
        await setting.watch(2 * BLOCK_SIZE, 2 * BLOCK_SIZE + 100)
    assert (await setting.watch(2 * BLOCK_SIZE, 2 * BLOCK_SIZE + 100))[-1] == 2 * BLOCK_SIZE + 100
    assert upstream.asked == {("v360.mp4", 2): 1}
    assert setting.volumes.is_well


async def test_a_check_finds_rot_behind_memorys_back_and_repairs_it_though_nobody_waits(setting: Setting) -> None:
    upstream = await setting.upstream()
    await setting.fill()
    upstream.asked.clear()
    assert [await setting.fetcher.check(setting.key, block) for block in range(4)] == ["right"] * 4
    flip(setting.path, 3 * BLOCK_SIZE + 1)
    assert [await setting.fetcher.check(setting.key, block) for block in range(4)] == ["right"] * 3 + ["repaired"]
    assert setting.rotten == [(setting.key, 3)] and upstream.asked == {("v360.mp4", 3): 1}
    await setting.fetcher.close()
    assert setting.path.read_bytes() == setting.data and setting.volumes.holds(setting.key)


async def test_a_thousand_who_want_one_cold_block_cost_one_request(setting: Setting) -> None:
    upstream = await setting.upstream()
    told = await asyncio.gather(*(setting.watch(number, BLOCK_SIZE) for number in range(1000)))
    assert all(positions[-1] == BLOCK_SIZE for positions in told)
    assert upstream.asked == {("v360.mp4", 0): 1}


async def test_a_thousand_who_want_one_held_block_cost_one_read(setting: Setting) -> None:
    upstream = await setting.upstream()
    await setting.fill()
    await setting.restart()
    upstream.asked.clear()
    await asyncio.gather(*(setting.watch(number, BLOCK_SIZE) for number in range(1000)))
    assert setting.fetcher.verified_bytes == BLOCK_SIZE and not upstream.asked


async def test_blocks_of_an_earlier_run_are_verified_when_they_are_wanted(setting: Setting) -> None:
    upstream = await setting.upstream()
    await setting.watch(0, 2 * BLOCK_SIZE)
    await setting.restart()
    partial = setting.path.with_name("v360.mp4.partial")
    flip(partial, 5)
    upstream.asked.clear()
    assert (await setting.watch(BLOCK_SIZE, 2 * BLOCK_SIZE))[-1] == 2 * BLOCK_SIZE
    assert not upstream.asked
    with pytest.raises(UpstreamError, match="wrong bytes"):
        await setting.watch(0, 100)
    await setting.fill()
    assert upstream.asked == {("v360.mp4", block): 1 for block in (0, 2, 3)}
    assert setting.path.read_bytes() == setting.data


async def test_a_file_that_becomes_whole_by_claims_is_verified_before_it_gets_its_name(setting: Setting) -> None:
    upstream = await setting.upstream()
    await setting.watch(0, 3 * BLOCK_SIZE)
    await setting.restart()
    flip(setting.path.with_name("v360.mp4.partial"), 5)
    upstream.asked.clear()
    await setting.watch(3 * BLOCK_SIZE, 3 * BLOCK_SIZE + 1)
    await setting.fetcher.close()
    assert upstream.asked == {("v360.mp4", 3): 1, ("v360.mp4", 0): 1}
    assert setting.path.read_bytes() == setting.data


async def test_a_suspected_block_is_looked_at_again(setting: Setting) -> None:
    await setting.upstream()
    await setting.fill()
    await setting.fetcher.suspect(setting.key, 0)
    assert not setting.rotten
    flip(setting.path, 1)
    await setting.fetcher.suspect(setting.key, 0)
    assert setting.rotten == [(setting.key, 0)]
    await until(lambda: bool(setting.volumes.holds(setting.key)))
    setting.path.unlink()
    await setting.fetcher.suspect(setting.key, 0)
    assert not setting.volumes.holds(setting.key)


async def test_a_manifest_that_has_rotted_is_fetched_again_when_it_is_asked_for(setting: Setting) -> None:
    await setting.upstream()
    key = FileKey("title", setting.folder.name, MANIFEST_NAME)
    place: list[Place] = []
    await setting.fetcher.watch(key, 0, 1, place.append, lambda upto: None)
    assert not place[0].hit
    flip(place[0].path, 40)
    await setting.fetcher.watch(key, 0, 1, place.append, lambda upto: None)
    assert place[1].path.read_bytes() == (setting.folder / MANIFEST_NAME).read_bytes()


async def test_a_manifest_is_checked_and_fetched_again_though_nobody_asks(setting: Setting) -> None:
    upstream = await setting.upstream()
    await setting.fill()
    title, package = setting.key.title, setting.key.package
    path = setting.path.with_name(MANIFEST_NAME)
    assert await setting.fetcher.check_manifest(title, package) == "right"
    flip(path, 40)
    assert await setting.fetcher.check_manifest(title, package) == "repaired"
    assert path.read_bytes() == (setting.folder / MANIFEST_NAME).read_bytes()
    flip(path, 40)
    upstream.status = 503
    assert await setting.fetcher.check_manifest(title, package) == "missing"


async def test_only_if_cached_is_answered_from_the_blocks_that_are_there(setting: Setting) -> None:
    await setting.upstream()
    await setting.watch(0, BLOCK_SIZE)
    told: list[int] = []
    await setting.fetcher.watch(setting.key, 5, 10, lambda place: None, told.append, cached_only=True)
    assert told[-1] == 10
    for first, end in ((0, BLOCK_SIZE + 1), (0, 0)):
        with pytest.raises(NotHeld) as caught:
            await setting.fetcher.watch(setting.key, first, end, lambda place: None, told.append, cached_only=True)
        assert caught.value.status == 504


async def test_a_volume_that_fails_in_mid_answer_ends_it_and_the_next_one_is_served(
    setting: Setting, tmp_path: Path
) -> None:
    upstream = await setting.upstream()
    setting.volumes.volumes[0].fail("it was pulled")
    await setting.fetcher.close()
    setting.volumes = Volumes([tmp_path / "a", tmp_path / "b"])
    await setting.volumes.start()
    setting.fetcher = setting.fetcher_of()
    upstream.gate = asyncio.Event()
    miss = asyncio.create_task(setting.watch(0, 100))
    await upstream.arrived.acquire()
    failing = setting.volumes.volume_of(setting.key)
    assert failing is not None
    failing.fail("it was pulled")
    upstream.gate.set()
    with pytest.raises(VolumeFailed, match="it was pulled"):
        await miss
    assert (await setting.watch(0, 100))[-1] == 100
    assert setting.volumes.volume_of(setting.key) not in (failing, None)


async def test_a_file_that_somebody_else_writes_to_is_looked_at_again(setting: Setting) -> None:
    upstream = await setting.upstream()
    await setting.fill()
    assert (await setting.watch(0, len(setting.data)))[-1] == len(setting.data)
    flip(setting.path, BLOCK_SIZE + 3)
    await until(lambda: setting.key in setting.distrusted)
    upstream.asked.clear()
    with pytest.raises(UpstreamError, match="wrong bytes"):
        await setting.watch(0, len(setting.data))
    assert (await setting.watch(0, len(setting.data)))[-1] == len(setting.data)
    assert upstream.asked == {("v360.mp4", 1): 1}


async def test_a_file_that_somebody_else_takes_away_is_noticed_though_nobody_asks(setting: Setting) -> None:
    await setting.upstream()
    await setting.fill()
    setting.path.rename(setting.path.parents[3] / "elsewhere")
    await until(lambda: not setting.volumes.holds(setting.key))


async def test_what_the_appliance_does_to_a_file_is_no_surprise_to_it(setting: Setting) -> None:
    await setting.upstream()
    await setting.fill()
    await setting.restart()
    flip(setting.path, 3)
    assert await setting.fetcher.check(setting.key, 0) == "repaired"
    await until(lambda: setting.volumes.holds(setting.key))
    await setting.fill()
    await setting.watch(0, 100)
    assert not setting.distrusted and setting.volumes.holds(setting.key)


async def test_who_was_told_of_bytes_of_a_block_that_then_failed_is_never_whole(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if it still waits for blocks before: another fetch makes the block right, and not what was sent of it."""
    upstream = await setting.upstream()
    await setting.watch(0, 2 * BLOCK_SIZE)
    await setting.restart()
    may_read, real = asyncio.Event(), OpenFile.state

    async def state(self: OpenFile, block: int) -> State:
        await may_read.wait()
        return await real(self, block)

    monkeypatch.setattr(OpenFile, "state", state)
    told: list[int] = []
    slow = asyncio.create_task(setting.fetcher.watch(setting.key, 0, 3 * BLOCK_SIZE, lambda place: None, told.append))
    await until(lambda: bool(told) and told[-1] == 2 * BLOCK_SIZE)
    upstream.corrupt, upstream.cut_after = True, BLOCK_SIZE * 3 // 4
    with pytest.raises(UpstreamError):
        await setting.watch(2 * BLOCK_SIZE, 2 * BLOCK_SIZE + 1000)
    may_read.set()
    if told[-1] > 2 * BLOCK_SIZE:
        with pytest.raises(UpstreamError):
            await slow
    else:
        slow.cancel()


async def test_an_upstream_that_fails_after_the_last_byte_has_given_all(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    await setting.upstream()
    asked: list[tuple[int, int]] = []
    real = Upstreams.read

    def read(self: Upstreams, source: Source, path: str, first: int, end: int, *rest: Any) -> Any:
        asked.append((first, end))
        pieces = real(self, source, path, first, end, *rest)

        async def broken() -> AsyncIterator[bytes]:
            async for piece in pieces:
                yield piece
            raise UpstreamError("cut off at the very end", status=503)

        return broken()

    monkeypatch.setattr(Upstreams, "read", read)
    monkeypatch.setattr(Attempts, "is_plain", False)
    assert (await setting.watch(0, 100))[-1] == 100
    assert asked == [(0, BLOCK_SIZE)]


async def test_a_block_that_rots_while_one_before_it_is_fetched_is_made_right_before_the_end_is_told(
    setting: Setting,
) -> None:
    upstream = await setting.upstream()
    await setting.watch(BLOCK_SIZE, 2 * BLOCK_SIZE)
    upstream.gate = asyncio.Event()
    places: list[Place] = []
    miss = asyncio.create_task(setting.fetcher.watch(setting.key, 0, 2 * BLOCK_SIZE, places.append, lambda upto: None))
    await until(lambda: bool(places))
    with places[0].path.open("r+b") as file:
        file.seek(BLOCK_SIZE + 5)
        file.write(b"ROT")
    upstream.status = 500
    await setting.fetcher.check(setting.key, 1, on_disk=False)
    upstream.status = 0
    upstream.gate.set()
    try:
        await miss
    except UpstreamError:
        return  # cut is as good
    assert places[0].path.read_bytes()[: 2 * BLOCK_SIZE] == setting.data[: 2 * BLOCK_SIZE]


async def test_a_file_that_is_begun_anew_is_not_right_because_the_one_before_was(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File systems give the inode of a removed file to the next one."""
    monkeypatch.setattr("oca.miss.fetcher._LINGER_S", 0.0)
    await setting.upstream()
    await setting.watch(0, 100)
    await until(lambda: not setting.fetcher._flights)
    partial = setting.path.with_name(setting.path.name + ".partial")
    partial.unlink()
    await setting.watch(0, 100)
    assert partial.read_bytes()[:100] == setting.data[:100]
