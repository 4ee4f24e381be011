"""What fill's forecasts are worth on files of demand: the nightly plan, within the day, policies, half-years."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.errors import BenchError
from bench.fill import sample
from bench.fill.evening import expectations
from bench.fill.nightly import measure_nightly
from bench.fill.policies import measure_policies
from bench.fill.reading import Halves, Lists, merged, read, read_halves, read_lists
from bench.fill.reveal import evenings
from bench.fill.seasons import measure_halves
from bench.fill.within import measure_within
from bench.rows import Row
from config.progress import Reporter

CASES = ("daily", "within", "policies", "halves")
SAMPLE = "made-up sample"
_SLOTS = (10, 25)
# A list has to be so much longer than what is chosen from it for a choice to be one.
_LEAST_LISTED = 1.5


@dataclass
class Findings:
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def measure(
    files: Sequence[Path], *, quick: bool, reporter: Reporter, only: Sequence[str] = CASES
) -> tuple[list[Row], list[str]]:
    """Rows of all files, and what could not be used of them. Without files, of a sample. Raises BenchError."""
    found = Findings()
    lists, halves = _read(files, found, reporter, quick=quick)
    for one in lists:
        prefix = f"{one.name}/" if len(lists) > 1 else ""
        _of_lists(one, found, prefix, reporter, quick=quick, only=only)
    if halves is not None and "halves" in only:
        if len(halves.halves) < 2:
            found.notes.append(f"{halves.name}: {halves.halves[0].name} only; a half-year needs one before it")
        rows = measure_halves(halves, reporter, quick=quick)
        if len(halves.halves) > 1 and not rows:
            found.notes.append(f"{halves.name}: nothing that was watched fits into a tenth of any half-year's minutes")
        found.rows += rows
    return found.rows, found.notes


def _read(
    files: Sequence[Path], found: Findings, reporter: Reporter, *, quick: bool
) -> tuple[list[Lists], Halves | None]:
    if not files:
        found.notes.append(f"no files were given: everything is of a {SAMPLE}, and says little of real demand")
        days = 45 if quick else 60
        return (
            [read_lists(SAMPLE, sample.LISTS_HEADER, iter(sample.lists(days=days)))],
            read_halves(SAMPLE, sample.HALVES_HEADER, iter(sample.halves())),
        )
    lists: list[Lists] = []
    halves: list[Halves] = []
    for path in files:
        reporter.say(f"reading {path}")
        one = read(path)
        found.notes += [f"{one.name}: {count} lines left out: {reason}" for reason, count in one.refused.items()]
        if isinstance(one, Lists):
            lists.append(one)
        else:
            halves.append(one)
    return lists, merged(halves) if halves else None


def _of_lists(
    lists: Lists, found: Findings, prefix: str, reporter: Reporter, *, quick: bool, only: Sequence[str]
) -> None:
    if not {"daily", "within", "policies"} & set(only):
        return
    nights = list(evenings(lists))
    slots = _slots(lists)
    if not nights or not slots:
        raise BenchError(
            f"{lists.name}: {lists.days} days of {len(lists.countries)} countries; expected lists of two days that "
            f"follow one another, whose views rise, of more than {_LEAST_LISTED * _SLOTS[0]:.0f} items each"
        )
    expected = expectations(lists, nights, reporter, quick=quick)
    found.notes += [f"{lists.name}: {note}" for note in expected.notes]
    if "daily" in only:
        found.rows += measure_nightly(lists, expected, slots, name=prefix)
    if "within" in only:
        found.rows += measure_within(expected, slots, reporter, quick=quick, name=prefix)
    if "policies" in only:
        found.rows += measure_policies(expected, slots, reporter, quick=quick, name=prefix)


def _slots(lists: Lists) -> list[int]:
    """Those that lists are long enough for."""
    longest = int(lists.position.max()) + 1
    return [count for count in _SLOTS if longest >= _LEAST_LISTED * count]
