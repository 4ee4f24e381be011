from __future__ import annotations

import re

import pytest

from encoder.captions.ttml import webvtt_of
from encoder.captions.webvtt import demand_cues
from encoder.errors import SourceError

TTML = """<?xml version="1.0" encoding="UTF-8"?>
<tt xmlns="http://www.w3.org/ns/ttml" xmlns:tts="http://www.w3.org/ns/ttml#styling"
 xmlns:ttp="http://www.w3.org/ns/ttml#parameter" ttp:frameRate="25" xml:lang="fr">
<head><layout>
<region xml:id="top" tts:origin="10% 10%" tts:extent="80% 20%" tts:displayAlign="before" tts:textAlign="center"/>
<region xml:id="low" tts:origin="10% 70%" tts:extent="80% 20%" tts:displayAlign="after" tts:textAlign="center"/>
</layout></head>
<body><div>
<p begin="00:00:01:05" end="00:00:02:00" region="low">Bonjour <span tts:fontStyle="italic">à</span><br/>vous</p>
<p begin="2.5s" end="3s" region="top">En haut</p>
</div></body></tt>
"""


def test_times_in_frames_italics_and_regions_are_kept() -> None:
    webvtt = webvtt_of(TTML.encode(), "film.ttml")
    demand_cues(webvtt, "film.ttml")
    assert "00:00:01.200 --> 00:00:02.000 align:center line:90%,end\nBonjour <i>à</i>\nvous" in webvtt
    assert "00:00:02.500 --> 00:00:03.000 align:center line:10%,start\nEn haut" in webvtt


def test_what_is_said_is_not_taken_for_markup() -> None:
    webvtt = webvtt_of(TTML.replace("En haut", "1 &lt; 2 --&gt; <span>R&amp;B</span> &lt;3").encode(), "film.ttml")
    demand_cues(webvtt, "film.ttml")
    assert "1 &lt; 2 --&gt; R&amp;B &lt;3" in webvtt


def test_blank_lines_do_not_end_a_cue() -> None:
    webvtt = webvtt_of(TTML.replace("En haut", "En<br/><br/> <br/>haut").encode(), "film.ttml")
    assert "\nEn\nhaut\n" in webvtt


def test_times_of_video_tape_are_times_of_the_film() -> None:
    tape = TTML.replace('frameRate="25"', 'frameRate="25" ttp:timeBase="smpte"')
    assert "00:00:01.200 --> 00:00:02.000" in webvtt_of(tape.encode(), "film.ttml")


def test_captions_without_regions_stand_where_players_put_them() -> None:
    plain = (
        re.sub(r"<head>.*</head>", "", TTML, flags=re.DOTALL).replace(' region="low"', "").replace(' region="top"', "")
    )
    assert "00:00:02.500 --> 00:00:03.000\nEn haut" in webvtt_of(plain.encode(), "film.ttml")


def test_old_dfxp_is_read() -> None:
    old = TTML.replace("http://www.w3.org/ns/ttml", "http://www.w3.org/2006/10/ttaf1")
    assert "Bonjour" in webvtt_of(old.encode(), "film.dfxp")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('begin="2.5s"', 'begin="soon"', r"film\.ttml, line 10: found begin='soon', expected a time"),
        ('begin="2.5s"', 'begin="00:75:00"', r"line 10: found begin='00:75:00', expected a time"),
        ('begin="2.5s"', 'begin="00:00:02:10.5"', r"line 10: found begin='00:00:02:10.5', expected a time"),
        ('begin="2.5s"', 'begin="3.5s"', r"line 10: the cue ends before it begins"),
        ('frameRate="25"', 'frameRateMultiplier="1 0"', r"film\.ttml, line 3: frame or tick rate .*, expected numbers"),
        ('tts:textAlign="center"/>\n<', 'tts:textAlign="q"/>\n<', r"film\.ttml cannot be read as TTML"),
        ("</div>", "", r"film\.ttml, line 11: .* mismatch"),
        ('xmlns="http://www.w3.org/ns/ttml" ', "", r"line 3: found the element tt, expected tt of"),
        ("<tt ", '<!DOCTYPE tt [<!ENTITY a "b">]><tt ', "found a document type"),
    ],
)
def test_broken_file_is_refused_with_its_line(old: str, new: str, sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence):
        webvtt_of(TTML.replace(old, new).encode(), "film.ttml")
