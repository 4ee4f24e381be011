"""The working set of one steering service and the questions it answers, without a word of HTTP.

Everything a player asks is answered from memory: the fleet, the sites, the catalog. What an operator may change while
it runs (sites, geography, proxies) is swapped whole, so that a question never sees half of a change.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from config.steering import SteeringSettings
from config.structs import Frozen
from encoder.manifests import Pathway
from oca.crowd import number
from oca.report import Answer, Report
from steering.appliances import complaints
from steering.appliances.experience import Experience
from steering.appliances.fleet import ORIGIN, Fleet, Stored
from steering.appliances.hosts import Hosts
from steering.catalog import Catalog, Title
from steering.choice.cdns import Cdns
from steering.choice.cohorts import Cohorts, Policy
from steering.choice.explain import Explained, explain
from steering.choice.ranking import Beyond, Client, Content, Decision, Turn, begin, follow
from steering.errors import NotReady, TitleUnknown
from steering.placement.geography import Geography
from steering.placement.nearby import Nearby
from steering.placement.paths import Paths, network_key
from steering.placement.sites import Placement, Sites
from steering.prefixes.clients import TrustedProxies
from steering.prefixes.lists import read_lists
from steering.prefixes.table_file import TableReader
from steering.recent import Recent
from steering.sessions.access import Access
from steering.sessions.clones import MOST_CLONES, Stand, base_of
from steering.sessions.credentials import read_access
from steering.sessions.pathways import UNKNOWN_SESSION_TTL_FACTOR, Measured
from steering.sessions.session import Session, key_of, seal, unseal

# What a session that cannot be read may be told of: its manifest may list anybody, but none lists more.
_MOST_FOR_UNKNOWN = 32
# Titles of which is remembered what ranking asks of them.
_MOST_CONTENTS = 50_000
_CDN, _SPARED = Turn.CDN, Turn.SPARED
_NO_CONTENT = Content("", "", frozenset())


@dataclass(frozen=True)
class Network:
    """What an operator may change while steering runs, and the routes, which change all the time."""

    sites: Sites
    routes: TableReader | None
    geography: Geography
    proxies: TrustedProxies
    access: Access | None  # None: content is for everybody


class Play(Frozen, frozen=True):
    """A session that begins: what its manifest is made of."""

    title: Title
    decision: Decision
    pathways: tuple[Pathway, ...]
    token: str


class Poll(Frozen, frozen=True):
    """The answer to a poll. `session` is ours, foreign (another key signed it) or unreadable."""

    priority: tuple[str, ...]
    ttl: int
    session: str
    decision: Decision | None = None
    token: str = ""  # where it is not the one that was asked with
    clones: tuple[Stand, ...] = ()  # those of `priority` that its manifest does not list
    bases: tuple[Stand, ...] = ()  # appliances that it does list


def read_network(settings: SteeringSettings, old: Network | None = None) -> Network:
    """`old` is what there was: the table of routes stays open. Raises SitesError, GeographyError, ConfigError."""
    routes = old.routes if old is not None else None
    if settings.routes != (routes.path if routes is not None else None):
        routes = TableReader(settings.routes) if settings.routes is not None else None
    sites = Sites(settings.sites, settings.default_site, read_lists(settings.sites), routes)
    proxies, access = TrustedProxies(settings.trusted_proxies), read_access(settings)
    return Network(sites, routes, Geography(settings.geo), proxies, access)


class Director:
    def __init__(
        self, settings: SteeringSettings, clock: Callable[[], float], epoch: Callable[[], float] = time.time
    ) -> None:
        """`clock` gives seconds and never jumps, `epoch` those since 1970.

        Raises SitesError, GeographyError, ConfigError, PolicyError.
        """
        self.network = read_network(settings)
        self.fleet = Fleet(
            settings.lost_after,
            believe_for=settings.believe_for,
            largest_capacity_bps=settings.largest_capacity,
            canaries=settings.canaries,
            canary_share=settings.canary_share,
            cdns=[cdn.name for cdn in settings.cdns],
        )
        self.fleet.limit_uplinks(_uplinks(self.network), clock())
        self.experience = Experience()
        self.complaints: Counter[str] = Counter()  # since the start, by cohort
        self.paths = Paths()
        self._hosts = Hosts()
        self.catalog = Catalog(settings.origin)
        self._origin = settings.origin.rstrip("/")
        self._nearby = Nearby(self.network.sites, self.fleet.roll(clock()))
        self._beyond = Beyond(self._origin, Cdns(settings.cdns, settings.cdn_pathways), settings.origin_serves_players)
        self._policy = Policy(settings.pathways, settings.ttl)
        self._cohorts = Cohorts(self._policy, settings.experiments)
        self._contents: Recent[str, Content] = Recent(_MOST_CONTENTS)
        self._key = key_of(settings.session_key) or secrets.token_bytes(32)
        self._clock, self._epoch = clock, epoch
        # By then every appliance that lives has reported, or is lost.
        self._old_enough_at = clock() + settings.lost_after

    def take_over(self, network: Network) -> Network:
        """Another network from now on; what it was before is returned."""
        before, self.network = self.network, network
        self.fleet.limit_uplinks(_uplinks(network), self._clock())
        return before

    def take(self, report: Report) -> Answer:
        """Raises NameInUse, MessageError."""
        now = self._clock()
        answer = self.fleet.take(report, now)
        self._learn(report, now)
        return answer

    def hear(self, stored: Stored) -> None:
        """Takes in what another replica heard."""
        now = self._clock()
        self.fleet.hear(stored, now)
        self._learn(stored.report, now)

    def take_events(self, body: bytes, address: str, token: str) -> None:
        """What a player says of itself, as CMCD events; `token` is its session's, or empty.

        A record that names no host is about the first appliance of its session; one about an appliance that its session
        was not told of is nobody's.
        """
        opened = unseal(token, self._key) if token else None
        told = opened.session.pathways if opened is not None else ()
        now, network = self._clock(), network_key(address)
        for said in complaints.read(body):
            name = self._hosts.find(said.host) if said.host else next(iter(told), "")
            if name not in self._hosts or (told and name not in told):
                continue
            session = number(opened.session.id if opened is not None else said.session)
            if said.is_complaint:
                self.complaints[self._cohorts.policy(opened.session.id).cohort if opened is not None else "?"] += 1
                self.fleet.judge(name, self.experience.complain(name, session, network, now), now)
            else:
                self.experience.hear(name, session, network, now)

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
        first = decision.first.name
        if first != ORIGIN:
            self.fleet.admit(first, known.nominal_bps, self._clock())
        folder = guarded = f"/v1/{title}/{known.entry.package}/"
        access = self.network.access
        if access is not None:
            expiry = access.expiry(now_epoch, known.entry.duration)
            guarded = f"/t/{access.token(folder, session_id, expiry)}{folder}"
        told = decision.candidates[: len(decision.listed)]
        # Another CDN knows nothing of our tokens: it would keep each file once for each session.
        pathways = tuple([Pathway(one.name, one.url + (guarded if one.turn is not _CDN else folder)) for one in told])
        appliances = tuple([name for name in decision.listed if name != ORIGIN])
        session = Session(session_id, title, known.entry.package, decision.placement.site, appliances, now_epoch)
        return Play(known, decision, pathways, seal(session, self._key))

    def decide(self, title: Title, address: str, session_id: str) -> Decision:
        """What a session that began now would be told."""
        return self.choose(Client(address, session_id), self._content(title))

    def choose(self, client: Client, content: Content, placement: Placement | None = None) -> Decision:
        """The same; `placement` is where the client is, if that is known otherwise than by its address."""
        policy = self._cohorts.policy(client.session)
        return self._begin(client, content, placement or self._place(client.address), policy)

    def poll(self, token: str, address: str, using: tuple[str, ...]) -> Poll:
        """Whom a session should ask now. Never fails: what cannot be read is answered by the address alone."""
        opened = unseal(token, self._key)
        if opened is None:
            policy = replace(self._policy, most=_MOST_FOR_UNKNOWN)
            decision = self._begin(Client(address, ""), _NO_CONTENT, self._place(address), policy)
            return Poll(decision.priority, policy.ttl_s * UNKNOWN_SESSION_TTL_FACTOR, "unreadable", decision)
        session = opened.session
        decision = self._follow(session, address, using)
        poll = Poll(decision.priority, decision.policy.ttl_s, "ours" if opened.is_ours else "foreign", decision)
        if session.clones or decision.first.turn > _SPARED:
            return self._with_clones(poll, session, address, using)
        return poll

    def explain(self, title: Title, address: str, session_id: str) -> Explained:
        """What a session that began now would be told, and why."""
        return self.reasons(self.decide(title, address, session_id))

    def explain_session(self, token: str, address: str) -> Explained | None:
        """The decision for a session under way, or None if its token cannot be read."""
        opened = unseal(token, self._key)
        return self.reasons(self._follow(opened.session, address, ())) if opened is not None else None

    def reasons(self, decision: Decision) -> Explained:
        """Why a decision that was just made is as it is."""
        is_young = self._clock() < self._old_enough_at
        rtts = self._rtts(decision.client.address)
        return explain(decision, self._near(), self._beyond, rtts=rtts, is_young=is_young)

    def fleet_report(self, *, with_held: bool = True) -> dict[str, Any]:
        """The last report of each appliance, its health and age, and the sites."""
        now, known = self._clock(), self.fleet.known()
        return {
            "appliances": [
                {
                    "report": _with_held(known[seen.name].report, dict(seen.held) if with_held else None),
                    "health": seen.health.value,
                    "reason": seen.reason,
                    "share": seen.share,
                    "stale": seen.stale,
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
                    "facility": site.facility,
                    "peering": site.peering,
                    "cost": site.cost,
                    "uplink_bps": site.uplink,
                }
                for site in self.network.sites.declared
            ],
        }

    def take_throughputs(self, measured: Iterable[Measured], address: str) -> None:
        """What a player measured of the appliances it polls about."""
        seen = self.fleet.seen(self._clock())
        for pathway, rate_bps in measured:
            if rate_bps is not None and (appliance := seen.get(pathway)) is not None:
                self.paths.learn_throughput(network_key(address), appliance.site, rate_bps)

    def _with_clones(self, poll: Poll, session: Session, address: str, using: tuple[str, ...]) -> Poll:
        """The same poll, and where nobody of the session's manifest can serve it, others that can."""
        decision = poll.decision
        assert decision is not None
        bases = self._stands(session.pathways)
        token = ""
        if decision.first.turn > _SPARED:
            joined = self._join(session, decision, bases)
            if joined is not session:
                session, token = joined, seal(joined, self._key)
                decision = self._follow(session, address, using)
        clones = tuple([one for one in self._stands(session.clones) if base_of(one.url, bases) is not None])
        known = {one.name for one in clones}
        priority = tuple([name for name in decision.priority if name not in session.clones or name in known])
        return msgspec.structs.replace(
            poll, priority=priority, decision=decision, token=token, clones=clones, bases=bases
        )

    def _join(self, session: Session, decision: Decision, bases: tuple[Stand, ...]) -> Session:
        """The session with others that it would be sent to if it began now, the first of them reserved for it."""
        is_steered = len(decision.listed) - len(session.clones) > 1  # Shaka does not steer a single pathway
        room = MOST_CLONES - len(session.clones)
        title = self.catalog.titles.get(session.title)
        if not is_steered or room <= 0 or title is None or title.entry.package != session.package:
            return session
        begun = self._begin(
            Client(decision.client.address, session.id), decision.content, decision.placement, decision.policy
        )
        fresh = [
            one.name
            for one in begun.candidates[: len(begun.listed)]
            if one.turn is Turn.USABLE and one.name not in decision.listed and base_of(one.url, bases) is not None
        ][:room]
        if not fresh:
            return session
        self.fleet.admit(fresh[0], title.nominal_bps, self._clock())
        return msgspec.structs.replace(session, clones=(*session.clones, *fresh))

    def _stands(self, names: Iterable[str]) -> tuple[Stand, ...]:
        """Those of the fleet, with where they serve."""
        seen = self.fleet.seen(self._clock())
        return tuple([Stand(name, seen[name].url) for name in names if name in seen])

    def _learn(self, report: Report, now: float) -> None:
        """What an appliance says of its players, and of the ways to them; not from what was refused or overtaken."""
        name, known = report.name, self.fleet.known_of(report.name)
        if known is None or (known.report.instance, known.report.sequence) != (report.instance, report.sequence):
            return
        self._hosts.put(name, report.url)
        self.experience.replicas = self.fleet.replicas
        self.fleet.judge(name, self.experience.report(name, report.players, report.connections, now), now)
        for address, path in report.paths.items():
            network = network_key(address)
            self.paths.learn(network, report.site, path.rtt_us / 1000, path.rate_bps, path.samples, now)

    def _begin(self, client: Client, content: Content, placement: Placement, policy: Policy) -> Decision:
        rtts = self._rtts(client.address)
        return begin(client, content, placement, self._near(), policy, self._beyond, rtts=rtts)

    def _follow(self, session: Session, address: str, using: tuple[str, ...]) -> Decision:
        """The decision for a session under way."""
        title = self.catalog.titles.get(session.title)
        if title is not None and title.entry.package == session.package:
            content = self._content(title)
        else:
            content = Content(session.title, session.package, frozenset())
        client = Client(address, session.id, session.pathways + session.clones, using)
        policy, placement = self._cohorts.policy(session.id), self._place(address, session.site)
        is_young = self._clock() < self._old_enough_at
        return follow(client, content, placement, self._near(), policy, self._beyond, is_young=is_young)

    def _place(self, address: str, session_site: str = "") -> Placement:
        return self.network.sites.place(address, self.network.geography, session_site)

    def _near(self) -> Nearby:
        """The order of the sites, of the fleet as it is now."""
        roll = self.fleet.roll(self._clock())
        if self._nearby.sites is not self.network.sites:
            self._nearby = Nearby(self.network.sites, roll)
        return self._nearby

    def _rtts(self, address: str) -> Mapping[str, float]:
        """Round trips that were measured to the client's network, in ms by site."""
        return self.paths.rtts(network_key(address))

    def _content(self, title: Title) -> Content:
        """What ranking asks of a title, made once."""
        entry = title.entry
        content = self._contents.get(entry.title)
        if content is None or content.package != entry.package or content.files is not title.files:
            content = Content(entry.title, entry.package, title.files)
            self._contents.put(entry.title, content)
        return content


def _uplinks(network: Network) -> dict[str, int]:
    return {site.name: site.uplink for site in network.sites.declared}


def _with_held(report: Report, held: dict[str, tuple[str, ...]] | None) -> Report:
    # Clients' networks are for ranking, and nobody else's business.
    return msgspec.structs.replace(report, held=held, paths={})
