from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import ManifestError
from bench.presentation import (
    Offer,
    Segment,
    Steering,
    Stream,
    Track,
    read_mpd,
    read_multivariant,
    read_playlist,
    read_steering,
)
from tests.bench.manifests import MASTER, MPD, PLAYLIST

URL = "http://steering/play/film/manifest"


def test_a_multivariant_playlist_lists_tracks_pathways_and_steering() -> None:
    read = read_multivariant(MASTER, URL)
    assert read.tracks == (
        Track("video", "und", (Offer("lo", 900_000), Offer("hi", 3_000_000))),
        Track("audio", "en", (Offer("en", 0),)),
        Track("text", "de", (Offer("de", 0),)),
    )
    assert read.pathways == ("b", "a")
    assert read.steering_url == "http://steering/steer?s=1"
    assert read.playlist_url("a", "lo") == "http://a/p/lo.m3u8"
    assert read.playlist_url("b", "en") == "http://b/p/en.m3u8"


def test_a_playlist_without_pathways_is_one_pathway_without_steering() -> None:
    read = read_multivariant("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n", URL)
    assert (read.pathways, read.steering_url) == ((".",), "")
    assert read.playlist_url(".", "v.m3u8") == "http://steering/play/film/v.m3u8"


def test_an_unknown_pathway_or_rendition_is_said() -> None:
    with pytest.raises(ManifestError, match="pathway 'c' does not offer rendition 'hi'"):
        read_multivariant(MASTER, URL).playlist_url("c", "hi")


def test_a_media_playlist_is_a_stream() -> None:
    assert read_playlist(PLAYLIST, "http://a/p/hi.m3u8") == Stream(
        "http://a/p/hi/init.mp4",
        (Segment(0.0, 4.0, "http://a/p/hi/1.m4s"), Segment(4.0, 2.5, "http://a/p/hi/2.m4s")),
    )


@pytest.mark.parametrize(
    "text",
    ["", "<html>", "#EXTM3U\n", PLAYLIST.replace("#EXT-X-ENDLIST\n", ""), MASTER, "#EXTM3U\n#EXTINF:x,\na\n"],
)
def test_what_is_not_the_whole_playlist_of_a_film_is_refused(text: str) -> None:
    with pytest.raises(ManifestError, match=r"http://a/p/hi\.m3u8"):
        read_playlist(text, "http://a/p/hi.m3u8")


@pytest.mark.parametrize("text", ["", "<html>", "#EXTM3U\n", PLAYLIST])
def test_what_is_no_multivariant_playlist_is_refused(text: str) -> None:
    with pytest.raises(ManifestError, match=URL):
        read_multivariant(text, URL)


def test_an_mpd_lists_tracks_pathways_and_steering() -> None:
    read = read_mpd(MPD, URL)
    assert read.tracks == (
        Track("video", "und", (Offer("lo", 900_000), Offer("hi", 3_000_000))),
        Track("text", "de", (Offer("de", 100),)),
    )
    assert read.pathways == ("b", "a")
    assert read.steering_url == "http://steering/steer/dash?s=1"
    assert read.playlist_url("a", "hi") == ""


def test_pictures_and_what_is_for_others_are_no_tracks_of_an_mpd() -> None:
    pictures = (
        '<AdaptationSet contentType="image" mimeType="image/jpeg"><SegmentTemplate media="$Number$.jpg" duration="10"/>'
        '<Representation id="thumbnails" bandwidth="9"/></AdaptationSet>'
    )
    trick = (
        '<AdaptationSet contentType="video"><EssentialProperty schemeIdUri="http://dashif.org/guidelines/trickmode"/>'
        '<Representation id="trick" bandwidth="9"/></AdaptationSet>'
    )
    assert read_mpd(MPD.replace("</Period>", f"{pictures}{trick}</Period>"), URL).tracks == read_mpd(MPD, URL).tracks


def test_an_mpds_stream_is_its_timeline_on_the_pathway() -> None:
    stream = read_mpd(MPD, URL).stream("a", "lo")
    assert stream.init_url == "http://a/p/lo/init.mp4"
    assert [(segment.start, segment.duration) for segment in stream.segments] == [(0, 4), (4, 4), (8, 2.5)]
    assert stream.segments[2].url == "http://a/p/lo/3.m4s"
    assert stream.end == 10.5


def test_a_representation_without_template_is_one_file_for_the_whole_film() -> None:
    assert read_mpd(MPD, URL).stream("b", "de") == Stream("", (Segment(0.0, 66.5, "http://b/p/de.vtt"),))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/etc/passwd",
        "<MPD",
        "<MPD></MPD>",
        MPD.replace("</Period>", "</Period><Period></Period>"),
        MPD.replace('r="1"', 'r="-1"'),
        MPD.replace('d="2500"', 'd="0"'),
        MPD.replace("PT1M6.5S", "soon"),
        MPD.replace("SegmentTimeline", "Nothing"),
    ],
)
def test_what_is_not_an_mpd_of_a_film_is_refused(text: str) -> None:
    with pytest.raises(ManifestError, match=URL):
        read_mpd(text, URL)


def test_segments_are_found_by_where_they_begin() -> None:
    stream = read_mpd(MPD, URL).stream("a", "hi")
    assert stream.number_at(8.0001) == 2
    with pytest.raises(ManifestError, match="no segment begins at 6"):
        stream.number_at(6.0)


def test_a_steering_manifest_says_whom_and_when_and_where_to_ask() -> None:
    data = b'{"VERSION":1,"TTL":5,"RELOAD-URI":"/steer?s=2","PATHWAY-PRIORITY":["b","a"],"NEW":1}'
    assert read_steering(data, "http://s/steer?s=1") == Steering(("b", "a"), 5.0, "http://s/steer?s=2")


def test_a_steering_manifest_without_ttl_and_reload_uri_has_those_of_the_standard() -> None:
    data = b'{"VERSION":1,"PATHWAY-PRIORITY":["a"]}'
    assert read_steering(data, "http://s/steer?s=1") == Steering(("a",), 300.0, "http://s/steer?s=1")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"VERSION":2,"PATHWAY-PRIORITY":["a"]}',
        b'{"VERSION":1,"PATHWAY-PRIORITY":[]}',
        b'{"VERSION":1,"TTL":0,"PATHWAY-PRIORITY":["a"]}',
    ],
)
def test_what_is_no_steering_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(ManifestError, match="http://s/steer"):
        read_steering(data, "http://s/steer")


@given(st.text(max_size=200))
def test_nonsense_is_refused_and_never_read_from_a_file(text: str) -> None:
    for read in (read_multivariant, read_playlist, read_mpd):
        with pytest.raises(ManifestError):
            read(text, URL)
        with pytest.raises(ManifestError):
            read("#EXTM3U\n" + text, URL)


@given(st.lists(st.sampled_from(MASTER.splitlines() + PLAYLIST.splitlines()), max_size=20))
def test_lines_of_playlists_in_any_order_are_read_or_refused(lines: list[str]) -> None:
    text = "\n".join(["#EXTM3U", *lines])
    for read in (read_multivariant, read_playlist):
        try:
            read(text, URL)
        except ManifestError as error:
            assert URL in str(error)
