"""Which tokens were seen, for those that may come once (`catreplay`).

Pure.
"""

from __future__ import annotations

import heapq

# About 200 bytes each: 20 MB at most in a worker.
LARGEST_MEMORY = 100_000


class Replays:
    """Remembers `cti`s until they expire; beyond `limit` it forgets the one that expires first.

    It is the memory of one process: a client that reaches another worker, or another appliance, is new there.
    """

    def __init__(self, limit: int = LARGEST_MEMORY) -> None:
        self._limit = limit
        self._seen: set[bytes] = set()
        self._by_expiry: list[tuple[float, bytes]] = []  # a heap

    def __len__(self) -> int:
        return len(self._seen)

    def seen(self, cti: bytes, expires_at: float, now: float) -> bool:
        """True if `cti` was asked about before; from now on it was."""
        while self._by_expiry and self._by_expiry[0][0] <= now:
            self._forget_first()
        if cti in self._seen:
            return True
        self._seen.add(cti)
        heapq.heappush(self._by_expiry, (expires_at, cti))
        if len(self._seen) > self._limit:
            self._forget_first()
        return False

    def _forget_first(self) -> None:
        self._seen.discard(heapq.heappop(self._by_expiry)[1])
