"""What ffprobe says, judged: each case is a description as ffprobe gives it, cut to what matters."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.errors import SourceError
from encoder.film.source import Scan, Source, frame_grid, parse_scan, read_source

MS = Fraction(1, 1000)


def video(index: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "index": index, "codec_type": "video", "codec_name": "h264", "width": 1280, "height": 720, "pix_fmt": "yuv420p",
        "r_frame_rate": "25/1", "avg_frame_rate": "25/1", "time_base": "1/1000", "disposition": {}, **changes,
    }  # fmt: skip


def stream(index: int, kind: str, codec: str, **changes: Any) -> dict[str, Any]:
    return {
        "index": index,
        "codec_type": kind,
        "codec_name": codec,
        "time_base": "1/1000",
        "disposition": {},
        **changes,
    }


def describe(*streams: dict[str, Any], container: str = "matroska,webm", duration: str = "2.0") -> dict[str, Any]:
    return {"streams": list(streams), "format": {"format_name": container, "duration": duration, "start_time": "0.0"}}


def scan_of(frames: int = 50, index: int = 0, others: tuple[int, ...] = ()) -> Scan:
    pts = [40 * frame for frame in range(frames)]
    return Scan(video_pts=pts, last_duration=40, ends={index: frames * 40, **dict.fromkeys(others, frames * 40)})


def read(*streams: dict[str, Any], **how: Any) -> Source:
    others = tuple(found["index"] for found in streams if found["codec_type"] != "video")
    largest = max((s for s in streams if s["codec_type"] == "video"), key=lambda s: s["width"])
    return read_source("film", describe(*streams, **how), scan_of(index=largest["index"], others=others))


def test_largest_video_is_the_film_and_the_others_are_named() -> None:
    source = read(video(0, width=320, height=180), video(1), stream(2, "data", "bin_data"))
    assert source.video.index == 1
    assert source.left_out == ("stream 0 (video, h264) is left out: 320x180 is not the largest",)


@pytest.mark.parametrize("cover", [{"disposition": {"attached_pic": 1}}, {"codec_name": "mjpeg", "nb_frames": "1"}])
def test_cover_picture_is_not_video(cover: dict[str, Any]) -> None:
    large = video(0, width=3000, height=3000, **cover)
    assert read_source("film", describe(large, video(1)), scan_of(index=1)).video.index == 1
    with pytest.raises(SourceError, match="has no video, only video"):
        read_source("film", describe(large), scan_of())


@pytest.mark.parametrize("container", ["tty", "image2", "png_pipe", "hls", "concat", ""])
def test_what_ffmpeg_can_draw_but_nobody_films_is_refused(container: str) -> None:
    with pytest.raises(SourceError, match="is not a film"):
        read_source("film", describe(video(), container=container), scan_of())


def test_tiny_and_unknown_video_is_refused() -> None:
    with pytest.raises(SourceError, match="video of 8x8, expected at least 16"):
        read_source("film", describe(video(width=8, height=8)), scan_of())
    with pytest.raises(SourceError, match="codec that ffmpeg does not know"):
        read_source("film", describe(video(codec_name="unknown")), scan_of())


def test_video_without_pictures_or_times_is_refused() -> None:
    with pytest.raises(SourceError, match="without a single picture"):
        read_source("film", describe(video()), Scan())
    with pytest.raises(SourceError, match="without any times"):
        read_source("film", describe(video()), Scan(untimed=50))


def test_end_that_is_declared_but_not_there_is_refused() -> None:
    with pytest.raises(SourceError, match=r"declares 9\.0 s, but its last packet ends at 2\.0 s"):
        read(video(), duration="9.0")
    assert read(video(), duration="2.4").duration == 2


def test_longer_audio_is_no_lost_end() -> None:
    scan = scan_of()
    scan.ends[1] = 9000
    sound = stream(1, "audio", "aac", channels=2)
    assert read_source("film", describe(video(), sound, duration="9.0"), scan).duration == 2


def test_rotation_aspect_and_fields_are_read() -> None:
    source = read(
        video(sample_aspect_ratio="64:45", field_order="tt", side_data_list=[{"rotation": -90}], color_range="pc")
    )
    assert (source.video.sample_aspect, source.video.rotation) == (Fraction(64, 45), 90)
    assert source.video.interlaced and source.video.colour.full_range
    plain = read(video(sample_aspect_ratio="0:1", field_order="progressive")).video
    assert (plain.sample_aspect, plain.rotation, plain.interlaced) == (Fraction(1), 0, False)


@pytest.mark.parametrize(("transfer", "is_hdr"), [("smpte2084", True), ("arib-std-b67", True), ("bt709", False)])
def test_hdr_is_known_by_its_transfer(transfer: str, is_hdr: bool) -> None:
    assert read(video(color_transfer=transfer)).video.colour.is_hdr is is_hdr


def test_audio_and_captions_keep_language_title_and_flags() -> None:
    source = read(
        video(),
        stream(1, "audio", "ac3", channels=6, sample_rate="48000", tags={"LANGUAGE": "ger", "title": "Ton"}),
        stream(2, "subtitle", "subrip", tags={"language": "eng"}, disposition={"forced": 1, "default": 1}),
        stream(3, "subtitle", "hdmv_pgs_subtitle"),
        stream(4, "audio", "unknown"),
    )
    (sound,), (text,) = source.audios, source.texts
    assert (sound.index, sound.channels, sound.language, sound.title, sound.default) == (1, 6, "de", "Ton", False)
    assert (text.index, text.language, text.forced, text.default) == (2, "en", True, True)
    assert ["captions are pictures" in s or "codec is unknown" in s for s in source.left_out] == [True, True]


@pytest.mark.parametrize(
    ("written", "title"), [(" A\r\n\u2028B\x85 ", "A B"), ("\n ", ""), ("\U0001f408", "\U0001f408")]
)
def test_title_of_a_track_is_one_line(written: str, title: str) -> None:
    sound = stream(1, "audio", "aac", channels=2, sample_rate="48000", tags={"title": written})
    source = read(video(), sound, stream(2, "subtitle", "subrip", tags={"TITLE": written}))
    assert (source.audios[0].title, source.texts[0].title) == (title, title)


def test_transport_streams_and_avi_do_not_seek_exactly() -> None:
    assert read(video(), container="mov,mp4,m4a,3gp,3g2,mj2").is_seekable
    assert read(video(), container="matroska,webm").is_seekable
    assert not read(video(), container="mpegts").is_seekable
    assert not read(video(), container="avi").is_seekable


def test_scan_orders_pictures_and_leaves_out_what_an_edit_list_discards() -> None:
    lines = ["0,-80,-120,40,10,KD_", "0,0,-40,40,20,K__", "1,0,0,21,30,K__", "0,80,0,40,40,___", "0,40,40,,50,___",
             "0,N/A,N/A,40,60,___", "side data", ""]  # fmt: skip
    places: list[int] = []
    scan = parse_scan([line.replace(",,", ",N/A,") for line in lines], 0, places.append)
    assert (scan.video_pts, scan.untimed, scan.last_duration) == ([0, 40, 80], 1, 40)
    assert scan.ends == {0: 120, 1: 21}
    assert places == [10, 20, 30, 40, 50, 60]


def test_times_of_decoding_stand_in_but_are_no_grid() -> None:
    scan = parse_scan([f"0,N/A,{40 * frame},40,{frame},___" for frame in range(50)], 0)
    source = read_source("film", describe(video(), container="avi"), scan)
    assert (source.video.frames, source.video.is_constant) == (50, False)


def test_pictures_without_any_time_before_the_first_that_has_one_would_be_lost() -> None:
    lines = [*["0,N/A,N/A,40,1,K__"] * 3, "0,20,20,40,2,___", "0,N/A,N/A,40,3,___", "0,60,60,40,4,___"]
    scan = parse_scan(lines, 0)
    assert (scan.lost, scan.untimed, scan.video_pts) == (3, 4, [20, 60])
    with pytest.raises(SourceError, match="begins with 3 pictures without times"):
        read_source("film", describe(video()), scan)


rates = st.sampled_from([Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(60)])


@given(rates, st.integers(2, 400), st.integers(0, 10_000), st.data())
def test_constant_rate_is_found_through_rounding_and_jitter(
    rate: Fraction, n: int, start: int, data: st.DataObject
) -> None:
    # Matroska rounds to milliseconds, and encoders of live films are late by a few more.
    jitter = data.draw(st.lists(st.integers(-2, 2), min_size=n, max_size=n))
    jitter[0] = 0
    pts = sorted(round((start + 1000 * k / rate) + late) for k, late in enumerate(jitter))
    assert frame_grid(pts, MS, [rate]) == (rate, True)


def dolby(profile: int, compatible: int) -> dict[str, Any]:
    side = {"side_data_type": "DOVI configuration record", "dv_profile": profile}
    told = [{**side, "dv_bl_signal_compatibility_id": compatible}]
    return video(color_transfer="smpte2084", pix_fmt="yuv420p10le", side_data_list=told)


def test_dolby_vision_leaves_its_base_layer_and_says_so() -> None:
    source = read_source("film.mkv", describe(dolby(8, 1)), scan_of())
    assert source.video.colour.video_range == "PQ"
    assert source.left_out == ("the Dolby Vision profile 8 of its pictures is left out: what remains is PQ",)


def test_dolby_vision_without_a_base_layer_is_refused() -> None:
    with pytest.raises(SourceError, match=r"Dolby Vision profile 5, which only Dolby's own decoders .* 7 or 8"):
        read_source("film.mkv", describe(dolby(5, 0)), scan_of())


def test_hdr10_plus_is_left_out_with_a_sentence() -> None:
    told = [{"side_data_type": "HDR Dynamic Metadata SMPTE2094-40 (HDR10+)"}]
    source = read_source("film.mkv", describe(video(color_transfer="smpte2084", side_data_list=told)), scan_of())
    assert source.left_out == ("the HDR10+ of its pictures is left out: what remains is PQ",)


def test_rate_of_a_short_film_is_one_that_films_are_made_at() -> None:
    # As Matroska rounds 59.94 frames/s to milliseconds, and what ffprobe makes of it.
    pts = [round(Fraction(1001, 60) * frame) for frame in range(132)]
    assert frame_grid(pts, MS, [Fraction(19001, 317)]) == (Fraction(60000, 1001), True)


def test_rate_that_the_container_names_is_taken_before_one_that_was_measured() -> None:
    # Of three rounded times 23.976 is nearer than 24.
    assert frame_grid([0, 42, 84], MS, [Fraction(24)]) == (Fraction(24), True)


@given(rates)
def test_rate_is_measured_where_the_container_claims_nonsense(rate: Fraction) -> None:
    pts = [round(1000 * k / rate) for k in range(600)]
    assert frame_grid(pts, MS, [Fraction(1000), Fraction(1)]) == (rate, True)


def test_gap_makes_the_rate_variable() -> None:
    pts = [40 * k for k in range(50)] + [40 * k for k in range(51, 100)]
    assert frame_grid(pts, MS, [Fraction(25)]) == (Fraction(25), False)


def test_variable_rate_gets_a_grid_that_loses_no_usual_picture() -> None:
    pts = [round(1000 * k / 28) for k in range(100)] + [5000]
    assert frame_grid(pts, MS, [Fraction(90000)]) == (Fraction(30000, 1001), False)
    assert frame_grid([k * 4 for k in range(9)] + [100], MS, []) == (Fraction(60), False)


def test_longest_that_a_picture_lasts_is_known_where_all_times_are() -> None:
    def longest(last_duration: int, untimed: int = 0) -> Fraction:
        pts = [0, 40, 540, 580]
        scan = Scan(video_pts=pts, last_duration=last_duration, untimed=untimed, ends={0: pts[-1] + last_duration})
        return read_source("film", describe(video(), duration="0.6"), scan).video.longest

    assert [longest(700), longest(40), longest(40, untimed=1)] == [Fraction(7, 10), Fraction(1, 2), 0]


def test_single_picture_is_a_film_of_one_frame() -> None:
    assert frame_grid([7], MS, []) == (Fraction(25), True)
    assert frame_grid([7], MS, [Fraction(10)]) == (Fraction(10), True)
