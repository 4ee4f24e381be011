"""How a simulated player decides: which pathway, which rendition, what comes next, and what the viewer sees.

These are the rules that the specifications give players, with the numbers that the specifications suggest. Real
players differ in them; the tests with real players are in tests/.

Pure: `now` is an argument, in seconds of any one clock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bench.presentation import CLOSE_S, Offer

Choice: TypeAlias = Literal["highest", "lowest", "adaptive"]

# RFC 8216bis 7.5: a pathway that failed is left alone for a while, "two minutes is generally enough".
PENALTY_S = 120.0
# A response that stops is what stalls players: three seconds is what the tuned settings of real players allow.
SILENCE_LIMIT_S = 3.0
# A segment that no pathway gives for so long ends the play.
GIVE_UP_AFTER_S = 30.0
# What hls.js, dash.js and Shaka all do in some form: believe a part of the throughput measured, for it varies.
_BELIEVED = 0.8
# Weight of the newest measurement in the throughput, about that of the last three segments.
_NEWEST = 0.4


class Pathways:
    """The order of pathways, and which of them failed lately."""

    def __init__(self, order: Sequence[str]) -> None:
        self._listed = tuple(order)
        self._order = tuple(order)
        self._penalised: dict[str, float] = {}  # pathway -> until

    @property
    def order(self) -> tuple[str, ...]:
        return self._order

    def follow(self, priority: Iterable[str], clones: Collection[str] = ()) -> None:
        """Takes the order of a steering manifest; pathways that neither the presentation nor it has are ignored.

        Those that it does not name stay last, in the presentation's order: better than no picture at all. Clones are
        there for as long as they are told of.
        """
        known = [pathway for pathway in priority if pathway in self._listed or pathway in clones]
        if known:
            self._order = (*known, *(pathway for pathway in self._listed if pathway not in known))

    def penalise(self, pathway: str, now: float) -> None:
        self._penalised[pathway] = now + PENALTY_S

    def choose(self, now: float) -> str:
        """The first that is not penalised; if all are, the one whose penalty ends first."""
        free = [pathway for pathway in self._order if self._penalised.get(pathway, now) <= now]
        return free[0] if free else min(self._order, key=lambda pathway: self._penalised[pathway])

    def is_penalised(self, pathway: str, now: float) -> bool:
        return self._penalised.get(pathway, now) > now


class Throughput:
    """What the network gives, in bit/s: a moving average over downloads. 0 until the first."""

    def __init__(self) -> None:
        self.bps = 0.0

    def measured(self, size_bytes: int, seconds: float) -> None:
        sample = size_bytes * 8 / max(seconds, 1e-6)
        self.bps = sample if not self.bps else _NEWEST * sample + (1 - _NEWEST) * self.bps


def choose_offer(offers: Sequence[Offer], choice: Choice, throughput_bps: float) -> Offer:
    """The rendition to play next; `offers` are in ascending order."""
    if choice == "highest":
        return offers[-1]
    affordable = [offer for offer in offers if offer.bandwidth <= _BELIEVED * throughput_bps]
    return affordable[-1] if choice == "adaptive" and affordable else offers[0]


def next_track(positions: Sequence[float], ends: Sequence[float]) -> int | None:
    """Which track to fetch for: the one with the least film fetched. None when all are whole.

    `positions` and `ends` are seconds of film: how far each track is, and how long it is.
    """
    unfinished = [track for track, end in enumerate(ends) if end - positions[track] > CLOSE_S]
    return min(unfinished, key=lambda track: positions[track], default=None)


@dataclass(frozen=True)
class Pace:
    """How fast the film is watched, and how much of it (in seconds of film) is fetched ahead at most."""

    speed: float = 1.0
    ahead_s: float = float("inf")


class Screen:
    """What the viewer sees: the picture moves from the first segment on, and stands still when none is left."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._fetched = 0.0  # seconds of film that every track has
        self._position = 0.0  # seconds of film, at `_since`
        self._since: float | None = None
        self.stalls = 0
        self.stalled_s = 0.0

    def fetched(self, until: float, now: float) -> None:
        """Film is there up to `until` seconds. If the picture stood still, it moves again."""
        if until <= self._fetched:
            return
        if self._since is None:
            self._since = now
        else:
            ran_dry_at = self._since + (self._fetched - self._position) / self._pace.speed
            if ran_dry_at < now:
                self.stalls += 1
                self.stalled_s += now - ran_dry_at
                self._position, self._since = self._fetched, now
        self._fetched = until

    def position(self, now: float) -> float:
        """Seconds of film that were shown."""
        if self._since is None:
            return 0.0
        return min(self._fetched, self._position + (now - self._since) * self._pace.speed)

    def wait_s(self, now: float) -> float:
        """Seconds until more should be fetched."""
        too_far = self._fetched - self.position(now) - self._pace.ahead_s
        return max(0.0, too_far / self._pace.speed) if self._since is not None else 0.0
