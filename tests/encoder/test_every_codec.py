"""Whole encodes in H.264, HEVC and AV1: the same frames and segments in each, and the film's colours kept."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import m3u8
import pytest
from mpegdash.parser import MPEGDASHParser

from config.encoder import EncoderSettings
from config.progress import Reporter
from encoder import package
from encoder.film.colour import Colour
from encoder.film.probe import read_film
from encoder.package import Package, Rendition
from encoder.pipeline import encode
from encoder.running.process import Tools
from encoder.video.codec import Codec, chosen
from encoder.video.ladder import Rung, ladder
from tests.encoder.conftest import GREY_COUNT, GREY_STEP, Film, decode_greys, grey_frames

FAMILIES = {"avc1", "hvc1", "av01"}


@pytest.fixture
def settings(settings: EncoderSettings) -> EncoderSettings:
    return dataclasses.replace(settings, codecs=("h264", "hevc", "av1"), ladder="fixed")


def encoded(film: Path, tmp_path: Path, settings: EncoderSettings) -> tuple[Path, dict[str, Rendition], Package]:
    """The package's folder, its video renditions by the family of their codec, and its manifest."""
    folder = encode(film, "film", tmp_path / "out", settings, Reporter(quiet=True))
    manifest = package.decode((folder / "package.json").read_bytes())
    videos = manifest.of_kind("video")
    assert len({video.name for video in videos}) == len(videos)
    return folder, {video.codecs.partition(".")[0]: video for video in videos}, manifest


def frame_numbers(file: Path) -> list[int]:
    return [round((grey - 20) / GREY_STEP) for grey in decode_greys(file)]


@pytest.mark.parametrize("rate", ["24000/1001", "25", "30000/1001", "50", "60000/1001"])
def test_every_rate_has_each_frame_once_and_one_grid_of_segments_in_all_codecs(
    rate: str, film: Film, tmp_path: Path, settings: EncoderSettings
) -> None:
    source = film(f"codecs-{rate[:2]}-{len(rate)}.mkv", "-f", "lavfi", "-i", grey_frames("96x64", rate, 2.2), "-c:v",
                  "libx264", "-preset", "ultrafast", "-g", "40")  # fmt: skip
    folder, videos, _ = encoded(source, tmp_path, settings)
    frames = [number % GREY_COUNT for number in range(round(Fraction("2.2") * Fraction(rate)))]
    assert videos.keys() == FAMILIES
    for video in videos.values():
        assert frame_numbers(folder / video.file) == frames
        assert Fraction(video.frame_rate) == Fraction(rate)
        assert Fraction(sum(video.durations), video.timescale) == len(frames) / Fraction(rate)
    assert len({(video.timescale, video.durations) for video in videos.values()}) == 1
    assert len(videos["av01"].durations) >= 3


def test_variable_rate_becomes_the_same_constant_one_in_all_codecs(
    film: Film, tmp_path: Path, settings: EncoderSettings
) -> None:
    source = film(
        "codecs-vfr.mkv", "-f", "lavfi", "-i", grey_frames("96x64", "20", 3), "-vf", "select='lt(n,30)+not(mod(n,3))'",
        "-fps_mode", "vfr", "-c:v", "libx264", "-preset", "ultrafast",
    )  # fmt: skip
    folder, videos, _ = encoded(source, tmp_path, settings)
    shown = {family: frame_numbers(folder / video.file) for family, video in videos.items()}
    assert shown["avc1"][:30] == list(range(30))
    assert shown["avc1"] == shown["hvc1"] == shown["av01"]
    assert {video.frame_rate for video in videos.values()} == {"20/1"}


def test_players_are_offered_each_codec_by_itself(grey_film: Path, tmp_path: Path, settings: EncoderSettings) -> None:
    folder, videos, manifest = encoded(grey_film, tmp_path, settings)
    master = m3u8.load(str(folder / "master.m3u8"))
    order = [variant.stream_info.codecs.partition(".")[0] for variant in master.playlists]
    assert order == ["av01", "hvc1", "avc1"]  # the first that a player can play needs the fewest bits
    assert {one.iframe_stream_info.codecs.partition(".")[0] for one in master.iframe_playlists} == FAMILIES
    mpd = MPEGDASHParser.parse(str(folder / "manifest.mpd"))
    sets = [one for one in mpd.periods[0].adaptation_sets if one.content_type == "video"]
    assert [[r.codecs.partition(".")[0] for r in one.representations] for one in sets] == [["avc1"], ["hvc1"], ["av01"]]
    assert all(one.segment_alignment for one in sets)
    assert [video.video_range for video in videos.values()] == ["SDR"] * 3
    assert "VIDEO-RANGE" not in (folder / "master.m3u8").read_text()
    assert manifest.of_kind("audio")


def test_same_film_gives_the_same_bytes_with_any_number_of_workers(
    film: Film, tmp_path: Path, settings: EncoderSettings
) -> None:
    # Noise meets every cap, and that is where an encoder would look at how far its threads are.
    noise = "testsrc2=s=160x90:r=25:d=2.2,noise=alls=60:allf=t:all_seed=1,format=yuv420p"
    source = film("codecs-noise.mkv", "-f", "lavfi", "-i", noise, "-c:v", "ffv1")
    folder, videos, _ = encoded(source, tmp_path, settings)
    rungs = {rung.name: rung for codec in chosen(settings.codecs) for rung in ladder_of(source, codec)}
    assert all(video.average_bandwidth > 0.7 * rungs[video.name].maxrate for video in videos.values())
    other = dataclasses.replace(settings, work=tmp_path / "work-2", workers="1")
    again, _, _ = encoded(source, tmp_path / "again", other)
    assert again.name == folder.name


def ladder_of(film: Path, codec: Codec) -> tuple[Rung, ...]:
    with Tools() as tools:
        return ladder(read_film(tools, film), codec)


HDR10 = (
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400:"
    "log-level=error"
)


def hdr_film(film: Film, transfer: str, parameters: str) -> Path:
    bars = "smptehdbars=s=128x72:r=25:d=1.2,format=yuv420p10le,setparams=range=tv:color_primaries=bt2020:"
    return film(
        f"codecs-{transfer}.mkv", "-f", "lavfi", "-i", f"{bars}color_trc={transfer}:colorspace=bt2020nc", "-c:v",
        "libx265", "-preset", "ultrafast", "-x265-params", parameters,
    )  # fmt: skip


@pytest.mark.parametrize(("transfer", "range_"), [("smpte2084", "PQ"), ("arib-std-b67", "HLG")])
def test_hdr_is_kept_in_ten_bit_and_told_of_in_every_place(
    transfer: str, range_: str, film: Film, tmp_path: Path, settings: EncoderSettings, tools: Tools
) -> None:
    source = hdr_film(film, transfer, HDR10 if range_ == "PQ" else "log-level=error")
    folder, videos, _ = encoded(source, tmp_path, settings)
    colour = read_film(tools, source).video.colour
    assert colour.video_range == range_
    assert bool(colour.mastering) == bool(colour.light) == (range_ == "PQ")
    assert {family: video.video_range for family, video in videos.items()} == {
        "avc1": "SDR", "hvc1": range_, "av01": range_,
    }  # fmt: skip
    for family in ("hvc1", "av01"):
        video = read_film(tools, folder / videos[family].file).video
        assert (video.depth, video.colour.primaries, video.colour.transfer, video.colour.matrix) == (
            10, "bt2020", transfer, "bt2020nc",
        )  # fmt: skip
        assert bool(video.colour.mastering) == bool(colour.mastering)
        assert video.colour.light == colour.light
    # RFC 6381 strings of the packager's: HEVC Main 10, AV1 in 10 bit with colours of BT.2100.
    assert videos["hvc1"].codecs.startswith("hvc1.2.4.")
    assert videos["av01"].codecs.endswith(f".10.0.110.09.{'16' if range_ == 'PQ' else '18'}.09.0")
    plain = read_film(tools, folder / videos["avc1"].file).video
    assert (plain.depth, plain.colour) == (8, Colour("bt709", "bt709", "bt709"))
    master = m3u8.load(str(folder / "master.m3u8"))
    assert [variant.stream_info.video_range for variant in master.playlists] == ["SDR", range_, range_]


def test_encrypted_hdr_is_told_of_as_before_but_for_the_display_in_av1(
    film: Film, tmp_path: Path, settings: EncoderSettings, tools: Tools
) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(f'[[keys]]\nid = "{"0123456789abcdef" * 2}"\nkey = "{"00112233445566ff" * 2}"\ntracks = ["all"]\n')
    keys.chmod(0o600)
    source = hdr_film(film, "smpte2084", HDR10)
    locked = dataclasses.replace(settings, codecs=("av1", "hevc"), protection=keys)
    folder, videos, _ = encoded(source, tmp_path, locked)
    assert {video.video_range for video in videos.values()} == {"SDR", "PQ"}
    assert all(video.key_id for video in videos.values())
    # Shaka Packager cannot encrypt AV1 that tells of it.
    told = [read_film(tools, folder / videos[family].file).video.colour for family in ("hvc1", "av01")]
    assert [colour.transfer for colour in told] == ["smpte2084", "smpte2084"]
    assert told[1].mastering is None


def test_odd_rotated_interlaced_film_is_upright_and_progressive_in_all_codecs(
    film: Film, tmp_path: Path, settings: EncoderSettings, tools: Tools
) -> None:
    fields = "testsrc2=s=75x50:r=50:d=1.2,format=yuv444p,interlace,setfield=tff"
    plain = film("codecs-fields.mp4", "-f", "lavfi", "-i", fields, "-c:v", "libx264", "-preset", "ultrafast", "-flags",
                 "+ildct+ilme", "-x264-params", "tff=1")  # fmt: skip
    source = film("codecs-turned.mp4", "-display_rotation", "90", "-i", str(plain), "-c", "copy")
    assert read_film(tools, source).video.interlaced
    folder, videos, _ = encoded(source, tmp_path, settings)
    for video in videos.values():
        found = read_film(tools, folder / video.file).video
        assert (found.width, found.height, found.interlaced, found.rotation) == (50, 74, False, 0)
        assert found.frames == 30
