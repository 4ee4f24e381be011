"""The next half-year of a long catalogue whose release schedule is known: share of the best choice's hours.

Each report that has one before it is a target, forecast from those before it and its own schedule (titles, kinds,
runtimes, release dates). Titles below the report's floor are missing from the schedule, which flatters everyone alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bench.fill.reading import Floats, Halves
from bench.rows import OURS, Row
from config.progress import Reporter
from fill.forecast.catalogue import ROUNDS, by_cohort, chosen, expected
from fill.forecast.terms import Term, minutes_of

SHARE = "share of the oracle's hours"
CAPACITIES = {0.03: (0.80, 0.84), 0.05: (0.82, 0.86), 0.10: (0.86, 0.90)}


def measure_halves(halves: Halves, reporter: Reporter, *, quick: bool, name: str = "") -> list[Row]:
    """The last report's rows carry the goals; those before it had less to learn from."""
    terms = halves.halves
    rows: list[Row] = []
    targets = range(len(terms) - 1, len(terms)) if quick and len(terms) > 1 else range(1, len(terms))
    with reporter.bar("half-years", len(targets)) as bar:
        for done, number in enumerate(targets):
            is_last = number == len(terms) - 1
            rows += _of_term(terms[number], terms[:number], name, is_last=is_last, rounds=ROUNDS // (2 if quick else 1))
            bar.update(done + 1)
    return rows


def _of_term(term: Term, past: Sequence[Term], name: str, *, is_last: bool, rounds: int) -> list[Row]:
    minutes = minutes_of(term.schedule, past)
    before = dict(zip(past[-1].titles, past[-1].hours.tolist(), strict=True))
    seen = np.array([title in before for title in term.titles])
    forecasts: Mapping[str, Floats] = {
        "last half": np.array([before.get(title, 0.0) for title in term.titles]) / minutes,
        "cohort": by_cohort(term.schedule, past, minutes),
        OURS: expected(term.schedule, past, rounds=rounds),
        "best without unseen titles": np.where(seen, term.hours, 0.0) / minutes,
    }
    rows = []
    for capacity, (must, aim) in CAPACITIES.items():
        room = capacity * float(minutes.sum())
        best = term.hours[chosen(term.hours / minutes, minutes, room)].sum()
        if not best > 0:
            continue
        for subject, value in forecasts.items():
            share = float(term.hours[chosen(value, minutes, room)].sum() / best)
            goals = (must, aim) if subject == OURS and is_last else (None, None)
            rows.append(Row(
                subject=subject, case=f"{name}halves/{term.name}/{capacity:.0%}", metric=SHARE, median=share,
                min=share, max=share, must=goals[0], aim=goals[1], limit=1.0 if subject == OURS else None,
                note=f"{len(past)} earlier" if subject == OURS else "",
            ))  # fmt: skip
    return rows
