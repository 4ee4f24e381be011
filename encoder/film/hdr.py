"""What the pictures of a file say of their colour; and the check that an encode says of it what its HDR film does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from encoder.errors import CheckError
from encoder.film import obus
from encoder.film.colour import MasteringDisplay, read_colour
from encoder.film.source import Source
from encoder.running.process import Tools
from encoder.video.ladder import Rung

# AV1 rounds chromaticities to 1/65536 and HEVC to 1/50000; luminance to 1/16384 of a cd/m2 at the finest.
_TOLERANCE = Fraction(1, 10_000)


def read_side_data(tools: Tools, film: str, stream: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the first picture of a stream says beside its pixels, as ffprobe describes it."""
    only_files, place = ["-v", "error", "-protocol_whitelist", "file"], str(stream["index"])
    if stream["codec_name"] == "av1":
        first = ["-i", film, "-map", f"0:{place}", "-c", "copy", "-frames:v", "1", "-f", "obu", "pipe:1"]
        return obus.side_data(tools.ffmpeg_bytes([*only_files[2:], *first], cwd=Path.cwd()))
    first = ["-select_streams", place, "-read_intervals", "%+#1", "-of", "json", "-show_frames"]
    frames = json.loads(tools.ffprobe([*only_files, "-i", film, *first])).get("frames", [])
    return [data for frame in frames[:1] for data in frame.get("side_data_list", [])]


def check_colour(tools: Tools, file: Path, rung: Rung, source: Source) -> None:
    """Raises CheckError if the colour of a rung's file is not as a player must find it."""
    described = json.loads(tools.ffprobe(["-v", "error", "-of", "json", "-show_streams", str(file)]))
    (stream,) = described["streams"]
    found = read_colour({**stream, "side_data_list": read_side_data(tools, str(file), stream)})
    film = source.video.colour
    wanted = film.video_range if rung.is_hdr else "SDR"
    if found.video_range != wanted:
        raise CheckError(f"{rung.name} is {found.video_range}, expected {wanted}")
    if not rung.is_hdr:
        return
    if (found.primaries, found.matrix) != ("bt2020", "bt2020nc"):
        raise CheckError(f"{rung.name} has colours of {found.primaries}, {found.matrix}, expected bt2020, bt2020nc")
    mastering, light = (film.mastering, film.light) if rung.tells_display else (None, None)
    if not _alike(found.mastering, mastering):
        raise CheckError(f"{rung.name} was graded on {found.mastering}, expected {mastering}")
    if found.light != light:
        raise CheckError(f"{rung.name} has light levels of {found.light}, expected {light}")


def _alike(found: MasteringDisplay | None, wanted: MasteringDisplay | None) -> bool:
    if found is None or wanted is None:
        return found is wanted
    return all(abs(one - other) <= _TOLERANCE for one, other in zip(found.numbers, wanted.numbers, strict=True))
