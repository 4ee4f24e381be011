"""What a simulation is run on, put together from what was asked for: source, fleet, and how many days only teach.

Raises what the readers raise: ConfigError for a fleet, TraceError for a trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from config.errors import ConfigError, Problem
from config.units import show_bytes
from fill.simulate.alike import group
from fill.simulate.fleet import Fleet
from fill.simulate.models import Shape, synthetic
from fill.simulate.reading import read
from fill.simulate.replay import MOST_KINDS
from fill.simulate.source import EVERYWHERE, MOST_OF_FILE, Model, Source
from fill.simulate.thinning import thin
from fill.simulate.traces import Trace

# Files x days x kinds of sites that are simulated at most: a minute's work of two cores. Where the catalogue is larger,
# some of its titles stand for all; but not fewer files than caches need: of 20,000 files
# a sample of 1,200 made S3-FIFO and SIEVE look 3 % worse than they are on small disks.
MOST_WORK = 10_000_000
LEAST_FILES = 3000
_MOST_NOTES = 5


class Inputs(NamedTuple):
    source: Source
    fleet: Fleet
    warm_up: int
    notes: tuple[str, ...]


def gather(
    fleet: Fleet, where: str, traces: Sequence[Path], shape: Shape, days: int, warm_up: int, seed: int
) -> Inputs:
    """`where` the fleet was read from. Of a trace with fewer days than are asked for, half at most only teach."""
    notes: list[str] = []
    regions = sorted({site.region for site in fleet})
    source: Model | Trace
    if traces:
        source, found = read(traces, regions, days + warm_up, seed)
        notes += found
    else:
        source = synthetic(shape, days + warm_up, regions, seed)
    if isinstance(source, Trace):
        fleet, source = _replayed(fleet, source, seed, notes)
    elif not all(site.viewers for site in fleet):
        raise ConfigError(
            [Problem(where, "viewers", "nothing", "a rate for each site: only a trace of requests tells")]
        )
    if source.days < days + warm_up:
        warm_up = min(warm_up, source.days // 2)
        notes.append(f"only {source.days} days are there: {warm_up} of them teach, {source.days - warm_up} count")
    catalogue = source.catalogue
    notes.append(f"{len(catalogue.size)} files, {show_bytes(catalogue.total_bytes)}")
    source = _simplified(fleet, source, seed, notes)
    if isinstance(source, Model):
        notes += _drawn_thinly(fleet, source)
    return Inputs(source, fleet, warm_up, tuple(notes))


def _replayed(fleet: Fleet, trace: Trace, seed: int, notes: list[str]) -> tuple[Fleet, Model | Trace]:
    if all(site.viewers for site in fleet):
        notes.append("requests are drawn from the popularity that the trace shows, for the viewers of each site")
        return fleet, trace.as_model(seed)
    named = {site.name for site in fleet}
    if trace.sites:
        missing = sorted(named - set(trace.sites))
        if missing and EVERYWHERE not in trace.by_site:
            expected = f"`viewers`, or one of the trace's sites: {', '.join(trace.sites[:20])}"
            raise ConfigError([Problem("fleet", "sites", ", ".join(missing), expected)])
        left_out = len(set(trace.sites) - named)
        if left_out:
            notes.append(f"sites of the trace that are not in the fleet and left out: {left_out}")
    elif len(fleet) > 1 or fleet[0].count > 1:
        notes.append("the trace names no sites: every site of the fleet has all of its requests")
    # The trace's hours are UTC.
    return tuple(replace(site, offset_h=0) for site in fleet), trace


def _simplified(fleet: Fleet, source: Model | Trace, seed: int, notes: list[str]) -> Model | Trace:
    """As many titles as can be simulated at as many kinds of sites."""
    grouped = group(fleet, MOST_KINDS)
    if len(grouped.kinds) < len(fleet):
        notes.append(
            f"{len(fleet)} kinds of sites are simulated as {len(grouped.kinds)}: those of one region count as one "
            f"whose viewers and disks are within a factor of {grouped.within:.2f}"
        )
    most = max(LEAST_FILES, MOST_WORK // (len(grouped.kinds) * source.days))
    if len(source.catalogue.size) <= most:
        return source
    thinner = thin(source, most, seed)
    notes.append(f"{len(thinner.catalogue.size)} of the files are simulated: each title stands for its neighbours too")
    return thinner


def _drawn_thinly(fleet: Fleet, model: Model) -> list[str]:
    """Of a file watched more often than MOST_OF_FILE nothing is lost by that, and nothing said."""
    notes = []
    for site in fleet:
        plays = model.of_region(site.region).mean(axis=0) * model.scale(site.region, site.viewers)
        most = model.most_of_file(plays)
        if most < MOST_OF_FILE:
            notes.append(f"{site.name}: of each file {most:.0f} requests a day are simulated at most")
    if len(notes) > _MOST_NOTES:
        return [*notes[:_MOST_NOTES], f"and so at {len(notes) - _MOST_NOTES} sites more"]
    return notes
