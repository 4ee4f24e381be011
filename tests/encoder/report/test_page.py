"""The page as a whole: it says what is so, to everybody, and asks nobody for anything."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import msgspec
import pytest

from encoder.package import Rendition
from encoder.report.facts import Report
from encoder.report.page import page

_VOID = {"meta", "img", "path", "circle", "link", "br"}


class Reader(HTMLParser):
    """Elements in order, each with its attributes; fails where they are not nested."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID or tag in ("path", "circle"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_page_asks_for_nothing_and_runs_nothing(report: Report) -> None:
    text = page(report)
    assert "default-src 'none'" in text
    assert not re.search(r"<script|https?:|url\(|@import|\son\w+=", text)
    assert all((one["src"] or "").startswith("data:") for one in Reader(text).of("img"))


def test_names_of_a_film_are_text_and_never_markup(report: Report) -> None:
    text = page(report)
    assert "A <Film>" not in text and "A &lt;Film&gt; &amp; its &quot;name&quot;" in text


def test_every_chart_has_words_and_a_table(report: Report) -> None:
    read = Reader(page(report))
    charts = [one for one in read.of("svg") if one.get("role") == "img"]
    assert len(charts) == 2 * 4  # trials, VMAF, bitrate, factors; each for a desk and for a phone
    assert all(one["aria-label"] for one in charts)
    assert len(read.of("details")) == 4
    assert all(one["alt"] for one in read.of("img"))


def test_tables_that_are_wider_than_a_phone_are_reached_by_keyboard(report: Report) -> None:
    regions = [one for one in Reader(page(report)).of("div") if one.get("class") == "scroll"]
    assert regions and all(one["tabindex"] == "0" and one["role"] == "region" and one["aria-label"] for one in regions)


def test_sections_are_linked_by_their_names(report: Report) -> None:
    read = Reader(page(report))
    linked = [(one["href"] or "").removeprefix("#") for one in read.of("a")]
    assert linked == [one["id"] for one in read.of("section")]
    assert {"hull-h264", "rungs", "vmaf", "worst", "saved", "shots", "cost"} <= set(linked)


def test_a_rung_tells_what_was_asked_and_what_it_has(report: Report) -> None:
    assert re.search(r">v360</th>.*>95\.0</td><td>94\.80</td>", page(report))


def test_a_fixed_ladder_without_scores_has_the_sections_that_can_be_filled(report: Report) -> None:
    rungs = tuple(dataclasses.replace(made, quality=None, still=None) for made in report.rungs)
    text = page(dataclasses.replace(report, rungs=rungs, searches=(), costs=()))
    read = Reader(text)
    assert [one["id"] for one in read.of("section")] == ["rungs", "bitrate", "shots", "sound", "made"]


@pytest.mark.parametrize("frames", [1, 1800])
def test_a_film_of_any_length_makes_a_page_of_bounded_size(report: Report, frames: int) -> None:
    """A frame; and two hours in segments of four seconds."""

    def stretched(one: Rendition) -> Rendition:
        return msgspec.structs.replace(one, durations=(96,) * frames, sizes=(100_000,) * frames)

    rungs = tuple(
        dataclasses.replace(made, rendition=stretched(made.rendition), quality=None, still=None)
        for made in report.rungs
    )
    plan = dataclasses.replace(report.plan, shots=((1,),) if frames == 1 else ((96, 96),) * (frames // 2))
    text = page(dataclasses.replace(report, rungs=rungs, searches=(), plan=plan))
    Reader(text)
    assert len(text) < 250_000
