"""Where the sessions of one world were sent, and how far.

Pure.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import NamedTuple

import numpy as np

# Half the way round the earth.
_FURTHEST_KM = 20_038


class Sent(NamedTuple):
    """Where a session was sent first."""

    first: str
    site: str  # where that stands; "" of the origin and of CDNs
    why: str  # why it is not the nearest site, "" if it is
    distance_km: float  # to the nearest site's clients; infinite where a place is unknown


class Tally:
    def __init__(self) -> None:
        self.sessions = 0
        self.bits = 0.0
        self.bits_away: defaultdict[str, float] = defaultdict(float)  # by why
        self.far: Counter[str] = Counter()  # sessions that no appliance was first for, by pathway
        self.unknown_way = 0  # sessions, of those that an appliance was first for
        self._distances = np.zeros(_FURTHEST_KM + 1, np.int64)

    def add(self, sent: Sent, bits: float) -> None:
        self.sessions += 1
        self.bits += bits
        if sent.why:
            self.bits_away[sent.why] += bits
        if not sent.site:
            self.far[sent.first] += 1
        elif math.isfinite(sent.distance_km):
            self._distances[min(_FURTHEST_KM, round(sent.distance_km))] += 1
        else:
            self.unknown_way += 1

    @property
    def offload(self) -> float:
        """The part of the sessions' bits whose first pathway stands at the nearest site; of nothing 0."""
        return 1 - sum(self.bits_away.values()) / self.bits if self.bits else 0.0

    def mean_km(self) -> float:
        count = self._distances.sum()
        return float((self._distances * np.arange(len(self._distances))).sum() / count) if count else 0.0

    def percentile_km(self, part: float) -> int:
        """The way that so large a part of the sessions do not exceed."""
        sums = np.cumsum(self._distances)
        return int(np.searchsorted(sums, math.ceil(part * sums[-1]))) if sums[-1] else 0
