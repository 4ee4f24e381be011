"""Runs the world as it was, and the one with a change, over the sessions of a log."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import msgspec

from config.progress import Reporter
from steering.errors import ReplayError
from steering.journal.moments import show_moment
from steering.journal.past import Past
from steering.journal.records import Record
from steering.journal.segments import Journal
from steering.replay.change import Change
from steering.replay.files import changed_since
from steering.replay.outcome import Agreement, Outcome, movers, sending, served_by_appliances, served_by_sites
from steering.replay.plays import Play, PlayLogs
from steering.replay.tally import Sent, Tally
from steering.replay.timeline import Survey, survey, timeline
from steering.replay.world import World

_SESSIONS_BETWEEN_NOTES = 500
# Why a session is decided otherwise than it was logged, the first that applies.
_UNKNOWN = "the journal does not know the title"
_ELSEWHERE = "another site is asked first: the fleet stood otherwise than the journal says, or the address is too short"
_DRAWN = "another appliance of the same site: the draw goes by loads of the moment"


class Comparison:
    """One replay: `take` and `begin` in the order of their times."""

    def __init__(self, change: Change, found: Survey) -> None:
        self._change, self._found = change, found
        self._past = Past()
        self._was: World | None = None
        self._becomes: World | None = None
        self._tally, self._tally_changed = Tally(), Tally()
        self._agrees: Counter[str] = Counter()
        self._sessions: Counter[tuple[str, str]] = Counter()
        self._bits: defaultdict[tuple[str, str], float] = defaultdict(float)

    def take(self, record: Record) -> None:
        """Raises SitesError, GeographyError."""
        for news in self._past.take(record):
            for world in (self._was, self._becomes):
                if world is not None:
                    world.take(news)

    def begin(self, play: Play) -> None:
        """A session of the log. Raises SitesError, GeographyError."""
        offered = self._past.titles.get(play.title)
        if offered is None:
            self._agrees[_UNKNOWN] += 1
            return
        if self._was is None:
            self._was = World(self._past, Change(), self._found.begins_at)
            self._becomes = World(self._past, self._change, self._found.begins_at) if self._change else None
        title = offered.title
        lasts_s = title.duration_s * self._found.watched
        bits = title.nominal_bps * lasts_s
        sent = self._was.send(play, offered)
        self._tally.add(sent, bits)
        self._compare(play, sent)
        if self._becomes is not None:
            otherwise = self._becomes.send(play, offered)
            self._tally_changed.add(otherwise, bits)
            if otherwise.first != sent.first:
                self._becomes.move(title.nominal_bps, sent.first, otherwise.first, lasts_s)
                self._sessions[sent.site, otherwise.site] += 1
                self._bits[sent.site, otherwise.site] += bits

    def outcome(self) -> Outcome:
        """Raises ReplayError if there was no session."""
        was, becomes, found = self._was, self._becomes or self._was, self._found
        if was is None or becomes is None:
            raise ReplayError("no session of a title that the journal knows is in the logs of decisions in this time")
        for world in (was, becomes):
            world.loads.end(found.ends_at)
        agrees = self._agrees
        return Outcome(
            begins_at=found.begins_at,
            ends_at=found.ends_at,
            change=self._change.words,
            watched=found.watched,
            agreement=Agreement(agrees.total(), agrees.pop("", 0), dict(agrees.most_common())),
            was=sending(self._tally),
            becomes=sending(self._tally_changed) if self._change else None,
            moved=self._sessions.total(),
            movers=movers(self._sessions, self._bits),
            sites=served_by_sites(was.loads, becomes.loads),
            appliances=served_by_appliances(was.loads, becomes.loads),
            remarks=tuple(was.remarks | becomes.remarks) + tuple(self._newer_files()),
        )

    def _newer_files(self) -> list[str]:
        return changed_since(self._past.settings, self._found.ends_at) if self._past.settings is not None else []

    def _compare(self, play: Play, sent: Sent) -> None:
        """Of the world as it was with the log."""
        reason = "" if sent.first == play.first else _DRAWN if sent.site == play.first_site else _ELSEWHERE
        self._agrees[reason] += 1


def compare(
    journal: Journal,
    decisions: Sequence[Path],
    since: float,
    until: float,
    change: Change,
    reporter: Reporter,
    *,
    watched: float | None = None,
) -> Outcome:
    """`watched` is the part of its title that a session lasts, if that is known better than what was served tells.

    Raises JournalError, ReplayError, SitesError, GeographyError.
    """
    since = max(since, journal.begins_at)
    logs = PlayLogs(decisions, since, until)
    with reporter.bar("reading", logs.size_bytes) as bar:
        found = survey(journal, logs, since, bar.update)
    if not found.plays:
        raise ReplayError(f"found no session in the logs of decisions after {show_moment(since)}")
    found.watched = watched or found.watched
    change.check(found.appliances, found.sites)
    comparison, number = Comparison(change, found), 0
    with reporter.bar("deciding again", found.plays) as bar:
        for event in timeline(journal, logs, since):
            if not isinstance(event, Play):
                comparison.take(event)
                continue
            comparison.begin(event)
            number += 1
            if number % _SESSIONS_BETWEEN_NOTES == 0:
                bar.update(number, show_moment(event.time))
    outcome = comparison.outcome()
    return msgspec.structs.replace(outcome, remarks=(*outcome.remarks, *_remarks(journal, logs)))


def _remarks(journal: Journal, logs: PlayLogs) -> list[str]:
    """What could not be read."""
    remarks = list(journal.damage)
    remarks += [
        f"log of decisions {path} cannot be read to its end: {why}" for path, why in logs.seen.unreadable.items()
    ]
    if logs.seen.broken:
        remarks.append(f"{logs.seen.broken} lines of the logs are no decisions")
    return remarks
