"""What players say of appliances, and what that makes of each: sound, stalling, or on its way back.

Two kinds of evidence, each judged by itself:

    events      sessions that complained to us (complaints)     of those that are heard or known to be there
    requests    sessions that starved, as the appliance counted them     of those that said anything with a request

Appliances differ, and so do their players: what a phone in a tunnel says is no fault of who serves it. So an appliance
stalls when it is certain that more of its sessions have trouble than elsewhere:

    L(k, n) > max(5 %, 2 * max(elsewhere, usual))      k of n sessions of the last half minute have trouble

L is the lower end of the score interval of a share (Wilson 1927) at z = 4, below which the true share is three times in
100,000. Where one of a hundred sessions has trouble everywhere, four of ten have it by chance in two of a million half
minutes, and of more sessions the share that it takes is less likely still.

    L = (p + z²/2n - z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n),  p = k/n      3 of 3: 16 %   5 of 20: 5 %   14 of 100: 5 %

    elsewhere   the share over all other appliances, as if 20 further sessions had trouble in 1 of 100; without those
                that are suspect themselves, unless hardly any others are left. So a whole site in trouble is left if
                others are better, and nobody is where all are equally bad.
    usual       the share of this appliance in the mean of some hours, up to a quarter: a village behind thin lines
                stalls wherever it is sent.

Clients lie. A session is believed about one appliance only, for ten minutes: who has trouble everywhere has it with
itself. A network (/24, /48) counts for four sessions at most (oca.crowd), and trouble is that of three networks, or of
half of all sessions; and a network is believed about four appliances in ten minutes, for at night it is half of all
sessions of any appliance that it likes.

    sound --certainly worse--> stalling --quiet for `hold`--> returning: 1/16 of its share, twice as much each 10 s
                                  ^--------- certainly worse, of two sessions now ----'      '--> sound

Whoever stalls again soon after it returned is held for twice as long as before, up to ten minutes.

Pure: a state machine that is told what was said and what time it is. What it costs: 2 us a complaint, 5 us a judgement.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Literal, NamedTuple, TypeAlias

from oca.crowd import Crowd
from oca.report import Players
from steering.recent import Recent

WINDOW_S = 30.0
_Z = 4.0
_FLOOR, _RATIO = 0.05, 2.0
_LEAST_SESSIONS, _LEAST_OF_RETURNING = 3, 2
_LEAST_NETWORKS = 3
_LARGE_SHARE = 0.5
# More than a crowd can tell (oca.crowd) nobody has; an appliance that says so must not speak for the whole fleet.
_MOST_WITNESSES = 4000
# What is believed of the rest of the fleet before anything is heard of it.
_PRIOR_SESSIONS, _PRIOR_SHARE = 20.0, 0.01
# Below this part of all sessions those of sound appliances do not show that things could be better.
_LEAST_SOUND = 0.25
_USUAL_S, _USUAL_LEAST_SESSIONS, _MOST_USUAL = 3 * 3600.0, 10, 0.25
# A browser has up to six connections to a host, of which a player that loads sound and picture uses two to four.
_PER_SESSION = 4
# Players follow within a TTL of ten seconds, so that twenty later nobody complains who should have gone.
HOLD_S, _LONGEST_HOLD_S = 20.0, 640.0
_RELAPSE_WITHIN_S = 600.0
_RETURN_STEP_S = 10.0
FIRST_SHARE = 1 / 16
_BELIEVED_FOR_S = 600.0
_NEWS_AFTER_S = 1.0  # a session that repeats itself sooner says nothing new
_JUDGED_EVERY_S = 0.25
_MOST_COMPLAINERS = 50_000
_MOST_ACCUSED, _MOST_ACCUSERS = 4, 10_000
# An appliance that says nothing for so long has no part in what is usual elsewhere.
_SILENT_AFTER_S = 60.0

State: TypeAlias = Literal["sound", "stalling", "returning"]


class Verdict(NamedTuple):
    """What players' experience makes of an appliance; `share` scales its weight in draws."""

    is_stalling: bool
    share: float  # 0 to 1
    reason: str  # in words; empty while nothing is wrong


SOUND = Verdict(is_stalling=False, share=1.0, reason="")


class _Tally(NamedTuple):
    """Sessions with trouble, of all, and the networks of those with trouble."""

    troubled: int
    sessions: int
    networks: int
    is_suspect: bool  # by itself, whatever is elsewhere


_NOTHING = _Tally(0, 0, 0, is_suspect=False)


class _Everywhere:
    """The tallies of all appliances by one kind of evidence, summed up."""

    def __init__(self) -> None:
        self._troubled = self._sessions = self._sound_troubled = self._sound_sessions = 0

    def replace(self, before: _Tally, now: _Tally) -> None:
        self._troubled += now.troubled - before.troubled
        self._sessions += now.sessions - before.sessions
        for tally, sign in ((before, -1), (now, 1)):
            if not tally.is_suspect:
                self._sound_troubled += sign * tally.troubled
                self._sound_sessions += sign * tally.sessions

    def but(self, own: _Tally) -> float:
        """The share of sessions with trouble at all others."""
        troubled, sessions = self._sound_troubled, self._sound_sessions
        if not own.is_suspect:
            troubled, sessions = troubled - own.troubled, sessions - own.sessions
        others = self._sessions - own.sessions
        if sessions < _LEAST_SOUND * others:
            troubled, sessions = self._troubled - own.troubled, others
        return (troubled + _PRIOR_SESSIONS * _PRIOR_SHARE) / (sessions + _PRIOR_SESSIONS)


class _Evidence:
    """What is known of one appliance by one kind of evidence."""

    __slots__ = ("everywhere", "tally", "usual", "usual_at")

    def __init__(self, everywhere: _Everywhere, now: float) -> None:
        self.everywhere = everywhere
        self.tally = _NOTHING
        self.usual, self.usual_at = 0.0, now

    def put(self, troubled: int, sessions: int, networks: int, now: float) -> None:
        if not troubled and not sessions and self.tally is _NOTHING:
            return
        troubled, sessions = min(troubled, _MOST_WITNESSES), min(max(sessions, troubled), _MOST_WITNESSES)
        is_suspect = troubled >= _LEAST_SESSIONS and least_share(troubled, sessions) > _FLOOR
        tally = _Tally(troubled, sessions, networks, is_suspect)
        self.everywhere.replace(self.tally, tally)
        self.tally = tally
        if sessions >= _USUAL_LEAST_SESSIONS:
            part = min(1.0, (now - self.usual_at) / _USUAL_S)
            self.usual += (troubled / sessions - self.usual) * part
        self.usual_at = now

    def clear(self) -> None:
        self.everywhere.replace(self.tally, _NOTHING)
        self.tally = _NOTHING

    def is_worse(self, least_sessions: int) -> bool:
        """Whether it is certain that things are better elsewhere."""
        troubled, sessions, networks, _ = self.tally
        if troubled < least_sessions:
            return False
        if networks < min(least_sessions, _LEAST_NETWORKS) and troubled < _LARGE_SHARE * sessions:
            return False
        normal = max(self.everywhere.but(self.tally), min(self.usual, _MOST_USUAL))
        return least_share(troubled, sessions) > max(_FLOOR, _RATIO * normal)

    def show(self) -> str:
        troubled, sessions, *_ = self.tally
        elsewhere = self.everywhere.but(self.tally)
        return f"{troubled} of {sessions} sessions of the last {WINDOW_S:.0f} s, elsewhere {elsewhere:.1%}"


# Of the thousands of appliances of which nobody says anything: two crowds less to keep for each.
_NOBODY = Crowd(WINDOW_S)


class _Record:
    """All of one appliance."""

    __slots__ = (
        "asked", "complaints", "connections", "events", "heard", "heard_at", "hold_s", "judged_at", "requests", "since",
        "state", "verdict", "worse_at",
    )  # fmt: skip

    def __init__(self, events: _Evidence, requests: _Evidence, now: float) -> None:
        self.events, self.requests = events, requests
        self.complaints = self.heard = _NOBODY
        self.asked: Players | None = None
        self.connections = 0
        self.heard_at = now
        self.state: State = "sound"
        self.verdict = SOUND
        self.since = self.worse_at = self.judged_at = -math.inf
        self.hold_s = HOLD_S


class Experience:
    """What is known of every appliance's players.

    Sessions are numbers as oca.crowd makes them, networks as steering.placement.paths does.
    """

    def __init__(self) -> None:
        self.complaints = self.disbelieved = 0  # since the start
        self.replicas = 1  # each of which hears a part of the events, and all reports
        self._events, self._requests = _Everywhere(), _Everywhere()
        self._records: OrderedDict[str, _Record] = OrderedDict()  # who reported last stands last
        # By session and network: the appliance that it is believed about, since when, and when it last complained.
        self._believed: Recent[int, tuple[str, float, float]] = Recent(_MOST_COMPLAINERS)
        # By network: the appliances that it is believed about, and when it last complained of them.
        self._accused: Recent[int, dict[str, float]] = Recent(_MOST_ACCUSERS)

    def report(self, name: str, players: Players | None, connections: int, now: float) -> Verdict:
        """An appliance said what it knows."""
        record = self._record(name, now)
        record.asked, record.connections, record.heard_at = players, connections // self.replicas, now
        self._records.move_to_end(name)
        self._leave_out_the_silent(now)
        return self._judge(record, now)

    def hear(self, name: str, session: int, network: int, now: float) -> None:
        """A session that plays from the appliance says something."""
        record = self._record(name, now)
        if record.heard is _NOBODY:
            record.heard = Crowd(WINDOW_S)
        record.heard.add(session, network, now)

    def complain(self, name: str, session: int, network: int, now: float) -> Verdict:
        """It says that it has trouble there."""
        record = self._record(name, now)
        self.complaints += 1
        who = session ^ network << 32
        about, since, last = self._believed.get(who) or (name, now, -math.inf)
        if now - since >= _BELIEVED_FOR_S:
            about, since = name, now
        if about != name:
            self.disbelieved += 1
            return record.verdict
        if now - last < _NEWS_AFTER_S:
            return record.verdict
        if not self._may_accuse(network, name, now):
            self.disbelieved += 1
            return record.verdict
        self._believed.put(who, (name, since, now))
        self.hear(name, session, network, now)
        if record.complaints is _NOBODY:
            record.complaints = Crowd(WINDOW_S)
        record.complaints.add(session, network, now)
        # What is left for the next report, which comes within two seconds, is what a flood of complaints would cost.
        return self._judge(record, now) if now - record.judged_at >= _JUDGED_EVERY_S else record.verdict

    def verdict(self, name: str) -> Verdict:
        """As it was last judged."""
        record = self._records.get(name)
        return record.verdict if record is not None else SOUND

    def _record(self, name: str, now: float) -> _Record:
        record = self._records.get(name)
        if record is None:
            evidence = _Evidence(self._events, now), _Evidence(self._requests, now)
            record = self._records[name] = _Record(*evidence, now)
        return record

    def _may_accuse(self, network: int, name: str, now: float) -> bool:
        accused = self._accused.get(network) or {}
        if name not in accused and len(accused) >= _MOST_ACCUSED:
            oldest = min(accused, key=accused.__getitem__)
            if now - accused[oldest] < _BELIEVED_FOR_S:
                return False
            del accused[oldest]
        accused[name] = now
        self._accused.put(network, accused)
        return True

    def _leave_out_the_silent(self, now: float) -> None:
        """One at a time: reports come all the time, and silence is rare."""
        name, record = next(iter(self._records.items()))
        if now - record.heard_at > _SILENT_AFTER_S:
            record.events.clear()
            record.requests.clear()
            del self._records[name]

    def _judge(self, record: _Record, now: float) -> Verdict:
        self._count(record, now)
        record.judged_at, state = now, record.state
        least = _LEAST_OF_RETURNING if state == "returning" else _LEAST_SESSIONS
        worse = next((one for one in (record.events, record.requests) if one.is_worse(least)), None)
        if worse is not None and len(self._records) > 1:
            record.worse_at = now
            if state != "stalling":
                self._hold(record, worse.show(), now)
        elif state == "stalling":
            if now - record.worse_at >= record.hold_s:
                self._let_return(record, now)
        elif state == "returning":
            self._return(record, now)
        return record.verdict

    def _count(self, record: _Record, now: float) -> None:
        asked, troubled, networks = record.asked, 0, 0
        present = asked.witnesses // self.replicas if asked is not None else record.connections // _PER_SESSION
        if record.heard is not _NOBODY:
            present = max(present, record.heard.sessions(now))
            troubled, networks = record.complaints.sessions(now), record.complaints.networks(now)
        record.events.put(troubled, present, networks, now)
        if asked is not None:
            record.requests.put(asked.starved, asked.witnesses, asked.starved_networks, now)
        elif record.requests.tally is not _NOTHING:
            record.requests.clear()

    def _hold(self, record: _Record, why: str, now: float) -> None:
        """It stalls; if again, it is held for longer."""
        is_relapse = now - record.since < _RELAPSE_WITHIN_S
        record.hold_s = min(_LONGEST_HOLD_S, record.hold_s * 2) if is_relapse else HOLD_S
        record.state, record.since = "stalling", now
        record.verdict = Verdict(True, 0.0, f"players stall here: {why}")

    def _let_return(self, record: _Record, now: float) -> None:
        """What was said before it was left says nothing of what it is now."""
        record.complaints = record.heard = _NOBODY
        record.events.clear()
        record.state, record.since = "returning", now
        self._return(record, now)

    def _return(self, record: _Record, now: float) -> None:
        steps = int((now - record.since) / _RETURN_STEP_S)
        share = FIRST_SHARE * 2.0 ** min(steps, 10)
        if share >= 1:
            record.state, record.verdict = "sound", SOUND
        elif record.verdict.share != share:
            record.verdict = Verdict(False, share, f"players stalled here; takes 1/{1 / share:.0f} of its sessions")


def least_share(troubled: int, sessions: int) -> float:
    """What the true share is at least, beyond reasonable doubt: the lower end of Wilson's interval."""
    share, spread = troubled / sessions, _Z * _Z / sessions
    root = math.sqrt(share * (1 - share) / sessions + spread / (4 * sessions))
    return (share + spread / 2 - _Z * root) / (1 + spread)
