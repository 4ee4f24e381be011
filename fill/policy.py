"""What an operator decides of titles: pinned, banned, and when each may be served; read from one TOML file.

    pin = ["title", ...]                # held in every cluster, whatever is watched
    ban = ["title", ...]                # held nowhere

    [[release]]
    title = "second-season-1"
    at = 2026-12-24T18:00:00Z           # filled before, served from then on
    until = 2027-06-01T00:00:00Z        # optional: dropped then
    regions = ["de", "at"]              # optional: only there
    like = ["first-season-1"]           # optional: expected to be watched as these are
    plays = 1200.0                      # optional: or so many times a day, where the operator knows better

Pure.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from config.errors import ConfigError, Problem
from encoder.package import TITLE_PATTERN
from fill.names import Offer

_LISTS = ("pin", "ban")
_RELEASE_KEYS = {"title", "at", "until", "regions", "like", "plays"}
_FOREVER = float("inf")


@dataclass(frozen=True)
class Release:
    """When and where a title may be served, and what it is expected to be watched like."""

    title: str
    at: float = 0.0  # seconds since the epoch
    until: float = _FOREVER
    regions: frozenset[str] = frozenset()  # empty: everywhere
    like: tuple[str, ...] = ()
    plays: float | None = None  # a day


@dataclass(frozen=True)
class Policy:
    pin: frozenset[str] = frozenset()
    ban: frozenset[str] = frozenset()
    releases: Mapping[str, Release] | None = None  # by title

    def release(self, title: str) -> Release:
        """The title's, or one without limits."""
        return (self.releases or {}).get(title) or Release(title)

    def may_hold(self, title: str, region: str, now: float) -> bool:
        """Whether a cluster of the region may hold the title: also before its release, not after its end."""
        release = self.release(title)
        return title not in self.ban and now < release.until and (not release.regions or region in release.regions)

    def with_catalog(self, offers: Iterable[Offer]) -> Policy:
        """With the times that the catalog gives; where both limit a title, the narrower limit counts."""
        releases = dict(self.releases or {})
        for offer in offers:
            if offer.available_from or offer.available_until < _FOREVER:
                own = self.release(offer.package.title)
                at, until = max(own.at, offer.available_from), min(own.until, offer.available_until)
                releases[own.title] = replace(own, at=at, until=until)
        return replace(self, releases=releases)


NO_POLICY = Policy()


def decode_policy(where: str, text: str) -> Policy:
    """Raises ConfigError with every problem."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([Problem(where, "syntax", str(error), "TOML (https://toml.io)")]) from error
    problems = [
        Problem(where, key, "an unknown key", "pin, ban or [[release]]")
        for key in document.keys() - {*_LISTS, "release"}
    ]
    pin, ban = (_titles(where, key, document.get(key, []), problems) for key in _LISTS)
    releases = _releases(where, document.get("release", []), problems)
    if pin & ban:
        problems.append(Problem(where, "ban", f"{', '.join(sorted(pin & ban))}, pinned as well", "no pinned titles"))
    if problems:
        raise ConfigError(problems)
    return Policy(pin, ban, releases)


def _titles(where: str, key: str, found: Any, problems: list[Problem]) -> frozenset[str]:
    if isinstance(found, list) and all(isinstance(title, str) and TITLE_PATTERN.fullmatch(title) for title in found):
        return frozenset(found)
    problems.append(Problem(where, key, repr(found), "a list of titles"))
    return frozenset()


def _releases(where: str, found: Any, problems: list[Problem]) -> dict[str, Release]:
    if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
        problems.append(Problem(where, "release", repr(found), "tables [[release]]"))
        return {}
    releases: dict[str, Release] = {}
    for position, table in enumerate(found):
        before = len(problems)
        place = f"{where} release[{position}]"
        release = _release(place, table, problems)
        if release.title in releases:
            problems.append(Problem(place, "title", repr(release.title), "each title once"))
        if len(problems) == before:
            releases[release.title] = release
    return releases


def _release(place: str, table: Mapping[str, Any], problems: list[Problem]) -> Release:
    problems += [
        Problem(place, key, "an unknown key", ", ".join(sorted(_RELEASE_KEYS))) for key in table.keys() - _RELEASE_KEYS
    ]
    title = table.get("title")
    if not isinstance(title, str) or not TITLE_PATTERN.fullmatch(title):
        problems.append(Problem(place, "title", repr(title) if title is not None else "nothing", "a title"))
        title = ""
    at = _moment(place, "at", table.get("at"), 0.0, problems)
    until = _moment(place, "until", table.get("until"), _FOREVER, problems)
    if until <= at:
        problems.append(Problem(place, "until", str(table["until"]), "a time after `at`"))
    regions = table.get("regions", [])
    if not isinstance(regions, list) or not all(isinstance(region, str) and region for region in regions):
        problems.append(Problem(place, "regions", repr(regions), "a list of regions"))
        regions = []
    like = table.get("like", [])
    _titles(place, "like", like, problems)
    plays = table.get("plays")
    if plays is not None and (isinstance(plays, bool) or not isinstance(plays, (int, float)) or not 0 <= plays < 1e12):
        problems.append(Problem(place, "plays", repr(plays), "a number of plays a day"))
        plays = None
    return Release(title, at, until, frozenset(regions), tuple(like) if isinstance(like, list) else (), plays)


def _moment(place: str, key: str, found: Any, default: float, problems: list[Problem]) -> float:
    """TOML's date-times; one without an offset is UTC."""
    if found is None:
        return default
    if isinstance(found, datetime):
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    problems.append(Problem(place, key, repr(found), "a date and time such as 2026-12-24T18:00:00Z"))
    return default
