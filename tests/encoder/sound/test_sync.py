"""Sound stays with its pictures: the measure on made-up waves, and a film with flashes and beeps end to end."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from config.encoder import EncoderSettings
from config.progress import Reporter
from encoder import commands
from encoder.errors import CheckError
from encoder.film.probe import film_url, read_film
from encoder.package import decode
from encoder.packages.verify import check_sync
from encoder.pipeline import encode
from encoder.running.process import Tools
from encoder.sound.sync import RATE, Lag, late_s, pieces, worst
from tests.encoder.conftest import Film, decode_greys, run_ffmpeg
from tests.encoder.rules.film import PACKAGE


def noise(seconds: float, seed: int = 1) -> bytes:
    samples = np.random.default_rng(seed).normal(0, 3000, round(seconds * RATE))
    return samples.astype("<i2").tobytes()


@settings_of_hypothesis(max_examples=20)
@given(st.integers(-RATE + 1, RATE - 1))
def test_lag_is_found_to_the_sample(lag: int) -> None:
    sound = noise(4)
    moved = bytes(2 * lag) + sound if lag >= 0 else sound[-2 * lag :]
    assert late_s(sound, moved) == pytest.approx(lag / RATE, abs=1 / RATE)


def test_what_fits_nowhere_or_anywhere_is_not_judged() -> None:
    times = np.arange(4 * RATE) / RATE
    tone = (8000 * np.sin(2 * np.pi * 440 * times)).astype("<i2").tobytes()
    assert late_s(tone, tone) is None
    assert late_s(noise(4), noise(4, seed=2)) is None
    assert late_s(bytes(4 * RATE), noise(2)) is None
    assert late_s(b"", noise(2)) is None


def test_long_film_is_heard_in_three_places_and_a_short_one_in_one() -> None:
    assert pieces(12.0) == [0.0]
    assert pieces(100.0) == [0.0, 45.0, 90.0]


def test_only_what_a_viewer_notices_is_too_much() -> None:
    assert worst([Lag(0.0, 0.039), Lag(5.0, -0.03)]) is None
    assert worst([Lag(0.0, 0.05), Lag(5.0, -0.09)]) == Lag(5.0, -0.09)


# A white picture at 1.0 s and 2.4 s of the film's clock, and a beep with each.
_FLASHES = (25, 60)
_PICTURE = "color=black:s=64x64:r=25:d=3,geq=lum='if(eq(N,25)+eq(N,60),235,16)':cb=128:cr=128,format=yuv420p"
_SOUND = "aevalsrc='(between(t,1,1.04)+between(t,2.4,2.44))*sin(2000*PI*t)':s=48000:d=3"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("plain.mp4", ("-c:a", "aac", "-bf", "2")),
        ("dolby.mkv", ("-c:a", "ac3", "-bf", "3")),
        ("broadcast.ts", ("-c:a", "mp2", "-bf", "2", "-output_ts_offset", "900")),
        ("opened.mov", ("-c:a", "pcm_s16le", "-ss", "0.48")),
    ],
)
def test_flash_and_beep_stay_together(
    name: str, arguments: tuple[str, ...], film: Film, tmp_path: Path, settings: EncoderSettings
) -> None:
    source = film(f"flash-{name}", "-f", "lavfi", "-i", _PICTURE, "-f", "lavfi", "-i", _SOUND, "-c:v", "libx264",
                  "-preset", "ultrafast", "-g", "25", *arguments)  # fmt: skip
    plain = dataclasses.replace(settings, ladder="fixed")
    folder = encode(source, "film", tmp_path / "out", plain, Reporter(quiet=True))
    manifest = decode((folder / "package.json").read_bytes())
    (video,), (sound,) = manifest.of_kind("video"), manifest.of_kind("audio")
    flashes = [at / 25 for at, grey in enumerate(decode_greys(folder / video.file)) if grey > 128]
    assert len(flashes) == len(_FLASHES)
    assert beeps(folder / sound.file) == pytest.approx(flashes, abs=0.01)


def beeps(file: Path) -> list[float]:
    """When each beep begins, in seconds."""
    raw = np.frombuffer(run_ffmpeg("-i", str(file), "-ac", "1", "-ar", "8000", "-f", "s16le", "pipe:1"), dtype="<i2")
    loud = np.flatnonzero(np.abs(raw.astype(int)) > 8000) / 8000
    return [float(at) for at, before in zip(loud, [-1.0, *loud], strict=False) if at - before > 0.5]


def test_track_whose_sound_is_late_is_refused(film: Film, tools: Tools, tmp_path: Path) -> None:
    spoken = "anoisesrc=d=3:c=pink:seed=7"
    source = film("spoken.mkv", "-f", "lavfi", "-i", _PICTURE, "-f", "lavfi", "-i", spoken, "-c:v", "libx264",
                  "-preset", "ultrafast", "-c:a", "flac")  # fmt: skip
    read = read_film(tools, source)
    (rendition,) = (one for one in PACKAGE.renditions if one.name == "a1")
    for delay_ms, complaint in ((0, ""), (120, "at 0.0s its sound is 1[12]\\d ms late, expected within 40 ms")):
        run_ffmpeg("-i", str(source), "-vn", "-af", f"adelay={delay_ms}:all=1", "-c:a", "aac", str(tmp_path / "a1.mp4"))
        check = (tools, tmp_path, rendition, film_url(source), read, read.audios[0])
        if complaint:
            with pytest.raises(CheckError, match=complaint):
                check_sync(*check)
        else:
            check_sync(*check)


def test_piece_of_a_long_film_is_found_where_it_is(film: Film, tools: Tools, tmp_path: Path) -> None:
    noisy = film("long-noise.mkv", "-f", "lavfi", "-i", "anoisesrc=d=50:c=pink:seed=3:r=8000", "-c:a", "flac")
    whole = tools.ffmpeg_bytes(["-i", str(noisy), "-f", "s16le", "-ac", "1", "pipe:1"], cwd=tmp_path)
    part = tools.ffmpeg_bytes(commands.sound_piece(film_url(noisy), "0", 0.0, 20.0), cwd=tmp_path)
    assert late_s(whole[2 * 20 * RATE : 2 * 30 * RATE], part) == pytest.approx(0.0, abs=2 / RATE)
