"""What a replay found, as values: what `--json` prints.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from steering.placement.nearby import expected_ms
from steering.replay.loads import Load, Loads
from steering.replay.tally import Tally

_PARTS = (0.5, 0.9, 0.99)


class Way(msgspec.Struct, frozen=True):
    """How far sessions were sent, of those that an appliance was first for and that the way is known of."""

    mean_km: float
    p50_km: int
    p90_km: int
    p99_km: int
    mean_ms: float  # as ranking expects it of a distance, as the next
    p50_ms: float
    p90_ms: float
    p99_ms: float


class Sending(msgspec.Struct, frozen=True):
    """Where the sessions of one world went."""

    sessions: int
    offload: float  # part of the sessions' bits whose first pathway stands at the client's nearest site
    away: dict[str, float]  # why not -> part of the bits
    no_appliance: dict[str, int]  # the origin, or a CDN -> sessions
    way: Way
    unknown_way: int  # sessions


class Served(msgspec.Struct, frozen=True):
    """What an appliance or a site served: as it was, and with the change."""

    name: str
    site: str
    capacity_bps: int
    was: Load
    becomes: Load


class Mover(msgspec.Struct, frozen=True):
    """Sessions that the change sends from one site to another; "" is the origin, or a CDN."""

    was: str
    becomes: str
    sessions: int
    bits: float


class Agreement(msgspec.Struct, frozen=True):
    """How far the replay of what was decides as was logged."""

    sessions: int
    agree: int
    others: dict[str, int]  # why not, in words -> sessions


class Outcome(msgspec.Struct, frozen=True):
    begins_at: float
    ends_at: float
    change: tuple[str, ...]  # none: only what was
    watched: float
    agreement: Agreement
    was: Sending
    becomes: Sending | None
    moved: int  # sessions
    movers: tuple[Mover, ...]  # most bits first
    sites: tuple[Served, ...]  # those that differ most first
    appliances: tuple[Served, ...]
    remarks: tuple[str, ...]


def sending(tally: Tally) -> Sending:
    kilometres = [tally.percentile_km(part) for part in _PARTS]
    mean = tally.mean_km()
    way = Way(mean, *kilometres, *(expected_ms(distance) for distance in (mean, *kilometres)))
    away = {why: bits / (tally.bits or 1.0) for why, bits in sorted(tally.bits_away.items(), key=lambda one: -one[1])}
    return Sending(tally.sessions, tally.offload, away, dict(tally.far), way, tally.unknown_way)


def served_by_sites(was: Loads, becomes: Loads) -> tuple[Served, ...]:
    before, after = was.of_sites(), becomes.of_sites()
    return _by_difference(
        Served(name, name, was.site_capacity_bps(name), load, after.get(name, load)) for name, load in before.items()
    )


def served_by_appliances(was: Loads, becomes: Loads) -> tuple[Served, ...]:
    before, after = was.of_appliances(), becomes.of_appliances()
    return _by_difference(
        Served(name, was.site_of(name), was.capacity_bps(name), load, after.get(name, load))
        for name, load in before.items()
    )


def movers(sessions: Mapping[tuple[str, str], int], bits: Mapping[tuple[str, str], float]) -> tuple[Mover, ...]:
    found = [Mover(*way, count, bits[way]) for way, count in sessions.items()]
    return tuple(sorted(found, key=lambda mover: (-mover.bits, mover.was, mover.becomes)))


def _by_difference(served: Iterable[Served]) -> tuple[Served, ...]:
    return tuple(
        sorted(served, key=lambda one: (-abs(one.becomes.mean_bps - one.was.mean_bps), -one.was.mean_bps, one.name))
    )
