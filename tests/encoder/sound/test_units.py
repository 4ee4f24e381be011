"""Real sound through a whole encode: surround kept, folded down, in time, as loud as wanted."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import m3u8
import pytest
from lxml import etree

from config.encoder import EncoderSettings
from config.progress import Reporter
from encoder import package
from encoder.package import Package
from encoder.pipeline import encode
from encoder.running.process import Tools
from tests.encoder.conftest import Film, run_ffmpeg

MPD = "{urn:mpeg:dash:schema:mpd:2011}"
PICTURE = ("-f", "lavfi", "-i", "color=gray:s=96x64:r=25:d=3")
CHEAP = ("-c:v", "libx264", "-preset", "ultrafast")
# A click 1.2 s after the sound begins, in the centre and behind.
CLICK = "between(t,1.2,1.3)*sin(6000*t)"
AROUND = f"aevalsrc='0|0|{CLICK}|0|0|{CLICK}':s=48000:c=5.1:d=2.5"


def encoded(film: Path, tmp_path: Path, settings: EncoderSettings) -> tuple[Path, Package]:
    folder = encode(film, "film", tmp_path / "out", settings, Reporter(quiet=True))
    return folder, package.decode((folder / "package.json").read_bytes())


def click_at(file: Path, channel: int) -> float:
    """Seconds until a channel sounds."""
    arguments = ["-af", f"pan=mono|c0=c{channel},aresample=8000", "-f", "u8", "pipe:1"]
    raw = run_ffmpeg("-drc_scale", "0", "-i", str(file), *arguments)
    return next(at for at, value in enumerate(raw) if abs(value - 128) > 16) / 8000


def audio_sets(folder: Path) -> list[etree._Element]:
    mpd = etree.parse(folder / "manifest.mpd")
    return [one for one in mpd.iter(f"{MPD}AdaptationSet") if one.get("contentType") == "audio"]


@pytest.mark.parametrize(("codec", "sample_entry"), [("ac3", "ac-3"), ("eac3", "ec-3")])
def test_dolby_is_copied_onto_the_films_clock_beside_a_stereo_that_all_can_play(
    codec: str, sample_entry: str, film: Film, tmp_path: Path, settings: EncoderSettings, tools: Tools
) -> None:
    # The sound begins 0.3 s after the picture and ends 0.2 s before it: silence of the same kind fills up.
    source = film(
        f"around-{codec}.mkv", *PICTURE, "-itsoffset", "0.3", "-f", "lavfi", "-i", AROUND, *CHEAP,
        "-c:a", codec, "-b:a", "384k", "-metadata:s:a:0", "language=eng",
    )  # fmt: skip
    folder, manifest = encoded(source, tmp_path, settings)
    stereo, surround = manifest.of_kind("audio")
    assert (stereo.name, stereo.codecs, stereo.channels, stereo.version_of) == ("a1", "mp4a.40.2", 2, "")
    assert (surround.name, surround.codecs, surround.channels) == ("a1-surround", sample_entry, 6)
    assert surround.version_of == "a1"
    assert sum(surround.durations) == 94 * 1536
    assert click_at(folder / surround.file, 2) == pytest.approx(1.5, abs=0.02)
    assert click_at(folder / stereo.file, 0) == pytest.approx(1.5, abs=0.01)
    packets = tools.ffprobe(["-v", "error", "-show_entries", "packet=size", "-of", "csv=p=0",
                             str(folder / surround.file)])  # fmt: skip
    assert {line.strip(",") for line in packets.split()} == {"1536"}
    master = m3u8.loads((folder / "master.m3u8").read_text())
    assert [(one.group_id, one.name, one.channels, one.uri) for one in master.media] == [
        ("audio", "English", "2", "a1.m3u8"), ("surround", "English", "6", "a1-surround.m3u8"),
    ]  # fmt: skip
    codecs = {one.stream_info.audio: one.stream_info.codecs.split(",")[1] for one in master.playlists}
    assert codecs == {"audio": "mp4a.40.2", "surround": sample_entry}
    channels = [c.get("value") for one in audio_sets(folder) for c in one.iter(f"{MPD}AudioChannelConfiguration")]
    assert channels == ["2", "6"]


@pytest.mark.parametrize("codec", ["ac3", "flac"])
def test_gap_in_the_sound_is_silence_and_what_follows_stays_in_place(
    codec: str, film: Film, tmp_path: Path, settings: EncoderSettings
) -> None:
    whole = film(f"whole-{codec}.mka", "-f", "lavfi", "-i", AROUND, "-c:a", codec)
    # A second of packets is not there, and the sound goes on longer than the picture.
    source = film(
        f"gap-{codec}.mkv", *PICTURE, "-i", str(whole), *CHEAP, "-c:a", "copy",
        "-bsf:a", "noise=drop='between(pts*tb,0.1,1.1)'",
    )  # fmt: skip
    folder, manifest = encoded(source, tmp_path, settings)
    for one in manifest.of_kind("audio"):
        assert click_at(folder / one.file, 0 if one.channels == 2 else 2) == pytest.approx(1.2, abs=0.03)


def test_other_surround_becomes_aac_and_a_stereo_that_does_not_clip(
    film: Film, tmp_path: Path, settings: EncoderSettings
) -> None:
    # Both sides, centre and surrounds together: 2.4 times full scale, if they were only added up.
    loud = "0.9*sin(2800*t)"
    source = film(
        "loud.mkv", *PICTURE, "-f", "lavfi", "-i", f"aevalsrc='{loud}|{loud}|{loud}|0|0|0|{loud}|{loud}':c=7.1:d=3",
        *CHEAP, "-c:a", "pcm_s24le",
    )  # fmt: skip
    _, manifest = encoded(source, tmp_path, settings)
    stereo, surround = manifest.of_kind("audio")
    assert (surround.codecs, surround.channels, surround.language) == ("mp4a.40.2", 6, "und")
    assert stereo.loudness is not None and surround.loudness is not None
    assert stereo.loudness.true_peak_dbtp == pytest.approx(-1.0, abs=0.11)
    assert surround.loudness.true_peak_dbtp <= -0.9  # as it was, for nothing was added up


def test_every_track_is_made_as_loud_as_wanted_and_says_how_loud_it_is(
    film: Film, tmp_path: Path, settings: EncoderSettings
) -> None:
    source = film("quiet.mkv", *PICTURE, "-f", "lavfi", "-i", "sine=1000:d=3:r=44100", *CHEAP, "-c:a", "flac")
    plain, before = encoded(source, tmp_path, settings)
    wanted = dataclasses.replace(settings, loudness=-30.0)
    folder, after = encoded(source, tmp_path, wanted)
    assert folder.name != plain.name
    (quiet,) = before.of_kind("audio")
    (made,) = after.of_kind("audio")
    assert quiet.loudness is not None and made.loudness is not None
    assert quiet.loudness.integrated_lufs == pytest.approx(-21, abs=1)  # what ffmpeg's sine is
    assert made.loudness.integrated_lufs == pytest.approx(-30, abs=0.1)
    measured = run_ffmpeg("-i", str(folder / "a1.mp4"), "-af", "ebur128=metadata=1,ametadata=mode=print:file=-",
                          "-f", "null", "-").decode()  # fmt: skip
    last = [line for line in measured.splitlines() if line.startswith("lavfi.r128.I=")][-1]
    assert float(last.partition("=")[2]) == pytest.approx(-30, abs=0.3)


def test_roles_of_tracks_reach_the_manifests(film: Film, tmp_path: Path, settings: EncoderSettings) -> None:
    source = film(
        "roles.mkv", *PICTURE, "-f", "lavfi", "-i", "sine=d=3", "-map", "0", "-map", "1", "-map", "1", "-map", "1",
        *CHEAP, "-c:a", "flac", "-disposition:a:0", "comment", "-disposition:a:1", "original",
        "-disposition:a:2", "visual_impaired",
    )  # fmt: skip
    folder, manifest = encoded(source, tmp_path, settings)
    assert [(one.roles, one.default) for one in manifest.of_kind("audio")] == [
        (("commentary",), False), ((), True), (("description",), False),
    ]  # fmt: skip
    media = m3u8.loads((folder / "master.m3u8").read_text()).media
    assert [(one.autoselect, one.characteristics) for one in media] == [
        ("NO", None), ("YES", None), ("YES", "public.accessibility.describes-video"),
    ]  # fmt: skip
    roles = [[role.get("value") for role in one.iter(f"{MPD}Role")] for one in audio_sets(folder)]
    assert roles == [["alternate", "commentary"], ["main"], ["alternate", "description"]]
    assert [one.find(f"{MPD}Accessibility") is not None for one in audio_sets(folder)] == [False, False, True]
