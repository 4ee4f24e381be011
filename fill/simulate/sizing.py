"""How large an appliance a new site needs: what each size serves, what filling it costs, what one more TB would bring.

Sizes differ in disk and in what an appliance can serve; how many are needed follows from the viewers at peak. All that
then matters for offload is their disks together, so each sum of disks is simulated once, with our policy.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import ceil

import msgspec

from config.units import show_bytes, show_duration, show_rate
from fill.simulate.fleet import Box, Site
from fill.simulate.outcome import Result
from fill.simulate.replay import Plan, simulate
from fill.simulate.source import Source

TB = 10**12
DISKS = tuple(size * TB for size in (10, 30, 60, 120, 240))
CAPACITIES = tuple(rate * 10**9 for rate in (20, 40, 100))
# Of what an appliance can serve, what is planned for the busiest hour: the rest is for the busiest minutes in it.
USED_AT_PEAK = 0.8
NIGHTS_A_MONTH = 30
# More disk is worth it as long as twice as much of it takes this share of the viewers' bytes off the upstream link.
WORTH = 0.01
_SITE = "new"


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """So many appliances of one size."""

    disk: int  # bytes of each
    capacity: int  # bit/s of each
    appliances: int
    offload: float
    offload_after_fill: float
    peak_upstream_bps: float
    fill_night: float  # bytes, the mean
    fill_hours: float  # that it takes at the fill rate; 0 where there is no limit
    first_fill_nights: float  # that it takes to fill the disks, or what is worth holding, for the first time
    fill_month: float
    next_tb_bps: float  # what one more TB would take off the upstream link, the mean of the day

    @property
    def disks(self) -> int:
        return self.disk * self.appliances


class Sizing(msgspec.Struct, frozen=True, kw_only=True):
    options: tuple[Option, ...]
    recommended: Option
    reasons: tuple[str, ...]


def appliances_needed(viewers: float, capacity: int) -> int:
    return max(1, ceil(viewers / (capacity * USED_AT_PEAK)))


def size(
    source: Source, site: Site, warm_up: int, seed: int = 0, progress: Callable[[float, str], None] | None = None
) -> Sizing:
    """`site` tells everything but its appliances."""
    pairs = [(disk, capacity) for capacity in CAPACITIES for disk in DISKS]
    sums = sorted({disk * appliances_needed(site.viewers, capacity) for disk, capacity in pairs})
    # Twice the largest, so that also the largest knows what more would bring. All that holds everything is alike.
    totals = [*sums, 2 * sums[-1]]
    enough = next((total for total in totals if total * (1 - site.reserve) > 1.05 * source.catalogue.total_bytes), None)
    simulated: dict[int, Result] = {}
    for position, total in enumerate(totals):
        if enough is not None and total > enough:
            simulated[total] = simulated[enough]
            continue
        if progress:
            progress(position / len(totals), f"{total / TB:.0f} TB")
        box = Box(total, max(1, int(site.viewers / USED_AT_PEAK)))
        one = Site(**{**vars(site), "name": _SITE, "boxes": (box,), "count": 1, "rate": 0})
        simulated[total] = simulate(f"{total}", (one,), source, Plan(("ours",), warm_up, seed)).of("ours")
    served = next(iter(simulated.values())).total.served / max(1, len(next(iter(simulated.values())).days))
    curve = sorted((total, result.total.offload_after_fill) for total, result in simulated.items())
    options = []
    for disk, capacity in pairs:
        count = appliances_needed(site.viewers, capacity)
        result = simulated[disk * count]
        night = result.total.fill / max(1, len(result.days))
        rate = site.rate * count
        first = min(disk * count * (1 - site.reserve), source.catalogue.total_bytes)
        options.append(
            Option(
                disk=disk,
                capacity=capacity,
                appliances=count,
                offload=result.total.offload,
                offload_after_fill=result.total.offload_after_fill,
                peak_upstream_bps=result.total.peak_bps,
                fill_night=night,
                fill_hours=night * 8 / rate / 3600 if rate else 0.0,
                first_fill_nights=first * 8 / rate / 3600 / site.window_h if rate else 0.0,
                fill_month=night * NIGHTS_A_MONTH,
                next_tb_bps=_slope(curve, disk * count) * TB * served * 8 / 86400,
            )
        )
    return _recommend(tuple(options), site, served, dict(curve), source.catalogue.total_bytes)


def _slope(curve: Sequence[tuple[int, float]], total: int) -> float:
    """Offload for each further byte, up to the next size."""
    position = next(number for number, (size_, _) in enumerate(curve) if size_ == total)
    (here, offload), (there, more) = curve[position], curve[position + 1]
    return max(0.0, more - offload) / (there - here)


def _recommend(
    options: tuple[Option, ...], site: Site, served: float, curve: dict[int, float], catalogue: int
) -> Sizing:
    """Of the fewest appliances: the smallest disks, twice of which would not bring WORTH more."""
    fewest = min(option.appliances for option in options)
    ranked = sorted((o for o in options if o.appliances == fewest), key=lambda o: (o.capacity, o.disk))
    ranked = [option for option in ranked if option.capacity == ranked[0].capacity]
    mean = served * 8 / 86400

    def doubling(option: Option) -> float:
        return option.next_tb_bps * option.disks / TB / mean if mean else 0.0

    chosen = next((option for option in ranked if doubling(option) < WORTH), ranked[-1])
    smaller = [option for option in ranked if option.disk < chosen.disk]
    return Sizing(
        options=options,
        recommended=chosen,
        reasons=(
            *_what(chosen, site),
            *_disk(chosen, curve[smaller[-1].disks] if smaller else None, smaller, doubling(chosen), catalogue),
            _loss(chosen, site),
        ),
    )


def _what(chosen: Option, site: Site) -> list[str]:
    many = chosen.appliances > 1
    night = f"Fill brings {show_bytes(chosen.fill_night)} a night and {show_bytes(chosen.fill_month)} a month"
    if chosen.fill_hours:
        first = "less than a night" if chosen.first_fill_nights < 1 else f"{chosen.first_fill_nights:.1f} nights"
        night += (
            f": {show_duration(chosen.fill_hours * 3600)} of each window of {show_duration(site.window_h * 3600)}. "
            f"The first fill takes {first}"
        )
    return [
        f"Recommended: {chosen.appliances} appliance{'s' if many else ''} of {chosen.disk / TB:.0f} TB and "
        f"{show_rate(chosen.capacity)}{' each' if many else ''}.",
        f"Viewers take {show_rate(site.viewers)} in the busiest hour, {site.viewers / _serves(chosen):.0%} of what "
        f"{'they' if many else 'it'} can serve; {USED_AT_PEAK:.0%} at most are planned.",
        f"{'They serve' if many else 'It serves'} {chosen.offload:.1%} of all bytes, or "
        f"{chosen.offload_after_fill:.1%} less what is filled; {show_rate(chosen.peak_upstream_bps)} stay on the "
        "upstream link at peak.",
        f"{night}.",
    ]


def _disk(
    chosen: Option, less: float | None, smaller: Sequence[Option], doubled: float, catalogue: int
) -> Iterator[str]:
    if less is not None:
        yield (
            f"With {smaller[-1].disk / TB:.0f} TB it would be {less:.1%} less fill: the larger disks are worth "
            f"{chosen.offload_after_fill - less:.1%} of all bytes."
        )
    if chosen.disks >= catalogue:
        yield f"All files are {show_bytes(catalogue)}: more disk would serve nothing more."
    elif doubled < WORTH:
        yield f"Twice the disk would bring {doubled:.1%} of all bytes, less than the {WORTH:.0%} taken as worth it."
    else:
        yield (
            f"Twice the disk would bring {doubled:.1%} of all bytes more, but no larger one was tried: take more "
            "appliances."
        )


def _loss(chosen: Option, site: Site) -> str:
    if chosen.appliances == 1:
        return "If it fails, everything comes from upstream: where that must not be, take one more."
    others = (chosen.appliances - 1) * chosen.capacity / max(1.0, site.viewers)
    if others >= 1:
        return "If one fails, the others can serve the whole peak."
    return f"If one fails, the others can serve {others:.0%} of the peak: where that must not be, take one more."


def _serves(option: Option) -> int:
    return option.appliances * option.capacity
