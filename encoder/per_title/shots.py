"""Shots: where a film cuts, and so where its keyframes stand.

A picture after a cut shares nothing with the one before it, so it costs the bits of a keyframe whether it is one or
not; a keyframe anywhere else is paid for in full. So keyframes stand at cuts, and there are as few others as the
longest segment allows (I. Katsavounidis, "Dynamic optimizer", 2018); what that saves `nearcast bench encode` tells
apart from what the ladder does. All rungs share them, segments begin at them, and their lengths differ: manifests carry
each segment's own.

Pure: ffmpeg's scdet filter gives each picture a score, a hundred times how much it differs from the one before, less
what the pictures before that differed among themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise

# The score from which a picture begins a shot; scdet's own default, which finds hard cuts and leaves pans alone.
CUT_SCORE = 10.0
# Segments shorter than this make players' measurements of throughput worthless, and requests many. A cut that comes
# sooner is coded within the shot before it.
SHORTEST_S = Fraction(1)
_SCORE = re.compile(r"lavfi\.scd\.score=(\d+(?:\.\d+)?)\s*")


def parse_scores(lines: Iterable[str]) -> list[float]:
    """The score of each picture, from what ffmpeg's filter `metadata=print` wrote."""
    return [float(match[1]) for line in lines if (match := _SCORE.fullmatch(line))]


def find_cuts(scores: Sequence[float]) -> list[int]:
    """The pictures that begin a shot, by number; the first one begins the film, which is no cut."""
    return [number for number, score in enumerate(scores) if number and score >= CUT_SCORE]


def divide(frames: int, cuts: Iterable[int], rate: Fraction, longest_s: float) -> tuple[tuple[int, ...], ...]:
    """The shots of a film, each as its segments' frames: one segment, or even parts of at most `longest_s`."""
    shortest = max(1, round(SHORTEST_S * rate))
    longest = max(1, int(Fraction(longest_s) * rate))
    bounds = [0]
    for cut in sorted(cuts):
        if cut - bounds[-1] >= shortest and frames - cut >= shortest:
            bounds.append(cut)
    bounds.append(frames)
    return tuple(_split(end - start, longest) for start, end in pairwise(bounds))


def _split(frames: int, longest: int) -> tuple[int, ...]:
    """Even parts of at most `longest` frames, the longer ones first."""
    parts = -(-frames // longest)
    whole, rest = divmod(frames, parts)
    return (whole + 1,) * rest + (whole,) * (parts - rest)
