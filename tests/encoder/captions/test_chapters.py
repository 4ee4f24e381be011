from __future__ import annotations

import json

import pytest

from encoder.captions.chapters import apple_json, read_chapters, webvtt, within
from encoder.errors import SourceError
from encoder.package import Chapter

MKVMERGE = "CHAPTER01=00:00:00.000\nCHAPTER01NAME=Morning\nCHAPTER02=00:01:00.500\nCHAPTER02NAME=A & B\n"


@pytest.mark.parametrize(
    "text",
    [
        MKVMERGE,
        "0:00 Morning\n1:00.5 - A & B\n",
        "WEBVTT\n\n00:00.000 --> 01:00.500\nMorning\n\n2\n00:01:00.500 --> 00:02:00.000\n<v x>A & B\n",
    ],
)
def test_every_way_of_writing_is_read(text: str) -> None:
    assert read_chapters(text, "f.chapters.txt") == (Chapter(0.0, 0.0, "Morning"), Chapter(60.5, 0.0, "A & B"))


def test_what_is_no_chapter_is_refused_with_its_line() -> None:
    with pytest.raises(SourceError, match=r"f\.chapters\.txt, line 2: found 'soon: B', expected"):
        read_chapters("0:00 A\nsoon: B\n", "f.chapters.txt")
    with pytest.raises(SourceError, match="found no chapter"):
        read_chapters("\n", "f.chapters.txt")


def test_chapters_follow_each_other_from_the_films_zero_to_its_end() -> None:
    there = [Chapter(70.0, 80.0, "C"), Chapter(-3.0, 0.0, "before"), Chapter(0.0, 5.0, "A"), Chapter(30.0, 0.0, "")]
    assert within(there, -2.0, 60.0) == (Chapter(0.0, 28.0, "A"), Chapter(28.0, 60.0, "Chapter 2"))
    assert within([], 0.0, 60.0) == ()


def test_players_read_both_files() -> None:
    chapters = within(read_chapters(MKVMERGE, "f"), 0.0, 90.0)
    assert webvtt(chapters) == (
        "WEBVTT\n\n00:00:00.000 --> 00:01:00.500\nMorning\n\n00:01:00.500 --> 00:01:30.000\nA &amp; B\n"
    )
    first, second = json.loads(apple_json(chapters))
    assert first == {
        "chapter": 1, "start-time": 0.0, "duration": 60.5, "titles": [{"language": "und", "title": "Morning"}],
    }  # fmt: skip
    assert (second["start-time"], second["duration"], second["titles"][0]["title"]) == (60.5, 29.5, "A & B")


def test_titles_of_webvtt_are_plain_text() -> None:
    (chapter,) = read_chapters("WEBVTT\n\n00:00.000 --> 00:09.000\n<b>Tom</b> &amp; Jerry &lt;1&gt;\n", "f")
    assert chapter.title == "Tom & Jerry <1>"


def test_broken_time_of_a_webvtt_chapter_is_refused_with_its_line() -> None:
    with pytest.raises(SourceError, match=r"f\.vtt, line 6: found '00:2x --> 00:30', expected"):
        read_chapters("WEBVTT\n\n00:00.000 --> 00:09.000\nA\n\n00:2x --> 00:30\nB\n", "f.vtt")


def test_title_of_several_lines_stays_one_cue() -> None:
    chapters = within([Chapter(0.0, 0.0, "A\r\n\r\nB\u2028C\x00"), Chapter(3.0, 0.0, " \n ")], 0.0, 9.0)
    assert [chapter.title for chapter in chapters] == ["A B C", "Chapter 2"]


def test_last_chapter_is_never_without_length() -> None:
    assert within([Chapter(0.0, 0.0, "A"), Chapter(10.0, 0.0, "B")], 0.0, 10.0004) == (Chapter(0.0, 10.0, "A"),)
