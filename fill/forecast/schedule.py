"""What is known of a term's titles before it begins, as numbers that a model can learn from.

Of each title: when it comes, what it is, what it was watched in the terms before, and what its show's other seasons
were. A show that was not there at all and comes with many seasons has been licensed, and is watched more than one that
comes alone; a season that follows one of last term is watched like that one; older seasons are watched again when a new
one comes.

Pure.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fill.forecast.counts import Floats, Ints
from fill.forecast.terms import Flags, Named, Term, family_of, is_show, matched, name_of, of_other, spelt_alike

# A title that has fewer days than this is taken to have so many.
LEAST_DAYS = 3.0
# What is watched less, in hours by the minute over the mean title's, is all alike.
_LEAST = 1e-3
_LEAST_A_DAY = 1e-6
_NAMED_YEAR = re.compile(r"\((\d{4})\)")
_NOTHING = float("nan")
_DAYS_A_YEAR = 365.25
# The column of what each title was watched last term, as a logarithm.
OWN = 14


class Own(NamedTuple):
    """A title's own hours by the minute of an earlier term, over the mean title's, as logarithms; NaN if not there."""

    density: Floats
    by_day: Floats  # by the days that it was there
    days: Floats
    rank: Floats  # 1 is the most watched


class _Sibling(NamedTuple):
    """Another season of the show in an earlier term."""

    season: int
    hours: float  # over the mean


def features(term: Term, past: Sequence[Term], minutes: Floats) -> Floats:
    """A row for each title of the term, from its schedule and the terms before it only. `past` in order of time."""
    names = [name_of(title) for title in term.titles]
    length = term.end - term.start
    at = [matched(term, one) for one in past]
    released = _released(term, past, at)
    days = np.clip(np.where(np.isnan(released), length, term.end - released), LEAST_DAYS, length)
    of_name = [(bool(name.original), name.script, name.season, name.is_limited) for name in names]
    years = [float(year[1]) if (year := _NAMED_YEAR.search(title)) else _NOTHING for title in term.titles]
    last, before = (own(term, past[-ago] if len(past) >= ago else None, minutes) for ago in (1, 2))
    columns: list[npt.NDArray[Any]] = [
        released - term.start, np.isnan(released), days / length, np.log(days),
        np.array([is_show(kind, name) for kind, name in zip(term.kinds, names, strict=True)]), np.log(minutes),
        term.is_global, *np.array(of_name, np.float64).reshape(-1, 4).T, np.array([len(one) for one in term.titles]),
        (released + 4) % 7, term.start / _DAYS_A_YEAR + 1970 - np.array(years),
        *last, before.density, last.density - before.density, before.by_day,
        *_family(term, names, past, at, minutes, released),
    ]  # fmt: skip
    return np.stack([np.asarray(column, np.float64) for column in columns], axis=1)


def _released(term: Term, past: Sequence[Term], at: Sequence[Ints]) -> Floats:
    """Dates of release; one that this schedule leaves out may be in an earlier report."""
    released = term.released
    for one, numbers in zip(past, at, strict=True):
        released = np.where(np.isnan(released), of_other(one.released, numbers), released)
    return released


def own(term: Term, past: Term | None, minutes: Floats) -> Own:
    if past is None:
        return Own(*([np.full(len(term.titles), np.nan)] * 4))
    at = matched(term, past)
    density = of_other(past.hours, at) / minutes / past.mean
    released = np.where(np.isnan(term.released), of_other(past.released, at), term.released)
    length = past.end - past.start
    days = np.clip(np.where(np.isnan(released), length, past.end - released), LEAST_DAYS, length)
    known = ~np.isnan(density)
    rank = np.full(len(density), np.nan)
    rank[known] = np.argsort(np.argsort(density[known])) / max(1, known.sum())
    return Own(np.log(density + _LEAST), np.log(density / days + _LEAST_A_DAY), np.log(days), rank)


def of_shows(term: Term) -> dict[str, list[_Sibling]]:
    """A term's seasons by show."""
    shows: dict[str, list[_Sibling]] = defaultdict(list)
    for title, hours in zip(term.titles, term.hours.tolist(), strict=True):
        name = name_of(title)
        shows[spelt_alike(name.show)].append(_Sibling(name.season, hours / term.mean))
    return shows


def _family(
    term: Term, names: Sequence[Named], past: Sequence[Term], at: Sequence[Ints], minutes: Floats, released: Floats
) -> list[Floats]:
    """What the show's other seasons were watched in earlier terms, which come, and what shares the name's beginning."""
    shows = [of_shows(one) for one in past]
    keys = [spelt_alike(name.show) for name in names]
    families = [family_of(name) for name in names]
    rows_of: dict[str, list[int]] = defaultdict(list)
    in_family: dict[str, int] = defaultdict(int)
    for row, (key, family) in enumerate(zip(keys, families, strict=True)):
        rows_of[key].append(row)
        in_family[family] += 1
    relatives = _relatives(past[-1]) if past else {}
    was_there = [numbers >= 0 for numbers in at]
    last_term = was_there[-1] if was_there else np.zeros(len(names), bool)
    ever = np.any(was_there, axis=0) if was_there else last_term
    rows = []
    for row, (name, key, family) in enumerate(zip(names, keys, families, strict=True)):
        found = [[one for one in terms.get(key, ()) if one.season != name.season] for terms in shows]
        rows.append((
            *_earlier(name, found, minutes[row]),
            *_coming(term, row, rows_of[key], names, released, ever, minutes),
            last_term[row], ever[row], _log(max(relatives.get(family, [_NOTHING])) / minutes[row]),
            len(relatives.get(family, ())), in_family[family],
        ))  # fmt: skip
    return [np.array(column, np.float64) for column in zip(*rows, strict=True)]


def _earlier(name: Named, found: Sequence[Sequence[_Sibling]], minutes: float) -> tuple[float, ...]:
    """Of the show's other seasons in the terms before, the last of which says most."""
    last, older = (found[-1] if found else ()), [one for siblings in found[:-1] for one in siblings]
    total = sum(one.hours for one in last)
    total_before = sum(one.hours for one in found[-2]) if len(found) > 1 else 0.0
    return (
        _log(_best(one.hours for one in last) / minutes),
        _log(_best(one.hours for one in last if one.season == name.season - 1) / minutes),
        _log(_best(one.hours for one in last if one.season == name.season + 1) / minutes),
        _log(_best(one.hours for one in older if one.season == name.season - 1) / minutes),
        _log(_best(one.hours for one in older) / minutes),
        _log(total / minutes) if last else _NOTHING,
        float(np.log(total / total_before)) if total > 0 and total_before > 0 else _NOTHING,
        len(last), name.season - min((one.season for one in last), default=name.season),
        _log(total / len(last) / minutes) if last else _NOTHING,
    )  # fmt: skip


def _coming(
    term: Term, row: int, siblings: Sequence[int], names: Sequence[Named], released: Floats, ever: Flags,
    minutes: Floats,
) -> tuple[float, ...]:  # fmt: skip
    """Of the show's seasons on the schedule: which are released, which were never there."""
    others = [one for one in siblings if one != row]
    new = [(term.end - released[one]) / (term.end - term.start) for one in others if released[one] >= term.start]
    unseen = [one for one in siblings if not ever[one]]
    most = max(names[one].season for one in siblings)
    return (
        max(new, default=0.0), sum(new), _best(float(released[one]) - term.start for one in others),
        len(siblings), len(unseen), len(unseen) / len(siblings), float(minutes[list(siblings)].sum()), most,
        names[row].season / max(1, most), sum(names[one].season < names[row].season for one in unseen),
    )  # fmt: skip


def _relatives(term: Term) -> dict[str, list[float]]:
    """Hours over the mean by family."""
    found: dict[str, list[float]] = defaultdict(list)
    for title, hours in zip(term.titles, term.hours.tolist(), strict=True):
        found[family_of(name_of(title))].append(hours / term.mean)
    return found


def _best(values: Any) -> float:
    known = [value for value in values if not np.isnan(value)]
    return max(known, default=_NOTHING)


def _log(value: float) -> float:
    return float(np.log(value + _LEAST))
