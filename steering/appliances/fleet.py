"""The fleet: what every appliance last said of itself, and what that makes of it now.

A report makes an appliance known; silence makes it lost. The judgements have hysteresis, because players follow them
and each move costs them a switch:

    full      from 90 % of the capacity, until it is below 80 %; so is a site of its uplink
    lost      after `lost_after` seconds of silence, until the second report after it
    stalling  while its players say so (steering.appliances.experience)

Whoever returns takes a sixteenth of the sessions at first, and twice as many with each report: all that were sent away
come back at once otherwise. An appliance on trial, a canary, takes no more than its share at any time.

If all fall silent at once it is not they who are gone but our ear: what they said last is believed for `believe_for`,
and marked as stale. Whoever does not answer when it is asked is lost all the same (`silent`, `probe_failed`), unless
many were asked and nobody answers: then it is our own line that is cut. So it is with those that only another replica
hears, when it is not heard itself.

Between two reports the sessions sent to an appliance are counted at their nominal bitrate
(steering.appliances.admission).

Pure: a state machine that is told what arrived and what time it is (seconds of any one clock that does not jump).
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from config.units import show_duration, show_rate
from oca.errors import MessageError, NameInUse
from oca.report import Answer, Held, Report
from steering.appliances.admission import Discount, Reservations
from steering.appliances.experience import SOUND, Verdict
from steering.appliances.roll import Appliance, Health, Roll
from steering.errors import PolicyError

# The pathway of every session that is not an appliance; no appliance may have its name.
ORIGIN = "origin"

FULL_AT, FREE_BELOW = 0.90, 0.80
REPORTS_TO_RETURN = 2
# What a returning appliance takes of the sessions at its first report that counts; each further one doubles it.
FIRST_SHARE = 1 / 16
# Reports since it was lost after which it is as good as any.
_RETURNED = REPORTS_TO_RETURN + round(math.log2(1 / FIRST_SHARE))
# Living appliances report every two seconds, a third of `lost_after`: when nobody did for half of it, we are deaf.
DEAF_AFTER = 0.5
# One appliance that falls silent is lost; two at once may be our ear.
_LEAST_COMPANY = 2
# So many, of several sites, do not die at once: when nobody is heard and nobody answers, we are cut off.
_MANY = 10
# An appliance silent for so long was taken away; the fleet need not list it for ever.
FORGOTTEN_AFTER_S = 7 * 86400.0
# After a restart the appliances that steering knew are trusted for `lost_after`, unless it was down for longer.
STALE_AFTER_S = 600.0


@dataclass(frozen=True, slots=True)
class Known:
    """What an appliance last said; `report.held` is always None, `held` is what was last told."""

    report: Report
    held: Held
    held_version: str
    heard_at: float


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database keeps of an appliance, or another replica heard; `age_s` is how long ago it was heard of.

    `held_for_s` is how long the name has been this instance's: of two appliances of one name the older one keeps it.
    """

    report: Report
    held: Held
    held_version: str
    age_s: float
    held_for_s: float = 0.0


@dataclass(slots=True)
class _Uplink:
    """What a site's appliances share towards the world."""

    limit_bps: int
    load_bps: int = 0
    is_full: bool = False


@dataclass(slots=True)
class _Member:
    """What the fleet keeps of one appliance."""

    known: Known
    seen: Appliance
    trusted_until: float
    since: float  # when this instance was first heard
    reports_back: int = _RETURNED  # since it was lost
    is_hearsay: bool = False  # last heard through another replica
    is_full: bool = False
    is_gone: bool = False  # fell silent while others were heard
    is_given_up: bool = False  # did not answer a probe
    answered_at: float = -math.inf  # a probe
    verdict: Verdict = SOUND
    reserved: Reservations = field(default_factory=Reservations)
    discount: Discount = field(default_factory=Discount)
    uplink: _Uplink | None = None
    carried_bps: int = 0  # of its load by the uplink
    next_moment: float = math.inf


class Fleet:
    def __init__(
        self,
        lost_after: float,
        *,
        believe_for: float = 3600.0,
        largest_capacity_bps: int = 10**12,
        canaries: Collection[str] = (),
        canary_share: float = 1.0,
        cdns: Collection[str] = (),
    ) -> None:
        """`cdns` are pathways of other CDNs: a name means one pathway, so no appliance may have theirs.

        Raises PolicyError.
        """
        if not 0 <= canary_share <= 1:
            raise PolicyError(f"canary_share: found {canary_share:g}, expected 0 to 1")
        self._lost_after, self._believe_for = lost_after, believe_for
        self._largest_capacity_bps = largest_capacity_bps
        self._canaries, self._canary_share = frozenset(canaries), canary_share
        self._cdns = frozenset(cdns)
        self._limits: Mapping[str, int] = {}
        self._uplinks: dict[str, _Uplink] = {}  # of the sites that have a limit
        # How many steering servers and workers share the sessions: each sees its part of them begin.
        self.replicas = 1
        self._members: dict[str, _Member] = {}
        self._replaced: dict[str, deque[str]] = {}  # name -> instances that a newer one took over from
        self._news: set[str] = set()  # appliances that were seen anew since somebody asked which
        self._roll = Roll()
        # What is seen changes by a report, an admission, or when one of these moments has passed: of each appliance
        # the next, others in the heap are void.
        self._moments: list[tuple[float, str]] = []
        self._heard_at = -math.inf  # anybody
        self._answered_at = -math.inf  # anybody, a probe
        self._standing = 0  # appliances that are not lost
        self._company = 0  # how many stood when anybody was last heard
        self._hears_replicas = True

    def limit_uplinks(self, limits: Mapping[str, int], now: float) -> None:
        """Bits a second that each site's appliances may send in all; 0: any."""
        if limits == self._limits:
            return
        self._limits = limits
        self._uplinks = {site: _Uplink(limit) for site, limit in limits.items() if limit}
        for member in self._members.values():
            member.uplink, member.carried_bps = self._uplinks.get(member.seen.site), 0
        for member in list(self._members.values()):
            self._look_at(member, now)

    def take(self, report: Report, now: float) -> Answer:
        """Takes a report in; the answer says which version of its `held` is known.

        Raises NameInUse (409), MessageError (400); then nothing changed.
        """
        self._pass_moments(now)
        self._check(report, now)
        member = self._members.get(report.name)
        if member is not None:
            known = member.known
            if known.report.instance == report.instance and report.sequence <= known.report.sequence:
                return Answer(held_version=known.held_version)  # it was overtaken on the way
        return Answer(held_version=self._accept(report, now, now).known.held_version)

    def hear(self, stored: Stored, now: float) -> None:
        """Takes over what another replica accepted; what is known better here stays.

        Where two appliances of a name report to two replicas, the one that has had the name for longer keeps it, and
        the other is refused at its next report.
        """
        self._pass_moments(now)
        report, member = stored.report, self._members.get(stored.report.name)
        if report.name in self._cdns:
            return
        held_since = now - max(stored.held_for_s, stored.age_s)
        if member is not None:
            known = member.known
            if report.instance == known.report.instance:
                if report.sequence <= known.report.sequence:
                    return
            elif report.instance in self._replaced.get(report.name, ()):
                return
            elif report.url != known.report.url and now <= member.trusted_until:
                ours, theirs = (member.since, known.report.instance), (held_since, report.instance)
                if ours <= theirs:
                    return
        full = report
        if member is None or member.known.held_version != stored.held_version:
            full = msgspec.structs.replace(report, held=dict(stored.held), held_version=stored.held_version)
        heard = self._accept(full, now - stored.age_s, now)
        heard.is_hearsay, heard.since = True, min(heard.since, held_since)

    def restore(self, stored: Iterable[Stored], now: float) -> None:
        """Knows again what the database kept. Who is back first wins: a report is never replaced by a memory."""
        for kept in stored:
            if kept.report.name in self._members or kept.report.name in self._cdns:
                continue
            heard_at = now - kept.age_s
            is_fresh = kept.age_s < STALE_AFTER_S
            report = msgspec.structs.replace(kept.report, held=None)
            known = Known(report, kept.held, kept.held_version, heard_at)
            trusted_until = (now if is_fresh else heard_at) + self._lost_after
            self._join(known, trusted_until, now - max(kept.held_for_s, kept.age_s), now)
            if is_fresh:
                self._heard_at = now
        self._company = self._standing

    def recall(
        self, stored: Stored, verdict: Verdict, now: float, *, is_lost: bool = False, is_full: bool = False
    ) -> None:
        """An appliance as a journal has it (steering.journal): it stays so until it is recalled anew, heard or not.

        `is_full`: it was, and stays it until it is below the lower of the two limits.
        """
        member = self._accept(msgspec.structs.replace(stored.report, held=None), now, now)
        member.known = Known(member.known.report, stored.held, stored.held_version, now)
        self._hold(member)
        member.verdict = verdict
        member.trusted_until, member.is_given_up = (-math.inf, True) if is_lost else (math.inf, False)
        member.reports_back = _RETURNED
        member.is_full |= is_full
        self._weigh(member)
        self._look_at(member, now)

    def admit(self, name: str, rate_bps: int, now: float) -> None:
        """A session of this nominal bitrate was just sent to the appliance."""
        member = self._members.get(name)
        if member is None:
            return
        discount, reserved = member.discount, member.reserved
        discount.note_session(rate_bps)
        before = reserved.total_bps
        reserved.add(int(rate_bps * discount.factor * self.replicas), now)
        member.seen.load_bps += reserved.total_bps - before
        if self._fill(member):
            self._look_at(member, now)
        elif member.uplink is not None:
            self._carry(member, now)

    def judge(self, name: str, verdict: Verdict, now: float) -> None:
        """What its players' experience makes of an appliance."""
        member = self._members.get(name)
        if member is not None and verdict != member.verdict:
            member.verdict = verdict
            self._look_at(member, now)

    # Silence

    def is_cut_off(self, now: float) -> bool:
        """Whether nobody is heard and nobody answers either: that a probe fails says nothing then."""
        is_unanswered = self._answered_at <= self._heard_at
        return is_unanswered and self._company >= _MANY and self._roll.has_several_sites and self.is_deaf(now)

    def is_deaf(self, now: float) -> bool:
        """Whether all fell silent at once, so that it is more likely we who do not hear."""
        return self._company >= _LEAST_COMPANY and now - self._heard_at > DEAF_AFTER * self._lost_after

    def silent(self, now: float) -> list[str]:
        """Who is believed though it is silent: whom to ask whether it lives."""
        self._pass_moments(now)
        silent = (one for one in self._members.values() if now > one.trusted_until)
        return [one.seen.name for one in silent if one.seen.stale or one.is_given_up]

    def probe_failed(self, name: str, now: float, *, is_refused: bool = False) -> None:
        """A silent appliance did not answer when it was asked: it is lost, whoever is deaf.

        Where its machine refused, the way there is open, so that others do not answer is news of them.
        """
        member = self._members.get(name)
        if member is not None and now > member.trusted_until:
            member.is_given_up = True
            self._note_answer(member, now, is_answered=is_refused)

    def probe_answered(self, name: str, now: float) -> None:
        """A silent appliance answered: it lives, and what it said last is believed for longer."""
        member = self._members.get(name)
        if member is not None:
            member.is_given_up, member.answered_at = False, now
            self._note_answer(member, now, is_answered=True)

    def _note_answer(self, member: _Member, now: float, *, is_answered: bool) -> None:
        was_cut_off = self.is_cut_off(now)
        if is_answered:
            self._answered_at = now
        self._look_at(member, now)
        if was_cut_off and is_answered:
            for other in [one for one in self._members.values() if one.is_given_up]:
                self._look_at(other, now)

    def hear_replicas(self, is_heard: bool, now: float) -> None:
        """Whether the other replicas are heard: while not, those appliances are believed that only they hear."""
        if is_heard and not self._hears_replicas:
            self._give_time((one for one in self._members.values() if one.is_hearsay), now)
        self._hears_replicas = is_heard
        self._pass_moments(now)

    # What is seen

    def roll(self, now: float) -> Roll:
        """All appliances as they stand now; good until the next call of anything."""
        self._pass_moments(now)
        return self._roll

    def seen(self, now: float) -> Mapping[str, Appliance]:
        """Every appliance as it is now, by name; good until the next call of anything."""
        return self.roll(now).by_name

    def known(self) -> dict[str, Known]:
        """Every appliance as it last reported, by name."""
        return {name: member.known for name, member in self._members.items()}

    def news(self) -> set[str]:
        """The appliances that reported, changed, joined or were forgotten since this was last asked."""
        news, self._news = self._news, set()
        return news

    def known_of(self, name: str) -> Known | None:
        member = self._members.get(name)
        return member.known if member is not None else None

    def held_for_s(self, name: str, now: float) -> float:
        """How long the name has been this instance's, as `Stored` tells it."""
        member = self._members.get(name)
        return now - member.since if member is not None else 0.0

    # How a report changes it

    def _check(self, report: Report, now: float) -> None:
        if report.name == ORIGIN or report.name in self._cdns:
            whose = "the origin's" if report.name == ORIGIN else "another CDN's"
            raise MessageError(f"not a report: name {report.name!r} is {whose}, expected an appliance's", status=400)
        member = self._members.get(report.name)
        if member is None or member.known.report.instance == report.instance:
            return
        if report.instance in self._replaced.get(report.name, ()):
            raise NameInUse(f"{report.name}: another instance of this appliance took over from this one", status=409)
        url = member.known.report.url
        if report.url != url and now <= member.trusted_until:
            raise NameInUse(
                f"{report.name}: an appliance of this name serves at {url}; give the one at {report.url} "
                "another name, or stop the first",
                status=409,
            )

    def _accept(self, report: Report, heard_at: float, now: float) -> _Member:
        """Takes over a report that was found good; `report.held` is None where it is not new."""
        self._listen(heard_at, now)
        member = self._members.get(report.name)
        held, version = (member.known.held, member.known.held_version) if member is not None else ({}, "")
        if report.held is not None:
            held, version = report.held, report.held_version
            report = msgspec.structs.replace(report, held=None)
        known = Known(report, held, version, heard_at)
        if member is None:
            member = self._join(known, heard_at + self._lost_after, heard_at, now)
        else:
            self._replace(member, known, now)
        self._company = self._standing
        return member

    def _listen(self, heard_at: float, now: float) -> None:
        """Somebody was heard. If others were believed meanwhile, all get time to be heard again."""
        if heard_at <= self._heard_at:
            return
        was_deaf = self.is_deaf(now)
        self._heard_at = heard_at
        if was_deaf and not self.is_deaf(now) and any(one.seen.stale for one in self._members.values()):
            self._give_time(self._members.values(), now)

    def _give_time(self, members: Iterable[_Member], now: float) -> None:
        for member in members:
            if member.seen.health is not Health.LOST:
                member.trusted_until = max(member.trusted_until, now + self._lost_after)
                self._look_at(member, now)

    def _join(self, known: Known, trusted_until: float, since: float, now: float) -> _Member:
        report = known.report
        seen = Appliance(report.name, report.site, report.url, Health.LOST, 0, 0, known.held)
        member = _Member(known, seen, trusted_until, since, uplink=self._uplinks.get(report.site))
        self._members[report.name] = member
        self._roll.add(seen)
        self._weigh(member)
        self._look_at(member, now)
        return member

    def _replace(self, member: _Member, known: Known, now: float) -> None:
        before, report, seen = member.known.report, known.report, member.seen
        if before.instance != report.instance:
            self._replaced.setdefault(report.name, deque(maxlen=8)).append(before.instance)
            member.since = known.heard_at
        was_lost = now > member.trusted_until and seen.health is Health.LOST
        member.reports_back = 1 if was_lost else min(_RETURNED, member.reports_back + 1)
        member.trusted_until = max(member.trusted_until, known.heard_at + self._lost_after)
        member.is_hearsay = member.is_given_up = member.is_gone = False
        member.known = known
        self._hold(member)
        if report.players is not None:
            member.discount.learn(report.serving_bps, report.players.sessions)
        if before.site != report.site:
            self._move(member, report.site, now)
        seen.url = report.url
        member.reserved.pass_time(now)
        self._weigh(member)
        self._look_at(member, now)

    def _hold(self, member: _Member) -> None:
        if member.seen.held is not member.known.held:
            member.seen.held = member.known.held
            self._roll.hold(member.seen)

    def _move(self, member: _Member, site: str, now: float) -> None:
        seen, left, carried = member.seen, member.uplink, member.carried_bps
        self._roll.remove(seen)
        if left is not None:
            self._weigh_site(left, seen.site, -carried, now)
        member.uplink, member.carried_bps = self._uplinks.get(site), 0
        seen.site = site
        self._roll.add(seen)

    # What it makes of an appliance

    def _weigh(self, member: _Member) -> bool:
        """Takes the load up; whether the appliance became full, or free again."""
        seen, report = member.seen, member.known.report
        seen.load_bps = report.serving_bps + member.reserved.total_bps
        seen.capacity_bps = min(report.capacity_bps, self._largest_capacity_bps)
        return self._fill(member)

    def _fill(self, member: _Member) -> bool:
        """Its load changed; whether it became full by that, or free again."""
        seen = member.seen
        self._roll.weigh(seen)
        is_full = seen.load_bps >= (FREE_BELOW if member.is_full else FULL_AT) * seen.capacity_bps
        has_changed = is_full != member.is_full
        member.is_full = is_full
        return has_changed

    def _carry(self, member: _Member, now: float) -> None:
        """Takes the load up at the uplink of its site, which carries nothing of who is lost."""
        if member.uplink is not None:
            before = member.carried_bps
            member.carried_bps = member.seen.load_bps if member.seen.health is not Health.LOST else 0
            self._weigh_site(member.uplink, member.seen.site, member.carried_bps - before, now)

    def _weigh_site(self, uplink: _Uplink, site: str, more_bps: int, now: float) -> None:
        uplink.load_bps += more_bps
        is_full = uplink.load_bps >= (FREE_BELOW if uplink.is_full else FULL_AT) * uplink.limit_bps
        if is_full != uplink.is_full:
            uplink.is_full = is_full
            for name in list(self._roll.at(site)):
                self._look_at(self._members[name], now)

    def _pass_moments(self, now: float) -> None:
        moments = self._moments
        while moments and moments[0][0] < now:
            moment, name = heapq.heappop(moments)
            member = self._members.get(name)
            if member is not None and member.next_moment == moment:
                member.next_moment = math.inf
                member.reserved.pass_time(now)
                self._weigh(member)
                self._look_at(member, now)

    def _look_at(self, member: _Member, now: float) -> None:
        """Sees one appliance anew."""
        known, seen = member.known, member.seen
        self._news.add(seen.name)
        forgotten_at = known.heard_at + FORGOTTEN_AFTER_S
        if now > forgotten_at:
            self._forget(member)
            return
        believed_until = self._believed_until(member, now)
        seen.stale, seen.remark = "", ""
        if now > member.trusted_until:
            seen.stale = self._doubt(member) if now <= believed_until else ""
            member.is_gone |= not seen.stale and not member.is_given_up
        if known.report.capacity_bps > self._largest_capacity_bps:
            seen.remark = f"says it can serve {show_rate(known.report.capacity_bps)}, which is not believed"
        was_partly, (seen.share, seen.share_cause) = seen.share < 1, self._share(member)
        self._set_health(member, *self._judge(member, now))
        if was_partly != (seen.share < 1):
            self._roll.refresh(seen.site)
        moment = next((one for one in (member.trusted_until, believed_until) if one >= now), forgotten_at)
        if seen.health is Health.FULL:
            # Perhaps of promises only, and no report will say that they are over while all are silent.
            moment = min(moment, member.reserved.next_end)
        if member.next_moment > moment:
            member.next_moment = moment
            heapq.heappush(self._moments, (moment, known.report.name))
        self._carry(member, now)

    def _set_health(self, member: _Member, health: Health, cause: str) -> None:
        seen = member.seen
        before, seen.cause = seen.health, cause
        if health is not before:
            self._standing += (before is Health.LOST) - (health is Health.LOST)
            seen.health = health
            self._roll.refresh(seen.site)

    def _forget(self, member: _Member) -> None:
        self._set_health(member, Health.LOST, "")
        if member.uplink is not None:
            member.uplink.load_bps -= member.carried_bps
        self._roll.remove(member.seen)
        del self._members[member.seen.name]
        self._replaced.pop(member.seen.name, None)

    def _believed_until(self, member: _Member, now: float) -> float:
        if member.is_gone or (member.is_given_up and not self.is_cut_off(now)):
            return -math.inf
        if not self.is_deaf(now) and (self._hears_replicas or not member.is_hearsay):
            return -math.inf
        return max(member.known.heard_at, member.answered_at) + self._believe_for

    def _doubt(self, member: _Member) -> str:
        answered = ", but it answers" if member.answered_at > member.known.heard_at else ""
        if member.is_given_up:
            answered = " and nobody answers"
        who = "the replicas that heard it are" if member.is_hearsay and not self._hears_replicas else "everybody is"
        return f"{who} silent{answered}; believed for {show_duration(self._believe_for)}"

    def _judge(self, member: _Member, now: float) -> tuple[Health, str]:
        report = member.known.report
        if now > member.trusted_until and not member.seen.stale:
            gone = " and does not answer" if member.is_given_up else ""
            return Health.LOST, f"silent for more than {show_duration(self._lost_after)}{gone}"
        if member.reports_back < REPORTS_TO_RETURN:
            wanted = REPORTS_TO_RETURN - member.reports_back
            return Health.LOST, f"was lost and reports again; trusted after {wanted} more"
        if report.problems:
            return Health.UNHEALTHY, "; ".join(report.problems)
        if report.state == "draining":
            return Health.DRAINING, "is being emptied, its sessions move away"
        if member.verdict.is_stalling:
            return Health.STALLING, member.verdict.reason
        if member.is_full:
            return Health.FULL, ""
        if member.uplink is not None and member.uplink.is_full:
            carried, limit = show_rate(member.uplink.load_bps), show_rate(member.uplink.limit_bps)
            return Health.FULL, f"the uplink of its site carries {carried} of {limit}"
        return Health.HEALTHY, ""

    def _share(self, member: _Member) -> tuple[float, str]:
        """The part of the sessions that may be sent there, the smallest of what speaks for less than all."""
        share, cause = member.verdict.share, member.verdict.reason
        if member.reports_back < _RETURNED:
            returning = FIRST_SHARE * 2.0 ** max(0, member.reports_back - REPORTS_TO_RETURN)
            share, cause = min((share, cause), (returning, "it returns after it was lost"))
        if member.seen.name in self._canaries:
            share, cause = min((share, cause), (self._canary_share, "it is a canary"))
        return share, cause
