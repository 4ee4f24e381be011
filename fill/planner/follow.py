"""Plans as long as it runs: takes in what was watched, and plans each site whenever one is due (due.py).

    logs -> events -> what came since the night's forecast -> news by site -> plans of sites that are due -> published

All that it knows is kept elsewhere (events, forecasts, published plans), so it may be killed and started at any moment.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from config.errors import ConfigError
from config.fill import FillSettings
from config.progress import Reporter
from config.units import show_bytes
from fill.appliances import Seen
from fill.errors import FeedError, FillError, NoPlan, PlanError
from fill.fleet import FleetClient
from fill.forecast.expected import Forecast
from fill.forecast.today import corrected
from fill.forecast.within import Rule
from fill.names import FileName
from fill.planner.due import Due, Key, Standing, due
from fill.planner.evening import keep_forecasts
from fill.planner.inputs import Inputs, forecasts_of, gather, read_histories
from fill.planner.keys import read_private
from fill.planner.plan import LOST_FOR_S, Plan, plan
from fill.planner.store import publish, read_published
from fill.transfer.window import opening
from origin.errors import StorageError
from origin.storage import Storage, open_storage

logger = logging.getLogger(__name__)


class Looked(NamedTuple):
    """What one look led to."""

    due: Due
    published: int  # plans
    files: int  # to be fetched by them
    bytes: int

    def as_json(self) -> dict[str, Any]:
        return {
            "nightly": sorted(self.due.nightly),
            "anew": sorted(self.due.anew),
            "by_day": sorted(self.due.by_day),
            "plans": self.published,
            "files": self.files,
            "bytes": self.bytes,
        }

    def sentence(self) -> str:
        if not self.published:
            return "Nothing is to be planned now."
        kinds = {"for the night": self.due.nightly, "anew": self.due.anew, "within the day": self.due.by_day}
        sites = "; ".join(f"{kind}: {', '.join(sorted(names))}" for kind, names in kinds.items() if names)
        return f"{self.published} plans, {self.files} files to fetch ({show_bytes(self.bytes)}); sites {sites}"


@dataclass(frozen=True)
class _Today:
    """A region's demand as it is known now: its night's forecast, corrected; and what is news of it."""

    forecast: Forecast
    news: frozenset[Key]


class Follower:
    def __init__(
        self,
        settings: FillSettings,
        storage: Storage,
        client: FleetClient,
        key: Ed25519PrivateKey | None,
        reporter: Reporter,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`settings.events` must be set."""
        self._settings, self._storage, self._client, self._key = settings, storage, client, key
        self._reporter, self._clock = reporter, clock
        self._plans: dict[str, Plan] = {}  # as published last, by appliance
        self._base: dict[str, Forecast] = {}  # of the last night, by region
        self._based_on: tuple[object, ...] = ()
        self._trouble = ""

    async def run(self, every: float) -> None:
        """Until it is cancelled. Troubles are logged, each once until it changes."""
        while True:
            try:
                await self.look()
                self._trouble = ""
            except (ConfigError, FillError, StorageError) as error:
                self._note("nothing is planned", error)
            await asyncio.sleep(every)

    async def look(self) -> Looked:
        """Plans what is due now. Raises ConfigError, FillError, StorageError."""
        await self._take_in()
        now = self._clock()
        inputs = await gather(self._settings, self._storage, self._client, now)
        await self._read_plans(inputs.appliances)
        nights = await asyncio.to_thread(self._nights, inputs.regions)
        today = await asyncio.to_thread(self._today, inputs, nights, now)
        standings = {site: self._standing(site, inputs, nights) for site in inputs.sites}
        news = {
            site: today[terms.region].news if terms.region in today else frozenset()
            for site, terms in inputs.sites.items()
        }
        found = due(standings, news, self._settings.plan_ahead)
        plans = await asyncio.to_thread(self._plan, inputs, found, today, now) if found else {}
        await publish(self._storage, plans, self._key)
        for name in plans:
            self._plans.pop(name, None)  # they are read back as agents see them
        await self._read_plans(inputs.appliances)
        fetched = [line.size for made in plans.values() for line in made.fetches]
        looked = Looked(found, len(plans), len(fetched), sum(fetched))
        if plans:
            logger.info("plans were published", extra=looked.as_json())
        return looked

    async def _take_in(self) -> None:
        """What cannot be taken in now is the next time; there is planning to do meanwhile."""
        if not self._settings.access_logs:
            return
        from fill.feed.ingest import ingest
        from fill.feed.places import find_sites, places_of
        from fill.feed.store import Store

        try:
            store = Store(self._settings.events)
            sites, _ = await find_sites(self._settings, store)
            taken = await asyncio.to_thread(
                ingest,
                store,
                self._settings.access_logs,
                places_of(self._settings, sites),
                self._clock,
                keep_lines_s=self._settings.keep_lines,
                keep_hours_s=self._settings.keep_hours,
                reporter=self._reporter,
                decision_logs=self._settings.decision_logs,
            )
        except FeedError as error:
            self._note("logs are not taken in", error)
            return
        for sentence in taken.unreadable:
            logger.warning("a log cannot be read", extra={"reason": sentence})

    async def _read_plans(self, appliances: Iterable[Seen]) -> None:
        """Of those whose plan is not known yet; what cannot be read is as if it were not there, and planned anew."""
        keys = [self._key.public_key()] if self._key else []
        for seen in appliances:
            name = seen.report.name
            if name not in self._plans:
                try:
                    self._plans[name] = await read_published(self._storage, name, keys)
                except NoPlan:
                    continue
                except PlanError as error:
                    self._note("a plan is made anew", error)

    def _nights(self, regions: Iterable[str]) -> dict[str, float]:
        """When each region's last forecast was made."""
        from fill.feed.today import planned_at

        made = {region: planned_at(self._settings.events, region) for region in regions}
        return {region: moment for region, moment in made.items() if moment is not None}

    def _today(self, inputs: Inputs, nights: Mapping[str, float], now: float) -> dict[str, _Today]:
        """Of the regions that have a forecast."""
        from fill.feed.today import came_since, next_hour

        packages = {offer.package.title: offer for offer in inputs.offers}
        self._look_back(inputs, nights)
        found = {}
        for region in nights:
            base = self._base[region]
            since = next_hour(base.made_at)
            came = came_since(self._settings.events, region, since, now) if since < now else {}
            made, risen = corrected(base, came, inputs.sizes, since, max(since, now), Rule())
            new = {
                FileName(offer.package.title, file.name)
                for offer in inputs.offers
                if offer.published_at >= base.made_at  # both in whole seconds
                for file in offer.package.files
            }
            news = frozenset((name.title, packages[name.title].package_name, name.file) for name in risen | new)
            found[region] = _Today(made, news)
        return found

    def _look_back(self, inputs: Inputs, nights: Mapping[str, float]) -> None:
        """Makes the nights' forecasts again, of what is in the catalog now."""
        based_on = (tuple(sorted(nights.items())), tuple(sorted(offer.package_name for offer in inputs.offers)))
        if based_on == self._based_on:
            return
        for region, moment in nights.items():
            histories, _ = read_histories(
                self._settings, inputs.appliances, [region, *(nights.keys() - {region})], moment
            )
            self._base[region] = forecasts_of(inputs, histories, moment)[region]
        self._based_on = based_on

    def _standing(self, site: str, inputs: Inputs, nights: Mapping[str, float]) -> Standing:
        region = inputs.sites[site].region
        packages = {f"{offer.package.title}/{offer.package_name}": offer.package.title for offer in inputs.offers}
        members = [seen for seen in inputs.appliances if seen.report.site == site and seen.age_s < LOST_FOR_S]
        plans = [self._plans.get(seen.report.name) for seen in members]
        # A plan by day says nothing of its night: that was when the region's forecast was made.
        planned_at = [
            0.0
            if made is None
            else nights.get(region, 0.0)
            if made.at_once
            else min(made.made_at, nights.get(region, 0.0))
            for made in plans
        ]
        return Standing(
            opens_at=opening(inputs.windows[site], inputs.now, self._settings.plan_ahead),
            planned_at=min(planned_at, default=inputs.now),
            planned=frozenset(line.key for made in plans if made for line in (*made.keeps, *made.fetches)),
            is_stale=any(
                key not in packages or not inputs.policy.may_hold(packages[key], region, inputs.now)
                for seen in members
                for key in seen.report.held or {}
            ),
        )

    def _plan(self, inputs: Inputs, found: Due, today: Mapping[str, _Today], now: float) -> dict[str, Plan]:
        """Plans of a night, and of the others those that say something new."""
        forecasts = {region: one.forecast for region, one in today.items()}
        regions = sorted({inputs.sites[site].region for site in found.nightly})
        fresh: dict[str, Forecast] = {}
        if regions:
            histories, _ = read_histories(self._settings, inputs.appliances, inputs.regions, now)
            made = forecasts_of(inputs, histories, now)
            fresh = {region: made[region] for region in regions}
        sites = found.nightly | found.anew | found.by_day.keys()
        plans = plan(
            inputs.offers,
            {**forecasts, **fresh},
            [seen for seen in inputs.appliances if seen.report.site in sites],
            inputs.policy,
            inputs.sites,
            now,
            self._settings.copies,
            found.by_day,
        )
        keep_forecasts(self._settings, fresh, inputs, plans)
        return {
            name: made
            for name, made in plans.items()
            if made.site in found.nightly or _adds(made, self._plans.get(name))
        }

    def _note(self, what: str, error: Exception) -> None:
        if str(error) != self._trouble:
            logger.warning(what, extra={"reason": str(error)})
        self._trouble = str(error)


def _adds(made: Plan, before: Plan | None) -> bool:
    """Whether it has work that the plan before has not."""
    return before is None or bool(_work(made) - _work(before))


def _work(made: Plan) -> set[tuple[str, Key]]:
    return {("fetch", line.key) for line in made.fetches} | {("drop", line.key) for line in made.drops}


async def follow_once(settings: FillSettings) -> Looked:
    """One look. Raises ConfigError, FillError, StorageError."""
    async with _follower(settings, Reporter(quiet=True)) as follower:
        return await follower.look()


async def serve(settings: FillSettings, every: float) -> None:
    """Until SIGTERM or SIGINT; a look that is under way then is left."""
    async with _follower(settings, Reporter(quiet=True)) as follower:
        work = asyncio.ensure_future(follower.run(every))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, work.cancel)
        with suppress(asyncio.CancelledError):
            await work


@asynccontextmanager
async def _follower(settings: FillSettings, reporter: Reporter) -> AsyncIterator[Follower]:
    key = read_private(settings.plan_key)
    plans = open_storage(settings.plans, s3_endpoint=settings.s3_endpoint)
    async with plans as storage, FleetClient(settings.steering, settings.origin) as client:
        yield Follower(settings, storage, client, key, reporter)
