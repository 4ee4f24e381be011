"""What was promised of an appliance's capacity to sessions that do not show in its reports yet.

A session is reserved at its nominal bitrate, for what a film takes at the moment dips and then spikes. Over a whole
appliance it takes less than that, by how much is learnt from reports: what it serves, over what its sessions would take
at their nominal bitrates.

Pure.
"""

from __future__ import annotations

from collections import deque
from math import inf

# A player's first segment comes within a second or two, a report each two seconds: after this it shows in the reports.
RESERVED_FOR_S = 6.0
# Reservations of so short a time end together: a premiere starts thousands, and an appliance remembers a dozen.
_TOGETHER_S = 0.5

# However thin its films run, an appliance is filled to no more than twice its capacity in nominal bitrates.
LEAST_DISCOUNT = 0.5
# Fewer sessions than these say nothing of the many.
_LEAST_SESSIONS = 20
# Of a new observation and what is known, so much is the new one: reports of two seconds forget within a minute.
_NEW = 0.05


class Reservations:
    """Bits a second that were promised lately; `total_bps` is good after `pass_time` or `add`."""

    __slots__ = ("_ends", "total_bps")

    def __init__(self) -> None:
        self.total_bps = 0
        # When, bit/s, when, bit/s: the first ends first. Numbers side by side, for pairs would be objects that the
        # collector looks at: one for every other session.
        self._ends: deque[float] = deque()

    def add(self, rate_bps: int, now: float) -> None:
        ends, until = self._ends, now + RESERVED_FOR_S
        if ends and until - ends[-2] < _TOGETHER_S:
            ends[-1] += rate_bps
        else:
            self.pass_time(now)
            ends.append(until)
            ends.append(rate_bps)
        self.total_bps += rate_bps

    @property
    def next_end(self) -> float:
        """When the first of them ends; never if there is none."""
        return self._ends[0] if self._ends else inf

    def pass_time(self, now: float) -> None:
        ends = self._ends
        while ends and ends[0] <= now:
            ends.popleft()
            self.total_bps -= int(ends.popleft())


class Discount:
    """The part of its sessions' nominal bitrates that an appliance serves; `factor` is 1 until it is known better."""

    __slots__ = ("_nominal_bps", "factor")

    def __init__(self) -> None:
        self.factor = 1.0
        self._nominal_bps = 0.0  # of a session, on average

    def note_session(self, rate_bps: int) -> None:
        self._nominal_bps += (rate_bps - self._nominal_bps) * (_NEW if self._nominal_bps else 1.0)

    def learn(self, serving_bps: int, sessions: int) -> None:
        """An appliance says that it serves so much to so many sessions."""
        if sessions < _LEAST_SESSIONS or not self._nominal_bps:
            return
        observed = min(1.0, max(LEAST_DISCOUNT, serving_bps / (sessions * self._nominal_bps)))
        self.factor += (observed - self.factor) * _NEW
