"""A real Dask cluster encodes: it may lose workers, and leaves nothing behind, however the encode ends."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from config.encoder import EncoderSettings
from config.progress import Reporter
from encoder.errors import SpaceError, ToolError, WorkerError
from encoder.pipeline import encode
from encoder.running import cluster as clusters
from encoder.running.cluster import Cluster
from encoder.running.process import Tools
from encoder.running.steps import Steps
from encoder.running.units import Order, SharedDisk, fulfil_elsewhere
from encoder.running.work import SeekAstray, Work
from encoder.running.workers import open_workers
from tests.encoder.cluster import Fails, LocalCluster
from tests.encoder.conftest import Film, pattern
from tests.waiting import until


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalCluster]:
    async with LocalCluster(tmp_path_factory.mktemp("dask")) as running:
        running.add_worker()
        running.add_worker()
        yield await running.joined()


@pytest.fixture(scope="session")
def slow_film(film: Film) -> Path:
    """Takes some seconds to encode, in six chunks."""
    source = pattern("320x180", "25", 6)
    return film("slow.mp4", "-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "ultrafast")


@pytest.fixture
def slow(settings: EncoderSettings) -> EncoderSettings:
    return dataclasses.replace(settings, preset="veryslow")


def finished_chunks(settings: EncoderSettings) -> list[Path]:
    return [path for path in settings.work.glob("*/chunk-*") if path.suffix != ".tmp"]


async def test_cluster_that_loses_a_worker_in_the_middle_makes_the_same_bytes(
    slow_film: Path, tmp_path: Path, slow: EncoderSettings, reporter: Reporter
) -> None:
    here = dataclasses.replace(slow, work=tmp_path / "work here")
    expected = await asyncio.to_thread(encode, slow_film, "film", tmp_path / "out here", here, reporter)
    async with LocalCluster(tmp_path) as losing:
        losing.add_worker()
        losing.add_worker()
        there = dataclasses.replace(slow, workers=losing.url)
        job = asyncio.create_task(asyncio.to_thread(encode, slow_film, "film", tmp_path / "out", there, reporter))
        await until(lambda: (bool(finished_chunks(there)) and len(losing.tools()) == 2) or job.done(), limit_s=60)
        assert not job.done()
        losing.lose_worker()
        assert (await job).name == expected.name


@pytest.mark.parametrize(("signal_number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
async def test_no_tool_is_left_on_a_worker_when_the_command_ends(
    slow_film: Path, tmp_path: Path, slow: EncoderSettings, cluster: LocalCluster, signal_number: int, code: int
) -> None:
    command = [
        sys.executable, "-c", "from config.cli import main; main()", "encode", str(slow_film), "--title", "film",
        "--out", str(tmp_path / "out"), "--work", str(slow.work), "--preset", slow.preset, "--segment-duration", "1s",
        "--chunk-duration", "1s", "--min-free-space", "0", "--workers", cluster.file_url, "--ladder", "fixed",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: ASYNC220
    try:
        await until(lambda: len(cluster.tools()) == 2 or process.poll() is not None, limit_s=60)
        process.send_signal(signal_number)
        _, said = await asyncio.to_thread(process.communicate, timeout=60)
    finally:
        process.kill()
    assert process.returncode == code, said
    assert "Traceback" not in said
    await until(lambda: not cluster.tools())


def order(unit: Fails, folder: Path, versions: str) -> Order:
    return Order(unit, "fails-0", SharedDisk("none.mp4", folder, 0), versions)


async def test_unit_that_fails_by_itself_tells_how_far_it_came_and_is_not_tried_again(
    tmp_path: Path, cluster: LocalCluster
) -> None:
    workers = await asyncio.to_thread(Cluster, cluster.url)
    one, told = order(Fails(tmp_path / "tried"), tmp_path, workers.versions), list[float]()
    try:
        with pytest.raises(ToolError, match="this film is bad"):
            await asyncio.to_thread(workers.result, workers.submit(one, told.append), one)
        await until(lambda: told == [0.5])
    finally:
        await asyncio.to_thread(workers.close)
    assert len((tmp_path / "tried").read_text().split()) == 1


def test_cluster_goes_on_after_a_film_that_cannot_be_cut(
    tmp_path: Path, tools: Tools, settings: EncoderSettings, reporter: Reporter, cluster: LocalCluster
) -> None:
    workers = Cluster(cluster.url)
    source: Any = None  # these units do not look at it
    place = SharedDisk("none.mp4", tmp_path, 0)
    work = Work("none.mp4", "0", "1", source, tools, Steps(tmp_path, 0), place, workers, settings, reporter)
    try:
        with pytest.raises(SeekAstray, match="chunk 0 has no frames"):
            astray = SeekAstray("chunk 0 has no frames")
            work.units("video", [Fails(tmp_path / f"tried {at}", failure=astray) for at in range(9)])
        with pytest.raises(ToolError, match="this film is bad"):
            work.units("video", [Fails(tmp_path / "tried")])
    finally:
        workers.close()


def test_full_disk_of_a_worker_is_said_to_be_that_workers(tmp_path: Path, cluster: LocalCluster) -> None:
    workers = Cluster(cluster.url)
    full = Fails(tmp_path / "tried", failure=SpaceError("the disk of /somewhere is full"))
    one = order(full, tmp_path, workers.versions)
    try:
        with pytest.raises(SpaceError, match=r"worker tcp://127\.0\.0\.1:[0-9]+: the disk of /somewhere is full"):
            workers.result(workers.submit(one, lambda seconds: None), one)
    finally:
        workers.close()


async def test_unit_that_takes_worker_after_worker_with_it_is_given_up(tmp_path: Path) -> None:
    async with LocalCluster(tmp_path, allowed_failures=1) as doomed:
        doomed.add_worker()
        doomed.add_worker()
        workers = await asyncio.to_thread(Cluster, doomed.url)
        one = order(Fails(tmp_path / "tried", kills=True), tmp_path, workers.versions)
        try:
            with pytest.raises(WorkerError, match=r"fails-0 was given up: .* lost one worker after the other"):
                await asyncio.to_thread(workers.result, workers.submit(one, lambda seconds: None), one)
        finally:
            await asyncio.to_thread(workers.close)
    assert len(set((tmp_path / "tried").read_text().split())) == 2


def test_worker_with_other_tools_refuses(tmp_path: Path, tools: Tools) -> None:
    with pytest.raises(WorkerError, match=r"ffmpeg .*, expected ffmpeg 0\.1 as where the encode runs"):
        fulfil_elsewhere(order(Fails(tmp_path / "tried"), tmp_path, "ffmpeg 0.1"), tools, lambda seconds: None)


def test_worker_that_does_not_see_the_work_folder_says_so(tmp_path: Path, cluster: LocalCluster) -> None:
    workers = Cluster(cluster.url)
    one = order(Fails(tmp_path / "tried"), tmp_path / "none", workers.versions)
    try:
        with pytest.raises(WorkerError, match="none is not there: every worker must see the work folder"):
            workers.result(workers.submit(one, lambda seconds: None), one)
    finally:
        workers.close()


async def test_orders_are_given_up_when_the_last_worker_has_been_gone_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "LAST_WORKER_TIMEOUT_S", 0.3)
    async with LocalCluster(tmp_path) as dying:
        dying.add_worker()
        workers = await asyncio.to_thread(Cluster, dying.url)
        one = order(Fails(tmp_path / "tried", kills=True), tmp_path, workers.versions)
        try:
            with pytest.raises(WorkerError, match="or the last of its workers is gone; finished steps are kept"):
                await asyncio.to_thread(workers.result, workers.submit(one, lambda seconds: None), one)
        finally:
            await asyncio.to_thread(workers.close)


async def test_cluster_without_workers_is_refused(tmp_path: Path) -> None:
    async with LocalCluster(tmp_path) as empty:
        with pytest.raises(WorkerError, match="has no worker, and got none within 0 s"):
            await asyncio.to_thread(Cluster, empty.url, 0.1)


def test_cluster_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "CONNECT_TIMEOUT_S", 0.2)
    with pytest.raises(WorkerError, match=r"dask://127\.0\.0\.1:1 cannot be reached"):
        Cluster("dask://127.0.0.1:1")
    with pytest.raises(WorkerError, match="none: there is no such file of a Dask scheduler"):
        Cluster(f"dask://{tmp_path}/none")


def test_missing_library_is_said_with_how_to_get_it(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "encoder.running.cluster")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(WorkerError, match=r"pip install 'nearcast\[dask\]'"):
        open_workers("dask://127.0.0.1:1", tools)
