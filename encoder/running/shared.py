"""Film and steps in a storage that is named by URL, for workers that share no disk with the encode.

    RUN/film             a copy of the film, or of its remux
    RUN/STEP/FILE        what a worker left
    RUN/STEP.json        names, sizes and digests of these, written last: a step without is not there

RUN is of one encode: chance digits that its work folder keeps, so that the same command finds what workers have
finished since it was killed. There is no lock and none is needed: the work folder's lock holds the run as well, and two
encodes of one film on two machines have two runs. All of it is deleted when the package is done; what an encode that
nobody resumes leaves is for the bucket's own rule of expiry.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from config.encoder import CLUSTERS, EncoderSettings
from config.loader import load
from config.progress import Reporter
from encoder.errors import CheckError, WorkerError
from encoder.film.probe import film_url
from encoder.running.films import FilmCache
from encoder.running.process import full_disk_is_space_error
from encoder.running.steps import Steps, demand_space, locked, try_lock
from encoder.running.storage import download, open_storage
from encoder.running.units import Place, SharedDisk

Result = TypeVar("Result")


class Part(msgspec.Struct, frozen=True):
    """One file of a step."""

    name: str
    size: int
    digest: str  # SHA-256


@dataclass(frozen=True)
class SharedStorage:
    """A Place (see encoder/running/units.py). `folder` is of the encode, and means nothing to a worker."""

    url: str
    s3_endpoint: str
    run: str
    film_name: str  # in a worker's cache: what it is a copy of
    folder: Path

    def make(self, step: str, make: Callable[[str, Path], object]) -> None:
        size = self._run(lambda storage: self._look(storage, step))
        if size is None:
            return
        # What a worker's own machine has, its own environment says.
        own = load(EncoderSettings, "encoder")
        with full_disk_is_space_error(own.work):
            own.work.mkdir(parents=True, exist_ok=True)
            demand_space(own.work, own.min_free_space)
            films = FilmCache(own.work / "films", own.film_cache, own.min_free_space)
            with (
                films.film(self.film_name, size, lambda path: self._fetch_film(path, size)) as film,
                _scratch(own.work) as folder,
            ):
                make(film_url(film), folder)
                self._run(lambda storage: self._put(storage, step, folder))

    def collect(self, step: str) -> None:
        def fetch(folder: Path) -> None:
            self._run(lambda storage: self._get(storage, step, folder))

        Steps(self.folder, 0).make(step, fetch)

    def share(self, film: Path, reporter: Reporter) -> None:
        """Brings the film to where workers find it, if it is not there. Where the encode runs."""
        size = film.stat().st_size

        async def put(storage: Any) -> None:
            if size in [stored.size async for stored in storage.list(self._film_key) if stored.key == self._film_key]:
                return
            done = 0

            def moved(more: int) -> None:
                nonlocal done
                done += more
                bar.update(done)

            await storage.put_file(self._film_key, film, moved)

        with reporter.bar("upload", size) as bar:
            self._run(put)

    def remove(self) -> None:
        async def delete(storage: Any) -> None:
            for key in [stored.key async for stored in storage.list(f"{self.run}/")]:
                await storage.delete(key)

        self._run(delete)

    @property
    def _film_key(self) -> str:
        return f"{self.run}/film"

    def _marker(self, step: str) -> str:
        return f"{self.run}/{step}.json"

    async def _look(self, storage: Any, step: str) -> int | None:
        """The film's size; None if the step is there: of a worker that was thought lost, or from before a kill."""
        there = await _read_parts(storage, self._marker(step)) is not None
        return None if there else await storage.size(self._film_key)

    async def _put(self, storage: Any, step: str, folder: Path) -> None:
        parts = []
        for path in sorted(folder.iterdir()):
            parts.append(Part(path.name, path.stat().st_size, _digest(path)))
            await storage.put_file(f"{self.run}/{step}/{path.name}", path)
        await storage.put_bytes(self._marker(step), msgspec.json.encode(parts))

    async def _get(self, storage: Any, step: str, folder: Path) -> None:
        parts = await _read_parts(storage, self._marker(step))
        if parts is None:
            raise WorkerError(f"a worker made {step}, but it is not in {self.url}: expected all to use one storage")
        for part in parts:
            await download(storage, f"{self.run}/{step}/{part.name}", folder / part.name, part.size)
            if _digest(folder / part.name) != part.digest:
                raise CheckError(f"{part.name} of {step} is not what the worker left in {self.url}")

    def _fetch_film(self, path: Path, size: int) -> None:
        self._run(lambda storage: download(storage, self._film_key, path, size))

    def _run(self, act: Callable[[Any], Awaitable[Result]]) -> Result:
        async def run() -> Result:
            async with open_storage(self.url, self.s3_endpoint) as storage:
                return await act(storage)

        return asyncio.run(run())


def open_place(film: Path, name: str, steps: Steps, settings: EncoderSettings, reporter: Reporter) -> Place:
    """Where the workers of these settings find the film, which has this name among others', and leave its steps."""
    if not settings.shared or not settings.workers.startswith(CLUSTERS):
        return SharedDisk(film_url(film), steps.folder.resolve(), settings.min_free_space)
    kept = steps.folder / "run"
    if not kept.exists():
        unfinished = steps.folder / "run.tmp"
        unfinished.write_text(f"encode-{secrets.token_hex(8)}")
        unfinished.rename(kept)
    place = SharedStorage(settings.shared, settings.shared_s3_endpoint, kept.read_text(), name, steps.folder)
    place.share(film, reporter)
    return place


@contextmanager
def _scratch(work: Path) -> Iterator[Path]:
    """A folder for one step on a worker, locked while it is in use: what killed workers left is removed."""
    scratch = work / "scratch"
    scratch.mkdir(exist_ok=True)
    with ExitStack() as stack:
        # Held until the new folder has its own lock.
        with locked(work / "scratch.lock", lambda: None):
            for left in scratch.iterdir():
                with suppress(FileNotFoundError), _lock(left) as is_left:  # its worker may be removing it
                    if is_left:
                        shutil.rmtree(left, ignore_errors=True)
            folder = Path(tempfile.mkdtemp(dir=scratch))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            stack.enter_context(_lock(folder))
        yield folder


@contextmanager
def _lock(folder: Path) -> Iterator[bool]:
    """Locks a folder; False if somebody else has."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield try_lock(descriptor)
    finally:
        os.close(descriptor)


async def _read_parts(storage: Any, key: str) -> list[Part] | None:
    if key not in [stored.key async for stored in storage.list(key)]:
        return None
    return msgspec.json.decode(await storage.read_bytes(key), type=list[Part])


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
