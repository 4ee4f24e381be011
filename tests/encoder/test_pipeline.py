"""Whole encodes: awkward films become right packages, bad ones clear errors, and what was killed resumes."""

from __future__ import annotations

import dataclasses
import json
import re
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import m3u8
import pytest
from mpegdash.parser import MPEGDASHParser

from config.encoder import EncoderSettings
from config.progress import Bar, Reporter
from encoder import commands, package
from encoder.errors import CheckError, PackageError, SourceError, SpaceError
from encoder.film.source import Source
from encoder.package import Package, PackageIndex, Rendition
from encoder.pipeline import encode
from encoder.running.process import Tools
from encoder.video.chunks import Chunk, Plan
from tests.encoder.conftest import (
    CLIP,
    GREY_COUNT,
    GREY_STEP,
    Film,
    decode_greys,
    grey_frames,
    pattern,
    run_ffmpeg,
)
from tests.waiting import until


class Spoken(Reporter):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def encoded(film: Path, tmp_path: Path, settings: EncoderSettings, reporter: Reporter) -> tuple[Path, Package]:
    folder = encode(film, "film", tmp_path / "out", settings, reporter)
    return folder, package.decode((folder / "package.json").read_bytes())


def videos(manifest: Package) -> tuple[Rendition, ...]:
    return manifest.of_kind("video")


def frame_numbers(file: Path | str, *before: str) -> list[int]:
    """The number of each decoded frame of a grey film, modulo GREY_COUNT."""
    return [round((grey - 20) / GREY_STEP) for grey in decode_greys(file, *before)]


def numbers(count: int, step: int = 1) -> list[int]:
    return [number * step % GREY_COUNT for number in range(count)]


def probe_streams(file: Path, tools: Tools) -> list[dict[str, str]]:
    arguments = ["-v", "error", "-of", "json", "-show_streams", str(file)]
    streams: list[dict[str, str]] = json.loads(tools.ffprobe(arguments))["streams"]
    return streams


def test_every_frame_is_there_once_and_in_place_after_chunks_are_joined(
    grey_film: Path, tmp_path: Path, settings: EncoderSettings
) -> None:
    spoken = Spoken()
    folder, manifest = encoded(grey_film, tmp_path, settings, spoken)
    assert frame_numbers(folder / videos(manifest)[0].file) == numbers(80)
    assert not any("one piece" in line for line in spoken.lines)


def test_segments_begin_where_the_film_cuts_in_every_rung(
    film: Film, tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    shots = "color=red:s=320x180:r=25:d=2.4[a];testsrc2=s=320x180:r=25:d=3[b];[a][b]concat=n=2,format=yuv420p"
    path = film("two-shots.mkv", "-f", "lavfi", "-i", shots, "-c:v", "ffv1")
    _, manifest = encoded(path, tmp_path, dataclasses.replace(settings, segment_duration=2.0), reporter)
    durations = {tuple(Fraction(d, one.timescale) for d in one.durations) for one in videos(manifest)}
    assert durations == {(Fraction("1.2"), Fraction("1.2"), Fraction("1.52"), Fraction("1.48"))}


def test_package_is_whole_and_named_by_its_manifest(
    grey_film: Path, tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    folder, manifest = encoded(grey_film, tmp_path, settings, reporter)
    data = (folder / "package.json").read_bytes()
    assert folder == tmp_path / "out" / "film" / package.package_name(data)
    assert {path.name for path in folder.iterdir()} == {file.name for file in manifest.files} | {"package.json"}
    for file in manifest.files:
        size, digest, blocks = package.digest_blocks(iter([(folder / file.name).read_bytes()]))
        assert (file.size, file.digest, file.blocks) == (size, digest, blocks)
    assert manifest.duration == 4.0
    there = {path.name for path in (tmp_path / "out" / "film").iterdir()}
    assert there == {folder.name, f"{folder.name}.report.html"}


def test_finished_encode_leaves_no_work_and_is_done_at_once_again(
    grey_film: Path, tmp_path: Path, settings: EncoderSettings
) -> None:
    first, _ = encoded(grey_film, tmp_path, settings, Reporter(quiet=True))
    assert not [path for path in settings.work.iterdir() if path.is_dir()]
    spoken = Spoken()
    again, _ = encoded(grey_film, tmp_path, settings, spoken)
    assert again == first
    assert any("before" in line for line in spoken.lines)


def test_same_film_gives_same_bytes_wherever_it_lies(
    grey_film: Path, tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    folder, _ = encoded(grey_film, tmp_path, settings, reporter)
    elsewhere = tmp_path / "-an odd, name=with 'quotes': and %05d.mp4"
    elsewhere.write_bytes(grey_film.read_bytes())
    other = dataclasses.replace(settings, work=tmp_path / "work 2", workers="1")
    again = encode(elsewhere, "film", tmp_path / "out 2", other, reporter)
    assert again.name == folder.name
    assert all((again / path.name).read_bytes() == path.read_bytes() for path in folder.iterdir())


@pytest.mark.parametrize("rate", ["24000/1001", "30000/1001"])
def test_rates_of_1001ths_stay_exact_through_matroska_milliseconds(
    rate: str, film: Film, tmp_path: Path, settings: EncoderSettings
) -> None:
    source = film(f"rate{rate[:2]}.mkv", "-f", "lavfi", "-i", grey_frames("96x64", rate, 5), "-c:v", "libx264",
                  "-preset", "ultrafast", "-bf", "2", "-g", "50")  # fmt: skip
    spoken = Spoken()
    folder, manifest = encoded(source, tmp_path, settings, spoken)
    video = videos(manifest)[0]
    assert Fraction(video.frame_rate) == Fraction(rate)
    frames = round(5 * Fraction(rate))
    assert frame_numbers(folder / video.file) == numbers(frames)
    assert Fraction(sum(video.durations), video.timescale) == frames / Fraction(rate)
    assert not any("one piece" in line for line in spoken.lines)


def test_film_above_60_frames_a_second_keeps_every_second_frame(
    film: Film, tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    source = film("fast.mp4", "-f", "lavfi", "-i", grey_frames("96x64", "100", 2.5), "-c:v", "libx264", "-preset",
                  "ultrafast", "-g", "30")  # fmt: skip
    folder, manifest = encoded(source, tmp_path, settings, reporter)
    assert videos(manifest)[0].frame_rate == "50/1"
    assert frame_numbers(folder / videos(manifest)[0].file) == numbers(125, step=2)


def test_variable_frame_rate_becomes_constant_and_keeps_its_length(
    film: Film, tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    # Frames 0-39 at 20 frames/s, then every third for two more seconds.
    source = film(
        "vfr.mkv", "-f", "lavfi", "-i", grey_frames("96x64", "20", 4), "-vf", "select='lt(n,40)+not(mod(n,3))'",
        "-fps_mode", "vfr", "-c:v", "libx264", "-preset", "ultrafast",
    )  # fmt: skip
    folder, manifest = encoded(source, tmp_path, settings, reporter)
    shown = frame_numbers(folder / videos(manifest)[0].file)
    assert videos(manifest)[0].frame_rate == "20/1"
    assert shown[:40] == numbers(40)
    held = [number for number in range(40, 80) if number % 3 == 0]
    for at in range(42, len(shown)):
        assert shown[at] == max(number for number in held if number <= at) % GREY_COUNT
    assert abs(manifest.duration - 4.0) <= 0.1


def uneven(film: Film) -> Path:
    """4 s at some 20 frames/s that begin late, each picture up to most of a frame late; one lasts for a second."""
    return film(
        "uneven.mkv", "-itsoffset", "1.7", "-f", "lavfi", "-i", grey_frames("96x64", "20", 4),
        "-f", "lavfi", "-i", "sine=d=4", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "33",
        "-vf", "select='not(between(n,31,50))',settb=1/1000,setpts='PTS+45*random(1)'", "-fps_mode", "vfr",
        "-enc_time_base", "1:1000", "-c:a", "aac",
    )  # fmt: skip


def test_chunks_of_a_variable_frame_rate_have_the_frames_of_the_whole_film(
    film: Film, tmp_path: Path, settings: EncoderSettings
) -> None:
    spoken = Spoken()
    folder, manifest = encoded(uneven(film), tmp_path, settings, spoken)
    whole = dataclasses.replace(settings, chunk_duration=60.0, work=tmp_path / "whole")
    at_once, _ = encoded(uneven(film), tmp_path, whole, spoken)
    name = videos(manifest)[0].file
    assert at_once != folder  # cut elsewhere, it has other bytes
    assert frame_numbers(folder / name) == frame_numbers(at_once / name)
    assert not any("one piece" in line for line in spoken.lines)


@pytest.mark.parametrize("container", ["ts", "avi"])
def test_containers_that_seek_badly_are_remuxed_and_lose_no_frame(
    container: str, film: Film, tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    codec = ("libx264", "-bf", "0") if container == "avi" else ("libx264", "-bf", "2")
    source = film(
        f"seek.{container}", "-f", "lavfi", "-i", grey_frames("96x64", "25", 3), "-f", "lavfi", "-i", "sine=d=3",
        "-c:v", *codec, "-preset", "ultrafast", "-g", "20", "-c:a", "mp2",
    )  # fmt: skip
    folder, manifest = encoded(source, tmp_path, settings, reporter)
    assert frame_numbers(folder / videos(manifest)[0].file) == numbers(75)
    assert len(manifest.of_kind("audio")) == 1


def test_video_that_begins_after_the_audio_sets_the_zero(
    film: Film, tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    # A click 1.5 s after the first picture, and the audio begins 0.8 s before it.
    source = film(
        "late.mkv", "-itsoffset", "0.8", "-f", "lavfi", "-i", grey_frames("96x64", "25", 3),
        "-f", "lavfi", "-i", "aevalsrc='between(t,2.3,2.4)*sin(6000*t)':s=48000:d=3.8",
        "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "pcm_s16le",
    )  # fmt: skip
    folder, manifest = encoded(source, tmp_path, settings, reporter)
    assert frame_numbers(folder / videos(manifest)[0].file) == numbers(75)
    assert click_at(folder / "a1.mp4") == pytest.approx(1.5, abs=0.01)
    assert manifest.duration == 3.0


def test_audio_that_begins_after_the_video_starts_with_silence(
    film: Film, tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    source = film(
        "later.mkv", "-f", "lavfi", "-i", grey_frames("96x64", "25", 3), "-itsoffset", "0.7",
        "-f", "lavfi", "-i", "aevalsrc='between(t,0.5,0.6)*sin(6000*t)':s=44100:d=2",
        "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "flac",
    )  # fmt: skip
    folder, _ = encoded(source, tmp_path, settings, reporter)
    assert click_at(folder / "a1.mp4") == pytest.approx(1.2, abs=0.01)


def click_at(file: Path) -> float:
    """Seconds until the sound begins."""
    raw = run_ffmpeg("-i", str(file), "-ac", "1", "-ar", "8000", "-f", "u8", "pipe:1")
    return next(at for at, value in enumerate(raw) if abs(value - 128) > 32) / 8000


def test_two_audio_languages_and_mono_stay_what_they_are(
    film: Film, tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    source = film(
        "languages.mkv", "-f", "lavfi", "-i", pattern(), "-f", "lavfi", "-i", "sine=d=3",
        "-f", "lavfi", "-i", "anoisesrc=d=2,aformat=channel_layouts=5.1",
        "-map", "0", "-map", "1", "-map", "2", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "flac",
        "-metadata:s:a:0", "language=ger", "-metadata:s:a:1", "language=eng", "-metadata:s:a:1", 'title=A "B"',
        "-disposition:a:0", "0", "-disposition:a:1", "default",
    )  # fmt: skip
    folder, manifest = encoded(source, tmp_path, settings, reporter)
    german, english, surround = manifest.of_kind("audio")
    assert (german.language, german.label, german.channels, german.default) == ("de", "Deutsch", 1, False)
    assert (english.language, english.label, english.channels, english.default) == ("en", 'A "B"', 2, True)
    assert (surround.version_of, surround.language, surround.channels, surround.default) == ("a2", "en", 6, True)
    assert sum(english.durations) / english.timescale == pytest.approx(3.0, abs=0.05)
    media = m3u8.loads((folder / "master.m3u8").read_text()).media
    assert [(entry.language, entry.default) for entry in media] == 2 * [("de", "NO"), ("en", "YES")]


def test_film_without_audio_has_a_ladder_and_no_audio_group(
    film: Film, tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    source = film("silent.mp4", "-f", "lavfi", "-i", pattern(seconds=1.5), "-c:v", "libx264", "-preset", "ultrafast")
    folder, manifest = encoded(source, tmp_path, settings, reporter)
    assert not manifest.of_kind("audio")
    assert "AUDIO" not in (folder / "master.m3u8").read_text()


def test_captions_are_moved_to_the_films_zero_and_empty_tracks_left_out(
    film: Film, tmp_path: Path, settings: EncoderSettings
) -> None:
    captions, empty = tmp_path / "captions.srt", tmp_path / "empty.srt"
    captions.write_text("1\n00:00:01,500 --> 00:00:02,000\n<i>Hello</i> & goodbye\n\n")
    empty.write_text("1\n00:00:08,000 --> 00:00:09,000\nafter the end\n\n")
    source = film(
        "captions.mkv", "-itsoffset", "0.4", "-f", "lavfi", "-i", pattern(seconds=3), "-f", "lavfi", "-i", "sine=d=3",
        "-i", str(captions), "-i", str(empty), "-map", "0", "-map", "1", "-map", "2", "-map", "3",
        "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "pcm_s16le", "-c:s", "srt",
        "-metadata:s:s:0", "language=fre", "-disposition:s:0", "forced",
    )  # fmt: skip
    spoken = Spoken()
    folder, manifest = encoded(source, tmp_path, settings, spoken)
    (text,) = manifest.of_kind("text")
    assert (text.language, text.label, text.forced) == ("fr", "Français (forced)", True)
    assert "00:00:01.100 --> 00:00:01.600\n<i>Hello</i> &amp; goodbye" in (folder / text.file).read_text()
    assert any("no cues" in line for line in spoken.lines)


ASS = """[Script Info]
ScriptType: v4.00+

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def test_captions_in_the_film_that_cannot_be_read_do_not_end_the_encode(
    film: Film, tmp_path: Path, settings: EncoderSettings
) -> None:
    likes_time, other_letters, styled = (tmp_path / name for name in ("time.srt", "letters.srt", "letters.ass"))
    likes_time.write_text("1\n00:00:01,000 --> 00:00:02,000\nThe train of\n12:30 --> 13:00\n\n")
    other_letters.write_bytes("1\n00:00:01,000 --> 00:00:02,000\n你好\n\n".encode("gbk"))
    styled.write_bytes(f"{ASS}Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,你好\n".encode("gbk"))
    source = film(
        "unreadable.mkv", "-f", "lavfi", "-i", pattern("96x64"), "-i", str(likes_time), "-i", str(other_letters),
        "-i", str(styled), "-map", "0", "-map", "1", "-map", "2", "-map", "3",
        "-c:v", "libx264", "-preset", "ultrafast", "-c:s", "copy", "-metadata:s:s:1", "language=chi",
    )  # fmt: skip
    spoken = Spoken()
    folder, manifest = encoded(source, tmp_path, settings, spoken)
    (text,) = manifest.of_kind("text")
    assert "The train of\n12:30 --&gt; 13:00\n" in (folder / text.file).read_text()
    assert any("stream 2 (subtitle, subrip) is left out: stream 2, line 3: byte 0xc4" in line for line in spoken.lines)
    assert any("stream 3 (subtitle, ass) is left out: Invalid UTF-8" in line for line in spoken.lines)


def test_odd_sizes_become_even_and_never_larger(
    film: Film, tmp_path: Path, settings: EncoderSettings, reporter: Reporter, tools: Tools
) -> None:
    source = film("odd.mkv", "-f", "lavfi", "-i", "testsrc2=s=333x187:r=25:d=1,format=yuv444p", "-c:v", "ffv1")
    folder, manifest = encoded(source, tmp_path, settings, reporter)
    (video,) = videos(manifest)
    assert (video.width, video.height) == (332, 186)
    (stream,) = probe_streams(folder / video.file, tools)
    assert (stream["pix_fmt"], stream["sample_aspect_ratio"]) == ("yuv420p", "1:1")


def test_rotated_film_stands_upright(
    film: Film, tmp_path: Path, settings: EncoderSettings, reporter: Reporter, tools: Tools
) -> None:
    plain = film("plain.mp4", "-f", "lavfi", "-i", "color=red:s=160x90:r=25:d=1,drawbox=w=80:color=blue:t=fill",
                 "-c:v", "libx264", "-pix_fmt", "yuv420p")  # fmt: skip
    source = film("rotated.mp4", "-display_rotation", "90", "-i", str(plain), "-c", "copy")
    folder, manifest = encoded(source, tmp_path, settings, reporter)
    (video,) = videos(manifest)
    assert (video.width, video.height) == (90, 160)
    # Turned a quarter counter-clockwise, the blue left half comes to lie at the bottom.
    raw = run_ffmpeg("-i", str(folder / video.file), "-frames:v", "1", "-vf", "scale=1:2:flags=area,format=rgb24",
                     "-f", "rawvideo", "pipe:1")  # fmt: skip
    assert raw[0] > 150 > raw[2] and raw[5] > 150 > raw[3]


def test_anamorphic_film_gets_square_pixels(
    film: Film, tmp_path: Path, settings: EncoderSettings, reporter: Reporter, tools: Tools
) -> None:
    source = film("anamorphic.mkv", "-f", "lavfi", "-i", "testsrc2=s=180x144:r=25:d=1,setsar=64/45,format=yuv420p",
                  "-c:v", "libx264", "-preset", "ultrafast")  # fmt: skip
    folder, manifest = encoded(source, tmp_path, settings, reporter)
    (video,) = videos(manifest)
    assert (video.width, video.height) == (256, 144)
    assert probe_streams(folder / video.file, tools)[0]["sample_aspect_ratio"] == "1:1"


def test_interlaced_film_comes_out_progressive_at_its_frame_rate(
    film: Film, tmp_path: Path, settings: EncoderSettings, reporter: Reporter, tools: Tools
) -> None:
    source = film(
        "interlaced.mkv", "-f", "lavfi", "-i", "testsrc2=s=160x128:r=50:d=2,interlace,format=yuv420p",
        "-c:v", "libx264", "-preset", "ultrafast", "-flags", "+ildct+ilme", "-x264-params", "tff=1",
    )  # fmt: skip
    folder, manifest = encoded(source, tmp_path, settings, reporter)
    (video,) = videos(manifest)
    assert (video.frame_rate, sum(video.durations) / video.timescale) == ("25/1", 2.0)
    assert probe_streams(folder / video.file, tools)[0]["field_order"] == "progressive"


def test_hdr_film_is_tone_mapped_and_says_so(
    film: Film, tmp_path: Path, settings: EncoderSettings, reporter: Reporter, tools: Tools
) -> None:
    source = film(
        "hdr.mkv", "-f", "lavfi", "-i", "testsrc2=s=160x90:r=25:d=1,format=yuv420p10le,"
        "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc:range=tv", "-c:v", "libx265",
        "-x265-params", "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc",
    )  # fmt: skip
    folder, manifest = encoded(source, tmp_path, settings, reporter)
    stream = probe_streams(folder / videos(manifest)[0].file, tools)[0]
    assert stream["pix_fmt"] == "yuv420p"
    assert (stream["color_space"], stream["color_transfer"], stream["color_primaries"]) == ("bt709",) * 3


def test_cover_picture_is_not_the_film(
    film: Film, tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    cover = film("cover.jpg", "-f", "lavfi", "-i", "testsrc2=s=800x800:d=1", "-frames:v", "1")
    source = film(
        "covered.mp4", "-i", str(cover), "-f", "lavfi", "-i", pattern(seconds=1), "-map", "0", "-map", "1",
        "-c:v:0", "copy", "-c:v:1", "libx264", "-preset", "ultrafast", "-disposition:v:0", "attached_pic",
    )  # fmt: skip
    _, manifest = encoded(source, tmp_path, settings, reporter)
    assert [video.height for video in videos(manifest)] == [180]


@pytest.fixture(scope="module")
def sound_only(film: Film) -> Path:
    return film("sound.m4a", "-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac")


def test_audio_alone_is_not_a_film(
    sound_only: Path, tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    with pytest.raises(SourceError, match="has no video, only audio"):
        encode(sound_only, "film", tmp_path / "out", settings, reporter)


def test_text_file_is_not_a_film(tmp_path: Path, settings: EncoderSettings, reporter: Reporter) -> None:
    for name in ("notes.txt", "notes.mp4"):
        (tmp_path / name).write_text("This is no film.\n" * 100)
        with pytest.raises(SourceError, match="is not a film"):
            encode(tmp_path / name, "film", tmp_path / "out", settings, reporter)


def test_list_of_urls_named_like_a_film_is_refused(
    tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    (tmp_path / "film.mp4").write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    )
    with pytest.raises(SourceError, match="is not a film"):
        encode(tmp_path / "film.mp4", "film", tmp_path / "out", settings, reporter)


def test_empty_file_directory_and_nothing_are_told_apart(
    tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    (tmp_path / "empty.mp4").touch()
    for path, complaint in (
        (tmp_path / "empty.mp4", "is empty"),
        (tmp_path, "is not a file"),
        (tmp_path / "none.mp4", "no such file"),
    ):
        with pytest.raises(SourceError, match=complaint):
            encode(path, "film", tmp_path / "out", settings, reporter)
    assert not (tmp_path / "out").exists()


def test_truncated_film_is_refused_with_what_is_missing(
    film: Film, tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    whole = film("fast_start.mp4", "-f", "lavfi", "-i", pattern(seconds=5), "-c:v", "libx264", "-preset", "ultrafast",
                 "-movflags", "+faststart")  # fmt: skip
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(SourceError, match=r"truncated: it declares 5\.0 s"):
        encode(cut, "film", tmp_path / "out", settings, reporter)
    headless = tmp_path / "headless.mp4"
    headless.write_bytes(film("end_index.mp4", "-i", str(whole), "-c", "copy").read_bytes()[:50_000])
    with pytest.raises(SourceError, match="moov atom not found"):
        encode(headless, "film", tmp_path / "out", settings, reporter)


@pytest.mark.parametrize("title", ["", "Film", "a/b", "..", "a" * 65, "fünf"])
def test_impossible_title_is_refused_before_anything_is_read(
    title: str, tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    with pytest.raises(PackageError, match="expected 1 to 64"):
        encode(tmp_path / "none.mp4", title, tmp_path / "out", settings, reporter)


def test_too_little_free_space_is_refused_before_work_begins(
    grey_film: Path, tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    greedy = dataclasses.replace(settings, min_free_space=2**60)
    with pytest.raises(SpaceError, match=r"free, expected at least 1.*TiB"):
        encode(grey_film, "film", tmp_path / "out", greedy, reporter)


def test_disk_that_fills_is_said_so_and_keeps_finished_steps(
    film: Film, tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    # A limit on file size is how an unprivileged test fills a disk: noise does not fit in the limit, sound does.
    source = film("noise.mkv", "-f", "lavfi", "-i", "nullsrc=s=320x180:r=25:d=3,geq=random(1)*255:128:128", "-f",
                  "lavfi", "-i", "sine=d=3", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac")  # fmt: skip
    limited = run_cli(source, tmp_path, settings, preexec_fn=lambda: set_limit(100_000))
    assert limited.returncode == 1
    assert "the disk of" in limited.stderr and "is full; finished steps are kept" in limited.stderr
    assert "Traceback" not in limited.stderr
    assert not list((tmp_path / "out" / "film").iterdir())
    folder, _ = encoded(source, tmp_path, settings, reporter)
    assert folder.exists()


def set_limit(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def cli_arguments(film: Path, tmp_path: Path, settings: EncoderSettings) -> list[str]:
    return [
        sys.executable, "-m", "encoder", str(film), "--title", "film", "--out", str(tmp_path / "out"),
        "--work", str(settings.work), "--preset", settings.preset, "--segment-duration", "1s",
        "--chunk-duration", "1s", "--min-free-space", "0", "--workers", "1", "--ladder", "fixed",
    ]  # fmt: skip


def run_cli(film: Path, tmp_path: Path, settings: EncoderSettings, **how: object) -> subprocess.CompletedProcess[str]:
    arguments = [*cli_arguments(film, tmp_path, settings), "--quiet", "--json"]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=120, **how)  # type: ignore[call-overload,no-any-return]


@pytest.fixture
def long_film(film: Film) -> Path:
    """Takes seconds to encode with preset medium: time to be interrupted."""
    return film("long.mp4", "-f", "lavfi", "-i", pattern("640x360", "25", 6), "-c:v", "libx264", "-preset", "ultrafast")


def start_cli(film: Path, tmp_path: Path, settings: EncoderSettings) -> subprocess.Popen[str]:
    arguments = [*cli_arguments(film, tmp_path, settings), "--json"]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def first_chunk(work: Path) -> Path | None:
    return next((path for path in work.glob("*/chunk-00000-*") if path.suffix != ".tmp"), None)


async def interrupted(film: Path, tmp_path: Path, settings: EncoderSettings, signal_number: int) -> int:
    """Sends a signal to an encode after its first chunk; returns its exit code."""
    process = start_cli(film, tmp_path, settings)
    try:
        await until(lambda: first_chunk(settings.work) is not None or process.poll() is not None)
        process.send_signal(signal_number)
    finally:
        process.communicate(timeout=60)
    return process.returncode


async def test_killed_encode_resumes_after_its_finished_chunks_and_ends_in_the_same_bytes(
    long_film: Path, tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    slow = dataclasses.replace(settings, preset="medium")
    undisturbed = dataclasses.replace(slow, work=tmp_path / "work 2")
    expected = encode(long_film, "film", tmp_path / "out 2", undisturbed, reporter).name
    assert await interrupted(long_film, tmp_path, slow, signal.SIGKILL) == -signal.SIGKILL
    assert list((tmp_path / "out" / "film").iterdir()) == []
    first = first_chunk(slow.work) or Path()
    made_at = first.stat().st_mtime_ns
    seen: list[int] = []

    class Watching(Reporter):
        @contextmanager
        def bar(self, label: str, total: float) -> Iterator[Bar]:
            with super().bar(label, total) as bar:
                yield bar
                if label == "video":  # the chunks are there until the bar has gone
                    seen.append(first.stat().st_mtime_ns)

    folder = encode(long_film, "film", tmp_path / "out", slow, Watching(quiet=True))
    assert folder.name == expected
    assert seen == [made_at]


async def test_terminated_encode_ends_its_tools_and_keeps_finished_chunks(
    long_film: Path, tmp_path: Path, settings: EncoderSettings
) -> None:
    slow = dataclasses.replace(settings, preset="medium")
    assert await interrupted(long_film, tmp_path, slow, signal.SIGTERM) == 128 + signal.SIGTERM
    assert first_chunk(slow.work) is not None
    assert not list(slow.work.glob("*/*.tmp"))
    assert list((tmp_path / "out" / "film").iterdir()) == []


def test_two_encodes_of_a_film_at_once_do_not_harm_each_other(
    grey_film: Path, tmp_path: Path, settings: EncoderSettings
) -> None:
    both = [start_cli(grey_film, tmp_path, settings) for _ in range(2)]
    outputs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert json.loads(outputs[0][0]) == json.loads(outputs[1][0])
    said = [error for _, error in outputs]
    assert any("was encoded before" in text for text in said)
    assert not all("was encoded before" in text for text in said)


def test_seek_that_leads_astray_falls_back_to_one_chunk(
    grey_film: Path, tmp_path: Path, settings: EncoderSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a film whose index lies: pictures at the start of what was sought are not there.
    def late(*arguments: Any) -> list[str]:
        return [re.sub(r"(trim=end=[0-9.]+:start=)[-0-9.]+", r"\g<1>0.4", part) for part in in_place(*arguments)]

    in_place = commands.chunk_video
    monkeypatch.setattr(commands, "chunk_video", late)
    spoken = Spoken()
    folder, manifest = encoded(grey_film, tmp_path, settings, spoken)
    assert any("encoded in one piece" in line for line in spoken.lines)
    assert frame_numbers(folder / videos(manifest)[0].file) == numbers(80)


def test_seek_that_leads_astray_in_a_film_of_variable_rate_is_noticed_too(
    film: Film, tmp_path: Path, settings: EncoderSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(source: Source, plan: Plan, chunk: Chunk) -> Fraction:
        return source.video.start + chunk.first / plan.frame_rate + Fraction(1, 5)

    monkeypatch.setattr("encoder.commands.seek_time", late)
    spoken = Spoken()
    encoded(uneven(film), tmp_path, settings, spoken)
    assert any("encoded in one piece" in line for line in spoken.lines)


def test_film_that_changes_while_encoded_is_refused(grey_film: Path, tmp_path: Path, settings: EncoderSettings) -> None:
    growing = tmp_path / "growing.mp4"
    growing.write_bytes(grey_film.read_bytes())

    class Appending(Reporter):
        def say(self, text: str) -> None:
            with growing.open("ab") as file:
                file.write(b"\0" * 8)

    with pytest.raises(SourceError, match="changed while it was being encoded"):
        encode(growing, "film", tmp_path / "out", settings, Appending(quiet=True))
    assert list((tmp_path / "out" / "film").iterdir()) == []


def test_real_clip_gives_a_ladder_that_independent_readers_understand(
    tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    usual = dataclasses.replace(settings, segment_duration=4.0, chunk_duration=12.0)
    folder, manifest = encoded(CLIP, tmp_path, usual, reporter)
    index = PackageIndex(manifest)
    assert [video.height for video in videos(manifest)] == [720, 540, 360, 234]
    master = m3u8.load(str(folder / "master.m3u8"))
    assert len(master.playlists) == 4 and len(master.iframe_playlists) == 4
    for variant, video in zip(
        sorted(master.playlists, key=lambda v: -v.stream_info.bandwidth), videos(manifest), strict=True
    ):
        assert variant.stream_info.resolution == (video.width, video.height)
        assert variant.stream_info.frame_rate == 24.0
        playlist = m3u8.load(str(folder / variant.uri))
        assert playlist.target_duration == 4 and playlist.is_endlist
        assert sum(segment.duration for segment in playlist.segments) == pytest.approx(30.0)
        for segment in playlist.segments:
            assert index.locate(segment.uri).length > 0
        peak = max(segment.duration for segment in playlist.segments)
        assert peak <= 4.0
    (period,) = MPEGDASHParser.parse(str(folder / "manifest.mpd")).periods
    assert [aset.content_type for aset in period.adaptation_sets] == ["video", "audio", "text", "image"]
    assert {r.id for r in period.adaptation_sets[0].representations} == {video.name for video in videos(manifest)}
    for video in videos(manifest):
        assert_iframes_decode(folder, video)
    assert (folder / manifest.poster).read_bytes()[:2] == b"\xff\xd8"
    assert "Big Buck Bunny" in (folder / "t1.vtt").read_text()


def assert_iframes_decode(folder: Path, video: Rendition) -> None:
    """Init segment and the byte range of each I-frame decode to one picture each."""
    data = (folder / video.file).read_bytes()
    playlist = m3u8.load(str(folder / video.iframe_playlist))
    assert len(playlist.segments) == len(video.sizes)
    piece = folder.parent / "iframe.mp4"
    for segment in playlist.segments:
        length, offset = map(int, segment.byterange.split("@"))
        piece.write_bytes(data[: video.init_size] + data[offset : offset + length])
        raw = run_ffmpeg(
            "-v", "fatal", "-i", str(piece), "-vf", "scale=2:2", "-pix_fmt", "gray", "-f", "rawvideo", "pipe:1"
        )
        assert len(raw) == 4


@pytest.fixture
def serve() -> Iterator[Callable[[Path, Package], str]]:
    """Serves a package's segment URLs, as an appliance does; returns the URL of its folder."""
    servers: list[ThreadingHTTPServer] = []

    def start(folder: Path, manifest: Package) -> str:
        index = PackageIndex(manifest)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                try:
                    extent = index.locate(self.path[1:])
                except PackageError:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Type", extent.media_type)
                self.send_header("Content-Length", str(extent.length))
                self.end_headers()
                with suppress(ConnectionError):
                    data = (folder / extent.file.name).read_bytes()
                    self.wfile.write(data[extent.offset : extent.offset + extent.length])

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("document", ["master.m3u8", "manifest.mpd"])
def test_hls_and_dash_play_from_segment_urls_from_the_first_frame_to_the_last(
    document: str, grey_film: Path, tmp_path: Path, settings: EncoderSettings, reporter: Reporter,
    serve: Callable[[Path, Package], str],
) -> None:  # fmt: skip
    folder, manifest = encoded(grey_film, tmp_path, settings, reporter)
    url = serve(folder, manifest) + document
    assert frame_numbers(url) == numbers(80)
    samples = run_ffmpeg("-i", url, "-map", "0:a", "-f", "s16le", "-ac", "1", "pipe:1")
    assert len(samples) / 2 / 48000 == pytest.approx(4.0, abs=0.03)


def test_damaged_file_is_not_called_done(
    grey_film: Path, tmp_path: Path, settings: EncoderSettings, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    package_audio = Tools.packager

    def damage(self: Tools, arguments: list[str], *, cwd: Path) -> None:
        package_audio(self, arguments, cwd=cwd)
        for file in cwd.glob("v*.mp4"):
            data = bytearray(file.read_bytes())
            data[-310:-10] = bytes(300)
            file.write_bytes(data)

    monkeypatch.setattr(Tools, "packager", damage)
    with pytest.raises(CheckError, match=r"does not decode|frames: found"):
        encode(grey_film, "film", tmp_path / "out", settings, reporter)
    assert list((tmp_path / "out" / "film").iterdir()) == []


def test_colours_of_a_film_that_names_none_are_not_converted(
    film: Film, tmp_path: Path, settings: EncoderSettings, reporter: Reporter, tools: Tools
) -> None:
    source = film("red.mp4", "-f", "lavfi", "-i", "color=red:s=1280x720:r=25:d=0.2,format=yuv420p,"
                  "setparams=colorspace=unknown", "-c:v", "libx264", "-preset", "ultrafast")  # fmt: skip
    folder, manifest = encoded(source, tmp_path, settings, reporter)
    before = run_ffmpeg("-i", str(source), "-frames:v", "1", "-f", "rawvideo", "pipe:1")
    after = run_ffmpeg("-i", str(folder / videos(manifest)[0].file), "-frames:v", "1", "-f", "rawvideo", "pipe:1")
    assert all(abs(before[at] - after[at]) <= 2 for at in (0, 1280 * 720, 1280 * 720 * 5 // 4))
    assert {probe_streams(folder / video.file, tools)[0]["color_space"] for video in videos(manifest)} == {"bt709"}
