from __future__ import annotations

import pytest

from encoder.captions.sidecars import find_captions, find_chapters, find_files


@pytest.mark.parametrize(
    ("name", "language", "title", "forced", "roles"),
    [
        ("film.srt", "und", "", False, ()),
        ("film.en.srt", "en", "", False, ()),
        ("film.eng.SRT", "en", "", False, ()),
        ("film.pt-BR.forced.vtt", "pt-BR", "", True, ()),
        ("film.en.sdh.srt", "en", "", False, ("caption",)),
        ("film.en.hi.srt", "en", "", False, ("caption",)),
        ("film.hi.srt", "hi", "", False, ()),  # Hindi
        ("film.de.Kommentar.commentary.dfxp", "de", "Kommentar", False, ("commentary",)),
        ("film.forced.ttml", "und", "", True, ()),
        ("film.Director's cut.en.srt", "en", "Director's cut", False, ()),
        ("film.ext.srt", "und", "ext", False, ()),
    ],
)
def test_name_says_language_and_purpose(
    name: str, language: str, title: str, forced: bool, roles: tuple[str, ...]
) -> None:
    (found,) = find_captions("film.mkv", ["film.mkv", name])
    track = found.track
    assert (track.language, track.title, track.forced, track.roles) == (language, title, forced, roles)


def test_default_is_said_by_the_name_too() -> None:
    (found,) = find_captions("film.mkv", ["film.en.default.srt"])
    assert found.track.default


def test_what_belongs_to_another_film_or_is_no_caption_is_left_alone() -> None:
    names = ["film.mkv", "film.2.mkv", "film.2.en.srt", "films.en.srt", "film.nfo", "film.en.txt", "film.chapters.vtt"]
    assert find_captions("film.mkv", names) == []
    assert [one.name for one in find_captions("film.2.mkv", names)] == ["film.2.en.srt"]
    assert find_files("film.2.mkv", names) == ["film.2.en.srt"]
    assert find_files("film.mkv", names) == ["film.chapters.vtt"]


@pytest.mark.parametrize("other", ["film.en.idx", "film.en.ass", "film.en.nfo", "film.en.srt~", "film.en.jpg"])
def test_only_a_film_has_captions_of_its_own(other: str) -> None:
    assert [one.name for one in find_captions("film.mkv", ["film.mkv", "film.en.srt", other])] == ["film.en.srt"]


def test_order_is_that_of_the_names_whatever_the_folder_gives() -> None:
    assert [one.name for one in find_captions("a.mkv", ["a.fr.srt", "a.de.srt"])] == ["a.de.srt", "a.fr.srt"]


def test_bytes_that_are_no_letters_do_not_reach_the_title() -> None:
    (found,) = find_captions("film.mkv", ["film.caf\udce9.en.srt"])
    assert found.track.title == "caf?"


def test_chapters_are_found_by_name() -> None:
    assert find_chapters("film.mkv", ["film.mkv", "film.chapters.txt"]) == "film.chapters.txt"
    assert find_chapters("film.mkv", ["film.mkv", "film.chapters.srt", "other.chapters.txt"]) == ""
