"""Each rule is broken by one change in playlists that keep all of them."""

from __future__ import annotations

import msgspec
import pytest

from encoder.manifests import multivariant
from encoder.package import StoredFile
from encoder.pictures.sheets import PLAYLIST, image_playlist, plan_thumbnails
from encoder.rules.hls import broken_rules
from tests.encoder.rules.film import MASTER, PACKAGE, playlists

V720, IFRAMES = "v720.m3u8", "v720-iframes.m3u8"


def broken(name: str, before: str, after: str) -> list[str]:
    texts = playlists()
    assert before in texts[name]
    texts[name] = texts[name].replace(before, after, 1)
    return [str(finding) for finding in broken_rules(MASTER, texts, PACKAGE)]


def test_our_own_playlists_keep_every_rule() -> None:
    assert list(broken_rules(MASTER, playlists(), PACKAGE)) == []


@pytest.mark.parametrize(
    ("name", "before", "after", "complaint"),
    [
        (MASTER, "#EXTM3U\n", "", "expected #EXTM3U"),
        (MASTER, "English", "Eng\x85lish", "a control character, which RFC 8216 section 4.1 forbids"),
        (MASTER, 'LANGUAGE="de"', 'LANGUAGE="en"', "a player cannot tell apart"),
        (MASTER, "#EXT-X-VERSION:7\n", "", "has 0 EXT-X-VERSION"),
        (MASTER, "AVERAGE-BANDWIDTH", "X-BANDWIDTH", "has no AVERAGE-BANDWIDTH, which Apple demands"),
        (MASTER, 'CODECS="', 'X-CODECS="', "has no CODECS"),
        (MASTER, "RESOLUTION=640x360,", "", "has no RESOLUTION"),
        (MASTER, "RESOLUTION=640x360,", "RESOLUTION=640x368,", "expected 640x360"),
        (MASTER, "FRAME-RATE=23.976,", "", "has no FRAME-RATE"),
        (MASTER, "FRAME-RATE=23.976,", "FRAME-RATE=100.000,", "expected 60 at most"),
        (MASTER, "avc1.64001f,mp4a", "avc1.42001f,mp4a", "do not name the video's 'avc1.64001f'"),
        (MASTER, ",mp4a.40.2", "", "audio group 'audio' do not fit"),
        (MASTER, "avc1.64001f,mp4a", "avc1.64001f,hev1.1,mp4a", "parameter sets within the samples"),
        (MASTER, 'AUDIO="audio"', 'AUDIO="sound"', "names the AUDIO group 'sound', which is not there"),
        (MASTER, 'NAME="Deutsch"', 'NAME="English"', "2 members are called 'English'"),
        (MASTER, "DEFAULT=NO", "DEFAULT=YES", "several members are DEFAULT"),
        (MASTER, "AUTOSELECT=YES,", "", "is DEFAULT and not AUTOSELECT"),
        (MASTER, 'CHANNELS="2",', "", "has no CHANNELS, which Apple demands"),
        (MASTER, "FRAME-RATE=23.976", "FRAME-RATE=23.976,VIDEO-RANGE=PQ", "some variants have a VIDEO-RANGE"),
        (MASTER, "\nv720.m3u8\n", "\nv1080.m3u8\n", "v720 is in the package and not offered"),
        (MASTER, "\nv720.m3u8\n", "\nv1080.m3u8\n", "v1080.m3u8: is named and not in the package"),
        (V720, "#EXT-X-ENDLIST", "", "is not a finished VOD playlist"),
        (V720, "TARGETDURATION:4", "TARGETDURATION:3", "longer than EXT-X-TARGETDURATION 3"),
        (V720, "#EXT-X-MAP", "#EXT-X-MOP", "has no EXT-X-MAP"),
        (V720, "#EXT-X-VERSION:7", "#EXT-X-VERSION:3", "expected 6 at least"),
        (V720, "v720/2.m4s", "v720/9.m4s", "has no segment '9.m4s'"),
        (V720, "EXTINF:4.004000", "EXTINF:3.504000", "lasts 9.510 s, expected 10.010 s as the film"),
        (V720, "EXTINF:4.004000", "EXTINF:3.504000", "do not begin where those of v360.m3u8 do"),
        (V720, "#EXTINF:2.002000,\nv720/3.m4s\n", "", "has 2 segments, and v360.m3u8 has 3"),
        (IFRAMES, "#EXT-X-I-FRAMES-ONLY\n", "", "has no EXT-X-I-FRAMES-ONLY"),
        (IFRAMES, "BYTERANGE:300@1000", "BYTERANGE:300@11900", "bytes 300@11900 of v720.mp4, which has 12000"),
    ],
)
def test_broken_rule_is_told(name: str, before: str, after: str, complaint: str) -> None:
    found = broken(name, before, after)
    assert any(complaint in says for says in found), found


@pytest.mark.parametrize(
    ("name", "before", "after", "complaint"),
    [
        (PLAYLIST, "#EXT-X-IMAGES-ONLY\n", "", "has no EXT-X-IMAGES-ONLY"),
        (PLAYLIST, "thumbnails-1.jpg", "thumbnails-2.jpg", "has no file 'thumbnails-2.jpg'"),
        (PLAYLIST, "#EXTINF:10.010", "#EXTINF:9.010", "lasts 9.010 s, expected 10.010 s as the film"),
        (MASTER, 'URI="thumbnails.m3u8"', 'URI="pictures.m3u8"', "pictures.m3u8: is named and not in the package"),
        (MASTER, 'URI="chapters.json"', 'URI="parts.json"', "has no file 'parts.json'"),
    ],
)
def test_chapters_and_pictures_that_lead_nowhere_are_told(name: str, before: str, after: str, complaint: str) -> None:
    thumbnails = plan_thumbnails(1280, 720, PACKAGE.duration)
    files = [StoredFile(name, 100, "", ()) for name in (PLAYLIST, "thumbnails-1.jpg", "chapters.json")]
    package = msgspec.structs.replace(
        PACKAGE, thumbnails=thumbnails, chapters_json="chapters.json", files=(*PACKAGE.files, *files)
    )
    texts = {**playlists(), MASTER: multivariant(package), PLAYLIST: image_playlist(thumbnails, package.duration)}
    assert list(broken_rules(MASTER, texts, package)) == []
    assert before in texts[name]
    texts[name] = texts[name].replace(before, after)
    found = [str(finding) for finding in broken_rules(MASTER, texts, package)]
    assert any(complaint in says for says in found), found


def test_missing_iframe_playlists_are_told() -> None:
    texts = playlists()
    texts[MASTER] = "".join(line for line in texts[MASTER].splitlines(True) if "I-FRAME" not in line)
    (found,) = broken_rules(MASTER, texts, PACKAGE)
    assert "no I-frame playlist" in str(found) and found.is_must


def test_average_that_is_not_the_measured_one_is_told() -> None:
    average = next(variant for variant in playlists()[MASTER].split(",") if variant.startswith("AVERAGE-BANDWIDTH"))
    (found,) = broken(MASTER, average, "AVERAGE-BANDWIDTH=90000")
    assert "AVERAGE-BANDWIDTH 90000, measured 1335" in found


def test_peak_of_more_than_twice_the_average_is_only_advised_against() -> None:
    texts = playlists()
    peak = next(part for part in texts[MASTER].split(":") if part.startswith("BANDWIDTH")).split(",")[0]
    texts[MASTER] = texts[MASTER].replace(peak, "BANDWIDTH=400000", 1)
    (found,) = broken_rules(MASTER, texts, PACKAGE)
    assert "Apple recommends 2 at most" in str(found) and not found.is_must


def test_playlist_of_nothing_is_told_and_not_a_crash() -> None:
    assert [str(one) for one in broken_rules(MASTER, {}, PACKAGE)][:2] == [
        "master.m3u8: begins with 'nothing', expected #EXTM3U",
        "master.m3u8: has 0 EXT-X-VERSION, expected 1",
    ]
