"""The plans of a whole fleet: each site's cluster on its own, with its region's forecast and its terms.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fill.appliances import Seen
from fill.forecast.expected import Forecast
from fill.history import HOURS_OF_WEEK, flat_rhythm
from fill.names import FileName, Offer
from fill.planner.cluster import decide
from fill.planner.form import FORMAT, WHOLE_PACKAGE, Line, Plan, decode_plan, encode_plan
from fill.planner.terms import NO_TERMS, SiteTerms
from fill.planner.tonight import plan_night
from fill.policy import NO_POLICY, Policy

__all__ = ["FORMAT", "LOST_FOR_S", "WHOLE_PACKAGE", "Line", "Plan", "decode_plan", "encode_plan", "plan"]

# An appliance that is silent for longer is not coming back tonight: its cluster's copies are planned without it.
LOST_FOR_S = 86400.0


def plan(
    offers: Sequence[Offer],
    forecasts: Mapping[str, Forecast],
    appliances: Iterable[Seen],
    policy: Policy = NO_POLICY,
    sites: Mapping[str, SiteTerms] | None = None,
    now: float = 0.0,
    copies: int = 1,
    by_day: Mapping[str, frozenset[FileName]] | None = None,
) -> dict[str, Plan]:
    """A plan for each appliance (by name) that was heard of within a day; `copies` of a file in a cluster at most,
    but for those that load demands. Forecasts are by region, terms by site; a site without any has NO_TERMS.

    `by_day` are the sites that are planned within the day, and the files that may be fetched there at once.
    """
    clusters: dict[str, list[Seen]] = {}
    for seen in appliances:
        if seen.age_s < LOST_FOR_S:
            clusters.setdefault(seen.report.site, []).append(seen)
    plans: dict[str, Plan] = {}
    for site, cluster in sorted(clusters.items()):
        terms = (sites or {}).get(site, NO_TERMS)
        forecast = forecasts.get(terms.region) or _nothing(terms.region, now)
        target = decide(
            offers,
            forecast,
            cluster,
            policy,
            region=terms.region,
            reserve=terms.reserve,
            copies=copies,
            now=now,
        )
        only = (by_day or {}).get(site)
        terms = terms if only is None else terms.by_day()
        plans.update(plan_night(site, target, offers, forecast, policy, terms, now, only))
    return plans


def _nothing(region: str, now: float) -> Forecast:
    """Where no forecast is: nothing new is fetched but what is pinned, and what is held stays."""
    return Forecast(region, now, "none", {}, flat_rhythm()[: HOURS_OF_WEEK // 7] * 7)
