from __future__ import annotations

import asyncio
import dataclasses
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config.encoder import EncoderSettings
from config.progress import Reporter
from encoder.errors import SourceError, SpaceError
from encoder.running.films import FilmCache, film_at
from encoder.running.storage import open_storage


def of(size: int) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(b"f" * size)


def never(path: Path) -> None:
    raise AssertionError("a film that is here was copied again")


def films(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def test_film_that_many_want_at_once_is_copied_once(tmp_path: Path) -> None:
    cache, everybody, copied = FilmCache(tmp_path, 100), threading.Barrier(4), []

    def fetch(path: Path) -> None:
        copied.append(path)
        path.write_bytes(b"film")

    def read() -> bytes:
        everybody.wait(20)
        with cache.film("film", 4, fetch) as path:
            return path.read_bytes()

    with ThreadPoolExecutor(4) as pool:
        assert [one.result(20) for one in [pool.submit(read) for _ in range(4)]] == [b"film"] * 4
    assert len(copied) == 1


def test_room_is_made_by_the_film_that_was_not_read_for_longest(tmp_path: Path) -> None:
    cache = FilmCache(tmp_path, 100)
    for at, name in enumerate(("old", "older", "new")):
        with cache.film(name, 30, of(30)) as path:
            pass
        os.utime(path, ns=(0, at))
    with cache.film("old", 30, never):
        pass
    with cache.film("another", 40, of(40)):
        assert films(tmp_path) == {"old", "new", "another"}


def test_film_that_is_read_is_not_removed(tmp_path: Path) -> None:
    cache = FilmCache(tmp_path, 50)
    with cache.film("read", 40, of(40)) as path, cache.film("other", 40, of(40)):
        assert path.exists()
    with cache.film("third", 40, of(40)):
        assert films(tmp_path) == {"third"}


def test_copy_that_fails_leaves_nothing_and_is_tried_again(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("broken off")

    cache = FilmCache(tmp_path, 100)
    with pytest.raises(OSError, match="broken off"), cache.film("film", 4, fail):
        pass
    assert films(tmp_path) == set()
    with cache.film("film", 4, of(4)) as path:
        assert path.read_bytes() == b"ffff"


def test_film_for_which_there_is_no_space_is_refused_before_it_is_copied(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="expected at least"), FilmCache(tmp_path, 0).film("film", 2**60, never):
        pass


def test_film_that_is_a_file_is_taken_where_it_is(
    tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    with film_at(tmp_path / "film.mp4", settings, reporter) as here:
        assert here == (tmp_path / "film.mp4", None)


def test_film_at_a_url_is_copied_once_and_again_when_it_has_changed(
    settings: EncoderSettings, reporter: Reporter, s3_url: str, s3_endpoint: str
) -> None:
    there = dataclasses.replace(settings, shared_s3_endpoint=s3_endpoint)

    def read() -> tuple[bytes, Path]:
        with film_at(Path(f"{s3_url}/some-film.mkv"), there, reporter) as here:
            return here.path.read_bytes(), here.path

    put(s3_url, s3_endpoint, {"some-film.mkv": b"one"})
    first, path = read()
    again, same = read()
    assert (first, again, same, path.suffix) == (b"one", b"one", path, ".mkv")
    put(s3_url, s3_endpoint, {"some-film.mkv": b"another"})
    assert read()[0] == b"another"
    with (
        pytest.raises(SourceError, match=r"s3://.*/none\.mkv: no such object"),
        film_at(Path(f"{s3_url}/none.mkv"), there, reporter),
    ):
        pass


def put(url: str, endpoint: str, objects: dict[str, bytes]) -> None:
    async def put() -> None:
        async with open_storage(url, endpoint) as storage:
            for key, data in objects.items():
                await storage.put_bytes(key, data)

    asyncio.run(put())


CUES = b"1\n00:00:01,000 --> 00:00:02,000\nHello\n"


def test_captions_and_chapters_beside_a_film_at_a_url_are_its_own_and_no_others(
    settings: EncoderSettings, reporter: Reporter, s3_url: str, s3_endpoint: str
) -> None:
    there = dataclasses.replace(settings, shared_s3_endpoint=s3_endpoint)
    others = ("film.2.mkv", "film.2.fr.srt", "films.es.srt", "film.d/film.it.srt", "film.nl.txt")
    put(s3_url, s3_endpoint, {f"deep/{name}": CUES for name in ("film.mkv", "film.en.sdh.srt", *others)})
    put(s3_url, s3_endpoint, {"deep/film.chapters.txt": b"0:00 Alone\n", "film.de.srt": CUES})
    with film_at(Path(f"{s3_url}/deep/film.mkv"), there, reporter) as here:
        assert here.beside is not None
        assert [(one.track.language, one.track.roles) for one in here.beside.captions] == [("en", ("caption",))]
        assert [chapter.title for chapter in here.beside.chapters] == ["Alone"]
    put(s3_url, s3_endpoint, {"deep/film.en.sdh.srt": CUES + b"\n2\n00:00:03,000 --> 00:00:04,000\nBye\n"})
    with film_at(Path(f"{s3_url}/deep/film.mkv"), there, reporter) as again:
        assert again.beside is not None and again.beside.key != here.beside.key
        assert again.path == here.path


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"1\n00:00:01,000 -> 00:00:02\nHello\n", r"film\.en\.srt, line 2: found"), (b" " * (2**24 + 1), "at most")],
)
def test_broken_captions_beside_a_film_at_a_url_are_refused_before_it_is_copied(
    content: bytes, sentence: str, settings: EncoderSettings, reporter: Reporter, s3_url: str, s3_endpoint: str
) -> None:
    there = dataclasses.replace(settings, shared_s3_endpoint=s3_endpoint)
    put(s3_url, s3_endpoint, {"film.mkv": b"film", "film.en.srt": content})
    with (
        pytest.raises(SourceError, match=sentence),
        film_at(Path(f"{s3_url}/film.mkv"), there, reporter),
    ):
        pass
    assert not (settings.work / "films").exists()


def test_copies_that_killed_readers_left_are_removed(tmp_path: Path) -> None:
    cache = FilmCache(tmp_path, 100)
    for left in ("film.0123abcd.tmp", "other.mkv.4567cdef.tmp"):
        (tmp_path / left).write_bytes(b"half")
    with cache.film("film", 4, of(4)):
        assert films(tmp_path) == {"film"}


def test_copy_in_the_making_is_left_alone(tmp_path: Path) -> None:
    cache = FilmCache(tmp_path, 100)

    def fetch(path: Path) -> None:
        path.write_bytes(b"half")
        with cache.film("other", 4, of(4)):
            pass
        assert path.read_bytes() == b"half"

    with cache.film("film", 4, fetch):
        assert films(tmp_path) == {"film", "other"}
