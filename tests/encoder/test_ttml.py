from __future__ import annotations

import pytest

from encoder.errors import SourceError
from encoder.subtitles import demand_cues
from encoder.ttml import webvtt_of

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


def test_old_dfxp_is_read() -> None:
    old = TTML.replace("http://www.w3.org/ns/ttml", "http://www.w3.org/2006/10/ttaf1")
    assert "Bonjour" in webvtt_of(old.encode(), "film.dfxp")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('begin="2.5s"', 'begin="soon"', r"film\.ttml, line 10: found begin='soon', expected a time"),
        ("</div>", "", r"film\.ttml, line 11: .* mismatch"),
        ('xmlns="http://www.w3.org/ns/ttml" ', "", r"line 3: found the element tt, expected tt of"),
        ("<tt ", '<!DOCTYPE tt [<!ENTITY a "b">]><tt ', "found a document type"),
    ],
)
def test_broken_file_is_refused_with_its_line(old: str, new: str, sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence):
        webvtt_of(TTML.replace(old, new).encode(), "film.ttml")
