"""Films that a machine has copied from a storage: each once, whatever number of workers want it, and no more than fit.

A worker reads a film many times (shots, trials, chunks), so a copy of all of it costs less than ranged reads do; and a
copy that breaks off is known to be short, while ffmpeg takes a broken connection for the end of the film.

A film that is named by URL (s3://BUCKET/KEY) is copied in the same way to where its encode runs. Captions and chapters
beside it are read before that, each time: they are small, and nobody waits for a film whose captions are broken.

A film is locked (flock on FILM.lock) while it is read, and is not removed then. Locks of killed readers are gone.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from config.encoder import EncoderSettings
from config.progress import Reporter
from config.units import show_bytes
from encoder.captions.beside import Beside, demand_small, parse_beside
from encoder.captions.sidecars import find_files, stem_of
from encoder.errors import SourceError
from encoder.running.steps import demand_space, key_of, try_lock
from encoder.running.storage import download, open_storage

_LOCK, _UNFINISHED = ".lock", ".tmp"


class FilmCache:
    def __init__(self, folder: Path, most_bytes: int, min_free_space: int = 0) -> None:
        self._folder, self._most_bytes, self._min_free_space = folder, most_bytes, min_free_space
        folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def film(self, name: str, size: int, fetch: Callable[[Path], object]) -> Iterator[Path]:
        """The film of this name, which stays while the context lasts; `fetch(path)` writes it if it is not here."""
        path = self._folder / name
        with path.with_name(name + _LOCK).open("a") as lock:
            while True:
                fcntl.flock(lock, fcntl.LOCK_SH)
                if path.exists():
                    break
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not path.exists():
                    self._fetch(path, size, fetch)
                # Neither is one lock turned into the other in one step: who makes room may have been in between.
            os.utime(path)
            yield path

    def _fetch(self, path: Path, size: int, fetch: Callable[[Path], object]) -> None:
        self._sweep(path.name)
        self._make_room(size)
        demand_space(self._folder, size + self._min_free_space)
        unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}{_UNFINISHED}")
        try:
            fetch(unfinished)
            unfinished.rename(path)
        finally:
            unfinished.unlink(missing_ok=True)

    def _sweep(self, locked: str) -> None:
        """Removes what killed readers left of films that nobody copies now; the film `locked` is ours to copy."""
        for left in self._folder.glob(f"*{_UNFINISHED}"):
            film = left.name.removesuffix(_UNFINISHED).rpartition(".")[0]
            with left.with_name(film + _LOCK).open("a") as lock:
                if film == locked or try_lock(lock):
                    left.unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        """Removes films that nobody reads, those first that were not read for longest."""
        films = sorted(
            (path.stat().st_mtime_ns, path.stat().st_size, path)
            for path in self._folder.iterdir()
            if path.suffix not in (_LOCK, _UNFINISHED)
        )
        there = sum(size for _, size, _ in films)
        for _, other, path in films:
            if there + size <= self._most_bytes:
                return
            with path.with_name(path.name + _LOCK).open("a") as lock:
                if try_lock(lock):
                    path.unlink(missing_ok=True)
                    there -= other


class FilmHere(NamedTuple):
    """A film as a file of this machine; `beside` is None if what belongs to it lies beside that file."""

    path: Path
    beside: Beside | None = None


@contextmanager
def film_at(film: Path, settings: EncoderSettings, reporter: Reporter) -> Iterator[FilmHere]:
    """The film at a path or URL, which stays here while the context lasts.

    Raises SourceError for what lies beside a film at a URL and cannot be read, and the origin's StorageError.
    """
    # As a Path has it: two slashes are one.
    if film.parts[:1] != ("s3:",) or len(film.parts) < 3:
        yield FilmHere(film)
        return
    _, bucket, *names = film.parts
    url, key = f"s3://{bucket}", "/".join(names)

    def fetch(path: Path) -> None:
        async def copy() -> None:
            async with open_storage(url, settings.shared_s3_endpoint) as storage:
                await download(storage, key, path, size)

        reporter.say(f"{url}/{key} is copied to {settings.work}, {show_bytes(size)}")
        asyncio.run(copy())

    size, version, files = asyncio.run(_look(url, key, settings.shared_s3_endpoint))
    beside = parse_beside(film.name, files)
    cache = FilmCache(settings.work / "films", settings.film_cache, settings.min_free_space)
    # With its suffix: some containers are told by that.
    with cache.film(key_of(url, key, version) + film.suffix, size, fetch) as path:
        yield FilmHere(path, beside)


async def _look(url: str, key: str, s3_endpoint: str) -> tuple[int, str, dict[str, bytes]]:
    """Size and version of the film at `key`, and what is in the files beside it that belong to it."""
    parent, slash, film = key.rpartition("/")
    folder = parent + slash
    async with open_storage(url, s3_endpoint) as storage:
        found = {stored.key.removeprefix(folder): stored async for stored in storage.list(folder + stem_of(film))}
        if film not in found:
            raise SourceError(f"{url}/{key}: no such object")
        files = {}
        for name in find_files(film, (name for name in found if "/" not in name)):
            demand_small(name, found[name].size)
            files[name] = await storage.read_bytes(folder + name)
    return found[film].size, found[film].version, files
