"""A report of a film that nobody made: three shots, three rungs, trials that follow a formula."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from encoder.package import FORMAT, Package, Rendition
from encoder.per_title.curves import Piece, Trial, whole
from encoder.per_title.quality import RungQuality, Scored
from encoder.report.facts import Cost, Made, Report, Search, Still
from encoder.video.chunks import Chunk, Plan
from encoder.video.codec import H264
from encoder.video.ladder import Rung

SHOTS = ((96, 96), (48,), (96, 24))
RATE = Fraction(24)
_JPEG = b"\xff\xd8\xff\xd9"


def trial(height: int, crf: float, hardness: float) -> Trial:
    """Of a piece of film that is as hard as this; 1 is usual."""
    bits = hardness * 40_000 * (height / 360) ** 1.2 * 2 ** ((26 - crf) / 6)
    lost = (crf - 12) ** 1.7 / 14 * hardness + 14 * math.log2(360 / height)
    return Trial(height, crf, bits, max(0.0, 100 - lost))


def pieces() -> tuple[Piece, ...]:
    tried = [(height, crf) for height in (360, 180, 90) for crf in H264.trial_crfs]
    return tuple(
        Piece(sum(shot), tuple(trial(height, crf, hardness) for height, crf in tried))
        for shot, hardness in zip(SHOTS, (0.8, 1.4, 1.0), strict=True)
    )


def rung(name: str, height: int, crf: float, *, vmaf: float, shots: tuple[float, ...] = ()) -> Rung:
    return Rung(name, height * 16 // 9, height, crf, 2_000_000, 2_000_000, "3.0", vmaf=vmaf, shot_crfs=shots)


def made(one: Rung) -> Made:
    """As the trials let expect, but for a worst frame in the second shot."""
    expected = whole(pieces(), one.height, one.crf)
    frames = [segment for shot in SHOTS for segment in shot]
    firsts = [sum(frames[:at]) for at in range(len(frames))]
    scored = tuple(
        Scored(first, count, one.vmaf - at % 3, one.vmaf - at % 3 - 4, first + 5)
        for at, (first, count) in enumerate(zip(firsts, frames, strict=True))
    )
    quality = RungQuality(one.name, one.vmaf, one.vmaf - 0.2, one.vmaf - 0.5, one.vmaf - 5, scored)
    average = round(expected.bits * float(RATE))
    rendition = Rendition(
        name=one.name, kind="video", file=f"{one.name}.mp4", playlist=f"{one.name}.m3u8", codecs="avc1.64001e",
        bandwidth=round(average * 1.4), average_bandwidth=average, timescale=24, init_size=700, media_offset=900,
        durations=tuple(frames), sizes=tuple(round(count * expected.bits / 8) for count in frames),
        width=one.width, height=one.height, frame_rate="24", vmaf=one.vmaf,
    )  # fmt: skip
    return Made(one, rendition, quality, Still(6.0, one.vmaf - 6, _JPEG, _JPEG))


@pytest.fixture
def report() -> Report:
    chunks = (Chunk(0, 0, tuple(segment for shot in SHOTS for segment in shot)),)
    rungs = tuple(
        made(one)
        for one in (
            rung("v360", 360, 20, vmaf=95, shots=(20, 18.5, 21)),
            rung("v180", 180, 22, vmaf=78, shots=(22, 20, 23)),
            rung("v90", 90, 26, vmaf=55, shots=(26, 26, 26)),
        )
    )
    sound = Rendition(
        name="a1", kind="audio", file="a1.mp4", playlist="a1.m3u8", codecs="mp4a.40.2", bandwidth=128_000,
        average_bandwidth=127_000, timescale=48_000, init_size=600, media_offset=700, durations=(720_000,),
        sizes=(240_000,), language="en", label="English", channels=2, sample_rate=48_000,
    )  # fmt: skip
    manifest = Package(
        format=FORMAT, title="film", name="A <Film> & its \"name\"", duration=15.0, source_digest="0" * 64,
        encoder="ffmpeg 9, x264 medium", renditions=(*(one.rendition for one in rungs), sound), files=(),
    )  # fmt: skip
    return Report(
        package="0123456789abcdef0123456789abcdef",
        manifest=manifest,
        plan=Plan(RATE, SHOTS, 1, True, chunks),
        rungs=rungs,
        searches=(Search(H264, pieces()),),
        fixed=(rung("v360", 360, 21, vmaf=0), rung("v234", 234, 21, vmaf=0)),
        costs=(Cost("shots", 1.5), Cost("trials", 8.0), Cost("video", 20.0), Cost("verify", 2.5)),
        settings=(("preset", "medium"),),
    )
