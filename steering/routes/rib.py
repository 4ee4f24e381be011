"""Every route that every session announced, believed or not, and what follows for each prefix: its sites, best first.

    announce, withdraw, up, down, end_of_rib, tick  -->  Rib  -->  changes(): prefix -> sites (none: it is gone)

A session that goes down keeps its routes, as stale ones, for its `hold_s`: that BGP is down says little of whether the
site serves, and its appliances say that themselves. Stale routes rank as they did, so that a flap changes nothing. When
the session is back, what it announces again is fresh; what it has not announced by the end of its table (RFC 4724), or
some minutes later if it says no end, is gone.

A full table is a million of everything, so a route is one entry in its session's dictionary, from the packed prefix to
attributes that all routes with equal ones share; and another dictionary tells which sessions' routes to a prefix are
believed.

Pure: the state is its own, and `now` (seconds since the epoch, for it outlives the process) is an argument.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from steering.errors import SessionUnknown
from steering.prefixes.addresses import Prefix
from steering.routes import best
from steering.routes.filters import ACCEPTED, Filters, Reason, describe
from steering.routes.peer import Peer
from steering.routes.route import Attributes, Key, ases, pack, show_key, show_path, unpack, version_of

# For a session that never says the end of its table: a full one takes some two minutes.
SWEEP_AFTER_S = 600.0
# What the filter guide of NLNOG lets through; the longest that mean anything have some forty ASes.
LONGEST_PATH = 100
# Routes that are judged anew in one step, some 30 ms.
_STEP = 5_000

Routes: TypeAlias = dict[Key, Attributes]


@dataclass(frozen=True)
class SessionState:
    """What an operator wants to know of a session."""

    name: str
    site: str
    appliance: str
    is_up: bool
    since: float  # when that began; 0: not since this process started
    why: str  # why it is down, or its routes were dropped
    announced: dict[int, int]  # by IP version, believed or not
    accepted: int
    stale: int
    filtered: dict[str, int]  # by reason
    refused: int  # over a limit; not kept
    flaps: int


@dataclass(frozen=True)
class Seen:
    """A route as a session announced it, and what became of it."""

    session: str
    site: str
    appliance: str
    prefix: str
    as_path: str
    accepted: bool
    reason: str
    stale: bool


class _Session:
    __slots__ = (
        "counts", "filtered", "flaps", "is_dropped", "is_up", "number", "peer", "place", "refused",
        "router_id", "routes", "since", "sites", "stale", "stale_since", "why",
    )  # fmt: skip

    def __init__(self, number: int, peer: Peer) -> None:
        self.number, self.peer = number, peer
        self.place, self.sites = peer.place, (peer.site,)
        self.routes: Routes = {}
        self.stale: Routes = {}  # of an earlier time that the session was up; no prefix is in both
        self.filtered: dict[Key, Reason] = {}
        self.counts = {4: 0, 6: 0}  # of `routes`
        self.is_up = self.is_dropped = False
        self.since = self.stale_since = 0.0
        self.router_id = self.refused = self.flaps = 0
        self.why = ""

    def attributes(self, key: Key) -> Attributes | None:
        return self.routes.get(key) or self.stale.get(key)


class _Judges:
    """Makes a judge of each attributes once, for routes that come in no order."""

    def __init__(self, filters: Filters, peer: Peer) -> None:
        self._filters, self._peer = filters, peer
        # By identity, for equal ones are one object; that is kept beside, or another could get its identity.
        self._made: dict[int, tuple[Attributes, Callable[[Key], Reason]]] = {}

    def of(self, attributes: Attributes) -> Callable[[Key], Reason]:
        made = self._made.get(id(attributes))
        if made is None:
            made = self._made[id(attributes)] = (attributes, self._filters.judge(self._peer, attributes))
        return made[1]


class Rib:
    def __init__(self, peers: Iterable[Peer], filters: Filters, *, always_compare_med: bool = False) -> None:
        self._sessions = {peer.name: _Session(number, peer) for number, peer in enumerate(peers)}
        self._numbered = list(self._sessions.values())
        self._filters = filters
        self._always_compare_med = always_compare_med
        self._attributes: dict[Attributes, Attributes] = {}
        self._attributes_limit = 100_000
        # Whose routes to a prefix are believed: the number of a session, or of several.
        self._holders: dict[Key, int | tuple[int, ...]] = {}
        # What the sites of a prefix were at the last `changes`, where they may have changed since.
        self._before: dict[Key, tuple[str, ...]] = {}
        self.updates = 0  # messages that announced or withdrew
        self.revision = 0  # another one: something is to be kept

    def __contains__(self, session: str) -> bool:
        return session in self._sessions

    def __len__(self) -> int:
        """Prefixes that somebody is believed to have."""
        return len(self._holders)

    def is_up(self, name: str) -> bool:
        return self._session(name).is_up

    # What sessions say

    def up(self, name: str, now: float) -> None:
        session = self._session(name)
        if not session.is_up:
            session.is_up, session.since, session.why = True, now, ""
            self.revision += 1

    def down(self, name: str, now: float, why: str = "") -> None:
        session = self._session(name)
        if session.is_up:
            session.is_up, session.since = False, now
            session.flaps += 1
        session.why, session.is_dropped, session.refused = why, False, 0
        self._age(session, now)

    def identify(self, name: str, router_id: int) -> None:
        """The neighbour's router ID, which its OPEN message says."""
        session = self._session(name)
        if session.router_id == router_id:
            return
        for key in (*session.routes, *session.stale):
            if isinstance(self._holders.get(key), tuple):
                self._touch(key)
        session.router_id = router_id

    def announce(self, name: str, keys: Iterable[Key], attributes: Attributes, now: float) -> None:
        """A route replaces the session's earlier one to the same prefix."""
        session = self._session(name)
        self.up(name, now)
        self.updates += 1
        self.revision += 1
        if ases(attributes.as_path) > LONGEST_PATH:
            self._refuse(session, keys)
            return
        attributes = self._keep_once(attributes)
        judge = self._filters.judge(session.peer, attributes)
        routes, stale, filtered = session.routes, session.stale, session.filtered
        for key in keys:
            before = routes.get(key)
            if before is None:
                if session.is_dropped or self._is_over_limit(session, key):
                    session.refused += 1
                    continue
                session.counts[version_of(key)] += 1
                before = stale.get(key)
            is_held = before is not None and key not in filtered
            reason = judge(key)
            is_accepted = reason is ACCEPTED
            if is_held != is_accepted or (is_accepted and before is not attributes):
                self._touch(key)
            if before is not None:
                stale.pop(key, None)
            routes[key] = attributes
            self._settle(session, key, is_held, reason)

    def withdraw(self, name: str, keys: Iterable[Key], now: float) -> None:
        session = self._session(name)
        self.up(name, now)
        self.updates += 1
        for key in keys:
            self._forget(session, key)

    def end_of_rib(self, name: str, version: int, now: float) -> None:
        """The session announced all that it has of an IP version (RFC 4724 section 2)."""
        session = self._session(name)
        self.up(name, now)
        self._sweep(session, [key for key in session.stale if version_of(key) == version])

    def merge(self, name: str, routes: Mapping[Key, Attributes], now: float) -> None:
        """A snapshot of a session that has just come up, and may not have told all yet: it withdraws nothing."""
        session = self._session(name)
        session.refused, session.is_dropped, session.why = 0, False, ""
        together: dict[Attributes, list[Key]] = {}
        for key, attributes in routes.items():
            if session.routes.get(key) != attributes:
                together.setdefault(attributes, []).append(key)
        for attributes, keys in together.items():
            self.announce(name, keys, attributes, now)
        self.up(name, now)

    def replace(self, name: str, routes: Mapping[Key, Attributes], now: float) -> None:
        """A snapshot of the session: what is not in it is withdrawn."""
        session = self._session(name)
        self._sweep(session, [key for key in (*session.stale, *session.routes) if key not in routes])
        self.merge(name, routes, now)

    def restore(
        self, name: str, routes: Iterable[tuple[Key, Attributes]], stale_since: float, router_id: int = 0
    ) -> None:
        """Routes of before a restart; stale until the session is back."""
        session = self._session(name)
        session.stale_since, session.router_id = stale_since, router_id
        judges = _Judges(self._filters, session.peer)
        for key, attributes in routes:
            kept = self._keep_once(attributes)
            reason = judges.of(kept)(key)
            if reason is ACCEPTED:
                self._touch(key)
            session.stale[key] = kept
            self._settle(session, key, False, reason)

    def tick(self, now: float) -> None:
        """Lets go of routes that were stale for too long; to be called every second or so."""
        for session in self._numbered:
            if session.stale and (
                now - session.stale_since >= session.peer.hold_s
                or (session.is_up and now - session.since >= SWEEP_AFTER_S)
            ):
                self._sweep(session, list(session.stale))

    # What follows

    def changes(self) -> dict[Prefix, tuple[str, ...]]:
        """Prefixes whose sites changed since the last call, and what they are now; none: nobody has it any more."""
        before, self._before = self._before, {}
        changed = {}
        for key, sites in before.items():
            after = self._sites(key)
            if after != sites:
                changed[unpack(key)] = after
        return changed

    def judge_again(self, filters: Filters) -> Iterator[None]:
        """Takes other filters over; a step of it at a time, for a full table takes seconds."""
        self._filters = filters
        done = 0
        for session in self._numbered:
            judges = _Judges(filters, session.peer)
            for key in (*session.routes, *session.stale):
                attributes = session.attributes(key)
                if attributes is not None:  # it may have gone between two steps
                    reason = judges.of(attributes)(key)
                    if reason is not session.filtered.get(key, ACCEPTED):
                        self._touch(key)
                        self._settle(session, key, key not in session.filtered, reason)
                done += 1
                if done % _STEP == 0:
                    yield

    # What operators ask

    def sessions(self) -> list[SessionState]:
        return [_state(session) for session in self._numbered]

    def counts(self) -> tuple[int, int]:
        """Prefixes by IP version, IPv4 first."""
        ipv6 = sum(1 for key in self._holders if version_of(key) == 6)
        return len(self._holders) - ipv6, ipv6

    def kept(self, name: str) -> tuple[list[tuple[Key, Attributes]], float, int]:
        """All routes of a session, since when they are stale (0: the session is up), and the neighbour's router ID."""
        session = self._session(name)
        routes = [*session.stale.items(), *session.routes.items()]
        return routes, 0.0 if session.is_up else session.stale_since, session.router_id

    def seen(self, names: Iterable[str] = ()) -> Iterator[Seen]:
        """Every route of these sessions, or of all; what changes meanwhile may be missed."""
        return _all_seen([self._session(name) for name in names] or self._numbered)

    def find(self, prefix: Prefix) -> list[tuple[str, tuple[str, ...], list[Seen]]]:
        """Prefixes that cover this one, longest first: each with its sites, and what the sessions said of it."""
        version, network, length = prefix
        bits = 32 if version == 4 else 128
        found = []
        for shorter in range(length, -1, -1):
            covering = network >> (bits - shorter) << (bits - shorter)
            key = pack(version, covering, shorter)
            rows = [
                _seen(session, key, routes[key], routes is session.stale)
                for session in self._numbered
                for routes in (session.routes, session.stale)
                if key in routes
            ]
            if rows:
                found.append((show_key(key), self._sites(key), rows))
        return found

    # How

    def _session(self, name: str) -> _Session:
        try:
            return self._sessions[name]
        except KeyError:
            raise SessionUnknown(f"session: found {name!r}, expected one of the configuration") from None

    def _keep_once(self, attributes: Attributes) -> Attributes:
        if len(self._attributes) > self._attributes_limit:
            used = {id(one): one for session in self._numbered for one in session.routes.values()}
            used |= {id(one): one for session in self._numbered for one in session.stale.values()}
            self._attributes = {one: one for one in used.values()}
            self._attributes_limit = max(100_000, 2 * len(used))
        return self._attributes.setdefault(attributes, attributes)

    def _refuse(self, session: _Session, keys: Iterable[Key]) -> None:
        """Of paths that are too long: they take memory without end, and what was said before holds no longer."""
        session.why = f"it announced AS paths of more than {LONGEST_PATH} ASes, which are refused"
        for key in keys:
            session.refused += 1
            self._forget(session, key)

    def _is_over_limit(self, session: _Session, key: Key) -> bool:
        version = version_of(key)
        if session.counts[version] < session.peer.limits[version]:
            return False
        limit = f"more than {session.peer.limits[version]} IPv{version} prefixes"
        if session.peer.drops_over_limit:
            session.is_dropped = True
            session.why = f"it announced {limit}: all its routes are dropped until it begins anew"
            for one in (*session.routes, *session.stale):
                self._forget(session, one)
        else:
            session.why = f"it announced {limit}: what was more is refused until it begins anew"
            self._forget(session, key)  # as it was before the restart
        return True

    def _age(self, session: _Session, now: float) -> None:
        """The session's routes are stale from now on; those that were already have been for longer."""
        self.revision += 1
        if not session.stale:
            session.stale, session.routes = session.routes, {}
            session.stale_since = now
        else:
            session.stale.update(session.routes)
            session.routes = {}
        session.counts = {4: 0, 6: 0}

    def _forget(self, session: _Session, key: Key) -> None:
        if key in session.routes:
            routes = session.routes
            session.counts[version_of(key)] -= 1
        elif key in session.stale:
            routes = session.stale
        else:
            return
        self.revision += 1
        if session.filtered.pop(key, None) is None:
            self._touch(key)
            self._leave(key, session.number)
        del routes[key]

    def _sweep(self, session: _Session, keys: Iterable[Key]) -> None:
        for key in keys:
            self._forget(session, key)

    def _settle(self, session: _Session, key: Key, is_held: bool, reason: Reason) -> None:
        """Notes whether the session's route is believed; `is_held`: it was so far."""
        if reason is ACCEPTED:
            if not is_held:
                session.filtered.pop(key, None)
                self._join(key, session.number)
        else:
            if is_held:
                self._leave(key, session.number)
            session.filtered[key] = reason

    def _join(self, key: Key, number: int) -> None:
        holders = self._holders.get(key)
        if holders is None:
            self._holders[key] = number
        else:
            self._holders[key] = (*((holders,) if isinstance(holders, int) else holders), number)

    def _leave(self, key: Key, number: int) -> None:
        holders = self._holders[key]
        if isinstance(holders, int):
            del self._holders[key]
        else:
            rest = tuple(one for one in holders if one != number)
            self._holders[key] = rest if len(rest) > 1 else rest[0]

    def _touch(self, key: Key) -> None:
        """To be called before the sites of the prefix may change."""
        if key not in self._before:
            self._before[key] = self._sites(key)

    def _sites(self, key: Key) -> tuple[str, ...]:
        holders = self._holders.get(key)
        if holders is None:
            return ()
        if isinstance(holders, int):
            return self._numbered[holders].sites
        sessions = [self._numbered[number] for number in holders]
        first = sessions[0].sites
        if all(session.sites == first for session in sessions):
            return first  # a cluster, each of whose appliances has a session of its own
        return best.sites(
            (path for session in sessions if (path := _path(session, key)) is not None),
            always_compare_med=self._always_compare_med,
        )


def _path(session: _Session, key: Key) -> best.Path | None:
    attributes, peer = session.attributes(key), session.peer
    if attributes is None:
        return None
    return best.Path(attributes, peer.site, peer.is_external, session.router_id, session.place, peer.name)


def _all_seen(sessions: Iterable[_Session]) -> Iterator[Seen]:
    for session in sessions:
        for routes, is_stale in ((session.routes, False), (session.stale, True)):
            for key in tuple(routes):
                if key in routes:
                    yield _seen(session, key, routes[key], is_stale)


def _state(session: _Session) -> SessionState:
    peer = session.peer
    announced = dict(session.counts)
    for key in session.stale:
        announced[version_of(key)] += 1
    filtered = Counter(reason.value for reason in session.filtered.values())
    return SessionState(
        name=peer.name,
        site=peer.site,
        appliance=peer.appliance,
        is_up=session.is_up,
        since=session.since,
        why=session.why,
        announced=announced,
        accepted=sum(announced.values()) - filtered.total(),
        stale=len(session.stale),
        filtered=dict(filtered),
        refused=session.refused,
        flaps=session.flaps,
    )


def _seen(session: _Session, key: Key, attributes: Attributes, is_stale: bool) -> Seen:
    peer, reason = session.peer, session.filtered.get(key, ACCEPTED)
    return Seen(
        session=peer.name,
        site=peer.site,
        appliance=peer.appliance,
        prefix=show_key(key),
        as_path=show_path(attributes.as_path),
        accepted=reason is ACCEPTED,
        reason=describe(reason, key, attributes, peer),
        stale=is_stale,
    )
