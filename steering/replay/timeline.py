"""Journal and sessions in the order of their times, and what is to be known of them before they are replayed.

How long sessions lasted is in no log. But what appliances served is in the journal, and what would have been served
had every session lasted as long as its title, at the nominal bitrate, is a sum: the one divided by the other is the
part of it that is taken for every session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from steering.journal.past import Past
from steering.journal.records import Record, Standing
from steering.journal.segments import Journal
from steering.replay.loads import Loads
from steering.replay.plays import Play, PlayLogs

# Less than so much of a film is watched by nobody on average; what says so has something else wrong with it.
LEAST_WATCHED = 0.01

Note: TypeAlias = Callable[[int], None]


@dataclass
class Survey:
    """What a replay is of."""

    begins_at: float = 0.0
    ends_at: float = 0.0
    plays: int = 0
    watched: float = 1.0  # part of a title's length that a session lasts, at the nominal bitrate
    appliances: set[str] = field(default_factory=set)
    sites: set[str] = field(default_factory=set)


def timeline(journal: Journal, logs: PlayLogs, since: float, note: Note | None = None) -> Iterator[Record | Play]:
    """What the journal says from the segment on that `since` is in, and sessions. Raises JournalError."""
    records = journal.records(since)
    record = next(records, None)
    for play in logs.read(note):
        # The beginning of a segment says again what is older: its lines are in order among themselves.
        while record is not None and record.time <= play.time:
            yield record
            record = next(records, None)
        yield play


def survey(journal: Journal, logs: PlayLogs, since: float, note: Note) -> Survey:
    """Raises JournalError."""
    found, past, loads, bits = Survey(), Past(), Loads(since), 0.0
    for event in timeline(journal, logs, since, note):
        if not isinstance(event, Play):
            for news in past.take(event):
                if isinstance(news, Standing):
                    found.appliances.add(news.name)
                    found.sites.add(news.site)
                    serving = news.serving_bps if news.health != "lost" else 0
                    loads.set(news.name, news.site, serving, news.capacity_bps, past.at)
            continue
        found.begins_at = found.begins_at or event.time
        found.ends_at = event.time
        found.plays += 1
        offered = past.titles.get(event.title)
        if offered is not None:
            bits += offered.title.nominal_bps * offered.title.duration_s
    loads.end(found.ends_at)
    if bits and loads.served_bits:
        found.watched = min(1.0, max(LEAST_WATCHED, loads.served_bits / bits))
    return found
