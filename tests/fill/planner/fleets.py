"""Forecasts and plans of small fleets, for the planner's tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fill.appliances import Seen
from fill.forecast.expected import Expected, Forecast
from fill.names import FileName, Offer
from fill.planner.plan import Line, Plan, plan
from fill.planner.terms import NO_TERMS, SiteTerms
from fill.policy import NO_POLICY, Policy
from tests.fill.catalogs import NOW

SIDECARS = {"text-en.vtt", "v480.m3u8", "v720.m3u8", "audio-en.m3u8", "text-en.m3u8", "master.m3u8", "poster.jpg"}


def even(offers: Sequence[Offer], plays: Mapping[str, float], region: str = "default") -> Forecast:
    """Every media file of a title is played as often, all day long."""
    media = {(o.package.title, r.file) for o in offers for r in o.package.renditions if r.kind != "text"}
    expected = {FileName(*key): Expected(plays[key[0]], "a test") for key in media if key[0] in plays}
    return Forecast(region, NOW, "test", expected, np.full(24, 1 / 24))


def make(
    offers: Sequence[Offer],
    plays: Mapping[str, float],
    *seen: Seen,
    copies: int = 1,
    policy: Policy = NO_POLICY,
    terms: SiteTerms = NO_TERMS,
) -> dict[str, Plan]:
    sites = {one.report.site: terms for one in seen}
    return plan(offers, {terms.region: even(offers, plays)}, seen, policy, sites, NOW, copies)


def files(lines: tuple[Line, ...]) -> set[tuple[str, str]]:
    return {(line.title, line.file) for line in lines}
