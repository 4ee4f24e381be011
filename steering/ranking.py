"""Whom a player should ask, in what order, and why.

The order, each step only among those that the steps before left equal:

    1  those that may serve the session; then the origin; then those that may not (full, draining, unhealthy, lost),
       which stay in a steering manifest only because its session was told of them
    2  the client's own site, then other sites by distance
    3  who holds the package: whole, part, nothing
    4  for a session under way, the order it was given; for a new one, a weighted rendezvous hash

The hash gives each appliance its share of the sessions by spare capacity, and a session the same order wherever it is
asked for. Of what nobody holds, it is the title that is hashed and not the session: its players meet at one appliance,
which fetches it once, and from then on it is the one that holds a part.

Pure: every input is an argument, the clock's reading is in the fleet's view already.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from config.units import show_rate
from oca.report import EVERY_FILE
from steering.fleet import ORIGIN, Appliance, Health
from steering.geography import distance_km
from steering.sites import Placement, Sites


@dataclass(frozen=True)
class Client:
    """Who asks. `listed` are the pathways its session's manifest has, `using` those it says it uses; new: neither."""

    address: str
    session: str
    listed: tuple[str, ...] = ()
    using: tuple[str, ...] = ()


@dataclass(frozen=True)
class Content:
    """What is asked for: a package and the names of its files."""

    title: str
    package: str
    files: frozenset[str]


class Holding(IntEnum):
    """How much of a package an appliance holds; less is better."""

    WHOLE = 0
    PART = 1
    NOTHING = 2


class Turn(IntEnum):
    """When a pathway's turn comes."""

    USABLE = 0
    ORIGIN = 1
    FULL = 2
    DRAINING = 3
    UNHEALTHY = 4
    LOST = 5


class Draw(IntEnum):
    """What settled the order among equals."""

    NOTHING = 0  # it has no equals
    SESSION_ORDER = 1  # the order that the session was given
    SESSION = 2  # the hash of the session: players of what several hold spread
    TITLE = 3  # the hash of the title: players of what nobody holds meet


_TURN = {
    Health.HEALTHY: Turn.USABLE,
    Health.FULL: Turn.FULL,
    Health.DRAINING: Turn.DRAINING,
    Health.UNHEALTHY: Turn.UNHEALTHY,
    Health.LOST: Turn.LOST,
}
_HOLDS = {
    Holding.WHOLE: "holds the package whole",
    Holding.PART: "holds a part of it",
    Holding.NOTHING: "must fetch it",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One pathway, and what decided its place; `reasons` puts it in words, only when somebody asks.

    `health` is None for the origin, and for what the fleet does not know.
    """

    name: str
    url: str
    site: str
    turn: Turn
    holding: Holding
    health: Health | None = None
    health_reason: str = ""
    is_local: bool = False
    distance_km: float = math.inf  # infinite where a place is unknown
    draw: Draw = Draw.NOTHING
    place: float = 0.0  # what was drawn; the lowest comes first
    spare_bps: int = 0

    @property
    def is_usable(self) -> bool:
        return self.turn <= Turn.ORIGIN

    @property
    def reasons(self) -> tuple[str, ...]:
        if self.turn is Turn.ORIGIN:
            return ("the origin holds everything and is asked last",)
        if self.health is None:
            if self.is_usable:
                return ("has not reported since steering started; the session's own list is believed",)
            return ("is not in the fleet",)
        return (self._health_words(), self._site_words(), _HOLDS[self.holding], self._draw_words())

    def _health_words(self) -> str:
        words = f"{self.health}: {self.health_reason}"
        return f"{words}; this session is one of its own" if self.health is Health.FULL and self.is_usable else words

    def _site_words(self) -> str:
        if self.is_local:
            return f"stands at {self.site}, the client's site"
        if math.isinf(self.distance_km):
            return f"stands at {self.site}, an unknown way off"
        return f"stands at {self.site}, {self.distance_km:.0f} km away"

    def _draw_words(self) -> str:
        if self.draw is Draw.SESSION_ORDER:
            return f"was number {self.place + 1:.0f} when the session began"
        if self.draw is Draw.SESSION:
            return f"the session's draw among equals, weighted by {show_rate(self.spare_bps)} to spare"
        return "the title's draw among equals, so that it is fetched once"


@dataclass(frozen=True)
class Decision:
    """The whole answer for one client and title, best candidate first."""

    client: Client
    content: Content
    placement: Placement
    candidates: tuple[Candidate, ...]
    listed: tuple[str, ...]  # what a new session's manifest lists, the origin last

    @property
    def first(self) -> Candidate:
        return self.candidates[0]

    @property
    def priority(self) -> tuple[str, ...]:
        """The pathways of the session's manifest, best first; never empty, for the origin is always among them."""
        told = {*self.listed, ORIGIN} if not self.client.listed else {*self.client.listed, ORIGIN}
        return tuple(candidate.name for candidate in self.candidates if candidate.name in told)


def rank(
    client: Client,
    content: Content,
    placement: Placement,
    fleet: Sequence[Appliance],
    sites: Sites,
    *,
    origin_url: str,
    most: int,
    is_young: bool = False,
) -> Decision:
    """Orders the fleet for a client. A manifest lists at most `most` appliances, then the origin.

    `is_young`: steering has just started, and appliances that it does not know may only not have reported yet.
    """
    distances = {site: _distance(site, placement, sites) for site in {appliance.site for appliance in fleet}}
    candidates = [_consider(appliance, client, content, placement.site, distances) for appliance in fleet]
    unheard = set(client.listed) - {appliance.name for appliance in fleet} - {ORIGIN}
    candidates += [_unheard(name, client, is_young) for name in unheard]
    candidates.append(Candidate(ORIGIN, origin_url, "", Turn.ORIGIN, Holding.WHOLE))
    candidates.sort(key=_order)
    return Decision(client, content, placement, tuple(candidates), _listed(candidates, most))


def _order(candidate: Candidate) -> tuple[Any, ...]:
    far = not candidate.is_local
    return candidate.turn, far, candidate.distance_km, candidate.holding, candidate.place, candidate.name


def _listed(candidates: Iterable[Candidate], most: int) -> tuple[str, ...]:
    """The best `most` usable appliances, but one of another site rather than the last of the first one.

    A site is one building with one uplink: if it goes, a player that knows nobody elsewhere has only the origin.
    """
    usable = [candidate for candidate in candidates if candidate.turn is Turn.USABLE]
    listed = usable[:most]
    if most > 1 and listed and all(candidate.site == listed[0].site for candidate in listed):
        elsewhere = [candidate for candidate in usable[most:] if candidate.site != listed[0].site]
        listed[most - 1 :] = elsewhere[:1] or listed[most - 1 :]
    return (*(candidate.name for candidate in listed), ORIGIN)


def _consider(
    appliance: Appliance, client: Client, content: Content, client_site: str, distances: Mapping[str, float]
) -> Candidate:
    holding = _holding(appliance, content)
    draw, place = _draw(appliance, client, content, holding)
    return Candidate(
        name=appliance.name,
        url=appliance.url,
        site=appliance.site,
        turn=_turn(appliance, client),
        holding=holding,
        health=appliance.health,
        health_reason=appliance.reason,
        is_local=appliance.site == client_site != "",
        distance_km=distances[appliance.site],
        draw=draw,
        place=place,
        spare_bps=appliance.spare_bps,
    )


def _unheard(name: str, client: Client, is_young: bool) -> Candidate:
    """A pathway of the session's manifest that the fleet does not know.

    While steering is young it is believed, and where the client is: sending every player to the origin until the fleet
    has reported would make an outage of a restart.
    """
    turn = Turn.USABLE if is_young else Turn.LOST
    place = float(client.listed.index(name))
    return Candidate(name, "", "", turn, Holding.WHOLE, is_local=is_young, distance_km=0.0, place=place)


def _turn(appliance: Appliance, client: Client) -> Turn:
    if appliance.health is Health.FULL and appliance.name in (client.using or client.listed[:1]):
        return Turn.USABLE  # it keeps the sessions it has
    return _TURN[appliance.health]


def _distance(site: str, placement: Placement, sites: Sites) -> float:
    """Whole kilometres: two sites of one town are equally far, and what they hold decides."""
    if site == placement.site != "":
        return 0.0
    here, there = placement.point, sites.point(site)
    return float(round(distance_km(here, there))) if here is not None and there is not None else math.inf


def _holding(appliance: Appliance, content: Content) -> Holding:
    held = appliance.held.get(f"{content.title}/{content.package}", ())
    if tuple(held) == EVERY_FILE or (content.files and content.files <= set(held)):
        return Holding.WHOLE
    return Holding.PART if held else Holding.NOTHING


def _draw(appliance: Appliance, client: Client, content: Content, holding: Holding) -> tuple[Draw, float]:
    if appliance.name in client.listed:
        return Draw.SESSION_ORDER, float(client.listed.index(appliance.name))
    behind = float(len(client.listed))  # all that the session was told of
    if holding is Holding.WHOLE:
        key = f"{client.session}|{content.title}|{appliance.name}"
        return Draw.SESSION, behind + _rendezvous(key, appliance.spare_bps)
    key = f"{content.title}|{content.package}|{appliance.name}"
    return Draw.TITLE, behind + _rendezvous(key, appliance.capacity_bps)


def _rendezvous(key: str, weight: float) -> float:
    """Weighted rendezvous hashing: among several, each is the lowest with a probability proportional to its weight.

    -ln(u)/w of a uniform u is an exponential variable of rate w, and the first of several such arrives in proportion
    to its rate (Schindelhauer and Schomaker, 2005).
    """
    uniform = (int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest()) + 1) / (2**64 + 1)
    return -math.log(uniform) / max(weight, 1.0)
