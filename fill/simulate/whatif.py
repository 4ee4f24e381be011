"""What if a site fails, a disk is larger, the window moves: changes to a fleet, as a sentence each.

    site NAME fails
    disk xN at NAME                 capacity xN at NAME
    window HH:MM-HH:MM at NAME      rate RATE at NAME
    add appliance at NAME           remove appliance at NAME
    demand xN                       demand xN at NAME

NAME is a site, or what several that are alike are called together: of `name = "south"`, `count = 20`, south-3 is one
and south are all. Sentences joined by " and " happen one after the other.

Where a site fails, steering sends its viewers to the sites of the same region that have room at peak, those of the same
ISP first; what none has room for goes to the origin.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from config.errors import ConfigError, Problem
from config.units import parse_rate, show_rate
from fill.simulate.fleet import Box, Fleet, Site, window_hours
from fill.transfer.window import parse_window

WHERE = "--what-if"
_FORMS = (
    '"site NAME fails", "disk xN at NAME", "capacity xN at NAME", "window HH:MM-HH:MM at NAME", "rate RATE at NAME", '
    '"add appliance at NAME", "remove appliance at NAME", "demand xN" or "demand xN at NAME"'
)
_LARGEST_FACTOR = 1000.0
_MOST_NAMES = 20
# Sites that take over are told one by one up to so many.
_MOST_TOLD = 5


class Changed(NamedTuple):
    """The fleet after it, and what is to be said of it at once."""

    fleet: Fleet
    notes: tuple[str, ...] = ()


def change(fleet: Fleet, text: str) -> Changed:
    """Raises ConfigError for what is none of the sentences, or names no site of the fleet."""
    notes: list[str] = []
    for sentence in text.split(" and "):
        changed = _change(fleet, " ".join(sentence.split()))
        fleet = changed.fleet
        notes += changed.notes
    return Changed(fleet, tuple(notes))


def _change(fleet: Fleet, text: str) -> Changed:
    for pattern, make in _SENTENCES:
        match = re.fullmatch(pattern, text)
        if match is not None:
            return make(fleet, match)
    raise ConfigError([Problem(WHERE, "sentence", repr(text), _FORMS)])


def _fails(fleet: Fleet, match: re.Match[str]) -> Changed:
    fleet = _apart(fleet, match["name"])
    lost = [site for site in fleet if _is_named(site, match["name"]) and not site.is_lost]
    if not lost:
        raise ConfigError([Problem(WHERE, "site", match["name"], "a site that has not failed before")])
    others = [site for site in fleet if site not in lost and not site.is_lost]
    notes = [f"site {site.name}{f' (all {site.count})' if site.count > 1 else ''} fails" for site in lost]
    taken: dict[str, float] = {}  # by each of the sites of that name
    left: dict[str, float] = {}
    for site in lost:
        if not site.viewers:
            notes.append("what it served goes to the origin: in a trace no site takes over for another")
            continue
        rest = site.viewers * site.count
        for candidates in _nearest(site, others):
            room = {one.name: max(0.0, one.capacity - one.viewers - taken.get(one.name, 0.0)) for one in candidates}
            free = sum(room[one.name] * one.count for one in candidates)
            share = min(1.0, rest / free) if free else 0.0
            for one in candidates:
                taken[one.name] = taken.get(one.name, 0.0) + room[one.name] * share
            rest -= free * share
        left[site.name] = rest / site.count
        notes += _takeover(site, rest, others, taken)
    return Changed(
        tuple(
            replace(site, is_lost=True, viewers=left.get(site.name, site.viewers), guests=0.0)
            if site in lost
            else replace(
                site, viewers=site.viewers + taken.get(site.name, 0.0), guests=site.guests + taken.get(site.name, 0.0)
            )
            for site in fleet
        ),
        tuple(notes),
    )


def _nearest(lost: Site, others: list[Site]) -> Iterator[list[Site]]:
    """The sites that take over, in turn: of the same ISP, then of the same region."""
    own = [site for site in others if site.region == lost.region and site.isp == lost.isp]
    yield own
    yield [site for site in others if site.region == lost.region and site not in own]


def _takeover(lost: Site, rest: float, others: list[Site], taken: dict[str, float]) -> Iterator[str]:
    takers = sorted((site for site in others if taken.get(site.name, 0.0) > 0), key=lambda s: -_busy(s, taken))
    for site in takers[:_MOST_TOLD]:
        more = taken[site.name]
        name = f"each of the {site.count} sites {site.name}" if site.count > 1 else site.names()[0]
        yield (
            f"{name} takes over {show_rate(more)} at peak: {site.viewers / site.capacity:.0%} of its capacity become "
            f"{_busy(site, taken):.0%}"
        )
    if len(takers) > _MOST_TOLD:
        number = sum(site.count for site in takers[_MOST_TOLD:])
        yield f"{number} sites more take over, none of which comes above {_busy(takers[_MOST_TOLD], taken):.0%}"
    if rest > 1:
        total = show_rate(lost.viewers * lost.count)
        if not takers and all(site.region != lost.region for site in others):
            yield f"no other site serves region {lost.region}: all of {total} goes to the origin"
        else:
            yield (
                f"the other sites of region {lost.region} are overwhelmed: {show_rate(rest)} of {total} find no room "
                "there at peak and go to the origin"
            )
    else:
        yield "the other sites have room for all of it at peak"


def _busy(site: Site, taken: dict[str, float]) -> float:
    return (site.viewers + taken.get(site.name, 0.0)) / site.capacity


def _disk(fleet: Fleet, match: re.Match[str]) -> Changed:
    factor = _factor(match["factor"])
    return _at(fleet, match["name"], lambda s: _with_boxes(s, [Box(int(b.disk * factor), b.capacity) for b in s.boxes]))


def _capacity(fleet: Fleet, match: re.Match[str]) -> Changed:
    factor = _factor(match["factor"])
    return _at(fleet, match["name"], lambda s: _with_boxes(s, [Box(b.disk, int(b.capacity * factor)) for b in s.boxes]))


def _window(fleet: Fleet, match: re.Match[str]) -> Changed:
    try:
        hours = window_hours(parse_window(match["window"], "UTC"))
    except ConfigError as error:
        raise ConfigError([replace(problem, where=WHERE) for problem in error.problems]) from error
    return _at(fleet, match["name"], lambda site: replace(site, window_h=hours))


def _rate(fleet: Fleet, match: re.Match[str]) -> Changed:
    try:
        rate = parse_rate(match["rate"])
    except ValueError as error:
        raise ConfigError([Problem(WHERE, "rate", repr(match["rate"]), 'a rate such as "1.2 Gbit/s"')]) from error
    return _at(fleet, match["name"], lambda site: replace(site, rate=rate))


def _add(fleet: Fleet, match: re.Match[str]) -> Changed:
    """One more like the site's largest."""
    return _at(
        fleet, match["name"], lambda s: _with_boxes(s, [*s.boxes, max(s.boxes, key=lambda b: (b.disk, b.capacity))])
    )


def _remove(fleet: Fleet, match: re.Match[str]) -> Changed:
    """The site's largest: what losing one costs at most. The last one's loss is the site's."""

    def without(site: Site) -> Site:
        rest = list(site.boxes)
        rest.remove(max(rest, key=lambda box: (box.disk, box.capacity)))
        if not rest:
            expected = f'more than one appliance there, or "site {site.name} fails"'
            raise ConfigError([Problem(WHERE, "appliance", f"the only one of {site.name}", expected)])
        return _with_boxes(site, rest)

    return _at(fleet, match["name"], without)


def _demand(fleet: Fleet, match: re.Match[str]) -> Changed:
    if not all(site.viewers for site in fleet):
        raise ConfigError([Problem(WHERE, "demand", "sites without viewers", "`viewers` of every site in the fleet")])
    factor, name = _factor(match["factor"]), match["name"]
    if name is None:
        return Changed(tuple(replace(site, viewers=site.viewers * factor) for site in fleet))
    return _at(fleet, name, lambda site: replace(site, viewers=site.viewers * factor))


_NAME = r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)"
_FACTOR = r"x(?P<factor>\d+(?:\.\d+)?)"
_SENTENCES: tuple[tuple[str, Callable[[Fleet, re.Match[str]], Changed]], ...] = (
    (rf"site {_NAME} fails", _fails),
    (rf"disk {_FACTOR} at {_NAME}", _disk),
    (rf"capacity {_FACTOR} at {_NAME}", _capacity),
    (rf"window (?P<window>\S+) at {_NAME}", _window),
    (rf"rate (?P<rate>.+) at {_NAME}", _rate),
    (rf"add appliance at {_NAME}", _add),
    (rf"remove appliance at {_NAME}", _remove),
    (rf"demand {_FACTOR}(?: at {_NAME})?", _demand),
)


def _at(fleet: Fleet, name: str, make: Callable[[Site], Site]) -> Changed:
    return Changed(tuple(make(site) if _is_named(site, name) else site for site in _apart(fleet, name)))


def _apart(fleet: Fleet, name: str) -> Fleet:
    """The fleet with the named one of several alike as a site of its own. Raises ConfigError if there is none."""
    apart: list[Site] = []
    found = False
    for site in fleet:
        found = found or _is_named(site, name)
        if not _is_named(site, name) and name in site.names():
            found = True
            apart.append(replace(site, name=name, count=1, pattern=site.drawn_as, without=()))
            if site.count > 1:
                number = int(name.removeprefix(f"{site.name}-"))
                apart.append(replace(site, count=site.count - 1, without=(*site.without, number)))
        else:
            apart.append(site)
    if not found:
        raise ConfigError([Problem(WHERE, "site", repr(name), f"one of {_known(fleet)}")])
    return tuple(apart)


def _known(fleet: Fleet) -> str:
    names = [
        f"{site.name} ({site.names()[0]} ... {site.names()[-1]})" if site.count > 1 else site.name for site in fleet
    ]
    return ", ".join(names[:_MOST_NAMES]) + (" ..." if len(names) > _MOST_NAMES else "")


def _is_named(site: Site, name: str) -> bool:
    return name in (site.name, site.pattern)


def _with_boxes(site: Site, boxes: list[Box]) -> Site:
    return replace(site, boxes=tuple(boxes))


def _factor(text: str) -> float:
    factor = float(text)
    if not 0 < factor <= _LARGEST_FACTOR:
        raise ConfigError([Problem(WHERE, "factor", f"x{text}", f"more than 0, at most x{_LARGEST_FACTOR:.0f}")])
    return factor
