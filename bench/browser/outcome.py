"""What plays through failures came to: values a script can read, and the table a person reads.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from rich.table import Table


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One play by one player, through one failure."""

    failure: str
    player: str
    buffer_s: float  # what the player loads ahead
    stalls: int
    stalled_s: float
    moved_after_s: float | None  # from the failure to the first video segment that came from elsewhere was asked for
    went_on: bool  # whether the film was shown without a gap until it was watched long enough
    errors: tuple[str, ...] = ()  # what the player said


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What `nearcast bench players` says."""

    machine: dict[str, str | int]
    commit: str
    browser: str
    versions: dict[str, str]  # of the players' libraries
    ttl_s: float
    segment_s: float
    outcomes: list[Outcome]


def read_outcome(
    failure: str, player: str, buffer_s: float, failed_at: float, before: dict[str, Any], after: dict[str, Any]
) -> Outcome:
    """The outcome that a page's statistics tell, `before` and `after` the failure at `failed_at` (seconds since 1970).

    A stall before it is the machine's, on which a page has only just begun.
    """
    moves = [switch["asked"] - failed_at for switch in after["switches"] if switch["asked"] >= failed_at]
    return Outcome(
        failure=failure,
        player=player,
        buffer_s=buffer_s,
        stalls=after["stalls"] - before["stalls"],
        stalled_s=round(after["stallSeconds"] - before["stallSeconds"], 2),
        moved_after_s=round(moves[0], 2) if moves else None,
        went_on=len(after["ranges"]) == 1,
        errors=tuple(dict.fromkeys(error["text"] for error in after["errors"])),
    )


def table(outcomes: Sequence[Outcome]) -> Table:
    """A row for each player and buffer, a column for each failure."""
    failures = list(dict.fromkeys(outcome.failure for outcome in outcomes))
    shown = Table(title="stalls (their seconds) / seconds to the first request elsewhere")
    for name in ("player", "buffer", *failures):
        shown.add_column(name, no_wrap=True)
    for player, buffer_s in dict.fromkeys((outcome.player, outcome.buffer_s) for outcome in outcomes):
        plays = [outcome for outcome in outcomes if (outcome.player, outcome.buffer_s) == (player, buffer_s)]
        cells = (cell([play for play in plays if play.failure == failure]) for failure in failures)
        shown.add_row(player, f"{buffer_s:g} s", *cells)
    return shown


def cell(plays: Sequence[Outcome]) -> str:
    """All rounds of one player, buffer and failure; ranges where they differ."""
    if not plays:
        return ""
    stalls = _range([play.stalls for play in plays])
    stalled = f" ({_range([play.stalled_s for play in plays])} s)" if any(play.stalls for play in plays) else ""
    moves = [play.moved_after_s for play in plays if play.moved_after_s is not None]
    moved = f"{_range(moves)} s" if moves else "stayed"
    lost = "" if all(play.went_on for play in plays) else ", lost its place"
    return f"{stalls}{stalled} / {moved}{lost}"


def _range(values: Iterable[float]) -> str:
    low, high = min(values := sorted(values)), max(values)
    return f"{low:g}" if low == high else f"{low:g}-{high:g}"
