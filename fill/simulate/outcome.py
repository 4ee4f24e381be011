"""What a simulation found: per policy and day, in total and by site, and how two of them differ.

    served      all bytes that viewers took
    local       of these, what the nearest site served
    elsewhere   what another site served, because the nearest one had failed
    upstream    the rest: what came over the sites' upstream links while people watched; first misses are in it
    fill        what came over them in the fill windows

    offload              local / served
    offload after fill   (local - fill) / served: below 0 where more was filled than watched
    churn                bytes written to disks a day / bytes of disk

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """One day of all sites; bytes, and bit/s."""

    day: int  # from 0; the days on which policies only learn come before
    served: float
    local: float
    elsewhere: float
    upstream: float
    fill: float
    written: float
    put_off: float  # of the fill that was planned, what the windows were too short for
    peak_bps: float  # upstream of all sites together, in the busiest hour
    fill_bps: float  # of all sites together, if the fill is spread over their windows

    @property
    def offload(self) -> float:
        return self.local / self.served if self.served else 0.0

    @property
    def offload_after_fill(self) -> float:
        return (self.local - self.fill) / self.served if self.served else 0.0


class SiteTotal(msgspec.Struct, frozen=True, kw_only=True):
    """One site, of `count` that are alike, over all days."""

    name: str
    count: int
    offload: float
    peak_upstream_bps: float
    peak_served_bps: float  # by the site's appliances, guests included
    peak_demand_bps: float  # of its viewers, guests included
    capacity_bps: float
    disk: int
    fill_a_day: float  # bytes


class Result(msgspec.Struct, frozen=True, kw_only=True):
    policy: str
    days: tuple[Day, ...]
    sites: tuple[SiteTotal, ...]
    disk: int  # bytes of all sites
    note: str = ""

    @property
    def total(self) -> Day:
        """Sums of bytes and the largest rates."""
        return Day(
            day=len(self.days),
            **{key: sum(getattr(day, key) for day in self.days) for key in _SUMMED},
            **{key: max((getattr(day, key) for day in self.days), default=0.0) for key in ("peak_bps", "fill_bps")},
        )

    def churn(self, day: Day) -> float:
        return day.written / self.disk if self.disk else 0.0

    @property
    def mean_churn(self) -> float:
        return sum(self.churn(day) for day in self.days) / max(1, len(self.days))


_SUMMED = ("served", "local", "elsewhere", "upstream", "fill", "written", "put_off")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A simulated fleet: each policy's result."""

    name: str  # "base", or what was asked for
    results: tuple[Result, ...]
    notes: tuple[str, ...] = ()

    def of(self, policy: str) -> Result:
        return next(result for result in self.results if result.policy == policy)


def as_json(outcomes: Sequence[Outcome], about: Mapping[str, object]) -> dict[str, object]:
    """`about` and, for each outcome, all of it with the shares that follow from it."""
    return {"benchmark": "simulate", **about, "outcomes": [_outcome(outcome) for outcome in outcomes]}


def _outcome(outcome: Outcome) -> dict[str, object]:
    return {"name": outcome.name, "notes": list(outcome.notes), "results": [_result(r) for r in outcome.results]}


def _result(result: Result) -> dict[str, object]:
    return {
        "policy": result.policy,
        "note": result.note,
        "total": _day(result, result.total) | {"churn": result.mean_churn, "days": len(result.days)},
        "days": [_day(result, day) for day in result.days],
        "sites": [msgspec.to_builtins(site) for site in result.sites],
    }


def _day(result: Result, day: Day) -> dict[str, object]:
    shares = {"offload": day.offload, "offload_after_fill": day.offload_after_fill, "churn": result.churn(day)}
    return msgspec.to_builtins(day) | shares  # type: ignore[no-any-return]
