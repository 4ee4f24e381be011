"""AC-3 and E-AC-3 on the film's clock without encoding: their frames, one after the other from zero.

A copied track has no samples to cut or to fill up, only frames of 1536 (32 ms at 48 kHz). So the film's frames are put
on a grid that begins with the picture: those before it and after its end are left out, and where the film has none
(its sound begins later, or has gaps) stands a frame of silence. No sound is off by more than half a frame, 16 ms.

Pure. Formats: ETSI TS 102 366.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple

# Samples of an AC-3 frame; an E-AC-3 frame may have fewer, in nothing that is sold.
FRAME = 1536
# bit/s, TS 102 366 table F.7.
_AC3_RATES = tuple(1000 * kbits for kbits in (
    32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640
))  # fmt: skip
# Frames that a packet may be off the place after its neighbour's before that is a gap or an overlap: containers round
# (Matroska to milliseconds), and a place that is rounded anew each time would jump at every half.
_JITTER = Fraction(3, 4)
# Seconds that a container may round a frame's length by.
_ROUNDED = Fraction(1, 500)


class Packet(NamedTuple):
    start: Fraction  # seconds
    duration: Fraction
    size: int


def parse_packets(lines: Iterable[str]) -> list[Packet]:
    """Reads ffmpeg's `framecrc`: `#tb 0: 1/48000`, then `stream, dts, pts, duration, size, checksum`."""
    base, packets = Fraction(0), []
    for line in lines:
        if line.startswith("#tb 0:"):
            base = Fraction(line.partition(":")[2].strip())
        elif not line.startswith("#"):
            _, _, pts, duration, size, *_ = line.split(",")
            packets.append(Packet(int(pts) * base, int(duration) * base, int(size)))
    return packets


def frames_in(seconds: Fraction, rate: int) -> int:
    """How many frames last at least so long."""
    return math.ceil(seconds * rate / FRAME)


def are_frames(packets: Sequence[Packet], rate: int) -> bool:
    """Whether each packet is one frame, as far as its length says so."""
    # Of the last one containers often know no length.
    lengths = [packet.duration for packet in packets[:-1]]
    return bool(packets) and all(abs(length - Fraction(FRAME, rate)) <= _ROUNDED for length in lengths)


def places(packets: Sequence[Packet], start: Fraction, count: int, rate: int) -> list[int | None]:
    """For each of `count` frames from the film's time `start` on, the packet that it is, or None for silence."""
    grid: list[int | None] = [None] * count
    latest: int | None = None
    for number, packet in enumerate(packets):
        ideal = (packet.start - start) * rate / FRAME
        place = round(ideal) if latest is None else latest + 1
        if ideal - place > _JITTER:
            place = round(ideal)  # a gap
        elif place - ideal > _JITTER:
            continue  # it begins while the one before still sounds
        latest = place
        if 0 <= place < count:
            grid[place] = number
    return grid


def frame_bitrate(size: int, rate: int, codec: str) -> int:
    """The bitrate of a stream of such frames, as an encoder of silence for it must be told."""
    exact = Fraction(size * 8 * rate, FRAME)
    if codec == "ac3":
        return min(_AC3_RATES, key=lambda legal: abs(legal - exact))
    return round(exact)
