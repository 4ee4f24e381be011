"""Manifests as players read them: m3u8 and mpegdash are the independent readers, lxml looks at what they drop."""

from __future__ import annotations

import gzip
import re
from fractions import Fraction

import m3u8
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from mpegdash.parser import MPEGDASHParser

from encoder.manifests import (
    ByteRange,
    Manifests,
    Pathway,
    average_bandwidth,
    iframe_playlist,
    media_playlist,
    mpd,
    multivariant,
    peak_bandwidth,
    target_duration,
)
from encoder.package import Package, Rendition
from encoder.pictures.sheets import plan_thumbnails

MPD = "{urn:mpeg:dash:schema:mpd:2011}"
PATHWAYS = (
    Pathway("edge-a", "http://127.0.1.1:8080/v1/film/0123456789abcdef0123456789abcdef/"),
    Pathway("edge-b", "http://127.0.1.2:8080/v1/film/0123456789abcdef0123456789abcdef/"),
)
STEERING = "http://127.0.0.1:8060/steer/hls?title=film&session=1"


def video(height: int, **changes: object) -> Rendition:
    plain = Rendition(
        name=f"v{height}", kind="video", file=f"v{height}.mp4", playlist=f"v{height}.m3u8", codecs="avc1.64001f",
        bandwidth=height * 4000, average_bandwidth=height * 2500, timescale=24000, init_size=800, media_offset=1000,
        durations=(96096, 96096, 48048), sizes=(4000, 5000, 2000), width=height * 16 // 9, height=height,
        frame_rate="24000/1001", iframe_playlist=f"v{height}-iframes.m3u8", iframe_bandwidth=9000,
    )  # fmt: skip
    return msgspec.structs.replace(plain, **changes)


def audio(number: int, **changes: object) -> Rendition:
    plain = Rendition(
        name=f"a{number}", kind="audio", file=f"a{number}.mp4", playlist=f"a{number}.m3u8", codecs="mp4a.40.2",
        bandwidth=130_000 + number, average_bandwidth=128_000 + number, timescale=48000, init_size=700,
        media_offset=800, durations=(184320, 184320, 111360), sizes=(60000, 60000, 36000), language="en",
        label="English", default=number == 1, channels=2, sample_rate=48000,
    )  # fmt: skip
    return msgspec.structs.replace(plain, **changes)


def text(number: int, **changes: object) -> Rendition:
    plain = Rendition(
        name=f"t{number}", kind="text", file=f"t{number}.vtt", playlist=f"t{number}.m3u8", codecs="", bandwidth=80,
        average_bandwidth=80, timescale=1000, init_size=0, media_offset=0, durations=(10010,), sizes=(100,),
        language="fr", label="Français",
    )  # fmt: skip
    return msgspec.structs.replace(plain, **changes)


def package_of(*renditions: Rendition) -> Package:
    return Package(
        format=1,
        title="film",
        name="Film",
        duration=10.01,
        source_digest="",
        encoder="",
        renditions=renditions,
        files=(),
    )


FILM = package_of(video(720), video(360), audio(1), audio(2, language="de", label="Deutsch"), text(1))


def lines_of(playlist: str, tag: str) -> list[str]:
    return [line for line in playlist.splitlines() if line.startswith(tag)]


def test_packages_own_playlist_is_relative_and_unsteered() -> None:
    playlist = multivariant(FILM)
    assert "http" not in playlist and "STEERING" not in playlist and "PATHWAY" not in playlist
    master = m3u8.loads(playlist)
    assert {variant.uri for variant in master.playlists} == {"v720.m3u8", "v360.m3u8"}
    assert {entry.uri for entry in master.media} == {"a1.m3u8", "a2.m3u8", "t1.m3u8"}
    assert all(variant.media for variant in master.playlists)


def test_bandwidth_counts_video_and_the_most_demanding_audio() -> None:
    (best,) = (v for v in m3u8.loads(multivariant(FILM)).playlists if v.uri == "v720.m3u8")
    assert best.stream_info.bandwidth == 720 * 4000 + 130_002
    assert best.stream_info.average_bandwidth == 720 * 2500 + 128_002
    assert best.stream_info.codecs == "avc1.64001f,mp4a.40.2"
    assert best.stream_info.frame_rate == 23.976


def test_film_without_audio_names_no_group_and_only_its_codec() -> None:
    (variant,) = m3u8.loads(multivariant(package_of(video(360)))).playlists
    assert (variant.stream_info.audio, variant.stream_info.codecs) == (None, "avc1.64001f")


def test_first_variant_is_the_best_that_starts_on_a_slow_link() -> None:
    package = package_of(
        video(1080, bandwidth=6_000_000), video(540, bandwidth=1_900_000), video(234, bandwidth=300_000)
    )
    assert [v.uri for v in m3u8.loads(multivariant(package)).playlists] == ["v540.m3u8", "v234.m3u8", "v1080.m3u8"]
    steep = package_of(video(1080, bandwidth=6_000_000), video(540, bandwidth=2_100_000))
    assert m3u8.loads(multivariant(steep)).playlists[0].uri == "v540.m3u8"


def test_pathways_differ_only_in_uris_groups_and_pathway_ids() -> None:
    playlist = multivariant(FILM, PATHWAYS, STEERING)
    for tag in ("#EXT-X-MEDIA:", "#EXT-X-STREAM-INF:", "#EXT-X-I-FRAME-STREAM-INF:"):
        lines = lines_of(playlist, tag)
        neutral = [re.sub(r'(URI|GROUP-ID|AUDIO|SUBTITLES|PATHWAY-ID)="[^"]*"', r"\1", line) for line in lines]
        half = len(lines) // 2
        assert half and neutral[:half] == neutral[half:]


def test_steered_playlist_has_absolute_uris_and_groups_for_each_pathway() -> None:
    master = m3u8.loads(multivariant(FILM, PATHWAYS, STEERING))
    assert (master.content_steering.uri, master.content_steering.pathway_id) == (STEERING, "edge-a")
    for pathway in PATHWAYS:
        variants = [v for v in master.playlists if v.stream_info.pathway_id == pathway.id]
        assert {v.uri for v in variants} == {f"{pathway.base}v720.m3u8", f"{pathway.base}v360.m3u8"}
        assert {v.stream_info.audio for v in variants} == {f"audio-{pathway.id}"}
        group = [entry for entry in master.media if entry.group_id == f"audio-{pathway.id}"]
        assert [entry.uri for entry in group] == [f"{pathway.base}a1.m3u8", f"{pathway.base}a2.m3u8"]


def test_each_pathway_has_the_same_stable_ids_and_they_are_unique_in_it() -> None:
    playlist = multivariant(FILM, PATHWAYS, STEERING)
    found = re.findall(r'STABLE-(?:VARIANT|RENDITION)-ID="([^"]+)"', playlist)
    half = len(found) // 2
    assert found[:half] == found[half:]
    assert len(set(found)) == half


AROUND = package_of(
    video(720), video(360), audio(1), audio(2, language="de", label="Deutsch"),
    audio(3, name="a1-surround", playlist="a1-surround.m3u8", codecs="ec-3", channels=8, version_of="a1",
          bandwidth=500_000, average_bandwidth=448_000, has_objects=True),
    text(1, roles=("caption",)),
)  # fmt: skip


def test_surround_is_a_second_group_with_the_same_members_and_no_third_for_each_codec() -> None:
    master = m3u8.loads(multivariant(AROUND, PATHWAYS))
    groups = {
        group: [(one.name, one.language, one.channels, one.uri) for one in master.media if one.group_id == group]
        for group in ("audio-edge-a", "surround-edge-a", "surround-edge-b")
    }
    base = PATHWAYS[0].base
    assert groups["audio-edge-a"] == [
        ("English", "en", "2", f"{base}a1.m3u8"), ("Deutsch", "de", "2", f"{base}a2.m3u8"),
    ]  # fmt: skip
    assert groups["surround-edge-a"] == [
        ("English", "en", "16/JOC", f"{base}a1-surround.m3u8"), ("Deutsch", "de", "2", f"{base}a2.m3u8"),
    ]  # fmt: skip
    assert len(groups["surround-edge-b"]) == 2
    variants = [one.stream_info for one in master.playlists if one.stream_info.pathway_id == "edge-a"]
    assert [(one.audio, one.codecs, one.bandwidth) for one in variants if one.resolution == (1280, 720)] == [
        ("audio-edge-a", "avc1.64001f,mp4a.40.2", 720 * 4000 + 130_002),
        ("surround-edge-a", "avc1.64001f,ec-3,mp4a.40.2", 720 * 4000 + 500_000),
    ]  # fmt: skip
    assert len({one.stable_variant_id for one in variants}) == len(variants) == 4


def test_mpd_tells_atmos_its_channels_and_what_captions_are_for() -> None:
    root = etree.fromstring(mpd(AROUND).encode())
    surround = next(
        one for one in root.iter(f"{MPD}AdaptationSet") if one.find(f"{MPD}SupplementalProperty") is not None
    )
    values = {etree.QName(one).localname: one.get("value") for one in surround if one.get("schemeIdUri")}
    assert (values["AudioChannelConfiguration"], values["SupplementalProperty"]) == ("12", "JOC")  # 7.1
    first = [
        one.get("selectionPriority") for one in root.iter(f"{MPD}AdaptationSet") if one.get("contentType") == "audio"
    ]
    assert first == ["2", "2", None]
    captions = next(one for one in root.iter(f"{MPD}AdaptationSet") if one.get("contentType") == "text")
    assert [role.get("value") for role in captions.iter(f"{MPD}Role")] == ["caption"]
    assert captions.find(f"{MPD}Accessibility") is not None
    (entry,) = lines_of(multivariant(AROUND), "#EXT-X-MEDIA:TYPE=SUBTITLES")
    assert "public.accessibility.transcribes-spoken-dialog" in entry


def test_chapters_and_thumbnails_are_named_once_from_the_first_pathway() -> None:
    extras = msgspec.structs.replace(
        FILM, chapters_json="chapters.json", thumbnails=plan_thumbnails(1280, 720, FILM.duration)
    )
    playlist = multivariant(extras, PATHWAYS, STEERING)
    (session,) = lines_of(playlist, "#EXT-X-SESSION-DATA:")
    assert session == f'#EXT-X-SESSION-DATA:DATA-ID="com.apple.hls.chapters",URI="{PATHWAYS[0].base}chapters.json"'
    (images,) = lines_of(playlist, "#EXT-X-IMAGE-STREAM-INF:")
    assert images.endswith(f'URI="{PATHWAYS[0].base}thumbnails.m3u8"')
    assert 'URI="thumbnails.m3u8"' in multivariant(extras)
    steered = MPEGDASHParser.parse(mpd(extras, PATHWAYS, STEERING))
    assert steered.periods[0].adaptation_sets[-1].content_type == "image"
    assert "SESSION-DATA" not in multivariant(FILM) and "IMAGE" not in multivariant(FILM)


def test_mpd_offers_the_smallest_rung_for_playing_fast_if_the_package_wants_it() -> None:
    assert "trickmode" not in mpd(FILM)
    root = etree.fromstring(mpd(msgspec.structs.replace(FILM, trick_mode="v360")).encode())
    sets = list(root.iter(f"{MPD}AdaptationSet"))
    (marks,) = (one for one in root.iter(f"{MPD}EssentialProperty"))
    assert (marks.getparent(), marks.get("value")) == (sets[-1], sets[0].get("id"))
    (template,) = sets[-1].iter(f"{MPD}SegmentTemplate")
    assert template.get("media") == "v360/$Number$.m4s"
    (representation,) = sets[-1].iter(f"{MPD}Representation")
    assert (representation.get("id"), representation.get("maxPlayoutRate")) == ("v360-fast", "16")


def test_labels_that_would_break_a_playlist_are_made_harmless_and_unique() -> None:
    nasty = 'A "B"\n#EXT-X-ENDLIST\r,X=\x01y'
    package = package_of(video(360), audio(1, label=nasty), audio(2, label=nasty), audio(3, label=""))
    playlist = multivariant(package, PATHWAYS)
    assert not lines_of(playlist, "#EXT-X-ENDLIST")
    names = [entry.name for entry in m3u8.loads(playlist).media][:3]
    assert names == ["A 'B' #EXT-X-ENDLIST ,X= y", "A 'B' #EXT-X-ENDLIST ,X= y 2", "en"]


@pytest.mark.parametrize("unseen", ["\x85", "\x9f", "\u2028", "\u2029", "\x1c", "\ufffe", "\r\n"])
def test_label_is_one_line_to_every_reader(unseen: str) -> None:
    package = package_of(video(360), audio(1, label=f"Tom{unseen}\U0001f408\u200d\u2b1b"), text(1, label=unseen))
    playlist = multivariant(package)
    assert len(playlist.splitlines()) == playlist.count("\n")
    assert m3u8.loads(playlist).media[0].name == "Tom \U0001f408\u200d\u2b1b"
    etree.fromstring(mpd(package).encode())


def test_of_tracks_that_a_player_cannot_tell_apart_it_may_choose_one() -> None:
    package = package_of(
        video(360),
        audio(1, default=False, roles=("commentary",)), audio(2, default=False), audio(3, default=True), audio(4),
        audio(5, language="de"), audio(6, roles=("description",)),
        text(1, language="en"), text(2, language="en", forced=True), text(3, language="en"),
    )  # fmt: skip
    autoselect = {media.stable_rendition_id: media.autoselect for media in m3u8.loads(multivariant(package)).media}
    assert [name for name, choice in autoselect.items() if choice == "YES"] == ["a3", "a5", "a6", "t1", "t2"]


def test_a_base_that_would_break_a_playlist_is_made_harmless() -> None:
    playlist = multivariant(FILM, (Pathway("a", 'http://a/"\r\n#EXT-X-ENDLIST\n/'),), 'http://s/"\n#EXT-X-ENDLIST')
    assert not lines_of(playlist, "#EXT-X-ENDLIST")
    assert m3u8.loads(playlist).playlists[0].uri == "http://a/'  #EXT-X-ENDLIST /v360.m3u8"


def test_undetermined_language_is_left_out_of_hls() -> None:
    assert "LANGUAGE" not in multivariant(package_of(video(360), audio(1, language="und")))


def test_forced_captions_say_so() -> None:
    (line,) = lines_of(multivariant(package_of(video(360), text(1, forced=True))), "#EXT-X-MEDIA:TYPE=SUBTITLES")
    assert "FORCED=YES" in line and "AUTOSELECT=YES" in line
    assert 'value="forced-subtitle"' in mpd(package_of(video(360), text(1, forced=True)))


def test_captions_name_their_pathway_for_shaka() -> None:
    playlist = multivariant(package_of(video(360), text(1)), (Pathway("a", "http://a/"), Pathway("b", "http://b/")))
    lines = lines_of(playlist, "#EXT-X-MEDIA:TYPE=SUBTITLES")
    assert [named[1] for line in lines if (named := re.search(r'PATHWAY-ID="(\w+)"', line))] == ["a", "b"]


def test_mpd_shares_one_timeline_between_rungs() -> None:
    root = etree.fromstring(mpd(FILM).encode())
    video_set = root.find(f".//{MPD}AdaptationSet[@contentType='video']")
    assert video_set is not None
    assert len(video_set.findall(f"{MPD}SegmentTemplate")) == 1
    assert not video_set.findall(f"{MPD}Representation/{MPD}SegmentTemplate")
    assert video_set.get("segmentAlignment") == "true"
    runs = [(s.get("d"), s.get("r")) for s in video_set.iter(f"{MPD}S")]
    assert runs == [("96096", "1"), ("48048", None)]


def test_rungs_that_do_not_share_a_timeline_get_their_own() -> None:
    root = etree.fromstring(mpd(package_of(video(720), video(360, durations=(100_000, 92_192, 48_048)))).encode())
    video_set = root.find(f".//{MPD}AdaptationSet[@contentType='video']")
    assert video_set is not None
    assert not video_set.findall(f"{MPD}SegmentTemplate") and video_set.get("segmentAlignment") is None
    assert len(video_set.findall(f"{MPD}Representation/{MPD}SegmentTemplate")) == 2


def test_mpd_is_what_an_independent_reader_expects() -> None:
    parsed = MPEGDASHParser.parse(mpd(FILM, PATHWAYS, STEERING))
    assert [Pathway(base.service_location, base.base_url_value) for base in parsed.base_urls] == list(PATHWAYS)
    assert (parsed.type, parsed.media_presentation_duration) == ("static", "PT10.01S")
    videos, english, german, captions = parsed.periods[0].adaptation_sets
    assert [(r.id, r.frame_rate, r.bandwidth) for r in videos.representations] == [
        ("v360", "24000/1001", 1_440_000), ("v720", "24000/1001", 2_880_000),
    ]  # fmt: skip
    template = videos.segment_templates[0]
    assert (template.media, template.initialization) == (
        "$RepresentationID$/$Number$.m4s",
        "$RepresentationID$/init.mp4",
    )
    assert [aset.roles[0].value for aset in (english, german, captions)] == ["main", "alternate", "subtitle"]
    assert [aset.lang for aset in (english, german, captions)] == ["en", "de", "fr"]
    assert captions.representations[0].base_urls[0].base_url_value == "t1.vtt"


def test_mpd_steering_names_one_location_and_asks_before_the_start() -> None:
    root = etree.fromstring(mpd(FILM, PATHWAYS, STEERING).encode())
    steering = root.find(f"{MPD}ContentSteering")
    assert steering is not None and steering.text == STEERING
    assert sorted(steering.items()) == [("defaultServiceLocation", "edge-a"), ("queryBeforeStart", "true")]
    assert etree.fromstring(mpd(FILM).encode()).find(f"{MPD}ContentSteering") is None


def of_codec(height: int, name: str, codecs: str, share: float, **changes: object) -> Rendition:
    plain = video(height)
    return video(
        height, name=f"{plain.name}-{name}", file=f"{plain.name}-{name}.mp4", playlist=f"{plain.name}-{name}.m3u8",
        codecs=codecs, bandwidth=round(plain.bandwidth * share), **changes,
    )  # fmt: skip


HEVC = [of_codec(height, "hevc", "hvc1.1.6.L93.B0", 0.7) for height in (720, 360)]
AV1 = [of_codec(height, "av1", "av01.0.05M.08", 0.5) for height in (720, 360)]
HDR = [of_codec(height, "hevc", "hvc1.2.4.L93.B0", 0.7, video_range="PQ") for height in (720, 360)]


def test_variants_of_the_codec_that_needs_the_fewest_bits_come_first() -> None:
    package = package_of(video(720), video(360), *HEVC, *AV1)
    assert [v.uri for v in m3u8.loads(multivariant(package)).playlists] == [
        "v720-av1.m3u8", "v360-av1.m3u8", "v360-hevc.m3u8", "v720-hevc.m3u8", "v360.m3u8", "v720.m3u8",
    ]  # fmt: skip


def test_hdr_comes_after_all_that_every_player_shows_right() -> None:
    playlist = m3u8.loads(multivariant(package_of(video(720), *HDR)))
    assert [(v.uri, v.stream_info.video_range) for v in playlist.playlists] == [
        ("v720.m3u8", "SDR"), ("v360-hevc.m3u8", "PQ"), ("v720-hevc.m3u8", "PQ"),
    ]  # fmt: skip
    assert [one.iframe_stream_info.video_range for one in playlist.iframe_playlists] == ["SDR", "PQ", "PQ"]


def test_codecs_of_each_pathway_are_the_same_but_for_where_they_are() -> None:
    writer = Manifests(package_of(video(720), *HEVC, *AV1, audio(1)))
    master = m3u8.loads(writer.multivariant(PATHWAYS, STEERING).decode())
    by_pathway = [
        [v.uri.removeprefix(way.base) for v in master.playlists if v.stream_info.pathway_id == way.id]
        for way in PATHWAYS
    ]
    assert by_pathway[0] == by_pathway[1] and len(by_pathway[0]) == 5
    assert all(base.base_url_value for base in MPEGDASHParser.parse(writer.mpd(PATHWAYS).decode()).base_urls)


def test_each_codec_is_a_set_of_its_own_and_the_better_has_the_priority() -> None:
    root = etree.fromstring(mpd(package_of(video(720), video(360), *HEVC, *AV1)).encode())
    sets = root.findall(f".//{MPD}AdaptationSet")
    told = [(one.get("id"), one.get("selectionPriority"), len(one.findall(f"{MPD}Representation"))) for one in sets]
    assert told == [("1", None, 2), ("2", "2", 2), ("3", "3", 2)]
    assert not root.findall(f".//{MPD}SupplementalProperty")  # a decoder is not changed in the middle of a film
    assert not root.findall(f".//{MPD}EssentialProperty")


def test_set_in_hdr_is_only_for_who_understands_its_colour() -> None:
    root = etree.fromstring(mpd(package_of(video(720), *HDR)).encode())
    plain, hdr = root.findall(f".//{MPD}AdaptationSet")
    assert not plain.findall(f"{MPD}EssentialProperty")
    assert [(one.get("schemeIdUri"), one.get("value")) for one in hdr.findall(f"{MPD}EssentialProperty")] == [
        ("urn:mpeg:mpegB:cicp:ColourPrimaries", "9"),
        ("urn:mpeg:mpegB:cicp:TransferCharacteristics", "16"),
        ("urn:mpeg:mpegB:cicp:MatrixCoefficients", "9"),
    ]


def test_media_playlist_counts_segments_from_one() -> None:
    playlist = m3u8.loads(media_playlist(video(720)))
    assert [segment.uri for segment in playlist.segments] == ["v720/1.m4s", "v720/2.m4s", "v720/3.m4s"]
    assert [segment.duration for segment in playlist.segments] == [4.004, 4.004, 2.002]
    assert playlist.segment_map[0].uri == "v720/init.mp4"
    assert (playlist.target_duration, playlist.playlist_type, playlist.is_endlist) == (4, "vod", True)


def test_captions_are_one_segment_as_long_as_the_film() -> None:
    playlist = m3u8.loads(media_playlist(text(1)))
    assert [(segment.uri, segment.duration) for segment in playlist.segments] == [("t1.vtt", 10.01)]
    assert not playlist.segment_map


def test_iframe_playlist_has_byte_ranges_of_the_file() -> None:
    iframes = (ByteRange(1000, 700), ByteRange(5000, 800), ByteRange(10000, 900))
    playlist = m3u8.loads(iframe_playlist(video(720), iframes))
    assert playlist.is_i_frames_only
    assert [(s.uri, s.byterange) for s in playlist.segments] == [
        ("v720.mp4", "700@1000"), ("v720.mp4", "800@5000"), ("v720.mp4", "900@10000"),
    ]  # fmt: skip
    with pytest.raises(ValueError):
        iframe_playlist(video(720), iframes[:2])


ticks = st.integers(1, 200_000)
segments = st.lists(st.tuples(ticks, st.integers(0, 2_000_000)), min_size=1, max_size=40)


@given(segments)
def test_no_segment_is_longer_than_the_target_duration_when_rounded(pairs: list[tuple[int, int]]) -> None:
    durations = [duration for duration, _ in pairs]
    target = target_duration(durations, 24000)
    assert all(int(Fraction(duration, 24000) + Fraction(1, 2)) <= target for duration in durations)


@given(segments)
def test_peak_is_never_below_the_average(pairs: list[tuple[int, int]]) -> None:
    durations, sizes = zip(*pairs, strict=True)
    target = target_duration(durations, 24000) * 24000
    # Only where runs of 0.5 to 1.5 targets cover the film does the definition promise it.
    if all(target / 2 <= duration for duration in durations):
        assert peak_bandwidth(durations, sizes, 24000) >= average_bandwidth(durations, sizes, 24000)


def test_short_segment_does_not_inflate_the_peak() -> None:
    # 1 Mbit/s in 4 s segments, and half a second at 8 Mbit/s: over 0.5 to 1.5 targets that is 4.5 s at 1.78 Mbit/s.
    assert peak_bandwidth((4000, 500, 4000), (500_000, 500_000, 500_000), 1000) == 1_777_778


def test_film_shorter_than_half_a_target_has_its_own_rate() -> None:
    assert peak_bandwidth((400,), (1000,), 1000) == 20_000


def test_one_writer_serves_many_sessions() -> None:
    writer = Manifests(FILM)
    assert writer.multivariant(PATHWAYS, STEERING).decode() == multivariant(FILM, PATHWAYS, STEERING)
    assert writer.mpd(PATHWAYS[:1]).decode() == mpd(FILM, PATHWAYS[:1])
    assert writer.multivariant().decode() == multivariant(FILM)


def test_a_gzipped_mpd_is_the_plain_one() -> None:
    writer = Manifests(FILM)
    assert gzip.decompress(writer.gzipped_mpd(PATHWAYS, STEERING)) == writer.mpd(PATHWAYS, STEERING)
