"""How far a packaged track's sound is from the film's: pieces of both, laid over each other where they fit best.

The first and last sample of a track can be right and its sound still late: by an encoder's delay, a lost edit list, a
gap that nobody filled. Waveforms tell. Sound that repeats itself (a tone) or hardly is any fits in many places, and is
not judged.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Samples a second of the pieces: speech has all that tells it apart below 4 kHz.
RATE = 8000
PIECE_S = 10.0
# The film is looked at in its beginning, middle and end; one that is shorter than these only once.
_ONCE_BELOW_S = 4 * PIECE_S
# What is looked for. A track that is further off has lost more than its sync.
_FARTHEST_S = 1.0
# Of 1, which is the same sound: lossy codecs and fold-downs stay above 0.8.
_LEAST_ALIKE = 0.5
# A second place that fits nearly as well, this far from the best, makes it a matter of chance.
_NEARBY_S, _AS_GOOD = 0.02, 0.9
# Viewers notice from 45 ms (ITU-R BT.1359); frames that are passed through begin within 32 ms of where they should.
MOST_S = 0.04


class Lag(NamedTuple):
    at_s: float  # in the film
    late_s: float  # negative: early


def pieces(duration_s: float) -> list[float]:
    """Where the pieces begin, in seconds of the film."""
    if duration_s < _ONCE_BELOW_S:
        return [0.0]
    return [0.0, (duration_s - PIECE_S) / 2, duration_s - PIECE_S]


def late_s(film: bytes, packaged: bytes) -> float | None:
    """How much later the second is than the first, of signed 16-bit samples; None if that cannot be told."""
    one, other = (_samples(data) for data in (film, packaged))
    length = min(len(one), len(other))
    farthest = min(round(_FARTHEST_S * RATE), length // 2)
    if farthest <= 0:
        return None
    one, other = one[:length], other[:length]
    power = float(np.sqrt(np.dot(one, one) * np.dot(other, other)))
    if power == 0.0:
        return None
    size = 1 << (2 * length - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(other, size) * np.conj(np.fft.rfft(one, size)), size)
    alike = np.concatenate((product[-farthest:], product[: farthest + 1])) / power
    best = int(np.argmax(alike))
    if alike[best] < _LEAST_ALIKE:
        return None
    nearby = round(_NEARBY_S * RATE)
    elsewhere = np.concatenate((alike[: max(0, best - nearby)], alike[best + nearby + 1 :]))
    if elsewhere.size and float(elsewhere.max()) > _AS_GOOD * float(alike[best]):
        return None
    return (best - farthest) / RATE


def _samples(data: bytes) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2").astype(np.float64)


def worst(lags: Sequence[Lag]) -> Lag | None:
    """The largest that a viewer would notice."""
    noticed = [lag for lag in lags if abs(lag.late_s) > MOST_S]
    return max(noticed, key=lambda lag: abs(lag.late_s), default=None)
