"""One decision, as it would have been made at a moment of the past, with no service running."""

from __future__ import annotations

from typing import Any

from config.units import show_duration
from steering.choice.explain import as_json
from steering.errors import JournalError, TitleUnknown
from steering.journal.moments import show_moment
from steering.journal.past import Past
from steering.journal.segments import Journal
from steering.replay.change import Change
from steering.replay.files import changed_since
from steering.replay.world import World

# A journal that is kept says something each few seconds; what is older than this was not kept up to the moment.
_FRESH_S = 15.0


def explain_at(journal: Journal, at: float, client: str, title: str, session: str) -> dict[str, Any]:
    """What `steering.choice.explain` says of it, with the age of what it is made from, and remarks.

    Raises JournalError, TitleUnknown, SitesError, GeographyError.
    """
    past = past_at(journal, at)
    offered = past.titles.get(title)
    if offered is None:
        raise TitleUnknown(f"no title {title!r} in the catalog of {show_moment(at)}")
    since, until = offered.title.available_from, offered.title.available_until
    if at < since or (until is not None and at >= until):
        end = show_moment(until) if until is not None else "the end"
        raise TitleUnknown(f"title {title!r} is available from {show_moment(since)} to {end} only")
    world = World(past, Change())
    world.pass_time(at)
    explained = as_json(world.explain(offered, client, session))
    age_s = at - past.at
    newer = changed_since(past.settings, at) if past.settings is not None else []
    remarks = [*_old(age_s), *world.remarks, *_other_routes(past.routes, world.routes), *newer, *journal.damage]
    return {**explained, "at": show_moment(at), "age_s": round(age_s, 3), "remarks": remarks}


def past_at(journal: Journal, at: float) -> Past:
    """Raises JournalError."""
    past = Past()
    for record in journal.records(at):
        if record.time > at:
            break
        for _ in past.take(record):
            pass
    if past.settings is None:
        raise JournalError(f"the journal has no settings before {show_moment(at)}")
    return past


def moment_as_text(explained: dict[str, Any]) -> str:
    """What `explain_at` adds to the decision, for a terminal."""
    lines = [f"as of {explained['at']}, by what was known {show_duration(explained['age_s'])} before"]
    return "\n".join([*lines, *(f"note: {remark}" for remark in explained["remarks"])])


def _old(age_s: float) -> list[str]:
    if age_s <= _FRESH_S:
        return []
    return [f"nothing was kept of the {show_duration(age_s)} before: steering did not run, or could not write"]


def _other_routes(then: int, now: int) -> list[str]:
    if not now or then == now:
        return []
    return [f"the table of routes is another by now, and says what it says now: generation {now}, and it was {then}"]
