from __future__ import annotations

from pathlib import Path

import pytest

from bench.demo import demand_space, encode_films, titles_of
from bench.errors import BenchError, FilmError
from config.progress import Reporter
from encoder.errors import SourceError
from encoder.package import TITLE_PATTERN
from tests.media import make_package


@pytest.mark.parametrize(
    ("name", "title"),
    [("Big Buck Bunny (2008).mkv", "big-buck-bunny-2008"), ("ä-film.mp4", "film"), ("a" * 99 + ".mp4", "a" * 64)],
)
def test_a_title_is_made_of_the_films_name(name: str, title: str) -> None:
    assert list(titles_of([Path(name)])) == [title]
    assert TITLE_PATTERN.fullmatch(title)


def test_a_name_without_a_usable_character_is_refused() -> None:
    with pytest.raises(FilmError, match="expected a letter or digit"):
        titles_of([Path("映画.mp4")])


def test_two_films_of_one_title_are_refused() -> None:
    with pytest.raises(FilmError, match="would both be the title film; rename one"):
        titles_of([Path("a/film.mp4"), Path("b/Film.mkv")])


def test_all_films_are_looked_at_before_the_first_is_encoded(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(SourceError, match="nothing"):
        encode_films({"clip": clip, "nothing": tmp_path / "nothing.mp4"}, tmp_path / "cache", Reporter(quiet=True))
    assert not (tmp_path / "cache").exists()


def test_a_disk_that_cannot_hold_the_network_is_said_before_it_starts(tmp_path: Path) -> None:
    package = make_package(tmp_path, size=100_000)
    demand_space([package], 3, tmp_path)
    with pytest.raises(BenchError, match=r"has .* free, expected .* for the origin and 1000000000 appliances"):
        demand_space([package], 10**9, tmp_path)
