"""How fast fills may be: as fast as players do not notice, and never faster than the plan's rate.

What players notice is that workers come late to what is ready: their event loops say how late they were (`late_s`).
While they are on time the rate grows, by half each time at first and then in steps; when they are late it falls by a
third. That is TCP's additive increase and multiplicative decrease with delay for loss, as LEDBAT (RFC 6817) has it. An
appliance that serves nobody has nobody to yield to: fills then go at the plan's rate, or at the disk's.

Lateness is seen when it has happened, and a player's slowest answers suffer first. So beside players a fill never takes
more than a small part of what they leave of the capacity. Above a share of it, fills get only as much as keeps them
alive: disks and memory have their limits before a processor is late.

Pure.
"""

from __future__ import annotations

# A worker is late by this when it had to wait for a processor; on time it is within a few hundred microseconds.
LATE_S = 0.004
# Bytes a second. The least is what finishes a film of 5 GB in a night; the first is a hundredth of a 10 Gbit/s link.
LEAST_BYTES_S = 256 * 1024.0
FIRST_BYTES_S = 16e6
STEP_BYTES_S = 4e6
MOST_BYTES_S = 4e9
SLOWDOWN = 2 / 3
SPEEDUP = 1.5
# From this share of the capacity on, what is left is for players.
BUSY_SHARE = 0.9
# Of what players leave below that. Without such a bound a fill took 600 MB/s beside players at half of 7.5 GB/s, and
# their 99th percentile rose from 7 ms to 60 (nearcast bench fill --only transfer).
LEFT_SHARE = 1 / 24
# What may come at once after a pause.
_BURST_S = 0.05
# A piece takes no longer than this at the rate of the moment, where it is of a size worth a turn at all.
_PIECE_S = 0.02
_LEAST_PIECE_BYTES, _MOST_PIECE_BYTES = 64 * 1024, 1024 * 1024
# Fewer bits a second than a single viewer's are nobody's.
_NOBODY_BPS = 100_000


class Pace:
    """Times are of any clock that never goes back; rates of this class are bytes a second."""

    def __init__(self, now: float) -> None:
        self.limit_bytes_s = 0.0  # the plan's; 0: none
        self._yielding_bytes_s = 0.0  # what players leave; 0 while there are none
        self._is_first = True  # until workers were late for the first time
        self._ahead_bytes = 0.0  # of the rate, as of `_as_of`
        self._as_of = now

    @property
    def bytes_s(self) -> float:
        """What fills may take now; 0: no limit."""
        limits = [rate for rate in (self.limit_bytes_s, self._yielding_bytes_s) if rate]
        return min(limits, default=0.0)

    @property
    def yields(self) -> bool:
        """True while there are players to yield to."""
        return bool(self._yielding_bytes_s)

    def observe(self, late_s: float, serving_bps: float, capacity_bps: float) -> None:
        """What the workers said of the last while, some four times a second."""
        if serving_bps < _NOBODY_BPS:
            self._yielding_bytes_s, self._is_first = 0.0, True
            return
        rate = self._yielding_bytes_s or FIRST_BYTES_S
        if capacity_bps and serving_bps > capacity_bps * BUSY_SHARE:
            rate = LEAST_BYTES_S
        elif late_s > LATE_S:
            rate, self._is_first = rate * SLOWDOWN, False
        else:
            rate = rate * SPEEDUP if self._is_first else rate + STEP_BYTES_S
        left = (capacity_bps * BUSY_SHARE - serving_bps) / 8 * LEFT_SHARE if capacity_bps else MOST_BYTES_S
        most = max(LEAST_BYTES_S, min(MOST_BYTES_S, left))
        most = min(most, self.limit_bytes_s or most)
        self._yielding_bytes_s = min(most, max(LEAST_BYTES_S, rate))

    @property
    def piece_bytes(self) -> int:
        """How much of a fill is to be received in one turn: whole pages, to go to the disk as they are."""
        rate = self.bytes_s
        most = int(rate * _PIECE_S) if rate else _MOST_PIECE_BYTES
        return 1 << (min(_MOST_PIECE_BYTES, max(_LEAST_PIECE_BYTES, most)).bit_length() - 1)

    def take(self, count: int, now: float) -> float:
        """So many bytes came: how many seconds to wait before more of them may, unless the rate changes meanwhile."""
        rate = self.bytes_s
        since_s, self._as_of = now - self._as_of, now
        if not rate:
            self._ahead_bytes = 0.0
            return 0.0
        self._ahead_bytes = max(self._ahead_bytes - rate * since_s, -rate * _BURST_S) + count
        return max(0.0, self._ahead_bytes / rate)
