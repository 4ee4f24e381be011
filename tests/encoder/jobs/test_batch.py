from __future__ import annotations

import os
from pathlib import Path

import pytest

from encoder.errors import JobError
from encoder.jobs.batch import find_films


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b/Two.MKV", "b/c/three.mp4", "one.mov", "one.srt", ".hidden.mkv", ".trash/old.mkv", "b/notes.txt"):
        path = tmp_path / "films" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "films"


def test_folder_is_all_films_in_it_at_any_depth_in_their_order(folder: Path) -> None:
    assert [(film.title, film.film) for film in find_films([folder])] == [
        ("two", folder / "b/Two.MKV"),
        ("three", folder / "b/c/three.mp4"),
        ("one", folder / "one.mov"),
    ]


def test_link_to_a_folder_is_not_followed_and_one_to_a_film_is(folder: Path) -> None:
    (folder / "b/around").symlink_to(folder)
    (folder / "linked.mkv").symlink_to(folder / "one.mov")
    assert [film.title for film in find_films([folder])] == ["two", "three", "linked", "one"]


def test_packages_below_the_films_are_not_films(folder: Path) -> None:
    package = folder / "packages/one/0123456789abcdef0123456789abcdef"
    package.mkdir(parents=True)
    for name in ("package.json", "v360.mp4"):
        (package / name).touch()
    assert [film.title for film in find_films([folder])] == ["two", "three", "one"]


def test_folder_without_films_says_what_it_looked_for(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"holds no films \(files named .*\.mkv, .*\)"):
        find_films([tmp_path])


def test_named_file_is_taken_whatever_its_suffix_and_once(folder: Path) -> None:
    odd = folder / "film.bin"
    assert [film.film for film in find_films([odd, odd])] == [odd]


def test_list_gives_titles_and_names_relative_to_itself(folder: Path) -> None:
    listing = folder / "films.tsv"
    listing.write_bytes(b"# a comment\n\none.mov\nb/Two.MKV\tsecond\tThe Second\n/else/\xff.mkv\tbytes\n")
    films = find_films([], [listing])
    assert [film.title for film in films] == ["one", "second", "bytes"]
    assert films[1].film == folder / "b/Two.MKV" and films[1].name == "The Second"
    assert os.fsencode(films[2].film) == b"/else/\xff.mkv"


def test_film_in_a_storage_stays_a_url(tmp_path: Path) -> None:
    listing = tmp_path / "list"
    listing.write_text("s3://bucket/films/b.mkv\n")
    films = find_films([Path("s3://bucket/films/a.mkv")], [listing])
    assert [str(film.film) for film in films] == ["s3:/bucket/films/a.mkv", "s3:/bucket/films/b.mkv"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [("one.mov\tBig Title", "title 'Big Title', expected 1 to 64"), ("a\tb\tc\td", "expected a film"), ("\tb", "film")],
)
def test_wrong_line_of_a_list_is_named(line: str, complaint: str, tmp_path: Path) -> None:
    listing = tmp_path / "list"
    listing.write_text(f"ok.mkv\n{line}\n")
    with pytest.raises(JobError, match=f"list, line 2: .*{complaint}"):
        find_films([], [listing])


def test_list_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"the list .*none cannot be read: No such file"):
        find_films([], [tmp_path / "none"])
