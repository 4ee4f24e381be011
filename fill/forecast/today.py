"""The forecast after part of its day: what it expected as a prior, corrected by what was watched since.

    plays a day = (kappa x expected + came) / (kappa + elapsed)

as in fill/forecast/within.py, file by file. `elapsed` is the share of a day's demand that was to be expected by now,
not of the clock: the hours before breakfast say little of an evening.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import sqrt
from typing import NamedTuple

from fill.forecast.expected import Expected, Forecast
from fill.forecast.within import Rule
from fill.names import FileName

_HOUR_S = 3600.0
_NOTHING = Expected(0.0, "not expected at all")


class Came(NamedTuple):
    """What was watched of a file since its forecast was made."""

    bytes: float
    sessions: int


class Today(NamedTuple):
    """`risen` are the files that are watched more than was expected, by enough sessions to act on."""

    forecast: Forecast
    risen: frozenset[FileName]


def elapsed_share(forecast: Forecast, now: float) -> float:
    """Of the day's demand, what was to be expected between the forecast and `now`; more than 1 after a day."""
    hours = max(0.0, (now - forecast.made_at) / _HOUR_S)
    days, rest = divmod(hours, len(forecast.hours))
    whole = int(rest)
    begun = float(forecast.hours[whole]) * (rest - whole)
    return days + float(forecast.hours[:whole].sum()) + begun


def corrected(
    forecast: Forecast,
    came: Mapping[FileName, Came],
    sizes: Mapping[FileName, int],
    since: float,
    now: float,
    rule: Rule,
    begins: Mapping[str, float] | None = None,
) -> Today:
    """The forecast as it should be at `now`, with what came from `since` on (not before it was made).

    Files of which no size is known are passed over. `begins` tells when titles could be watched first, where that is
    not long ago: what nobody could watch, nobody did.
    """
    spans: dict[str, float] = {}

    def elapsed_of(title: str) -> float:
        if title not in spans:
            first = min(now, max(since, (begins or {}).get(title, since)))
            spans[title] = elapsed_share(forecast, now) - elapsed_share(forecast, first)
        return spans[title]

    expected: dict[FileName, Expected] = {}
    risen = set()
    for name in forecast.expected.keys() | came.keys():
        before, seen = forecast.expected.get(name, _NOTHING), came.get(name, Came(0.0, 0))
        if not sizes.get(name):
            continue
        elapsed = elapsed_of(name.title)
        span = rule.kappa + elapsed
        count = max(0.0, seen.bytes) / sizes[name]
        plays = (rule.kappa * before.plays + count) / span if span else before.plays
        reason = f"watched {count:.2g} times since the plan, {before.plays * elapsed:.2g} expected; {before.reason}"
        # The gamma distribution's standard deviation: as many plays as were counted or stand for the forecast.
        error = sqrt(max(0.0, rule.kappa * before.plays + count)) / span if span else before.error
        expected[name] = Expected(plays, reason if count else before.reason, error)
        if seen.sessions >= rule.admit_at and plays > rule.margin * before.plays:
            risen.add(name)
    return Today(replace(forecast, expected=expected, model=f"{forecast.model}, corrected"), frozenset(risen))
