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
from functools import partial
from typing import Any, NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from config.errors import ConfigError
from config.fill import FillSettings
from config.progress import Reporter
from config.units import show_bytes
from fill.errors import FeedError, FillError, PlanError
from fill.fleet import FleetClient
from fill.forecast.expected import Forecast
from fill.forecast.today import corrected
from fill.forecast.within import Rule
from fill.names import FileName
from fill.planner.due import Due, Key, Site, Standing, due
from fill.planner.evening import keep_forecasts
from fill.planner.inputs import Inputs, forecasts_of, gather, knows_held, night_of, read_histories
from fill.planner.keys import read_private
from fill.planner.plan import LOST_FOR_S, Plan, plan
from fill.planner.shrunk import BELIEVED_AFTER_S, lost_titles
from fill.planner.spent import Spendings
from fill.planner.store import newest_version, planned_appliances, publish, read_published
from fill.transfer.window import opening
from origin.errors import StorageError
from origin.storage import Storage, open_storage
from origin.together import for_each

# A film is uploaded within this time, which begins when it is said to be published; and so much may clocks differ.
_UPLOAD_S = 6 * 3600.0
# News that no plan had room for are looked at again after this: they may have risen further.
_CONSIDERED_FOR_S = 3600.0
# Clocks differ by a little; and a night is planned no more than a day before it begins.
_JITTER_S, _NIGHT_AHEAD_S = 300.0, 86400.0
_READ_AT_ONCE = 16
_NOTHING_DUE = Due(frozenset(), frozenset(), {})

logger = logging.getLogger(__name__)


class Looked(NamedTuple):
    """What one look led to."""

    due: Due
    published: int  # plans
    files: int  # to be fetched by them
    bytes: int
    doubt: str = ""  # why nothing is planned, whatever is due

    def as_json(self) -> dict[str, Any]:
        return {
            "nightly": sorted(self.due.nightly),
            "anew": sorted(self.due.anew),
            "by_day": sorted(self.due.by_day),
            "plans": self.published,
            "files": self.files,
            "bytes": self.bytes,
            "doubt": self.doubt,
        }

    def sentence(self) -> str:
        if self.doubt:
            return f"Nothing is planned: {self.doubt}."
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
        self._plans: dict[str, Plan] = {}  # as they are in storage, by appliance
        self._versions: dict[str, int] = {}  # of the plans that were read, also of those that are no good
        self._own: dict[str, int] = {}  # of those that were published here
        self._is_started = False
        self._spendings = Spendings()
        self._base: dict[str, Forecast] = {}  # of the last night, by region
        self._based_on: tuple[object, ...] = ()
        self._considered: dict[str, tuple[float, frozenset[Key]]] = {}  # news that a plan was made of, by site
        self._doubted_since: float | None = None
        self._troubles: dict[str, str] = {}

    async def run(self, every: float) -> None:
        """Until it is cancelled. Troubles are logged, each once until it changes."""
        while True:
            try:
                await self.look()
                self._note("nothing is planned")
            except (ConfigError, FillError, StorageError) as error:
                self._note("nothing is planned", str(error))
            except Exception:  # a fault of ours in one look must not end all the nights after it
                logger.exception("nothing is planned")
            await asyncio.sleep(every)

    async def look(self) -> Looked:
        """Plans what is due now. Raises ConfigError, FillError, StorageError."""
        await self._take_in()
        now = self._clock()
        inputs = await gather(self._settings, self._storage, self._client, now, self._spendings)
        self._note("titles cannot be planned", "; ".join(inputs.unreadable.values()))
        if doubt := self._doubt(inputs):
            return Looked(_NOTHING_DUE, 0, 0, 0, doubt)
        await self._read_plans(inputs)
        nights = await asyncio.to_thread(self._nights, inputs.regions, now)
        today = await asyncio.to_thread(self._today, inputs, nights, now)
        news = {site: self._news(site, inputs, today) for site in inputs.sites}
        standings = {site: self._standing(site, inputs) for site in inputs.sites}
        found = due(standings, news, self._considered_lately(now))
        if not found:
            return Looked(found, 0, 0, 0)
        plans, made = await asyncio.to_thread(self._plan, inputs, found, today, now)
        published = await publish(self._storage, plans, self._key)
        self._own |= {one.appliance: one.version for one in published}
        # Only then: a night is planned when its plans are there.
        await asyncio.to_thread(keep_forecasts, self._settings, made, inputs, plans)
        for site in found.nightly | found.anew | found.by_day.keys():
            self._considered[site] = now, news[site]
        fetched = [line.size for one in plans.values() for line in one.fetches]
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
            self._note("logs are not taken in", str(error))
            return
        self._note("logs are not taken in")
        self._note("logs cannot be read", "; ".join(taken.unreadable))

    def _doubt(self, inputs: Inputs) -> str:
        """What the catalog lacks of what is held, while that cannot be believed yet; else nothing."""
        lost = sorted(lost_titles(*inputs.held_and_offered))
        if not lost:
            self._doubted_since = None
        elif self._doubted_since is None:
            self._doubted_since = inputs.now
        doubt = ""
        if self._doubted_since is not None and inputs.now < self._doubted_since + BELIEVED_AFTER_S:
            doubt = (
                f"{len(lost)} titles that appliances hold are not in the catalog any more ({', '.join(lost[:3])}); "
                "that is believed after an hour, or by `nearcast fill plan --accept-drops`"
            )
        self._note("nothing is planned: the catalog has shrunk", doubt)
        return doubt

    async def _read_plans(self, inputs: Inputs) -> None:
        """Those that others have published since, too; what cannot be read is as if it were not there."""
        keys = [self._key.public_key()] if self._key else []
        names = {seen.report.name for seen in inputs.appliances} | self._plans.keys() | self._own.keys()
        if not self._is_started:
            names |= set(await planned_appliances(self._storage))
        self._is_started = True

        async def read_one(name: str) -> None:
            try:
                version = await newest_version(self._storage, name, keys)
                if version == self._versions.get(name):
                    return
                self._versions[name] = version
                self._plans.pop(name, None)
                if version:
                    self._plans[name] = await read_published(self._storage, name, keys)
                    if version != self._own.get(name):  # somebody else planned: what was told here may be gone
                        self._considered.pop(self._plans[name].site, None)
                self._note(f"the plan of {name} is made anew")
            except PlanError as error:
                self._plans.pop(name, None)
                self._note(f"the plan of {name} is made anew", str(error))

        await for_each(sorted(names), read_one, at_once=_READ_AT_ONCE)
        ahead = [
            one for one in self._plans.values() if max(one.made_at, one.night - _NIGHT_AHEAD_S) > inputs.now + _JITTER_S
        ]
        for one in ahead:
            del self._plans[one.appliance]
            self._note(f"the plan of {one.appliance} is made anew", "it is of a time to come: some clock was ahead")

    def _nights(self, regions: Iterable[str], now: float) -> dict[str, float]:
        """When each region's last forecast was made."""
        from fill.feed.today import planned_at

        made = {region: planned_at(self._settings.events, region, now) for region in regions}
        return {region: moment for region, moment in made.items() if moment is not None}

    def _today(self, inputs: Inputs, nights: Mapping[str, float], now: float) -> dict[str, _Today]:
        """Of the regions that have a forecast."""
        from fill.feed.today import came_since, next_hour

        packages = {offer.package.title: offer for offer in inputs.offers}
        begins = {title: max(offer.published_at, inputs.policy.release(title).at) for title, offer in packages.items()}
        self._look_back(inputs, nights)
        found = {}
        for region in nights:
            base = self._base[region]
            since = next_hour(base.made_at)
            came = came_since(self._settings.events, region, since, now) if since < now else {}
            made, risen = corrected(base, came, inputs.sizes, since, max(since, now), Rule(), begins)
            new = {
                FileName(offer.package.title, file.name)
                for offer in inputs.offers
                if offer.published_at > base.made_at - _UPLOAD_S
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
        for moment in set(nights.values()):
            histories, _ = read_histories(self._settings, inputs.appliances, sorted(nights), moment)
            regions = [region for region, made_at in nights.items() if made_at == moment]
            self._base |= forecasts_of(inputs, histories, moment, regions, learns=False)
        self._based_on = based_on

    def _news(self, site: str, inputs: Inputs, today: Mapping[str, _Today]) -> frozenset[Key]:
        """What nobody at the site holds yet."""
        region = inputs.sites[site].region
        if region not in today:
            return frozenset()
        members = [seen for seen in inputs.appliances if seen.report.site == site]
        return frozenset(key for key in today[region].news if not any(seen.holds(*key) for seen in members))

    def _considered_lately(self, now: float) -> dict[str, frozenset[Key]]:
        return {site: news for site, (at, news) in self._considered.items() if now - at < _CONSIDERED_FOR_S}

    def _standing(self, site: str, inputs: Inputs) -> Standing:
        window, now = inputs.windows[site], inputs.now
        members = [seen for seen in inputs.appliances if seen.report.site == site and seen.age_s < LOST_FOR_S]
        names = {seen.report.name for seen in members}
        plans = [self._plans[name] for name in names if name in self._plans]
        lacking = any(
            one.site == site and one.appliance not in names and now - one.made_at < LOST_FOR_S
            for one in self._plans.values()
        )
        is_new = not plans and not lacking
        if any(not knows_held(seen) for seen in members):
            lacking = True
        may_hold = partial(inputs.may_hold, inputs.sites[site].region)
        lines = [line for made in plans for line in (*made.keeps, *made.fetches)]
        return Standing(
            now=now,
            opens_at=opening(window, now, self._settings.plan_ahead),
            night=min((made.night for made in plans), default=0.0),
            planned=frozenset(line.key for line in lines),
            members=Site.LACKING if lacking else Site.NEW if is_new else Site.COMPLETE,
            has_joined=len(plans) < len(names),
            is_stale=any(
                not may_hold(line.title, line.package)
                or line.not_before != max(0.0, inputs.policy.release(line.title).at)
                for line in lines
            )
            or any(not may_hold(*key.split("/", 1)) for seen in members for key in seen.report.held or {}),
        )

    def _plan(
        self, inputs: Inputs, found: Due, today: Mapping[str, _Today], now: float
    ) -> tuple[dict[str, Plan], dict[str, Forecast]]:
        """Plans of a night, and of other sites where one of them says something new; and the night's forecasts."""
        sites = found.nightly | found.anew | found.by_day.keys()
        regions = {inputs.sites[site].region for site in found.nightly}
        regions |= {inputs.sites[site].region for site in sites} - today.keys()
        made: dict[str, Forecast] = {}
        if regions:
            histories, _ = read_histories(self._settings, inputs.appliances, inputs.regions, now)
            made = forecasts_of(inputs, histories, now, sorted(regions), learns=True)
        plans = plan(
            inputs.offers,
            {**{region: one.forecast for region, one in today.items()}, **made},
            inputs.readable([seen for seen in inputs.appliances if seen.report.site in sites]),
            inputs.policy,
            inputs.sites,
            now,
            self._settings.copies,
            found.by_day,
        )
        plans = {name: self._of_night(one, found, inputs, now) for name, one in plans.items()}
        said = {one.site for name, one in plans.items() if self._says_more(one, self._plans.get(name), inputs)}
        told = {name: one for name, one in plans.items() if one.site in said | found.nightly}
        return told, made

    def _of_night(self, made: Plan, found: Due, inputs: Inputs, now: float) -> Plan:
        """The plan, with the night that its site was planned for last."""
        before = self._plans.get(made.appliance)
        if made.site in found.nightly or before is None:
            night = night_of(inputs.windows[made.site], now, self._settings.plan_ahead)
        else:
            night = before.night
        return msgspec.structs.replace(made, night=night)

    def _says_more(self, made: Plan, before: Plan | None, inputs: Inputs) -> bool:
        """Whether it has work that the plan before has not, or takes back what may not be done any more."""
        if before is None or _work(made) - _work(before):
            return True
        region = inputs.sites[made.site].region
        fetched = {line.key for line in made.fetches}
        if any(
            line.key not in fetched and not inputs.may_hold(region, line.title, line.package) for line in before.fetches
        ):
            return True
        moments = {line.key: line.not_before for line in (*before.keeps, *before.fetches)}
        return any(moments.get(line.key, line.not_before) != line.not_before for line in (*made.keeps, *made.fetches))

    def _note(self, what: str, trouble: str = "") -> None:
        """Logs a trouble once until it changes; without one, it is over."""
        if trouble and self._troubles.get(what) != trouble:
            logger.warning(what, extra={"reason": trouble})
        self._troubles[what] = trouble


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
