"""Whom a player should ask, in what order, and why.

The order, each step only among those that the steps before left equal:

    1  turn: those that may serve the session; those that few are sent to for now, because they return or are on trial;
       CDNs; the origin; then those that may not (full, stalling, draining, unhealthy, lost), which stay in a steering
       manifest only because its session was told of them
    2  grade: route, peering, cost and way of the site (steering.placement.nearby)
    3  who holds the package: whole, part, nothing
    4  the client's nearest site, where other sites are as good
    5  for a session under way, the order it was given; for a new one, a weighted rendezvous hash

The hash gives each appliance its share of the sessions by spare capacity, and a session the same order wherever it is
asked for. Of what nobody holds, it is the title that is hashed and not the session: its players meet at one appliance,
which fetches it once, and from then on it is the one that holds a part.

A new session's manifest lists the first few, but one of another facility rather than the last of them, if all are of
one: what stands in one building goes with it, and a player that knows nobody elsewhere has only the origin. A session
under way knows its pathways, and only their order is made anew; the ways to them were compared when it began.

A session is begun or followed 15,000 times a second, so both look at few appliances and make nothing that only people
read; `steering.choice.explain` applies the same rules to more of them, and says why.

Pure: every input is an argument, the clock's reading is in the roll already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import islice
from math import log
from sys import intern
from typing import TypeAlias

from config.structs import Flat, Frozen
from oca.report import EVERY_FILE
from steering.appliances.fleet import ORIGIN
from steering.appliances.holdings import BLOCK
from steering.appliances.roll import OFFSETS, Appliance, Cluster, Health, Roll
from steering.choice.cdns import Cdns
from steering.choice.cohorts import Policy
from steering.draws import arrival, salt_of, seed_of, uniform
from steering.placement.nearby import NOTHING_MEASURED, OTHER, OWN, Grade, Nearby, Place
from steering.placement.sites import Placement

# Who may take a part of the sessions only draws that part by another number than it draws its place among others.
_GATE = salt_of("gate")
# Of the client's own site so many are named that were passed over, for the log to say why.
MOST_PASSED_OVER = 8
_MOST_LOOKED_AT = 64
# What has no site to compare.
BEFORE_ALL = Grade(OWN, 0, 0.0, 0)


class Client(Frozen, frozen=True):
    """Who asks. `listed` are the pathways its session's manifest has, `using` those it says it uses; new: neither."""

    address: str
    session: str
    listed: tuple[str, ...] = ()
    using: tuple[str, ...] = ()


@dataclass(frozen=True)
class Content:
    """What is asked for: a package and the names of its files."""

    title: str
    package: str
    files: frozenset[str]
    key: str = field(init=False)
    seed: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", intern(f"{self.title}/{self.package}"))
        object.__setattr__(self, "seed", seed_of(self.key))


class Holding(IntEnum):
    """How much of a package an appliance holds; less is better."""

    WHOLE = 0
    PART = 1
    NOTHING = 2


class Turn(IntEnum):
    """When a pathway's turn comes."""

    USABLE = 0
    SPARED = 1  # it takes a part of the sessions only, and this one is not in it
    CDN = 2
    ORIGIN = 3
    FULL = 4
    STALLING = 5
    DRAINING = 6
    UNHEALTHY = 7
    LOST = 8


# To look a member up in its enum takes longer than to use it.
_WHOLE, _PART, _NOTHING = Holding.WHOLE, Holding.PART, Holding.NOTHING
_USABLE, _SPARED, _ORIGIN = Turn.USABLE, Turn.SPARED, Turn.ORIGIN
_HEALTHY = Health.HEALTHY

_TURN = {
    Health.HEALTHY: Turn.USABLE,
    Health.FULL: Turn.FULL,
    Health.STALLING: Turn.STALLING,
    Health.DRAINING: Turn.DRAINING,
    Health.UNHEALTHY: Turn.UNHEALTHY,
    Health.LOST: Turn.LOST,
}


class Candidate(Flat, frozen=True):
    """One pathway."""

    name: str
    url: str
    site: str  # "" of what is no appliance
    turn: Turn
    holding: Holding
    is_local: bool = False

    @property
    def is_usable(self) -> bool:
        return self.turn <= Turn.ORIGIN


@dataclass(frozen=True)
class Beyond:
    """What stands behind the appliances."""

    origin_url: str
    cdns: Cdns
    origin_serves_players: bool = True  # beside others; without any it always does
    origin: Candidate = field(init=False)
    cdn_pathways: Mapping[str, Candidate] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "origin", Candidate(ORIGIN, self.origin_url, "", Turn.ORIGIN, Holding.WHOLE))
        pathways = {
            name: Candidate(name, cdn.url, "", Turn.CDN, Holding.WHOLE) for name, cdn in self.cdns.by_name.items()
        }
        object.__setattr__(self, "cdn_pathways", pathways)


class Decision(Frozen, frozen=True):
    """What a client is told.

    `candidates` are, best first, the pathways that it is told of, and some of its own site that it is not.
    """

    client: Client
    content: Content
    placement: Placement
    policy: Policy
    candidates: tuple[Candidate, ...]
    listed: tuple[str, ...]  # what a new session's manifest lists, the origin last
    priority: tuple[str, ...]  # the pathways of the session's manifest, best first; never empty

    @property
    def first(self) -> Candidate:
        return self.candidates[0]


def begin(
    client: Client,
    content: Content,
    placement: Placement,
    nearby: Nearby,
    policy: Policy,
    beyond: Beyond,
    *,
    rtts: Mapping[str, float] = NOTHING_MEASURED,
) -> Decision:
    """Chooses the pathways of a new session. `rtts` are round trips measured to the client's network, in ms by site."""
    seed, most, local = session_seed(client, content), policy.most, placement.site
    appliances, partly = nearby.roll.appliances, nearby.roll.partly
    usable: list[Candidate] = []
    spared: list[Candidate] = []
    # Where the first usable one stands, and whether one stands in another facility.
    first, has_others = "", most < 2
    for _, clusters in nearby.place(placement).rungs(seed, NOTHING_MEASURED if policy.by_distance else rtts):
        for holding, is_remote, _, number in _drawn(clusters, nearby.roll, content, seed, local, policy):
            one = appliances[number]
            assert one is not None
            if partly[number // BLOCK] >> number % BLOCK & 1 and not is_in_share(one, seed):
                spared.append(Candidate(one.name, one.url, one.site, _SPARED, holding, not is_remote))
                continue
            usable.append(Candidate(one.name, one.url, one.site, _USABLE, holding, not is_remote))
            if not has_others:
                site = one.site
                first = first or site
                has_others = site != first and nearby.facility(site) != nearby.facility(first)
            if has_others and len(usable) >= most:
                break
        if has_others and len(usable) >= most:
            break
    told = choose(usable + spared if spared else usable, most, nearby)
    told += _behind(seed, beyond, is_alone=not told)
    return _decision(client, content, placement, policy, nearby, told)


def follow(
    client: Client,
    content: Content,
    placement: Placement,
    nearby: Nearby,
    policy: Policy,
    beyond: Beyond,
    *,
    is_young: bool = False,
) -> Decision:
    """Orders the pathways of a session under way.

    `is_young`: steering has just started, and appliances that it does not know may only not have reported yet.
    """
    roll, local, place = nearby.roll, placement.site, nearby.place(placement)
    by_name, healthy, partly = roll.by_name, roll.healthy, roll.partly
    whole, part = roll.holdings.whole(content.key), roll.holdings.part(content.key)
    seed = 0.0
    ways: dict[str, int] = {}  # of sites without a route, as `grade_under_way` has it
    # Turn, the four parts of the grade, holding, and the order that was given.
    keyed: list[tuple[int, int, int, float, int, int, int, Candidate]] = []
    for index, name in enumerate(client.listed):
        one = by_name.get(name)
        if one is not None:
            site, turn, holding = one.site, _USABLE, _NOTHING
            block, bit = one.number // BLOCK, 1 << one.number % BLOCK
            if whole[block] & bit:
                holding = _WHOLE
            elif part is not None and part[block] & bit:
                holding = holding_of(one, content)
            if partly[block] & bit or not healthy[block] & bit:
                seed = seed or session_seed(client, content)
                turn = turn_of(one, client, seed)
            route, peering, cost, way = place.grade(site)
            if route == OTHER:
                way = ways.setdefault(site, index)
            candidate = Candidate(name, one.url, site, turn, holding, site == local)
            keyed.append((turn, route, peering, cost, way, holding, index, candidate))
        elif name != ORIGIN:
            candidate = unheard(name, beyond, is_young)
            keyed.append((candidate.turn, *BEFORE_ALL, candidate.holding, index, candidate))
    if beyond.origin_serves_players or not keyed:
        keyed.append((_ORIGIN, *BEFORE_ALL, _WHOLE, len(keyed), beyond.origin))
    keyed.sort()
    return _decision(client, content, placement, policy, nearby, [one[-1] for one in keyed])


def _decision(
    client: Client, content: Content, placement: Placement, policy: Policy, nearby: Nearby, told: list[Candidate]
) -> Decision:
    names = tuple([candidate.name for candidate in told])
    others = _passed_over(client, content, placement.site, nearby, names, told[0])
    return Decision(client, content, placement, policy, (*told, *others), names, names)


# What it holds, whether it stands elsewhere than the client, what was drawn for it, and its number.
_Draw: TypeAlias = tuple[Holding, bool, float, int]


def _drawn(
    clusters: Sequence[Cluster], roll: Roll, content: Content, seed: float, local: str, policy: Policy
) -> list[_Draw]:
    """The appliances of one grade that take sessions, the best first.

    `holding_of` and `place_of` are written out here over the roll's columns. That they say the same is tested with
    `steering.choice.explain`, which calls them.
    """
    healthy, salts = roll.healthy, roll.salts
    whole_by_block, part_by_block = roll.holdings.whole(content.key), roll.holdings.part(content.key)
    capacities = roll.capacity_bps
    weights_of_whole = capacities if policy.weighs_capacity else roll.spare_bps
    drawn: list[_Draw] = []
    for cluster in clusters:
        is_remote = cluster.site != local
        for block in cluster.blocks:
            standing = healthy[block]
            if not standing:
                continue
            whole = whole_by_block[block]
            part = part_by_block[block] if part_by_block is not None else 0
            for offset in OFFSETS[standing]:
                number = block * BLOCK + offset
                holding, drawer, weights = _NOTHING, content.seed, capacities
                if whole >> offset & 1:
                    holding = _WHOLE
                elif part >> offset & 1:
                    holding = _holding_of_part(roll.appliances[number], content)
                if holding is _WHOLE:
                    drawer, weights = seed, weights_of_whole
                drawn.append((holding, is_remote, -log(1.0 - drawer * salts[number] % 1.0) / weights[number], number))
    if len(drawn) > 1:
        drawn.sort()
    return drawn


def _holding_of_part(one: Appliance | None, content: Content) -> Holding:
    return holding_of(one, content) if one is not None else _NOTHING


def choose(usable: Sequence[Candidate], most: int, nearby: Nearby) -> list[Candidate]:
    """The best `most`, but one of another facility rather than the last of the first one."""
    chosen = list(usable[:most])
    if most < 2 or not chosen:
        return chosen
    first = chosen[0].site
    facility = nearby.facility(first)
    for number, one in enumerate(usable):
        if one.site != first and nearby.facility(one.site) != facility:
            return chosen if number < most else [*chosen[:-1], one]
    return chosen


def _behind(seed: float, beyond: Beyond, *, is_alone: bool) -> list[Candidate]:
    """CDNs and the origin, as a new session's manifest lists them behind its appliances."""
    most = beyond.cdns.most
    listed = [beyond.cdn_pathways[cdn.name] for cdn in beyond.cdns.order(seed, most)] if most else []
    if beyond.origin_serves_players or (is_alone and not listed):
        listed.append(beyond.origin)
    return listed


def _passed_over(
    client: Client, content: Content, local: str, nearby: Nearby, told: Sequence[str], first: Candidate
) -> list[Candidate]:
    """Of the client's own site some that are not told of, whoever could have served best before the others."""
    cluster = nearby.roll.cluster(local)
    if first.is_local and cluster.is_whole:
        return []
    seed = session_seed(client, content)
    others = [
        Candidate(one.name, one.url, local, turn_of(one, client, seed), holding_of(one, content), is_local=True)
        for one in islice(cluster.by_name.values(), _MOST_LOOKED_AT)
        if one.name not in told and not (first.is_local and one.health is Health.HEALTHY)
    ]
    return sorted(others, key=lambda one: (one.turn, one.name))[:MOST_PASSED_OVER]


# The rules, one by one


def session_seed(client: Client, content: Content) -> float:
    """What a session draws by; one whose name cannot be read draws by its address."""
    return seed_of(f"{client.session or client.address}|{content.title}")


def turn_of(one: Appliance, client: Client, seed: float) -> Turn:
    health = one.health
    if health is _HEALTHY:
        is_usable = one.share >= 1 or one.name in client.using or is_in_share(one, seed)
        return _USABLE if is_usable else _SPARED
    if health is Health.FULL and one.name in (client.using or client.listed[:1]):
        return Turn.USABLE  # it keeps the sessions it has
    return _TURN[health]


def is_in_share(one: Appliance, seed: float) -> bool:
    """Whether the session is one of the part that the appliance takes; as its share grows, more are and none leaves."""
    return uniform(uniform(seed, _GATE), one.salt) < one.share


def holding_of(one: Appliance, content: Content) -> Holding:
    held = one.held.get(content.key)
    if not held:
        return _NOTHING
    return _WHOLE if _is_whole(held, content.files) else _PART


def _is_whole(held: tuple[str, ...], files: frozenset[str]) -> bool:
    return held == EVERY_FILE or (bool(files) and files.issubset(held))


def place_of(one: Appliance, holding: Holding, content: Content, seed: float, policy: Policy) -> float:
    """What a new session draws for the appliance; the lowest comes first."""
    if holding is Holding.WHOLE:
        return arrival(seed, one.salt, one.capacity_bps - (0 if policy.weighs_capacity else one.load_bps))
    return arrival(content.seed, one.salt, one.capacity_bps)


def grade_under_way(site: str, client: Client, place: Place, roll: Roll) -> Grade:
    """Of sites without a route the way was compared when the session began: the order that it was given says how."""
    grade = place.grade(site)
    if grade.route != OTHER:
        return grade
    for way, name in enumerate(client.listed):
        one = roll.by_name.get(name)
        if one is not None and one.site == site:
            return Grade(OTHER, grade.peering, grade.cost, way)
    return grade


def unheard(name: str, beyond: Beyond, is_young: bool) -> Candidate:
    """A pathway of the session's manifest that the fleet does not know.

    While steering is young it is believed, and where the client is: sending every player to the origin until the fleet
    has reported would make an outage of a restart.
    """
    pathway = beyond.cdn_pathways.get(name)
    if pathway is not None:
        return pathway
    return Candidate(name, "", "", Turn.USABLE if is_young else Turn.LOST, Holding.WHOLE, is_local=is_young)
