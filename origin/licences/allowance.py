"""How often an address may ask: a player needs one licence for a film, and who asks all day wants to guess.

Pure: `now` is an argument.
"""

from __future__ import annotations

# A household behind one address starts so many films at once, and a bench on one machine.
BURST = 60
# Requests a second after that.
RATE = 2.0
# Addresses remembered; the oldest half is forgotten beyond.
_MOST = 16_384


class Allowance:
    def __init__(self, burst: float = BURST, rate: float = RATE) -> None:
        self._burst, self._rate = burst, rate
        self._left: dict[str, tuple[float, float]] = {}  # address -> requests left, when

    def take(self, address: str, now: float) -> bool:
        """Whether this address may ask once more."""
        left, then = self._left.pop(address, (self._burst, now))
        left = min(self._burst, left + (now - then) * self._rate)
        if len(self._left) >= _MOST:
            for old in list(self._left)[: _MOST // 2]:
                del self._left[old]
        self._left[address] = (max(0.0, left - 1) if left >= 1 else left, now)
        return left >= 1
