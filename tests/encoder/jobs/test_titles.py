from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.errors import JobError
from encoder.jobs.states import Request
from encoder.jobs.titles import demand_distinct, name_of, shown, title_of
from encoder.package import TITLE_PATTERN


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("Big Buck Bunny (2008).mkv", "big-buck-bunny-2008"),
        ("bbb_1080p.mp4", "bbb_1080p"),
        ("Amélie & Straße.mov", "amelie-strasse"),
        ("Łódź.mkv", "lodz"),
        ("--- .odd. ---.mkv", "odd"),
        ("a film\nwith 'quotes' and $(x).mkv", "a-film-with-quotes-and-x"),
        ("x" * 100 + ".mkv", "x" * 64),
        ("S01.E02.mkv", "s01.e02"),
        (".hidden", "hidden"),
    ],
)
def test_title_is_made_of_the_files_name(name: str, title: str) -> None:
    assert title_of(Path("/films") / name) == title


@pytest.mark.parametrize("name", ["фильм.mkv", "映画.mkv", "---.mkv", os.fsdecode(b"\xff\xfe.mkv")])
def test_name_without_a_usable_letter_needs_a_title_that_is_given(name: str) -> None:
    with pytest.raises(JobError, match="no title can be made of this name; give one by --title"):
        title_of(Path(name))


@given(st.text(min_size=1).filter(lambda text: "/" not in text and "\0" not in text and text not in (".", "..")))
def test_every_title_that_is_made_is_possible(name: str) -> None:
    with suppress(JobError):
        assert TITLE_PATTERN.fullmatch(title_of(Path("/") / name))


def test_people_see_the_name_as_written_on_one_line() -> None:
    assert name_of(Path("Big  Buck\nBunny (2008).mkv")) == "Big Buck Bunny (2008)"
    assert name_of(Path(os.fsdecode(b"\xffilm.mkv"))) == "ilm"
    assert shown(Path(os.fsdecode(b"/a\xff\n\x1b[31mb"))) == "/a\ufffd\ufffd\ufffd[31mb"


def test_two_films_of_one_title_are_told_with_both_their_names() -> None:
    def request(film: str) -> Request:
        return Request(film=Path(film), title=title_of(Path(film)), name="")

    demand_distinct([request("a/Film.mkv"), request("a/Film.mkv"), request("b.mkv")])
    with pytest.raises(JobError, match=r"a/Film\.mkv and b/film\.mp4 would both have the title 'film'.*--list"):
        demand_distinct([request("a/Film.mkv"), request("b/film.mp4")])
