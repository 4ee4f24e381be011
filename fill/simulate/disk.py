"""What a site's disks hold from one day to the next: filled by night within a limit, corrected within the day.

A site's appliances share its content, so their disks count as one; what copies of hot files take is taken off first.

Pure.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fill.planner.knapsack import choose
from fill.simulate.catalogue import Floats, Ints

Flags = npt.NDArray[np.bool_]


class Filled(NamedTuple):
    held: Flags
    fetched: int  # bytes
    put_off: int  # bytes that were chosen but did not fit into the night


def refill(
    held: Flags, plays: Floats, size: Ints, planned: int, capacity: int, limit: float, *, band: float | None = None
) -> Filled:
    """The planner's choice, as far as the night allows: the densest fetches first, drops only to make room.

    `planned`: bytes of `capacity` that are planned; the rest is left to what came within the day. `band` as in the
    planner: 0 for a ranking that pays no regard to what is held.
    """
    chosen = choose(plays, size, held, planned, band=band).chosen
    new = np.flatnonzero(chosen & ~held)
    new = new[np.argsort(-plays[new], kind="stable")]
    fits = np.cumsum(size[new]) <= limit
    fetched = new[fits]
    now = held & chosen
    now[fetched] = True
    room = capacity - int(size[now].sum())
    rest = np.flatnonzero(held & ~chosen)
    rest = rest[np.argsort(-plays[rest], kind="stable")]
    now[rest[np.cumsum(size[rest]) <= room]] = True
    return Filled(now, int(size[fetched].sum()), int(size[new[~fits]].sum()))


class Swapped(NamedTuple):
    held: Flags
    files: Ints  # that came in, in the order of their worth
    displaced: Ints


def swap(held: Flags, rates: Floats, candidates: Ints, size: Ints, capacity: int, margin: float) -> Swapped:
    """Takes in candidates (best first) while each is watched `margin` times as much as what it displaces."""
    candidates = candidates[np.argsort(-rates[candidates], kind="stable")]
    room = capacity - int(size[held].sum())
    # No other is in danger, and sorting all of them would take most of a simulation's time.
    victims = np.flatnonzero(held & (rates * margin < rates[candidates].max(initial=0.0)))
    victims = victims[np.argsort(rates[victims], kind="stable")]
    freed = np.concatenate([[0], np.cumsum(size[victims])])
    needed = np.maximum(0, np.cumsum(size[candidates]) - room)
    count = np.searchsorted(freed, needed)  # victims that each candidate and those before it need
    possible = count <= len(victims)
    last = np.where(count > 0, rates[victims[np.minimum(count, len(victims)) - 1]] if len(victims) else 0.0, 0.0)
    worth_it = possible & ((count == 0) | (rates[candidates] > margin * last))
    taken = int(worth_it.argmin()) if not worth_it.all() else len(candidates)
    swapped_in = candidates[:taken]
    displaced = victims[: int(count[taken - 1])] if taken else victims[:0]
    now = held.copy()
    now[displaced] = False
    now[swapped_in] = True
    return Swapped(now, swapped_in, displaced)


def take_in(held: Flags, rates: Floats, candidates: Ints, size: Ints, capacity: int) -> tuple[Flags, Ints]:
    """Takes in what there is room for, best first: what is held then, and which files came."""
    candidates = candidates[np.argsort(-rates[candidates], kind="stable")]
    came = candidates[np.cumsum(size[candidates]) <= capacity - int(size[held].sum())]
    now = held.copy()
    now[came] = True
    return now, came
