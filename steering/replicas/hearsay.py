"""Several steering servers over one database: what each tells the others of the reports it took, and what it believes.

Each replica holds the whole fleet, and a report arrives at any one of them. About once a second a replica writes what
it heard since, all in one batch, and reads the batches of the others. Here is decided, alike in every replica:

    what is new     of an appliance that reported here and there, what was heard last; by how long ago, in our own time
    whose name      of two living appliances of one name the one that has had it for longer keeps it
    who is alive    a replica whose batches come; how many there are scales what each reserves
    who is unheard  an appliance that is silent because the replica it reported to is, or because nothing can be read

Clocks of replicas differ. So what travels is an age, to which the time it lay in the database is added, by the
database's own clock, and never more than has passed since we read last. Only since when an appliance has its name is a
time, of the database's clock: both sides must compare the very same numbers.

Pure: `now` is of this replica's clock, which does not jump; `now_there` of the database's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from oca.report import Report
from steering.appliances.fleet import Known

# Ages are right to some milliseconds; what was heard of an appliance's earlier instance must not replace the one after
# it, which would then be refused and end. One that was started anew is known everywhere by its second report.
_SURELY_LATER_S = 1.0
# Replicas write each 0.75 s; one that missed three is gone, or cannot reach the database. It must be noticed before the
# appliances that report to it are lost: six seconds after a report that may be nearly three seconds old by then.
ALIVE_FOR_S = 2.5
# Who has been gone for so long has nothing in the database that could be read again.
_REMEMBERED_S = 600.0
# Reports packed together: unpacked in 0.1 ms, which no poll notices.
CHUNK = 64
# Of up to 64 paths that a report names, so many are told on: all of those in 9,000 reports a second would be 20 MB, and
# what is learned of them is a median over minutes.
_PATHS_TOLD = 8
# What says nothing new is written again after this, so that a restart knows how old it is.
_REWRITTEN_AFTER_S = 60.0
# While a fill goes on, what an appliance holds changes with every file; others may know it this much later.
_HELD_AFTER_S = 10.0


class Heard(msgspec.Struct, frozen=True, array_like=True):
    """A report as one replica tells it to the others; its `held` is None."""

    report: Report
    age_s: float  # when it was told
    since: float  # when this appliance came to have its name; of the database's clock


class _Holder(NamedTuple):
    """Who has a name. The smaller of two is the older, and where they are equal still one of them."""

    since: float
    url: str


class _Beat(NamedTuple):
    """The last that was read of a replica."""

    number: int
    seen_at: float


class Replicas:
    def __init__(self, own: str) -> None:
        self.own = own
        self._holders: dict[str, _Holder] = {}
        self._sources: dict[str, str] = {}  # name -> the replica that told of it last, if it was not heard here since
        self._beats: dict[str, _Beat] = {}

    def remember(self, name: str, url: str, since: float) -> None:
        """What the database kept: since when this appliance has its name."""
        self._holders.setdefault(name, _Holder(since, url))

    def tell(self, known: Known, now: float, now_there: float) -> Heard:
        """What to tell of an appliance that reported here."""
        name, url = known.report.name, known.report.url
        age_s = max(0.0, now - known.heard_at)
        holder = self._holders.get(name)
        if holder is None or holder.url != url:
            holder = self._holders[name] = _Holder(now_there - age_s, url)
        self._sources.pop(name, None)
        return Heard(_with_some_paths(known.report), round(age_s, 3), holder.since)

    def recall(self, known: Known, now: float, now_there: float) -> Heard:
        """The same of any appliance, for a replica that starts while there is no database."""
        age_s = max(0.0, now - known.heard_at)
        holder = self._holders.get(known.report.name)
        return Heard(known.report, age_s, holder.since if holder is not None else now_there - age_s)

    def seen(self) -> Mapping[str, int]:
        """The last batch of each other replica that was read."""
        return {name: beat.number for name, beat in self._beats.items()}

    def lay(self, replica: str, lay_s: float, read_at: float, now: float) -> float:
        """For how long a batch lay in the database, which says `lay_s`; we read it last at `read_at`."""
        return min(lay_s, max(0.0, now - read_at)) if replica in self._beats else lay_s

    def note(self, replica: str, number: int, now: float) -> None:
        """A batch was read."""
        self._beats[replica] = _Beat(number, now)

    def takes(self, heard: Heard, replica: str, known: Known | None, heard_at: float, *, is_lost: bool) -> bool:
        """Whether what another replica heard at `heard_at`, in our time, replaces what is `known` here.

        `is_lost`: what is known here is of an appliance that is gone, and whose name is free.
        """
        name, url = heard.report.name, heard.report.url
        told, holder = _Holder(heard.since, url), self._holders.get(name)
        if known is not None and known.report.url != url:
            if not is_lost and (holder is None or holder <= told):
                return False
        elif known is not None and known.report.instance == heard.report.instance:
            if heard.report.sequence <= known.report.sequence:
                return False
        elif known is not None and heard_at < known.heard_at + _SURELY_LATER_S:
            return False  # it may be of an instance before the one that is known
        self._holders[name] = told if holder is None or holder.url != url else min(holder, told)
        self._sources[name] = replica
        return True

    def living(self, now: float) -> int:
        """How many replicas there are, this one included."""
        return 1 + sum(now - beat.seen_at <= ALIVE_FOR_S for beat in self._beats.values())

    def unheard(self, now: float) -> Iterator[str]:
        """Appliances that reported to a replica of which nothing is heard any more; their silence says nothing."""
        quiet = {name for name, beat in self._beats.items() if now - beat.seen_at > ALIVE_FOR_S}
        if quiet:
            yield from (name for name, source in self._sources.items() if source in quiet)

    def forget_the_gone(self, now: float) -> None:
        """Replicas that were started anew have new names; the old ones are not kept for ever."""
        gone = {name for name, beat in self._beats.items() if now - beat.seen_at > _REMEMBERED_S}
        for name in gone.difference(self._sources.values()):
            del self._beats[name]


class Written:
    """What the database has of the appliances that reported here, so that only what it lacks is written."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[tuple[object, ...], float]] = {}
        self._held: dict[str, tuple[str, float]] = {}

    def lacks(self, known: Known, now: float) -> bool:
        """Whether the appliance's row is to be written: it says something new, or nothing was written for a minute."""
        what, at = self._rows.get(known.report.name, (None, 0.0))
        return what != _lasting(known.report) or now - at >= _REWRITTEN_AFTER_S

    def lacks_held(self, known: Known, now: float) -> bool:
        """Whether what it holds is to be written."""
        version, at = self._held.get(known.report.name, (None, 0.0))
        return version != known.held_version and (version is None or now - at >= _HELD_AFTER_S)

    def wrote(self, known: Known, now: float) -> None:
        self._rows[known.report.name] = (_lasting(known.report), now)

    def wrote_held(self, name: str, version: str, now: float) -> None:
        """Also what another replica wrote."""
        self._held[name] = (version, now)

    def forget(self) -> None:
        """The database is another one, which has nothing yet."""
        self._rows.clear()
        self._held.clear()


def _with_some_paths(report: Report) -> Report:
    """Each time others of them."""
    names = list(report.paths)
    if len(names) <= _PATHS_TOLD:
        return report
    start = report.sequence * _PATHS_TOLD % len(names)
    told = {name: report.paths[name] for name in (names + names)[start : start + _PATHS_TOLD]}
    return msgspec.structs.replace(report, paths=told)


def _lasting(report: Report) -> tuple[object, ...]:
    """What a report says beyond the traffic of the moment."""
    return (
        report.instance,
        report.site,
        report.url,
        report.state,
        report.problems,
        report.capacity_bps,
        report.disk_bytes,
        report.held_version,
        report.notes,
    )
