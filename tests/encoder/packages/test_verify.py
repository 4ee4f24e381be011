"""Each thing that would make a player stall is off by one here, and must be told."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from encoder.errors import CheckError
from encoder.packages.boxes import Fragment
from encoder.packages.renditions import FileIndex
from encoder.packages.verify import check_audio, check_video
from encoder.video.chunks import plan_chunks
from tests.encoder.video.test_ladder import source_of

PLAN = plan_chunks(source_of(frames=240), 4, 48, cuts=[96, 192])  # 24 frames/s: segments of 96, 96 and 48 frames
TICKS = PLAN.frame_ticks


def fragment(start: int, samples: int, **changes: Any) -> Fragment:
    whole = Fragment(start, start, samples, starts_with_sync=True, first_end=100)
    return whole._replace(**changes)


VIDEO = FileIndex(
    init_size=800, media_offset=1000, timescale=PLAN.timescale, earliest=0, has_edit_list=False,
    durations=(96 * TICKS, 96 * TICKS, 48 * TICKS), sizes=(500, 600, 300),
    fragments=(fragment(0, 96), fragment(96 * TICKS, 96), fragment(192 * TICKS, 48)),
)  # fmt: skip
AUDIO = FileIndex(
    init_size=700, media_offset=800, timescale=48000, earliest=0, has_edit_list=True,
    durations=(184320, 184320, 111360), sizes=(10, 20, 30),
    fragments=(fragment(0, 180), fragment(184320, 180), fragment(368640, 109)),
)  # fmt: skip


def test_right_files_pass() -> None:
    check_video("v360", VIDEO, PLAN, 2400)
    check_audio("a1", AUDIO, PLAN, 860, 48_000, 1024)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"durations": (96 * TICKS, 95 * TICKS, 48 * TICKS)}, "segment durations"),
        ({"durations": (96 * TICKS, 96 * TICKS)}, "segment durations"),
        ({"timescale": 1000}, "ticks a second"),
        ({"earliest": TICKS}, "first presentation time: found 512, expected 0"),
        ({"has_edit_list": True}, "edit list"),
        ({"sizes": (500, 600, 301)}, "bytes: found 2401, expected 2400"),
        ({"fragments": (fragment(0, 96), fragment(96 * TICKS, 95), fragment(192 * TICKS, 48))}, "frames in each"),
        ({"fragments": (fragment(0, 96), fragment(97 * TICKS, 96), fragment(192 * TICKS, 48))}, "segment starts"),
        (
            {"fragments": (*VIDEO.fragments[:2], fragment(192 * TICKS, 48, starts_with_sync=False))},
            "start with a keyframe: found 2, expected 3",
        ),
    ],
)
def test_wrong_video_is_told_apart(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(CheckError, match=complaint):
        check_video("v360", dataclasses.replace(VIDEO, **changes), PLAN, 2400)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"durations": (184320, 184320, 108000)}, r"a1 lasts 9.930 s, expected 10.000 s"),
        ({"fragments": (fragment(0, 180), fragment(185344, 180), fragment(369664, 109))}, "segment starts in samples"),
        ({"fragments": (fragment(1024, 180), *AUDIO.fragments[1:])}, "first decode time"),
        ({"timescale": 44100}, "ticks a second"),
    ],
)
def test_wrong_audio_is_told_apart(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(CheckError, match=complaint):
        check_audio("a1", dataclasses.replace(AUDIO, **changes), PLAN, 860, 48_000, 1024)
