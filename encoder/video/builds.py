"""Whether the ffmpeg at hand can do what is asked of it: builds differ in the encoders that they have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from encoder.errors import ToolError
from encoder.running.process import Tools
from encoder.video.codec import CODECS, Codec


def demand_encoders(tools: Tools, codecs: Sequence[Codec]) -> None:
    """Raises ToolError if this ffmpeg has not the encoder of each codec."""
    listed = tools.ffmpeg_bytes(["-encoders"], cwd=Path.cwd()).decode(errors="replace").split()
    missing = [codec for codec in codecs if codec.encoder not in listed]
    if missing:
        there = [f"{codec.label} ({codec.encoder})" for codec in CODECS.values() if codec.encoder in listed]
        raise ToolError(
            f"this ffmpeg cannot encode {' or '.join(codec.label for codec in missing)}: it lacks "
            f"{' and '.join(codec.encoder for codec in missing)} and has {', '.join(there) or 'none of our encoders'}; "
            "install imageio-ffmpeg >= 0.8 and unset IMAGEIO_FFMPEG_EXE, or leave the codec out of --codecs"
        )
