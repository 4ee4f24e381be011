"""Which files are worth the disk: the densest first, with as little rewritten as the value allows.

The relaxed knapsack, in which the last file may be cut, is solved exactly by taking files in the order of density
(bytes served a day for each byte stored). Whole files in that order, the best of all combinations of those around the
cut, and then whatever still fits, come within a millionth of that bound where there are tens of thousands of files;
every choice carries its gap to it.

Rewriting a disk costs the ISP's link and the disk itself, so what is held is weighed up by a *band*: a new file comes
only if it is denser by the band than what it displaces. A fixed band is either too narrow for a long catalogue (where
the order around the cut is noise) or too wide for news. So the band is as wide as it can be without the choice being
worth less than 1 - GIVE_UP of the best there is, and never narrower than a quarter:

    fewest bytes written   such that   value >= (1 - GIVE_UP) x the bound

For one disk every answer to that has this shape, two thresholds a band apart (the Lagrangian of the constraint), and it
is found on two cumulative sums.

Pure.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Sizes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# The share of the best value that may be given up each night to leave held files where they are.
GIVE_UP = 0.005
# Widths that the band may have, in hundredths of an octave of density: a quarter more (32) to sixteen times (400).
BANDS = np.array([32, 40, 50, 64, 80, 100, 125, 160, 200, 250, 320, 400])
OCTAVE = 100
# Files around the cut of which every combination is weighed up: 2 x 4096 sums, a millisecond.
_CORE = 24
# Halvings that find a threshold: float64 has no more bits than this between two neighbours of one density.
_HALVINGS = 64


class Choice(NamedTuple):
    """`gap`: how far the choice is from the bound, both with the band: 0 is the best there can be."""

    chosen: Flags
    gap: float


def factor(band: float) -> float:
    """What a band of so many hundredths of an octave multiplies the density of held files by."""
    return float(2.0 ** (band / OCTAVE))


def choose(
    density: Floats, size: Sizes, held: Flags, capacity: int, *, give_up: float = GIVE_UP, band: float | None = None
) -> Choice:
    """The files to hold within `capacity` bytes. Nonsense (NaN, negative) counts as a density of 0.

    Files of density 0 are chosen only where they are held and there is room. `band` is found where it is not given.
    """
    density = clean(density)
    size = np.maximum(np.asarray(size, dtype=np.int64), 0)
    chosen = np.zeros(len(density), dtype=np.bool_)
    if capacity <= 0 or not len(density):
        return Choice(chosen, 0.0)
    if band is None:
        band = find_band(density, size, held, capacity, give_up)
    worth = np.where(held, density * factor(band), density)
    order = np.argsort(-worth, kind="stable")
    order = order[(worth[order] > 0) | held[order]]
    order = order[size[order] <= capacity]
    taken = _take(order, worth, size, capacity)
    chosen[taken] = True
    value, bound = float(worth[taken] @ size[taken]), fractional_bound(worth, size, capacity)
    return Choice(chosen, max(0.0, 1 - value / bound) if bound else 0.0)


def clean(density: Floats) -> Floats:
    return np.nan_to_num(np.maximum(np.asarray(density, dtype=np.float64), 0.0), nan=0.0, posinf=0.0)


def fractional_bound(density: Floats, size: Sizes, capacity: int) -> float:
    """The value that no choice within `capacity` exceeds: the relaxed knapsack's optimum."""
    if capacity <= 0 or not len(density):
        return 0.0
    order = np.argsort(-density, kind="stable")
    ends = np.cumsum(size[order])
    whole = int(np.searchsorted(ends, capacity, side="right"))
    value = float(density[order[:whole]] @ size[order[:whole]])
    if whole < len(order):
        value += float(density[order[whole]]) * (capacity - int(ends[whole - 1] if whole else 0))
    return value


def find_band(density: Floats, size: Sizes, held: Flags, capacity: int, give_up: float = GIVE_UP) -> float:
    """The widest of BANDS with which no more than `give_up` of the best value is lost; the narrowest if all lose more.

    Fractional at the thresholds: what one file more or less is worth does not matter here.
    """
    if not held.any() or held.all():
        return float(BANDS[0])
    old, new = (_Cumulated(density[which], size[which]) for which in (held, ~held))
    factors = np.concatenate([[1.0], 2.0 ** (BANDS / OCTAVE)])
    top = float(density.max())
    if top <= 0:
        return float(BANDS[0])
    # Held files stay above `low`, new ones come above low x factor; the lowest `low` is sought at which all fits.
    fits, fails = np.full(len(factors), np.log2(top) + 1), np.full(len(factors), np.log2(top) - 1024)
    for _ in range(_HALVINGS):
        middle = (fits + fails) / 2
        low = 2.0**middle
        is_over = old.bytes_above(low) + new.bytes_above(low * factors) > capacity
        fails, fits = np.where(is_over, middle, fails), np.where(is_over, fits, middle)
    low = 2.0**fits
    rest = np.maximum(0, capacity - old.bytes_above(low) - new.bytes_above(low * factors))
    # What is left over goes to files at the threshold, unless everything fits anyhow.
    rest = np.minimum(rest, old.at(low) + new.at(low * factors))
    values = old.value_above(low) + new.value_above(low * factors) + rest * low
    good = np.flatnonzero(values[1:] >= (1 - give_up) * values[0])
    return float(BANDS[good[-1]]) if len(good) else float(BANDS[0])


class _Cumulated:
    """Bytes and value of all files that are denser than a threshold."""

    def __init__(self, density: Floats, size: Sizes) -> None:
        order = np.argsort(-density, kind="stable")
        self._falling = -density[order]
        self._bytes = np.concatenate([[0], np.cumsum(size[order])])
        self._value = np.concatenate([[0.0], np.cumsum(density[order] * size[order])])

    def bytes_above(self, threshold: Floats) -> Floats:
        return np.asarray(self._bytes[np.searchsorted(self._falling, -threshold, side="left")], dtype=np.float64)

    def value_above(self, threshold: Floats) -> Floats:
        return np.asarray(self._value[np.searchsorted(self._falling, -threshold, side="left")], dtype=np.float64)

    def at(self, threshold: Floats) -> Floats:
        """Bytes of the files just below the threshold (within a thousandth of an octave)."""
        return self.bytes_above(threshold * 2**-0.001) - self.bytes_above(threshold)


def _take(order: npt.NDArray[np.intp], worth: Floats, size: Sizes, capacity: int) -> npt.NDArray[np.intp]:
    """What fits in order, the files around the cut as the best of all their combinations, then what still fits."""
    ends = np.cumsum(size[order])
    cut = int(np.searchsorted(ends, capacity, side="right"))
    if cut == len(order):
        return order
    low, high = max(0, cut - _CORE // 2), min(len(order), cut + _CORE // 2)
    room = capacity - int(ends[low - 1] if low else 0)
    core = order[low:high]
    best = _best_subset(worth[core] * size[core], size[core], room)
    room -= int(size[core[best]].sum())
    rest = np.concatenate([core[~best], order[high:]])
    return np.concatenate([order[:low], core[best], _take_in_order(rest, size, room)])


def _best_subset(value: Floats, size: Sizes, room: int) -> Flags:
    """The subset of a few files that is worth most within `room`, exactly: each half's subsets, met in the middle."""
    half = len(size) // 2
    values, sizes = (_sums(amounts[:half]) for amounts in (value, size))
    other_values, other_sizes = (_sums(amounts[half:]) for amounts in (value, size))
    by_size = np.argsort(other_sizes, kind="stable")
    other_sizes, other_values = other_sizes[by_size], other_values[by_size]
    best_below = np.maximum.accumulate(other_values)
    fits = np.searchsorted(other_sizes, room - sizes, side="right") - 1
    together = np.where(fits >= 0, values + best_below[fits], -1.0)
    mine = int(together.argmax())
    theirs = int(by_size[int(np.flatnonzero(other_values[: fits[mine] + 1] == best_below[fits[mine]])[0])])
    bits = [mine >> position & 1 for position in range(half)]
    bits += [theirs >> position & 1 for position in range(len(size) - half)]
    return np.array(bits, dtype=np.bool_)


def _sums(amounts: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The sum of each subset, by the bits of its position."""
    sums = np.zeros(1, dtype=amounts.dtype)
    for amount in amounts:
        sums = np.concatenate([sums, sums + amount])
    return sums


def _take_in_order(order: npt.NDArray[np.intp], size: Sizes, capacity: int) -> npt.NDArray[np.intp]:
    """Everything that fits, in order: what does not fit any more is passed over, and smaller files still come."""
    taken = [order[:0]]
    room = capacity
    while len(order := order[size[order] <= room]):
        ends = np.cumsum(size[order])
        whole = int(np.searchsorted(ends, room, side="right"))
        taken.append(order[:whole])
        room -= int(ends[whole - 1])
        order = order[whole:]
    return np.concatenate(taken)
