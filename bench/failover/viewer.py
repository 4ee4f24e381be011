"""One player: what it fetches next and from whom, by the rules of bench/playback.py, and what its viewer sees.

Pure: the simulation tells it what arrived and what time it is, in seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bench.failover.world import LADDER_BPS, SEGMENT_S, Watcher
from bench.playback import GIVE_UP_AFTER_S, SILENCE_LIMIT_S, Pace, Pathways, Screen, Throughput, choose_offer
from bench.presentation import Offer

# As the settings that docs/players.md gives: half a minute ahead.
_AHEAD_S = 30.0
_OFFERS = tuple(Offer(str(number), rate) for number, rate in enumerate(LADDER_BPS))


class Viewer:
    """`segment_bytes` by rendition and segment; `listed` are the pathways of its manifest, best first."""

    __slots__ = (
        "_got_at", "_left", "_pathways", "_progress_at", "_rates", "_screen", "_segment", "_segments", "_size",
        "_started_at", "_throughput", "began_at", "failed", "fetches_at", "is_done", "pathway", "pictured_at",
        "steers_at", "switches", "token", "watcher",
    )  # fmt: skip

    def __init__(
        self, watcher: Watcher, listed: Sequence[str], segment_bytes: Sequence[Sequence[int]], now: float
    ) -> None:
        self.watcher = watcher
        self.began_at = now
        self.token = ""
        self.steers_at = now
        self.fetches_at = now  # when the next request is sent; infinite while one is under way
        self.pathway = ""  # who is asked now, "" while nobody is
        self.pictured_at: float | None = None
        self.is_done = self.failed = False
        self.switches = 0
        self._segments = segment_bytes
        self._pathways = Pathways(listed)
        self._screen = Screen(Pace(ahead_s=_AHEAD_S))
        self._throughput = Throughput()
        self._segment = 0
        self._rates: Sequence[int] = ()
        self._size = self._left = 0.0
        self._started_at = self._progress_at = self._got_at = now

    @property
    def stalls(self) -> int:
        return self._screen.stalls

    @property
    def stalled_s(self) -> float:
        return self._screen.stalled_s

    @property
    def using(self) -> tuple[str, ...]:
        return (self.pathway,) if self.pathway else ()

    def follow(self, priority: Sequence[str], clones: Collection[str]) -> None:
        self._pathways.follow(priority, clones)

    def ask(self, now: float) -> None:
        """Sends the request for the next segment."""
        before, self.pathway = self.pathway, self._pathways.choose(now)
        self.switches += before not in ("", self.pathway)
        offer = choose_offer(_OFFERS, "adaptive", self._throughput.bps)
        self._size = self._left = float(self._segments[int(offer.rendition)][self._segment])
        self._started_at = self._progress_at = now
        self.fetches_at = float("inf")

    def take(self, received: float, now: float) -> None:
        """Bytes that arrived since the last step; none is silence, which ends in another pathway."""
        if received > 0:
            self._left -= received
            self._progress_at = now
            if self._left <= 0:
                self._arrived(now)
        elif now - self._progress_at >= SILENCE_LIMIT_S:
            self._pathways.penalise(self.pathway, now)
            if now - self._got_at - self._screen.wait_s(now) >= GIVE_UP_AFTER_S and self._is_dry(now):
                self.failed = self.is_done = True
            self.fetches_at = now

    def _is_dry(self, now: float) -> bool:
        return self._screen.position(now) >= self._segment * SEGMENT_S

    def _arrived(self, now: float) -> None:
        self._throughput.measured(int(self._size), now - self._started_at)
        self._segment += 1
        self._got_at = now
        self._screen.fetched(self._segment * SEGMENT_S, now)
        if self.pictured_at is None:
            self.pictured_at = now
        self.is_done = self._segment == len(self._segments[0])
        self.fetches_at = now + self._screen.wait_s(now)
