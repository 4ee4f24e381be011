"""The arguments of each codec's encoder: one closed GOP for each segment, the same bytes whatever the machine.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from encoder.film.colour import Colour
from encoder.video.chunks import Chunk, Plan
from encoder.video.codec import AV1, H264, HEVC, Codec
from encoder.video.ladder import Rung

# With more, x264 looks at how far its threads happen to be as soon as a rung meets its cap, and the same film gives
# other bytes each time: of 24 encodes of one such chunk two threads made 5 different files, one makes one. SVT-AV1 does
# the same (of 4 encodes 3 different files). All rungs in one job, and several jobs, keep the cores busy.
_THREADS = 1

Parameters = dict[str, object]


def arguments(rung: Rung, plan: Plan, chunk: Chunk, preset: str, colour: Colour) -> dict[str, Any]:
    """ffmpeg's output options for one rung of a chunk, whose pictures have this colour."""
    own = _OWN[rung.codec]
    return {
        "c:v": rung.codec.encoder,
        "preset": rung.codec.presets[preset],
        **own(rung, rung.crf_of(chunk.shot), colour),
        **({"maxrate": rung.maxrate, "bufsize": rung.bufsize} if rung.maxrate else {}),
        # Half a frame early: a frame is forced if it is not before the time given.
        "force_key_frames": ",".join(
            f"{float((frame - Fraction(1, 2)) / plan.frame_rate):.6f}" for frame in chunk.keyframes[1:]
        )
        or "0",
        # Frames are counted already; ffmpeg must neither drop nor double any.
        "fps_mode": "passthrough",
        "enc_time_base": f"1:{plan.timescale}",
    }


def _x264(rung: Rung, crf: float, _: Colour) -> dict[str, Any]:
    # One closed GOP for each segment, at the same frames in every rung: players switch at any segment. x264 itself
    # places none.
    gop: Parameters = {"keyint": "infinite", "scenecut": 0, "open-gop": 0}
    return {
        "profile:v": "high",
        "level:v": rung.level,
        "crf": f"{crf:g}",
        "x264-params": _joined(gop),
        "threads:v": _THREADS,
        # Captions that films of broadcasters have within their pictures: playlists say that there are none.
        "a53cc": 0,
    }


def _x265(rung: Rung, crf: float, colour: Colour) -> dict[str, Any]:
    parameters: Parameters = {
        "keyint": -1, "min-keyint": 1, "scenecut": 0, "open-gop": 0,
        "level-idc": rung.level, "high-tier": 0,
        "pools": _THREADS, "frame-threads": 1,
        # No text of x265's own in the stream, none beside errors in ours.
        "info": 0, "log-level": "error",
    }  # fmt: skip
    if rung.is_hdr and colour.mastering:
        parameters["master-display"] = colour.mastering.in_x265
    if rung.is_hdr and colour.light:
        parameters["max-cll"] = colour.light
    return {
        "profile:v": "main10" if rung.depth > H264.deepest else "main",
        "crf": f"{crf:g}",
        # A keyframe that is only forced may have pictures after it that refer to what was before.
        "forced-idr": 1,
        "x265-params": _joined(parameters),
        "tag:v": rung.codec.tag,
    }


def _svt_av1(rung: Rung, crf: float, colour: Colour) -> dict[str, Any]:
    # crf here and not as ffmpeg's option, which takes whole numbers only.
    parameters: Parameters = {
        "crf": f"{crf:g}", "keyint": -1, "irefresh-type": 2, "scd": 0, "lp": _THREADS, "level": rung.level,
    }  # fmt: skip
    if rung.is_hdr and rung.tells_display and colour.mastering:
        parameters["mastering-display"] = colour.mastering.in_svt_av1
    if rung.is_hdr and rung.tells_display and colour.light:
        parameters["content-light"] = colour.light
    return {"svtav1-params": _joined(parameters)}


_OWN: dict[Codec, Callable[[Rung, float, Colour], dict[str, Any]]] = {H264: _x264, HEVC: _x265, AV1: _svt_av1}


def _joined(parameters: Parameters) -> str:
    return ":".join(f"{name}={value}" for name, value in parameters.items())
