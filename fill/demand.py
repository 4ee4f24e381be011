"""Predicts how much each file of the catalog will be watched: what was watched goes on, new titles start like others.

    plays of a title = what was watched of its video   (never watched: the mean of the titles that are, if it is new)
    plays of a file  = plays of the title x the file's share of its kind, drawn towards an even one

A play is the file's size in bytes, so plays a day *are* the value of a byte of it: bytes served a day for each byte
stored. Knowing what is released, and giving a new title the mean of its cohort, was worth more on a long catalogue
than any model of what is known already (0.48-0.60 of the best possible hours without it, 0.65-0.81 with it).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from config.errors import ConfigError, Problem
from encoder.package import TITLE_PATTERN, Package, Rendition
from fill.popularity import FileName, Popularity

# A title published within this time is expected to be watched like the others are on average.
NEW_FOR_S = 7 * 86400.0
# An older one that nobody watched has had its chance; it is still likelier to be watched than nothing.
UNWATCHED_SHARE = 0.02
# Before anything was watched at all, every title counts as watched this often a day.
FIRST_PLAYS = 1.0
# What a file's share of its title is drawn towards weighs like so many plays: a rung that one viewer in a quiet night
# happened not to use is not worthless.
SHARE_PLAYS = 4.0
# Of the plays of a title with several audio tracks, the default one is expected to get so many.
DEFAULT_AUDIO_SHARE = 0.7


@dataclass(frozen=True)
class Offer:
    """A package as the planner sees it: the one that the catalog offers of a title."""

    package_name: str
    package: Package
    published_at: float  # seconds since the epoch


@dataclass(frozen=True)
class Pins:
    """Titles that an operator wants held whatever is watched, and titles never to be held."""

    pin: frozenset[str] = frozenset()
    ban: frozenset[str] = frozenset()


class Expected(NamedTuple):
    """What a file is expected to be watched; `reason` says from what."""

    plays: float  # a day
    reason: str


def decode_pins(where: str, text: str) -> Pins:
    """Pins from TOML: `pin = ["title", ...]`, `ban = [...]`. Raises ConfigError with every problem."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([Problem(where, "syntax", str(error), "TOML (https://toml.io)")]) from error
    problems = [Problem(where, key, "an unknown key", "pin or ban") for key in document.keys() - {"pin", "ban"}]
    chosen: dict[str, frozenset[str]] = {}
    for key in ("pin", "ban"):
        titles = document.get(key, [])
        if isinstance(titles, list) and all(
            isinstance(title, str) and TITLE_PATTERN.fullmatch(title) for title in titles
        ):
            chosen[key] = frozenset(titles)
        else:
            problems.append(Problem(where, key, repr(titles), "a list of titles"))
    if not problems and chosen["pin"] & chosen["ban"]:
        both = ", ".join(sorted(chosen["pin"] & chosen["ban"]))
        problems.append(Problem(where, "ban", f"{both}, pinned as well", "titles that are not pinned"))
    if problems:
        raise ConfigError(problems)
    return Pins(chosen["pin"], chosen["ban"])


def expect(offers: Iterable[Offer], popularity: Popularity, now: float) -> dict[FileName, Expected]:
    """What each media file (video and audio) of the offered packages is expected to be watched."""
    offers = list(offers)
    watched = _watched_of(popularity)
    plays = {offer.package.title: _title_plays(offer.package, watched) for offer in offers}
    seen = [amount for amount in plays.values() if amount > 0]
    cohort = sum(seen) / len(seen) if seen else FIRST_PLAYS
    expected: dict[FileName, Expected] = {}
    for offer in offers:
        title = offer.package.title
        amount, reason = _expect_title(plays[title], cohort, now - offer.published_at)
        for kind in ("video", "audio"):
            renditions = offer.package.of_kind(kind)
            shares = _shares(offer.package, renditions, watched.get(title, {}))
            for rendition, share in zip(renditions, shares, strict=True):
                of_kind = f", {share:.0%} of its {kind}" if len(renditions) > 1 else ""
                expected[FileName(title, rendition.file)] = Expected(amount * share, reason + of_kind)
    return expected


def _expect_title(plays: float, cohort: float, age_s: float) -> Expected:
    if age_s < NEW_FOR_S and plays < cohort:
        return Expected(cohort, f"a new title, expected to be watched like others ({cohort:.2g} plays a day)")
    if plays > 0:
        return Expected(plays, f"watched {plays:.2g} times a day")
    return Expected(cohort * UNWATCHED_SHARE, "not watched since it was published")


def _watched_of(popularity: Popularity) -> dict[str, dict[str, float]]:
    watched: dict[str, dict[str, float]] = {}
    for (title, file), size in popularity.bytes_per_day.items():
        watched.setdefault(title, {})[file] = size
    return watched


def _title_plays(package: Package, watched: Mapping[str, Mapping[str, float]]) -> float:
    """Plays a day of all video together; of a title without video, of its audio."""
    bytes_of = watched.get(package.title, {})
    sizes = {file.name: file.size for file in package.files}
    media = [rendition.file for rendition in package.of_kind("video") or package.of_kind("audio")]
    known = sum(bytes_of.get(name, 0.0) / max(1, sizes[name]) for name in media)
    # Files that an earlier package had, and this one has not: what was watched of them was watched of the title.
    others = sum(size for name, size in bytes_of.items() if name not in sizes)
    mean_size = sum(sizes[name] for name in media) / len(media) if media else 0.0
    return known + (others / mean_size if mean_size else 0.0)


def _shares(package: Package, renditions: tuple[Rendition, ...], bytes_of: Mapping[str, float]) -> list[float]:
    """Each rendition's share of the plays of its kind; they sum to 1."""
    sizes = {file.name: file.size for file in package.files}
    plays = [bytes_of.get(rendition.file, 0.0) / max(1, sizes[rendition.file]) for rendition in renditions]
    total = sum(plays) + SHARE_PLAYS
    return [(play + SHARE_PLAYS * prior) / total for play, prior in zip(plays, _prior_shares(renditions), strict=True)]


def _prior_shares(renditions: tuple[Rendition, ...]) -> list[float]:
    count = len(renditions)
    defaults = sum(rendition.default for rendition in renditions)
    if defaults in (0, count) or renditions[0].kind != "audio":
        return [1 / count] * count
    rest = (1 - DEFAULT_AUDIO_SHARE) / (count - defaults)
    return [DEFAULT_AUDIO_SHARE / defaults if rendition.default else rest for rendition in renditions]
