"""A decision with its reasons: all that was compared and why each has its place, as JSON and as text.

A decision itself names only whom the client is told of (steering.choice.ranking). Here more are compared, those of the
client's own site and around it, by the same rules.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from config.units import show_rate
from steering.appliances.fleet import ORIGIN
from steering.appliances.roll import Appliance, Health
from steering.choice.ranking import (
    BEFORE_ALL,
    Beyond,
    Candidate,
    Decision,
    Holding,
    Turn,
    grade_under_way,
    holding_of,
    place_of,
    session_seed,
    turn_of,
    unheard,
)
from steering.placement.geography import distance_km
from steering.placement.nearby import ALTERNATE, NOTHING_MEASURED, OTHER, OWN, PEERINGS, Grade, Nearby, expected_ms

# Around the client so many are compared, those of the last site that makes them so many with it.
_COMPARED = 24
# Behind every way that a session's own order stands for.
_BEHIND_LISTED = 1000

_HOLDS = {
    Holding.WHOLE: "holds the package whole",
    Holding.PART: "holds a part of it",
    Holding.NOTHING: "must fetch it",
}


@dataclass(frozen=True)
class Step:
    """One pathway in its place."""

    candidate: Candidate
    reasons: tuple[str, ...]
    health: Health | None = None  # of an appliance that the fleet knows
    share: float = 1.0
    spare_bps: int = 0
    distance_km: float | None = None  # where places are known
    rtt_ms: float | None = None  # where it was measured


class Explained(NamedTuple):
    decision: Decision
    steps: tuple[Step, ...]  # best first


def explain(
    decision: Decision,
    nearby: Nearby,
    beyond: Beyond,
    *,
    rtts: Mapping[str, float] = NOTHING_MEASURED,
    is_young: bool = False,
    among: Iterable[Appliance] | None = None,
) -> Explained:
    """Why the decision is as it is, while the fleet is as it was. Compares all `among`, or those near the client."""
    if decision.policy.by_distance:
        rtts = NOTHING_MEASURED
    by_name = nearby.roll.by_name
    comparing = _Comparing(decision, nearby, beyond, rtts)
    compared = {one.name: one for one in (_around(decision, nearby, rtts) if among is None else among)}
    told = (*decision.priority, *(candidate.name for candidate in decision.candidates))
    compared |= {name: by_name[name] for name in told if name in by_name}
    keyed = [comparing.appliance(one) for one in compared.values()]
    keyed += [comparing.unheard(name, is_young) for name in decision.client.listed if _is_unheard(name, nearby, beyond)]
    keyed += comparing.behind()
    return Explained(decision, tuple(one.step for one in sorted(keyed, key=lambda one: one.key)))


def _around(decision: Decision, nearby: Nearby, rtts: Mapping[str, float]) -> list[Appliance]:
    placement, roll = decision.placement, nearby.roll
    found = list(roll.at(placement.site).values())
    for grade, clusters in nearby.place(placement).rungs(session_seed(decision.client, decision.content), rtts):
        if grade.route == OTHER and len(found) >= _COMPARED:
            break
        found += [one for cluster in clusters for one in cluster.by_name.values()]
    return found


def _is_unheard(name: str, nearby: Nearby, beyond: Beyond) -> bool:
    return name != ORIGIN and name not in nearby.roll.by_name and name not in beyond.cdns.by_name


@dataclass
class _Keyed:
    key: tuple[Any, ...]  # what ranking compares, in its order
    step: Step


@dataclass
class _Comparing:
    """What all candidates of one decision are compared by."""

    decision: Decision
    nearby: Nearby
    beyond: Beyond
    rtts: Mapping[str, float]
    seed: float = field(init=False)

    def __post_init__(self) -> None:
        self.seed = session_seed(self.decision.client, self.decision.content)

    def appliance(self, one: Appliance) -> _Keyed:
        client, content, placement = self.decision.client, self.decision.content, self.decision.placement
        turn, holding = turn_of(one, client, self.seed), holding_of(one, content)
        is_local = one.site == placement.site != ""
        grade = self._grade(one)
        place = place_of(one, holding, content, self.seed, self.decision.policy) + len(client.listed)
        if one.name in client.listed:
            place = float(client.listed.index(one.name))
        is_elsewhere = not is_local and not client.listed
        here, there = placement.point, self.nearby.sites.point(one.site)
        step = Step(
            candidate=Candidate(one.name, one.url, one.site, turn, holding, is_local),
            reasons=(
                *self._turn_words(one, turn),
                *self._site_words(one, grade),
                _HOLDS[holding],
                self._draw_words(one, holding),
                *self._listing_words(one),
            ),
            health=one.health,
            share=one.share,
            spare_bps=one.spare_bps,
            distance_km=distance_km(here, there) if here is not None and there is not None else None,
            rtt_ms=self.rtts.get(one.site),
        )
        return _Keyed((turn, grade, holding, is_elsewhere, place, one.name), step)

    def unheard(self, name: str, is_young: bool) -> _Keyed:
        candidate = unheard(name, self.beyond, is_young)
        words = "is not in the fleet"
        if candidate.is_usable:
            words = "has not reported since steering started; the session's own list is believed"
        place = float(self.decision.client.listed.index(name))
        return _Keyed((candidate.turn, BEFORE_ALL, candidate.holding, False, place, name), Step(candidate, (words,)))

    def behind(self) -> list[_Keyed]:
        listed = self.decision.client.listed
        found = []
        for number, cdn in enumerate(self.beyond.cdns.order(self.seed)):
            if not self.beyond.cdns.most and cdn.name not in listed:
                continue  # only sessions that began when manifests listed CDNs know it
            place = float(listed.index(cdn.name)) if cdn.name in listed else float(len(listed) + number)
            weight = f"a weight of {cdn.weight:g} among those of its price"
            words = f"another CDN, at a price of {cdn.price:g} and with {weight}"
            key = Turn.CDN, BEFORE_ALL, Holding.WHOLE, False, place, cdn.name
            found.append(_Keyed(key, Step(self.beyond.cdn_pathways[cdn.name], (words,))))
        if ORIGIN in self.decision.priority:
            words = "the origin holds everything and is asked last"
            key = Turn.ORIGIN, BEFORE_ALL, Holding.WHOLE, False, 0.0, ORIGIN
            found.append(_Keyed(key, Step(self.beyond.origin, (words,))))
        return found

    def _grade(self, one: Appliance) -> Grade:
        client, place = self.decision.client, self.nearby.place(self.decision.placement)
        if one.name in client.listed:
            return grade_under_way(one.site, client, place, self.nearby.roll)
        grade = place.grade(one.site, self.rtts)
        return grade._replace(way=grade.way + _BEHIND_LISTED) if client.listed and grade.route == OTHER else grade

    def _turn_words(self, one: Appliance, turn: Turn) -> list[str]:
        words = [f"{one.health}: {one.reason}"]
        if one.health is Health.FULL and turn is Turn.USABLE:
            words = [f"{words[0]}; this session is one of its own"]
        if one.share < 1:
            whether = "this one among them" if turn is Turn.USABLE else "not this one"
            words.append(f"takes {100 * one.share:.3g} % of the sessions, {whether}: {one.share_cause}")
        return words

    def _site_words(self, one: Appliance, grade: Grade) -> list[str]:
        site, nearby = one.site, self.nearby
        if grade.route == OWN:
            return [f"stands at {site}, the client's site"]
        words = [f"stands at {site}, {self._way_words(one)}"]
        if grade.route == ALTERNATE:
            words = [f"stands at {site}, which announced the client's prefix too; its path is number {grade.way + 2}"]
        peering, cost = nearby.peering(site), nearby.cost(site)
        if peering or cost:
            words.append(f"{site} is reached by {PEERINGS[peering]} peering, at a cost of {cost:g}")
        return words

    def _way_words(self, one: Appliance) -> str:
        if one.name in self.decision.client.listed:
            return "compared with others when the session began"
        if one.site in self.rtts:
            return f"{self.rtts[one.site]:.1f} ms away as measured"
        here, there = self.decision.placement.point, self.nearby.sites.point(one.site)
        if here is None or there is None:
            return "an unknown way off"
        away = distance_km(here, there)
        return f"{away:.0f} km away, which should be {expected_ms(away):.0f} ms"

    def _draw_words(self, one: Appliance, holding: Holding) -> str:
        listed, policy = self.decision.client.listed, self.decision.policy
        if one.name in listed:
            return f"was number {listed.index(one.name) + 1} when the session began"
        if holding is not Holding.WHOLE:
            return "the title's draw among equals, so that it is fetched once"
        if policy.weighs_capacity:
            return f"the session's draw among equals, weighted by {show_rate(one.capacity_bps)} of capacity"
        return f"the session's draw among equals, weighted by {show_rate(one.spare_bps)} to spare"

    def _listing_words(self, one: Appliance) -> list[str]:
        """What put the last of a new session's list there before others that come earlier."""
        decision, nearby = self.decision, self.nearby
        listed = [name for name in decision.listed if name in nearby.roll.by_name]
        if decision.client.listed or len(listed) < 2 or one.name != listed[-1]:
            return []
        first, *between = (nearby.facility(nearby.roll.by_name[name].site) for name in listed[:-1])
        own = nearby.facility(one.site)
        is_other = own != first and all(facility == first for facility in between)
        return [f"stands in another facility than the others that are listed, {own}"] if is_other else []


def as_json(explained: Explained) -> dict[str, Any]:
    """The whole decision; `pathways` best first, with what decided each place."""
    decision = explained.decision
    client, content, placement = decision.client, decision.content, decision.placement
    return {
        "client": client.address,
        "session": client.session,
        "title": content.title,
        "package": content.package,
        "cohort": decision.policy.cohort,
        "placement": {
            "site": placement.site,
            "by": placement.by.value,
            "prefix": placement.prefix,
            "alternates": list(placement.alternates),
            "reason": placement.reason,
        },
        "priority": list(decision.priority),
        "listed": list(decision.listed),
        "pathways": [_pathway(step) for step in explained.steps],
    }


def as_text(explained: dict[str, Any]) -> str:
    """What `as_json` says, for a terminal."""
    cohort = f", in cohort {explained['cohort']}" if explained["cohort"] else ""
    lines = [
        f"{explained['title']} for {explained['client']}{cohort}: ask {' > '.join(explained['priority'])}",
        f"  {explained['placement']['reason']}",
    ]
    for position, pathway in enumerate(explained["pathways"], start=1):
        mark = "" if pathway["usable"] else " (not usable)"
        lines.append(f"{position:3}  {pathway['name']}{mark}  {pathway['url']}")
        lines += [f"       {reason}" for reason in pathway["reasons"]]
    return "\n".join(lines)


def _pathway(step: Step) -> dict[str, Any]:
    candidate = step.candidate
    return {
        "name": candidate.name,
        "url": candidate.url,
        "site": candidate.site,
        "health": step.health.value if step.health is not None else "",
        "turn": candidate.turn.name.lower(),
        "usable": candidate.is_usable,
        "origin": candidate.turn is Turn.ORIGIN,
        "local": candidate.is_local,
        "holding": candidate.holding.name.lower(),
        "distance_km": step.distance_km,
        "rtt_ms": step.rtt_ms,
        "share": step.share,
        "spare_bps": step.spare_bps,
        "reasons": list(step.reasons),
    }
