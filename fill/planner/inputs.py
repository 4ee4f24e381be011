"""Gathers what the planner decides on: what was watched, fleet, catalog, the operator's policy, each site's terms."""

from __future__ import annotations

import asyncio
from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from config.errors import ConfigError, Problem
from config.fill import FillSettings, FillSite
from fill.appliances import Seen
from fill.errors import PlanError
from fill.fleet import FleetClient
from fill.forecast.expected import Forecast
from fill.history import History
from fill.names import FileName, Offer
from fill.planner.terms import SiteTerms
from fill.policy import NO_POLICY, Policy, decode_policy
from fill.transfer.outcome import FOLDER, Outcome, decode_outcome
from fill.transfer.window import Window, closes_at, next_open, parse_window
from origin.errors import NotFound
from origin.storage import Storage


@dataclass(frozen=True)
class Inputs:
    """The network at one moment; what was watched in it is read apart, for it is needed as of other moments too."""

    offers: Sequence[Offer]
    appliances: Sequence[Seen]
    policy: Policy
    sites: Mapping[str, SiteTerms]
    windows: Mapping[str, Window]  # of all sites
    now: float  # seconds since the epoch

    @property
    def regions(self) -> list[str]:
        return sorted({terms.region for terms in self.sites.values()})

    @property
    def rates(self) -> dict[str, int]:
        """What each appliance can serve, bit/s."""
        return {seen.report.name: seen.report.capacity_bps for seen in self.appliances}

    @property
    def sizes(self) -> dict[FileName, int]:
        return {
            FileName(offer.package.title, file.name): file.size for offer in self.offers for file in offer.package.files
        }


async def gather(settings: FillSettings, storage: Storage, client: FleetClient, now: float) -> Inputs:
    """Raises ConfigError, FillError, StorageError."""
    policy = await asyncio.to_thread(read_policy, settings.policy) if settings.policy else NO_POLICY
    windows = windows_of(settings.sites)
    appliances, offers = await asyncio.gather(client.fleet(), client.offers())
    # A title is never published in the future: that is a clock which is ahead.
    offers = [replace(offer, published_at=min(offer.published_at, now)) for offer in offers]
    sites: dict[str, SiteTerms] = {}
    terms_of = {site.name: site for site in settings.sites}
    for name in sorted({seen.report.site for seen in appliances}):
        site = terms_of.get(name)
        if site is None:
            site = FillSite(name=name, window=settings.window, time_zone=settings.time_zone)
            windows[name] = parse_window(site.window, site.time_zone)
        members = {seen.report.name for seen in appliances if seen.report.site == name}
        month = _local(now, windows[name])
        begun = month.replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp()
        spent = await spent_since(storage, members, begun) if site.budget else 0
        sites[name] = make_terms(site, windows[name], settings.region, spent, now)
    return Inputs(offers, appliances, policy.with_catalog(offers), sites, windows, now)


def forecasts_of(inputs: Inputs, histories: Mapping[str, History], now: float) -> dict[str, Forecast]:
    """Each region's; what the others watched helps where a region knows nothing of a title yet."""
    from fill.forecast.daily import forecast

    offers = [replace(offer, published_at=min(offer.published_at, now)) for offer in inputs.offers]
    made = {}
    for region, history in histories.items():
        others = [other for name, other in histories.items() if name != region]
        learnt = _learnt(offers, [history, *others], now)
        made[region] = forecast(offers, history, inputs.policy, now, others, learnt)
    return made


def _learnt(offers: Sequence[Offer], histories: Sequence[History], now: float) -> Mapping[str, float] | None:
    """Boosting's plays of titles, where it is installed and has earned it."""
    from fill.forecast.learned import learned

    try:
        return learned(offers, histories, now)
    except ImportError:
        return None


def read_policy(path: Path) -> Policy:
    """Raises ConfigError."""
    try:
        return decode_policy(str(path), path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(str(path), "file", str(error), "a readable TOML file")]) from error


def windows_of(sites: Iterable[FillSite]) -> dict[str, Window]:
    """Raises ConfigError with every problem."""
    windows: dict[str, Window] = {}
    problems = []
    for position, site in enumerate(sites):
        place = f"fill.sites[{position}]"
        try:
            window = parse_window(site.window, site.time_zone)
        except ConfigError as error:
            problems += [Problem(place, one.key, one.found, one.expected) for one in error.problems]
            continue
        if site.name in windows:
            problems.append(Problem(place, "name", repr(site.name), "each site once"))
        if not 0 <= site.reserve < 1:
            problems.append(Problem(place, "reserve", str(site.reserve), "a share from 0 to less than 1"))
        if site.masters < 1:
            problems.append(Problem(place, "masters", str(site.masters), "at least 1"))
        windows[site.name] = window
    if problems:
        raise ConfigError(problems)
    return windows


def make_terms(site: FillSite, window: Window, region: str, spent: int, now: float) -> SiteTerms:
    """What a site's settings mean for the coming night, with `spent` bytes of the month's budget used up.

    Planned while the window is open, the night is what is left of it.
    """
    opens = next_open(window, now)
    # A window that never opens (None) brings nothing.
    closes = None if opens is None else closes_at(window, opens)
    night = _local(now if opens is None else opens, window)
    return SiteTerms(
        region=site.region or region,
        window_s=closes - opens if opens is not None and closes is not None else 0.0,
        rate_bps=site.rate or None,
        link_bps=site.percentile_95 or None,
        budget_bytes=max(0, site.budget - spent) if site.budget else None,
        nights_left=monthrange(night.year, night.month)[1] - night.day + 1,
        reserve=site.reserve,
        masters=site.masters,
        day_rate_bps=site.day_rate,
    )


async def spent_since(storage: Storage, members: set[str], since: float) -> int:
    """What a site's appliances (by name) fetched from outside it, by the outcomes that their agents left.

    Raises StorageError. An outcome that cannot be read counts as nothing: it is `nearcast fill report` that says so.
    """
    spent = 0
    for name in sorted(members):
        async for stored in storage.list(f"{FOLDER}/{name}/"):
            started = stored.key.rpartition("-")[2].removesuffix(".json")
            if not started.isdigit() or int(started) < since:
                continue
            try:
                outcome = decode_outcome(await storage.read_bytes(stored.key), stored.key)
            except (PlanError, NotFound):
                continue
            spent += _from_outside(outcome, members)
    return spent


def _from_outside(outcome: Outcome, members: set[str]) -> int:
    return sum(size for source, size in outcome.fetched.items() if source not in members)


def _local(now: float, window: Window) -> datetime:
    return datetime.fromtimestamp(now, window.zone)


def read_histories(
    settings: FillSettings,
    appliances: Iterable[Seen],
    regions: Sequence[str],
    now: float,
) -> tuple[dict[str, History], int]:
    """From the events that are kept, if any are; otherwise straight from access logs, and how many those were."""
    # They bring DuckDB, which nothing else of planning needs.
    from fill.feed.logs import find_logs
    from fill.feed.places import places_of
    from fill.feed.reading import history_of_logs, read_history

    if settings.events:
        histories = {region: read_history(settings.events, region, now) for region in regions}
        if any(history.records for history in histories.values()) or not settings.access_logs:
            return histories, 0
    logs = find_logs(settings.access_logs)
    places = places_of(settings, {seen.report.name: seen.report.site for seen in appliances})
    return {region: history_of_logs(logs, region, now, places=places) for region in regions}, len(logs)
