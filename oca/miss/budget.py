"""How many retries there may be: a share of what is asked anyway, so that trouble upstream is not multiplied.

Each request earns a part of a retry, and so does time, for appliances that ask seldom. What is saved up is bounded:
an hour of quiet must not pay for a storm.

Pure.
"""

from __future__ import annotations

# A fifth of all requests, and ten to begin with: what Finagle's RetryBudget gives by default. Of its ten a second for
# those who ask seldom, one is enough here: an appliance retries blocks of 4 MiB, not calls.
EARNED_BY_REQUEST = 0.2
EARNED_BY_SECOND = 1.0
AT_FIRST = 10.0
# As many as are under way at one upstream at most: all that one blip cut off may be asked for once more.
MOST = 64.0


class RetryBudget:
    """Times are of any clock that never goes back."""

    def __init__(self, now: float) -> None:
        self._left = AT_FIRST
        self._as_of = now

    def left(self, now: float) -> float:
        return min(MOST, self._left + (now - self._as_of) * EARNED_BY_SECOND)

    def earn(self, now: float) -> None:
        """Something was asked for the first time."""
        self._left, self._as_of = min(MOST, self.left(now) + EARNED_BY_REQUEST), now

    def spend(self, now: float) -> bool:
        """Takes one retry if there is one."""
        left = self.left(now)
        if left < 1:
            return False
        self._left, self._as_of = left - 1, now
        return True
