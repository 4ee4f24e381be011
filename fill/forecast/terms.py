"""A report of what a long catalogue was watched in a term (a half-year, a month), and which titles of two are the same.

Reports spell titles a little differently from one to the next, mostly in what follows ` // `, the name in the title's
own language. A title is looked up as it is spelt first, then by its letters and digits before that, if they name one.

Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fill.forecast.counts import Floats, Ints

Flags = npt.NDArray[np.bool_]

# Of a season's or a volume's title: what the show is called, and which one it is.
_SEASON = re.compile(
    r"^(?P<show>.+?)[:,]?\s+(?:Season|Part|Volume|Vol\.|Book|Chapter|Series|Collection)\s+(?P<number>\d+)"
)
_YEAR = re.compile(r"^(?P<show>.+?):\s+The (?P<number>[\w-]+) Year$")
_ONE_SEASON = re.compile(r"^(?P<show>.+?): (?:Limited Series|Miniseries)")
_ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth",
    "twentieth",
)  # fmt: skip
# A show's or a film series' name without what tells one from the next.
_TAIL = re.compile(r"(\s+\(?\d{1,4}\)?|:.*)$")
_TRANSLATED = " // "
_SCRIPTS = (
    ("\u3040", "\u30ff"),  # Japanese
    ("\uac00", "\ud7af"),  # Korean
    ("\u4e00", "\u9fff"),  # Chinese
    ("\u0e00", "\u0e7f"),  # Thai
    ("\u0600", "\u06ff"),  # Arabic
    ("\u0900", "\u0dff"),  # India's
    ("\u0400", "\u04ff"),  # Cyrillic
)
# A title of no known runtime is as long as the median of its kind, or this.
USUAL_MINUTES = 100.0
UNKNOWN_KIND = "any"


@dataclass(frozen=True)
class Term:
    """A report of a term; the unknown is NaN. `hours` may be of a term to come: only `learn` reads it of one."""

    name: str
    start: float  # days since the epoch
    end: float
    titles: Sequence[str]
    kinds: Sequence[str]  # film, show, or any
    is_global: Flags
    released: Floats  # days since the epoch
    hours: Floats
    minutes: Floats  # runtime

    @property
    def schedule(self) -> Term:
        """What is known of it in advance."""
        return replace(self, hours=np.full(len(self.titles), np.nan))

    @property
    def mean(self) -> float:
        """Hours of a title by the minute, by which terms are made alike; runtimes are not known of every term."""
        watched = self.hours[self.hours > 0]
        return float(watched.mean()) / USUAL_MINUTES if len(watched) else 1.0

    @property
    def is_new(self) -> Flags:
        """Which titles came out in it."""
        return np.asarray(self.released >= self.start, np.bool_)


@dataclass(frozen=True)
class Named:
    """What a title's name tells."""

    show: str
    season: int  # 0: none named
    is_limited: bool
    original: str  # in its own language; empty if the same
    script: int  # 0: Latin or none named


def name_of(title: str) -> Named:
    english, _, original = title.partition(_TRANSLATED)
    script = next(
        (
            number
            for number, (low, high) in enumerate(_SCRIPTS, 1)
            if any(low <= one <= high for one in original or english)
        ),
        0,
    )
    season = _SEASON.match(english)
    if season:
        return Named(season["show"].rstrip(":"), int(season["number"]), False, original, script)
    year = _YEAR.match(english)
    if year and (number := _ordinal(year["number"])):
        return Named(year["show"], number, False, original, script)
    limited = _ONE_SEASON.match(english)
    return Named(limited["show"] if limited else english, 0, limited is not None, original, script)


def _ordinal(word: str) -> int:
    """`sixth` is 6, `twenty-first` 21; 0 if it is no number."""
    tens, _, ones = word.lower().rpartition("-")
    if ones not in _ORDINALS or tens not in ("", "twenty"):
        return 0
    return _ORDINALS.index(ones) + 1 + (20 if tens else 0)


def spelt_alike(title: str) -> str:
    """What differently spelt titles have in common."""
    english = unicodedata.normalize("NFKD", title.partition(_TRANSLATED)[0]).casefold()
    return re.sub(r"[^\w]+", " ", english).strip()


def family_of(name: Named) -> str:
    """What a film and its sequels, or a show and what was made of it, have in common."""
    return spelt_alike(_TAIL.sub("", name.show))


def is_show(kind: str, name: Named) -> bool:
    return kind == "show" or (kind == UNKNOWN_KIND and (name.season > 0 or name.is_limited))


def matched(term: Term, other: Term) -> Ints:
    """Of each title of the term its number in the other one, -1 if it is not there."""
    spelt = {title: number for number, title in enumerate(other.titles)}
    alike: dict[str, list[int]] = defaultdict(list)
    for number, title in enumerate(other.titles):
        alike[spelt_alike(title)].append(number)

    def found(title: str) -> int:
        if title in spelt:
            return spelt[title]
        numbers = alike.get(spelt_alike(title), ())
        return numbers[0] if len(numbers) == 1 else -1

    return np.array([found(title) for title in term.titles], np.int64)


def of_other(values: Floats, at: Ints) -> Floats:
    """Values of another term by `matched`, NaN where it has no such title."""
    if not len(values):
        return np.full(len(at), np.nan)
    return np.asarray(np.where(at >= 0, values[at], np.nan), np.float64)


def with_kinds(term: Term, others: Sequence[Term]) -> Term:
    """Films and shows told apart where only another report does."""
    known = {
        title: kind for one in others for title, kind in zip(one.titles, one.kinds, strict=True) if kind != UNKNOWN_KIND
    }
    kinds = [
        known.get(title, kind) if kind == UNKNOWN_KIND else kind
        for title, kind in zip(term.titles, term.kinds, strict=True)
    ]
    return replace(term, kinds=kinds)


def minutes_of(term: Term, past: Sequence[Term]) -> Floats:
    """Runtimes, those that are missing from an earlier term or the kind's median in the same or an earlier one."""
    known: dict[str, float] = {}
    for one in past:
        known |= {title: value for title, value in zip(one.titles, one.minutes.tolist(), strict=True) if value > 0}
    minutes = np.where(term.minutes > 0, term.minutes, [known.get(title, np.nan) for title in term.titles])
    kinds = np.array(term.kinds)
    for kind in set(term.kinds):
        of_kind = minutes[kinds == kind]
        median = float(np.nanmedian(of_kind)) if (of_kind > 0).any() else USUAL_MINUTES
        minutes = np.where((kinds == kind) & ~(minutes > 0), median, minutes)
    return minutes
