"""Which audio renditions a film's tracks become, which of them plays first, and how loud they are made.

Every track becomes stereo (or stays mono), which everything plays. One with more channels is kept beside it:

    AC-3, E-AC-3   as it is: living rooms have decoders for it, and another generation would only lose
    anything else  AAC 5.1, if it has at least five channels; with fewer, nothing is behind the viewer

Levels stay as they were mixed. A fold-down to fewer channels adds up, so it is made quieter by what it would clip, all
of it alike: a limiter would change the mix. Where the operator wants one loudness for all titles, that is a constant
gain as well, and never so much that the true peak passes -1 dB (EBU R 128, section 4.3).

Pure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from encoder.film.source import AudioStream
from encoder.package import Loudness

# Sample entries of ISO files, by ffmpeg's name of the codec.
PASSED_THROUGH = {"ac3": "ac-3", "eac3": "ec-3"}
# Tracks for some viewers only; nobody else should get one without asking.
SPECIAL_ROLES = frozenset({"commentary", "description", "enhanced-audio-intelligibility"})
# ffmpeg's 5.1 with the surrounds behind, the one of its 5.1s that AAC has a channel configuration for.
_AROUND, _FEWEST_AROUND = 6, 5
LAYOUTS = {1: "mono", 2: "stereo", _AROUND: "5.1"}
# dB below full scale: what a decoder's resampler or a lossy codec may add stays below clipping.
_HIGHEST_PEAK_DBTP = -1.0
# Quieter than what ebur128 calls silence (-70): there is nothing to measure.
_SILENCE_LUFS, _SILENCE_DBTP = -70.0, -99.0
# dB. Finer steps nobody hears, and processors may disagree on them.
_GAIN_STEP = 0.01
_METADATA = re.compile(r"lavfi\.r128\.(I|LRA|true_peak)=(\S+)")


@dataclass(frozen=True)
class Soundtrack:
    """An audio rendition to be made of a track of the film."""

    name: str
    stream: AudioStream
    channels: int
    version_of: str = ""  # the rendition of the same track that everything plays
    is_copied: bool = False

    @property
    def encoded(self) -> Soundtrack:
        """The same in AAC."""
        return replace(self, channels=_AROUND, is_copied=False) if self.is_copied else self

    @property
    def is_folded_down(self) -> bool:
        return self.channels < self.stream.channels


def soundtracks(streams: Sequence[AudioStream]) -> tuple[Soundtrack, ...]:
    """What is made of the film's tracks: `a1`, and `a1-surround` where there is more to it."""
    made = []
    for number, stream in enumerate(streams, 1):
        name = f"a{number}"
        made.append(Soundtrack(name, stream, min(stream.channels, 2)))
        if stream.channels > 2 and stream.codec in PASSED_THROUGH:
            made.append(Soundtrack(f"{name}-surround", stream, stream.channels, name, is_copied=True))
        elif stream.channels >= _FEWEST_AROUND:
            made.append(Soundtrack(f"{name}-surround", stream, _AROUND, name))
    return tuple(made)


def first_to_play(streams: Sequence[AudioStream]) -> int:
    """Which track plays unless the viewer wants another: the film's default, or its original, or its first."""
    usual = [at for at, stream in enumerate(streams) if not SPECIAL_ROLES & set(stream.roles)] or [0]
    claims = [at for at in usual if streams[at].default] or [at for at in usual if streams[at].original] or usual
    return claims[0]


def read_loudness(lines: Sequence[str]) -> Loudness:
    """The last of what ffmpeg's ebur128 said of each measure: those are of all the sound until then."""
    found = {match[1]: match[2] for line in lines if (match := _METADATA.match(line))}
    peak = _number(found, "true_peak", 0.0)
    return Loudness(
        integrated_lufs=max(_SILENCE_LUFS, round(_number(found, "I", _SILENCE_LUFS), 1)),
        range_lu=round(_number(found, "LRA", 0.0), 1),
        true_peak_dbtp=max(_SILENCE_DBTP, round(_decibels(peak), 1)) if peak > 0 else _SILENCE_DBTP,
    )


def _number(found: Mapping[str, str], key: str, absent: float) -> float:
    value = float(found.get(key, absent))
    return value if value == value else absent  # "nan" of what is too short to be measured


def _decibels(ratio: float) -> float:
    return 20 * math.log10(ratio)


def gain_db(soundtrack: Soundtrack, measured: Loudness, wanted_lufs: float | None) -> float:
    """How much louder the encode is made than the film; 0 leaves it alone."""
    if soundtrack.is_copied or measured.integrated_lufs <= _SILENCE_LUFS:
        return 0.0
    room = _HIGHEST_PEAK_DBTP - measured.true_peak_dbtp
    if wanted_lufs is not None:
        gain = min(wanted_lufs - measured.integrated_lufs, room)
    else:
        gain = min(0.0, room) if soundtrack.is_folded_down else 0.0
    return round(gain / _GAIN_STEP) * _GAIN_STEP


def louder(measured: Loudness, gain: float) -> Loudness:
    """What was measured, after a gain."""
    if measured.integrated_lufs <= _SILENCE_LUFS:
        return measured
    return Loudness(
        integrated_lufs=round(measured.integrated_lufs + gain, 1),
        range_lu=measured.range_lu,
        true_peak_dbtp=round(measured.true_peak_dbtp + gain, 1),
    )
