from __future__ import annotations

from pathlib import Path

import pytest

from encoder.errors import ToolError
from encoder.running.process import Tools
from encoder.video.builds import demand_encoders
from encoder.video.codec import AV1, H264, HEVC


class Listing(Tools):
    """An ffmpeg with these encoders."""

    def __init__(self, *encoders: str) -> None:
        super().__init__()
        self.encoders = encoders

    def ffmpeg_bytes(self, arguments: object, *, cwd: Path) -> bytes:
        return "".join(f" V....D {name}   said of it\n" for name in self.encoders).encode()


def test_codec_that_the_build_lacks_is_named_with_what_it_has_and_what_to_do() -> None:
    with pytest.raises(ToolError) as caught:
        demand_encoders(Listing("libx264", "libx264rgb", "libsvtav1"), (H264, HEVC, AV1))
    sentence = str(caught.value)
    assert "cannot encode HEVC: it lacks libx265 and has H.264 (libx264), AV1 (libsvtav1)" in sentence
    assert "imageio-ffmpeg" in sentence and "--codecs" in sentence


def test_codec_that_nobody_asked_for_may_be_missing() -> None:
    demand_encoders(Listing("libx264"), (H264,))


def test_encoder_whose_name_only_begins_alike_is_another() -> None:
    with pytest.raises(ToolError, match=r"cannot encode H\.264"):
        demand_encoders(Listing("libx264rgb"), (H264,))


def test_our_own_ffmpeg_has_them_all(tools: Tools) -> None:
    demand_encoders(tools, (H264, HEVC, AV1))
