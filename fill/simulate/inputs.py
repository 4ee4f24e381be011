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
from fill.simulate.fleet import Fleet
from fill.simulate.models import Shape, synthetic
from fill.simulate.reading import read
from fill.simulate.source import EVERYWHERE, MOST_A_DAY, Model, Source, bytes_of_peak
from fill.simulate.traces import Trace


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
    if isinstance(source, Model):
        notes += _drawn_thinly(fleet, source)
    catalogue = source.catalogue
    notes.append(f"{len(catalogue.size)} files, {show_bytes(catalogue.total_bytes)}")
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
            notes.append(f"{left_out} sites of the trace are not in the fleet and left out")
    elif len(fleet) > 1 or fleet[0].count > 1:
        notes.append("the trace names no sites: every site of the fleet has all of its requests")
    # The trace's hours are UTC.
    return tuple(replace(site, offset_h=0) for site in fleet), trace


def _drawn_thinly(fleet: Fleet, model: Model) -> list[str]:
    size = model.catalogue.size
    notes = []
    for site in fleet:
        plays = model.of_region(site.region)
        mean = float((plays @ size).sum() / max(1e-9, plays.sum()))
        requests = bytes_of_peak(site.viewers) / mean if mean else 0.0
        if requests > MOST_A_DAY:
            notes.append(f"{site.name}: each simulated request stands for {requests / MOST_A_DAY:.1f}")
    return notes
