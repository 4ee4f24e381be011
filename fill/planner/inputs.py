"""Gathers what the planner decides on: what was watched, fleet, catalog, the operator's policy, each site's terms."""

from __future__ import annotations

import asyncio
from calendar import monthrange
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path

import msgspec

from config.errors import ConfigError, Problem
from config.fill import FillSettings, FillSite
from fill.appliances import Seen
from fill.fleet import FleetClient
from fill.forecast.expected import Forecast
from fill.history import History
from fill.names import FileName, Offer
from fill.planner.spent import Spendings
from fill.planner.terms import SiteTerms
from fill.policy import NO_POLICY, Policy, decode_policy
from fill.transfer.window import Window, closes_at, last_opening, next_open, opening, parse_window
from oca.report import held_version
from origin.storage import Storage


@dataclass(frozen=True)
class Inputs:
    """The network at one moment; what was watched in it is read apart, for it is needed as of other moments too."""

    offers: Sequence[Offer]
    appliances: Sequence[Seen]
    policy: Policy
    sites: Mapping[str, SiteTerms]
    windows: Mapping[str, Window]  # of all sites
    unreadable: Mapping[str, str]  # titles that the catalog has, and why nothing can be planned of them
    now: float  # seconds since the epoch

    @property
    def regions(self) -> list[str]:
        return sorted({terms.region for terms in self.sites.values()})

    @property
    def held_and_offered(self) -> tuple[set[str], set[str]]:
        """Titles that somebody holds, and those that are in the catalog."""
        held = {key.partition("/")[0] for seen in self.appliances for key in seen.report.held or {}}
        return held, {offer.package.title for offer in self.offers} | self.unreadable.keys()

    @cached_property
    def _packages(self) -> set[tuple[str, str]]:
        return {
            (offer.package.title, name) for offer in self.offers for name in (offer.package_name, *offer.superseded)
        }

    def may_hold(self, region: str, title: str, package: str) -> bool:
        """Whether a site of the region may: what cannot be read is left alone."""
        if title in self.unreadable:
            return True
        return (title, package) in self._packages and self.policy.may_hold(title, region, self.now)

    def readable(self, appliances: Iterable[Seen]) -> list[Seen]:
        """The appliances as a planner is to see them: without what cannot be read, which it would drop."""
        return [_without(seen, self.unreadable) for seen in appliances] if self.unreadable else list(appliances)

    @property
    def rates(self) -> dict[str, int]:
        """What each appliance can serve, bit/s."""
        return {seen.report.name: seen.report.capacity_bps for seen in self.appliances}

    @cached_property
    def sizes(self) -> dict[FileName, int]:
        return {
            FileName(offer.package.title, file.name): file.size for offer in self.offers for file in offer.package.files
        }


async def gather(
    settings: FillSettings, storage: Storage, client: FleetClient, now: float, spendings: Spendings | None = None
) -> Inputs:
    """Raises ConfigError, FillError, StorageError."""
    policy = await asyncio.to_thread(read_policy, settings.policy) if settings.policy else NO_POLICY
    windows = windows_of(settings.sites)
    appliances, offers = await asyncio.gather(client.fleet(), client.offers())
    # A title is never published in the future: that is a clock which is ahead.
    offers = [replace(offer, published_at=min(offer.published_at, now)) for offer in offers]
    terms_of = {site.name: site for site in settings.sites}
    spendings = spendings or Spendings()
    if any(site.budget for site in settings.sites):
        await spendings.read(storage, now)
    sites: dict[str, SiteTerms] = {}
    for name in sorted({seen.report.site for seen in appliances}):
        site = terms_of.get(name)
        if site is None:
            site = FillSite(name=name, window=settings.window, time_zone=settings.time_zone)
            windows[name] = parse_window(site.window, site.time_zone)
        members = {seen.report.name for seen in appliances if seen.report.site == name}
        sites[name] = make_terms(
            site,
            windows[name],
            settings.region,
            partial(spendings.since, name, members),
            now,
            settings.plan_ahead,
        )
    unreadable = {title: str(error) for title, error in client.unreadable.items()}
    return Inputs(offers, appliances, policy.with_catalog(offers), sites, windows, unreadable, now)


def forecasts_of(
    inputs: Inputs, histories: Mapping[str, History], now: float, regions: Iterable[str], *, learns: bool
) -> dict[str, Forecast]:
    """Of these regions; what the others watched helps where a region knows nothing of a title yet.

    `learns`: boosting may have its say, which takes seconds.
    """
    from fill.forecast.daily import forecast

    offers = [replace(offer, published_at=min(offer.published_at, now)) for offer in inputs.offers]
    made = {}
    for region in regions:
        others = [other for name, other in histories.items() if name != region]
        learnt = _learnt(offers, [histories[region], *others], now) if learns else None
        made[region] = forecast(offers, histories[region], inputs.policy, now, others, learnt)
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


def make_terms(
    site: FillSite, window: Window, region: str, spent_since: Callable[[float], int], now: float, ahead: float = 0.0
) -> SiteTerms:
    """What a site's settings mean for the night that is planned at `now`: the one under way, or that which begins
    within `ahead` seconds, or else the next. While its window is open, the night is what is left of it.

    `spent_since` tells the bytes of the site's budget that were used since a moment.
    """
    opens = opening(window, now, ahead) or next_open(window, now)
    begins = now if opens is None else max(now, opens)
    # A window that never opens (None) brings nothing.
    closes = None if opens is None else closes_at(window, begins)
    night = _local(begins, window)
    month = night.replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp()
    return SiteTerms(
        region=site.region or region,
        window_s=closes - begins if closes is not None else 0.0,
        agreed_s=(window.end - window.start) * 60.0,
        rate_bps=site.rate or None,
        link_bps=site.percentile_95 or None,
        budget_bytes=max(0, site.budget - spent_since(month)) if site.budget else None,
        nights_left=monthrange(night.year, night.month)[1] - night.day + 1,
        spent_tonight=spent_since(opens) if site.budget and opens is not None and opens <= now else 0,
        spent_since_night=spent_since(last_opening(window, now)) if site.budget else 0,
        reserve=site.reserve,
        masters=site.masters,
        day_rate_bps=site.day_rate,
    )


def night_of(window: Window, now: float, ahead: float) -> float:
    """The opening that a whole plan made at `now` is for."""
    return opening(window, now, ahead) or last_opening(window, now)


def knows_held(seen: Seen) -> bool:
    """False of an appliance that steering knows only by its name since it was started."""
    return bool(seen.report.held) or seen.report.held_version in ("", held_version({}))


def _without(seen: Seen, titles: Collection[str]) -> Seen:
    held = {key: files for key, files in (seen.report.held or {}).items() if key.partition("/")[0] not in titles}
    return msgspec.structs.replace(seen, report=msgspec.structs.replace(seen.report, held=held))


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
