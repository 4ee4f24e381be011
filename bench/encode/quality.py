"""VMAF of every frame of what lies on disk, beside the clip itself.

Whatever the encoder believes of its rungs is not asked: each file is decoded, put at the clip's size with bicubic, as
players do, and compared picture by picture, counted from 0 in both. VMAF's "NEG" variant does not count sharpening and
contrast as quality; where the two disagree about a gain, it was bought with a filter.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from bench.errors import BenchError
from encoder.running.process import Tools

_MODELS = ("version=vmaf_v0.6.1\\:name=vmaf", "version=vmaf_v0.6.1neg\\:name=neg")


class Quality(NamedTuple):
    """Of each frame."""

    vmaf: tuple[float, ...]
    neg: tuple[float, ...]

    @property
    def mean(self) -> float:
        return sum(self.vmaf) / len(self.vmaf)

    @property
    def neg_mean(self) -> float:
        return sum(self.neg) / len(self.neg)

    @property
    def harmonic(self) -> float:
        """The harmonic mean, of values moved up by one for those that are 0, as libvmaf pools."""
        return len(self.vmaf) / sum(1 / (score + 1) for score in self.vmaf) - 1

    @property
    def fifth_percentile(self) -> float:
        return sorted(self.vmaf)[len(self.vmaf) // 20]

    def worst_of(self, starts: Sequence[int]) -> float:
        """The mean of the worst of the shots that begin at these frames."""
        ends = (*starts[1:], len(self.vmaf))
        return min(sum(self.vmaf[start:end]) / (end - start) for start, end in zip(starts, ends, strict=True))


def measure(tools: Tools, encode: Path, clip: Path, size: tuple[int, int], rate: Fraction, folder: Path) -> Quality:
    """Raises BenchError if the two have different numbers of frames, or VMAF cannot be had."""
    log = folder / f"{encode.parent.name}-{encode.name}.vmaf.json"
    counted = f"settb=1/({rate.numerator}/{rate.denominator}),setpts=N"
    width, height = size
    graph = (
        f"[0:v]scale={width}:{height}:flags=bicubic+accurate_rnd+bitexact,format=yuv420p,{counted}[encode];"
        f"[1:v]scale={width}:{height}:flags=bicubic+accurate_rnd+bitexact,format=yuv420p,{counted}[film];"
        f"[encode][film]libvmaf=model='{'|'.join(_MODELS)}':n_threads=2:log_fmt=json:log_path={log.name}"
    )
    tools.ffmpeg(
        ["-i", str(encode.resolve()), "-i", str(clip.resolve()), "-lavfi", graph, "-fps_mode", "passthrough",
         "-f", "null", "-"],
        cwd=folder,
    )  # fmt: skip
    try:
        frames = [frame["metrics"] for frame in json.loads(log.read_text())["frames"]]
    except (OSError, ValueError, KeyError) as error:
        raise BenchError(f"{log} cannot be read: {error}") from error
    return Quality(tuple(frame["vmaf"] for frame in frames), tuple(frame["neg"] for frame in frames))
