"""The working set of one steering service and the questions it answers, without a word of HTTP.

Everything a player asks is answered from memory: the fleet, the sites, the catalog. What an operator may change while
it runs (sites, geography, proxies) is swapped whole, so that a question never sees half of a change.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from config.steering import SteeringSettings
from encoder.manifests import Pathway
from oca.report import Answer, Report
from steering.catalog import Catalog, Title
from steering.clients import TrustedProxies
from steering.errors import NotReady, TitleUnknown
from steering.fleet import ORIGIN, Fleet
from steering.geography import Geography
from steering.nearby import nearby
from steering.pathways import UNKNOWN_SESSION_TTL_FACTOR
from steering.ranking import Client, Content, Decision, rank
from steering.sessions import Session, seal, unseal
from steering.sites import Sites

# What a session that cannot be read may be told of: its manifest may list anybody, but none lists more.
_MOST_FOR_UNKNOWN = 32


@dataclass(frozen=True)
class Network:
    """What an operator may change while steering runs."""

    sites: Sites
    geography: Geography
    proxies: TrustedProxies


class Play(NamedTuple):
    """A session that begins: what its manifest is made of."""

    title: Title
    decision: Decision
    pathways: tuple[Pathway, ...]
    token: str


class Poll(NamedTuple):
    """The answer to a poll. `session` is ours, foreign (another key signed it) or unreadable."""

    priority: tuple[str, ...]
    ttl: int
    session: str
    decision: Decision | None = None


def read_network(settings: SteeringSettings) -> Network:
    """Raises SitesError, GeographyError."""
    sites = Sites(settings.sites, settings.default_site)
    proxies = TrustedProxies(settings.trusted_proxies)
    return Network(sites, Geography(settings.geo), proxies)


class Director:
    def __init__(
        self, settings: SteeringSettings, clock: Callable[[], float], epoch: Callable[[], float] = time.time
    ) -> None:
        """`clock` gives seconds and never jumps, `epoch` those since 1970. Raises SitesError, GeographyError."""
        self.network = read_network(settings)
        self.fleet = Fleet(settings.lost_after)
        self.catalog = Catalog(settings.origin)
        self._origin = settings.origin.rstrip("/")
        self._most = settings.pathways
        self._ttl = settings.ttl
        self._key = settings.session_key.encode() or secrets.token_bytes(32)
        self._clock, self._epoch = clock, epoch
        # By then every appliance that lives has reported, or is lost.
        self._old_enough_at = clock() + settings.lost_after

    def take(self, report: Report) -> Answer:
        """Raises NameInUse, MessageError."""
        return self.fleet.take(report, self._clock())

    def title(self, title: str) -> Title:
        """Raises TitleUnknown, also while it may not be played, or NotReady while nobody can say what is known."""
        try:
            known = self.catalog.titles[title]
        except KeyError:
            if not self.catalog.is_known:
                raise NotReady(f"the catalog is not known yet: {self.catalog.trouble}") from None
            raise TitleUnknown(f"no title {title!r} in the catalog") from None
        if not known.is_available(self._epoch()):
            since = known.entry.available_from or "the beginning"
            until = known.entry.available_until or "the end"
            raise TitleUnknown(f"title {title!r} is available from {since} to {until} only")
        return known

    def titles(self) -> list[Title]:
        """Those that may be played now."""
        now = self._epoch()
        return [title for title in self.catalog.titles.values() if title.is_available(now)]

    def play(self, title: str, address: str, session_id: str, now_epoch: int) -> Play:
        """Begins a session and reserves its bitrate. Raises TitleUnknown, NotReady."""
        known = self.title(title)
        decision = self.decide(known, address, session_id)
        if decision.first.name != ORIGIN:
            self.fleet.admit(decision.first.name, known.nominal_bps, self._clock())
        urls = {candidate.name: candidate.url for candidate in decision.candidates}
        folder = f"/v1/{title}/{known.entry.package}/"
        pathways = tuple(Pathway(name, urls[name] + folder) for name in decision.listed)
        appliances = tuple(name for name in decision.listed if name != ORIGIN)
        session = Session(session_id, title, known.entry.package, decision.placement.site, appliances, now_epoch)
        return Play(known, decision, pathways, seal(session, self._key))

    def decide(self, title: Title, address: str, session_id: str) -> Decision:
        """What a session that began now would be told."""
        content = Content(title.entry.title, title.entry.package, title.files)
        return self._rank(Client(address, session_id), content, most=self._most)

    def poll(self, token: str, address: str, using: tuple[str, ...]) -> Poll:
        """Whom a session should ask now. Never fails: what cannot be read is answered by the address alone."""
        opened = unseal(token, self._key)
        if opened is None:
            decision = self._rank(Client(address, ""), Content("", "", frozenset()), most=_MOST_FOR_UNKNOWN)
            return Poll(decision.priority, self._ttl * UNKNOWN_SESSION_TTL_FACTOR, "unreadable", decision)
        session = opened.session
        client, content = self._follow(session, address, using)
        # Only what the session was told of: a poll costs the same in a fleet of three and of three thousand.
        decision = self._rank(client, content, most=self._most, session_site=session.site, among=session.pathways)
        return Poll(decision.priority, self._ttl, "ours" if opened.is_ours else "foreign", decision)

    def explain_session(self, token: str, address: str) -> Decision | None:
        """The decision for a session under way, or None if its token cannot be read."""
        opened = unseal(token, self._key)
        if opened is None:
            return None
        client, content = self._follow(opened.session, address, ())
        return self._rank(client, content, most=self._most, session_site=opened.session.site)

    def fleet_report(self, *, with_held: bool = True) -> dict[str, Any]:
        """The last report of each appliance, its health and age, and the sites."""
        now, known = self._clock(), self.fleet.known()
        return {
            "appliances": [
                {
                    "report": _with_held(known[seen.name].report, dict(seen.held) if with_held else None),
                    "health": seen.health.value,
                    "reason": seen.reason,
                    "age_s": round(now - known[seen.name].heard_at, 3),
                }
                for seen in self.fleet.seen(now).values()
            ],
            "sites": [
                {
                    "name": site.name,
                    "isp": site.isp,
                    "prefixes": list(site.prefixes),
                    "latitude": site.latitude,
                    "longitude": site.longitude,
                }
                for site in self.network.sites.declared
            ],
        }

    def _follow(self, session: Session, address: str, using: tuple[str, ...]) -> tuple[Client, Content]:
        title = self.catalog.titles.get(session.title)
        is_current = title is not None and title.entry.package == session.package
        files = title.files if title is not None and is_current else frozenset[str]()
        client = Client(address, session.id, session.pathways, using)
        return client, Content(session.title, session.package, files)

    def _rank(
        self,
        client: Client,
        content: Content,
        *,
        most: int,
        session_site: str = "",
        among: Iterable[str] | None = None,
    ) -> Decision:
        """Ranks the appliances named in `among`, or those near the client."""
        now, network = self._clock(), self.network
        seen = self.fleet.seen(now)
        placement = network.sites.place(client.address, network.geography, session_site)
        if among is None:
            fleet = nearby(
                placement,
                network.sites.distances,
                lambda site: self.fleet.seen_at(site, now),
                self.fleet.sites(),
                most=most,
                session=client.session,
            )
            told = {appliance.name for appliance in fleet}
            fleet += [seen[name] for name in client.listed if name in seen and name not in told]
        else:
            fleet = [seen[name] for name in among if name in seen]
        return rank(
            client,
            content,
            placement,
            fleet,
            network.sites,
            origin_url=self._origin,
            most=most,
            is_young=now < self._old_enough_at,
        )


def _with_held(report: Report, held: dict[str, tuple[str, ...]] | None) -> Report:
    return msgspec.structs.replace(report, held=held)
