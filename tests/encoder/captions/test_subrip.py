from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.captions.subrip import webvtt_of
from encoder.captions.webvtt import demand_cues
from encoder.errors import SourceError


def converted(text: str, settings: str = "") -> str:
    return f"WEBVTT\n\n00:00:01.500 --> 00:00:02.000{settings}\n{text}\n"


@pytest.mark.parametrize(
    ("text", "settings", "expected"),
    [
        ("Hello\nthere", "", "Hello\nthere"),
        ("<I>Hello</I> & <font color='red'>you</font>", "", "<i>Hello</i> &amp; you"),
        ("a < b > c &amp; d <unknown>", "", "a &lt; b &gt; c &amp; d &lt;unknown&gt;"),
        (r"{\an8}Above", " line:0", "Above"),
        (r"{\an4}{\i1}Left", " line:50% align:left", "Left"),
        (r"{\a6}Above, in the old way", " line:0", "Above, in the old way"),
        ("12 -> 13", "", "12 -&gt; 13"),
        ("first\n\nafter a gap", "", "first\nafter a gap"),
        ("first\n\n2012", "", "first\n2012"),
    ],
)
def test_text_and_places_become_webvtts(text: str, settings: str, expected: str) -> None:
    written = webvtt_of(f"1\n00:00:01,500 --> 00:00:02,000\n{text}\n", "film.srt")
    assert written == converted(expected, settings)
    demand_cues(written, "film.srt")


@pytest.mark.parametrize(
    "sloppy",
    [
        "00:00:01.500 --> 00:00:02.000\r\nHello\r\n",
        "7\n0:0:1,5 -->  0:0:2 X1:10 X2:20\nHello",
        "\n\n1\n00:00:01,500 --> 00:00:02,000\nHello\n\n\n2\n00:00:03,000 --> 00:00:03,000\nno time\n",
        "1\n00:00:01,500 --> 00:00:02,000\nHello\n2\n00:00:03,000 --> 00:00:04,000\n\n",
    ],
)
def test_what_everybody_writes_is_taken(sloppy: str) -> None:
    assert webvtt_of(sloppy, "film.srt").startswith(converted("Hello")[:-1])


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        ("", r"film\.srt: found no cue, expected a time such as 00:01:02,500 --> 00:01:04,000 and then text"),
        ("Hello\n", r"line 1: found 'Hello', expected a time"),
        ("1\n00:00:01,500 -> 00:00:02,000\nHello\n", r"line 2: found '00:00:01,500 -> 00:00:02,000', expected a time"),
        ("1\n00:00:01,500 --> 00:00:0x,000\nHello\n", r"line 2: found"),
        ("1\n00:00:01,500 --> 00:00:02,000\nHello\n\n2\nno time\n", r"line 6: found 'no time', expected a time"),
        ("1\n00:00:05,000 --> 00:00:02,000\nHello\n", r"line 2: the cue ends before it begins"),
        ("<html><body>404 Not Found</body></html>", r"line 1: found '<html>"),
    ],
)
def test_broken_file_is_refused_with_its_line(broken: str, sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence):
        webvtt_of(broken, "film.srt")


@given(st.text())
def test_any_text_is_either_captions_or_a_sentence(text: str) -> None:
    try:
        demand_cues(webvtt_of(text, "film.srt"), "film.srt")
    except SourceError as error:
        assert str(error).startswith("film.srt")


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1).filter(str.strip))
def test_any_line_of_text_stays_one_cue(text: str) -> None:
    try:
        written = webvtt_of(f"1\n00:00:01,500 --> 00:00:02,000\nx {text}\n", "film.srt")
    except SourceError:  # what looks like a broken time
        assert ":" in text
    else:
        assert written.count("-->") == 1


@pytest.mark.parametrize("line", ["1:" * 500_000, "<" + "a" * 500_000, "1:1:1" + "1" * 500_000, "{\\an" * 300_000])
def test_line_of_megabytes_is_read_at_once(line: str) -> None:
    began = time.process_time()
    with suppress(SourceError):
        webvtt_of(f"1\n00:00:01,500 --> 00:00:02,000\n{line}\n", "film.srt")
    # Where each character looks at all that follow it takes minutes.
    assert time.process_time() - began < 10
