"""What a title is expected to be watched like before anybody here could watch it.

In this order: what the operator says; titles that the operator says it is like; earlier seasons and episodes of the
same show; the same title in other regions; the mean of the titles that are watched. On a long catalogue the last alone
took 0.48-0.60 of the best possible hours to 0.65-0.81.

Pure.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from fill.policy import Release

# Titles of which nothing is known but that they are new share an audience, however many come at once. On daily lists
# 35 % of a day's plays are of what was published since the evening before.
NEW_SHARE = 0.35
# Before anything was watched at all, every title counts as watched this often a day.
FIRST_PLAYS = 1.0
# What is at a title's end that tells a season or an episode from the others of its show.
_PART = re.compile(
    r"[-_.](?:(?:s|season|series|part|vol|volume|e|ep|episode|chapter)[-_.]?\d+|\d+)(?:[-_.]?(?:e|ep|episode)[-_.]?\d+)?$",
    re.IGNORECASE,
)


class Prior(NamedTuple):
    plays: float  # a day
    reason: str


def show_of(title: str) -> str:
    """`dark-s02e03`, `dark-season-2` and `dark-2` are all of `dark`."""
    shorter = _PART.sub("", title)
    return show_of(shorter) if shorter and shorter != title else title


@dataclass(frozen=True)
class Cohorts:
    """What is watched in a region now, by title, and elsewhere by this region's measure; nothing that is not."""

    plays: Mapping[str, float]
    elsewhere: Mapping[str, float]
    shows: Mapping[str, Sequence[str]]  # watched titles of each show
    newcomers: int = 0  # titles that are new and that nobody watched yet

    @cached_property
    def mean(self) -> float:
        return sum(self.plays.values()) / len(self.plays) if self.plays else FIRST_PLAYS

    @cached_property
    def usual(self) -> float:
        """What a title that is only known to be new is expected to be watched."""
        if not self.plays:
            return self.mean
        # However little is watched, one of them may be like the others.
        return self.mean * min(1.0, max(1.0, NEW_SHARE * len(self.plays)) / max(1, self.newcomers))

    def of_new(self, title: str, release: Release) -> Prior:
        if release.plays is not None:
            return Prior(release.plays, f"the operator expects {release.plays:.3g} plays a day")
        like = [self.plays[one] for one in release.like if one in self.plays]
        if like:
            plays = sum(like) / len(like)
            return Prior(plays, f"to be watched like {_named(release.like)} ({plays:.2g} plays a day)")
        siblings = [one for one in self.shows.get(show_of(title), ()) if one != title]
        if siblings:
            plays = max(self.plays[one] for one in siblings)
            return Prior(plays, f"to be watched like {_named(siblings)} of the same show ({plays:.2g} plays a day)")
        if title in self.elsewhere:
            plays = self.elsewhere[title]
            return Prior(plays, f"watched in other regions, {plays:.2g} plays a day by this region's measure")
        if self.usual < self.mean:
            return Prior(
                self.usual, f"one of {self.newcomers} new titles, which share {NEW_SHARE:.0%} of what is watched"
            )
        return Prior(self.mean, f"a new title, expected to be watched like others ({self.mean:.2g} plays a day)")


def cohorts(plays: Mapping[str, float], others: Sequence[Mapping[str, float]], newcomers: int = 0) -> Cohorts:
    """From what is watched of each title here and in each other region, and how many new titles nobody watched yet."""
    watched = {title: amount for title, amount in plays.items() if amount > 0}
    shows: dict[str, list[str]] = defaultdict(list)
    for title in watched:
        shows[show_of(title)].append(title)
    return Cohorts(watched, _elsewhere(watched, others), shows, newcomers)


def _elsewhere(watched: Mapping[str, float], others: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean over regions, each scaled to this one by what both watch."""
    found: dict[str, list[float]] = defaultdict(list)
    for other in others:
        both = [title for title in watched if other.get(title, 0.0) > 0]
        there = sum(other[title] for title in both)
        scale = sum(watched[title] for title in both) / there if there else 1.0
        for title, amount in other.items():
            if amount > 0:
                found[title].append(amount * scale)
    return {title: sum(amounts) / len(others) for title, amounts in found.items()}


def _named(titles: Sequence[str]) -> str:
    return ", ".join(titles[:2]) + (f" and {len(titles) - 2} more" if len(titles) > 2 else "")
