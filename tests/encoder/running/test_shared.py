"""Workers that share nothing with the encode but a storage: a folder behind file://, a real S3 API server."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from config.encoder import EncoderSettings
from config.progress import Reporter
from encoder.errors import CheckError, WorkerError
from encoder.pipeline import encode
from encoder.running.shared import SharedStorage, open_place
from encoder.running.steps import Steps
from encoder.running.storage import open_storage
from tests.encoder.cluster import LocalCluster


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def machines(s3_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Path]]:
    """The work folders of two workers; the URL of their scheduler is in the first's."""
    folder = tmp_path_factory.mktemp("machines")
    works = [folder / "one", folder / "two"]
    async with LocalCluster(folder) as cluster:
        for work in works:
            work.mkdir()
            cluster.add_worker(NEARCAST_ENCODER_WORK=str(work), NEARCAST_ENCODER_MIN_FREE_SPACE="0")
        await cluster.joined()
        (folder / "one" / "url").write_text(cluster.url)
        yield works


def objects(url: str, endpoint: str) -> list[str]:
    async def keys() -> list[str]:
        async with open_storage(url, endpoint) as storage:
            return sorted([stored.key async for stored in storage.list("")])

    return asyncio.run(keys())


@pytest.mark.parametrize("kind", ["s3", "file"])
def test_workers_that_see_only_a_storage_make_the_same_bytes_and_leave_nothing_there(
    kind: str, grey_film: Path, tmp_path: Path, settings: EncoderSettings, reporter: Reporter, machines: list[Path],
    s3_url: str, s3_endpoint: str,
) -> None:  # fmt: skip
    url, endpoint = (s3_url, s3_endpoint) if kind == "s3" else (f"file://{tmp_path}/storage", "")
    settings = dataclasses.replace(settings, chunk_duration=2.0)
    here = dataclasses.replace(settings, work=tmp_path / "work here")
    expected = encode(grey_film, "film", tmp_path / "out here", here, reporter)
    cluster = (machines[0] / "url").read_text()
    there = dataclasses.replace(settings, workers=cluster, shared=url, shared_s3_endpoint=endpoint)
    assert encode(grey_film, "film", tmp_path / "out", there, reporter).name == expected.name
    assert objects(url, endpoint) == []
    copies = [path for work in machines for path in (work / "films").glob("*") if path.suffix != ".lock"]
    assert copies, "the film was not read from the storage"
    assert {path.read_bytes() for path in copies} == {grey_film.read_bytes()}
    assert not [path for work in machines for path in (work / "scratch").glob("*")]


@pytest.fixture
def place(tmp_path: Path, settings: EncoderSettings, reporter: Reporter, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Of a "film" of some bytes, in a folder that stands for a storage."""
    monkeypatch.setenv("NEARCAST_ENCODER_WORK", str(tmp_path / "worker"))
    monkeypatch.setenv("NEARCAST_ENCODER_MIN_FREE_SPACE", "0")
    film = tmp_path / "film"
    film.write_bytes(b"a film")
    return opened(tmp_path, settings, reporter)


def opened(tmp_path: Path, settings: EncoderSettings, reporter: Reporter) -> Any:
    sharing = dataclasses.replace(settings, workers="dask://127.0.0.1:1", shared=f"file://{tmp_path}/storage")
    return open_place(tmp_path / "film", "digest", Steps(tmp_path / "work", 0), sharing, reporter)


def copy_film(film: str, folder: Path) -> None:
    (folder / "copy").write_bytes(Path(film.removeprefix("file:")).read_bytes())


def never(film: str, folder: Path) -> None:
    raise AssertionError("a finished step was made again")


def test_what_a_killed_worker_left_is_removed_and_what_another_works_on_is_not(
    place: SharedStorage, tmp_path: Path
) -> None:
    left = tmp_path / "worker/scratch/left"
    left.mkdir(parents=True)
    (left / "chunk.mp4").write_bytes(b"half")

    def make_two(film: str, folder: Path) -> None:
        copy_film(film, folder)
        place.make("step-1", copy_film)
        assert (folder / "copy").exists()

    place.make("step-0", make_two)
    assert list((tmp_path / "worker/scratch").iterdir()) == []


def test_step_is_made_from_the_stored_film_and_comes_back_whole(place: SharedStorage, tmp_path: Path) -> None:
    (tmp_path / "film").unlink()
    place.make("step-0", copy_film)
    place.make("step-0", never)
    place.collect("step-0")
    assert (tmp_path / "work" / "step-0" / "copy").read_bytes() == b"a film"


def test_files_of_a_worker_that_was_killed_before_the_marker_are_no_step(place: SharedStorage, tmp_path: Path) -> None:
    place.make("step-0", copy_film)
    next((tmp_path / "storage").glob("*/step-0.json")).unlink()
    with pytest.raises(WorkerError, match="a worker made step-0, but it is not in file://"):
        place.collect("step-0")
    assert not list((tmp_path / "work").glob("step-0*"))
    place.make("step-0", copy_film)
    place.collect("step-0")


def test_same_command_finds_what_workers_finished_after_it_was_killed(
    place: SharedStorage, tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    place.make("step-0", copy_film)
    again = opened(tmp_path, settings, reporter)
    again.make("step-0", never)
    again.collect("step-0")


def test_two_encodes_of_a_film_do_not_remove_what_the_other_shares(
    place: SharedStorage, tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    sharing = dataclasses.replace(settings, workers="dask://127.0.0.1:1", shared=place.url)
    other = open_place(tmp_path / "film", "digest", Steps(tmp_path / "work of another", 0), sharing, reporter)
    other.remove()
    place.make("step-0", copy_film)
    place.remove()
    assert objects(place.url, "") == []


def test_file_that_is_not_what_the_worker_left_is_refused(place: SharedStorage, tmp_path: Path) -> None:
    place.make("step-0", copy_film)
    next((tmp_path / "storage").glob("*/step-0/copy")).write_bytes(b"A film")
    with pytest.raises(CheckError, match="copy of step-0 is not what the worker left"):
        place.collect("step-0")
    assert not list((tmp_path / "work").glob("step-0*"))
