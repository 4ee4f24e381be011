"""A plan as what differs from the one before: most of what an appliance holds it goes on holding.

A list of lines is told as runs of lines of the plan before (all its lists joined, counted from 0) and lines in full.
So that a run is long, `settled` leaves a kept line as it was told before while its value changed by less than a
quarter: nobody acts on the difference.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import msgspec

from fill.errors import PlanError
from fill.planner.form import Line, Plan

SETTLED_WITHIN = 0.25
Piece: TypeAlias = tuple[int, int] | Line  # first line and how many; or a line in full


class Delta(msgspec.Struct, frozen=True, kw_only=True):
    """`head` is the new plan without its lines."""

    base: int  # version of the plan before
    head: Plan
    fetches: tuple[Piece, ...]
    keeps: tuple[Piece, ...]
    drops: tuple[Piece, ...]


def settled(before: Plan, after: Plan) -> Plan:
    """The plan, with the lines that are kept and hardly changed as they were told before."""
    known = {line.key: line for line in (*before.keeps, *before.fetches)}
    return msgspec.structs.replace(after, keeps=tuple(_as_before(known.get(line.key), line) for line in after.keeps))


def _as_before(known: Line | None, line: Line) -> Line:
    if known is None or (known.size, known.not_before) != (line.size, line.not_before) or known.master:
        return line
    return known if abs(line.value - known.value) <= SETTLED_WITHIN * known.value else line


def make_delta(before: Plan, after: Plan) -> Delta:
    known: dict[Line, int] = {}
    for position, line in enumerate(_lines(before)):
        known.setdefault(line, position)
    return Delta(
        base=before.version,
        head=msgspec.structs.replace(after, fetches=(), keeps=(), drops=()),
        fetches=tuple(_pieces(after.fetches, known)),
        keeps=tuple(_pieces(after.keeps, known)),
        drops=tuple(_pieces(after.drops, known)),
    )


def apply_delta(before: Plan, delta: Delta) -> Plan:
    """The plan after. Raises PlanError if the delta is not one of this plan."""
    if delta.base != before.version:
        raise PlanError(f"the delta for {before.appliance} is from version {delta.base}, not {before.version}")
    lines = _lines(before)
    fetches, keeps, drops = (
        tuple(_told(pieces, lines, before.appliance)) for pieces in (delta.fetches, delta.keeps, delta.drops)
    )
    return msgspec.structs.replace(delta.head, fetches=fetches, keeps=keeps, drops=drops)


def _lines(plan: Plan) -> tuple[Line, ...]:
    return (*plan.fetches, *plan.keeps, *plan.drops)


def _pieces(lines: Sequence[Line], known: Mapping[Line, int]) -> Iterator[Piece]:
    start = count = 0
    for line in lines:
        position = known.get(line)
        if count and position == start + count:
            count += 1
            continue
        if count:
            yield start, count
        count = 0
        if position is None:
            yield line
        else:
            start, count = position, 1
    if count:
        yield start, count


def _told(pieces: Sequence[Piece], lines: Sequence[Line], appliance: str) -> Iterator[Line]:
    for piece in pieces:
        if isinstance(piece, Line):
            yield piece
            continue
        start, count = piece
        if start < 0 or count < 1 or start + count > len(lines):
            raise PlanError(f"the delta for {appliance} repeats lines {start} to {start + count} of {len(lines)}")
        yield from lines[start : start + count]
