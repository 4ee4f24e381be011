"""The inner loops of planning in bulk, compiled: one region's order, and one cluster's choice.

Densities are whole hundredths of an octave, so files of one score are of one worth, thresholds are found by counting,
and what a band multiplies a density by is added to the score. The rule is that of fill/planner/knapsack.py.

A region's files are sorted by (group, falling density) once for all its clusters. A cluster corrects each group by a
constant, which leaves that order as it is: what is above a threshold is the beginning of each group's part, found by
looking up. So a cluster costs as much as what it holds, not as much as the catalogue.

Importing this imports numba, and its first call compiles: seconds, kept in numba's cache for the next process.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

from fill.planner.knapsack import BANDS, OCTAVE

GROUPS = 64
# Densities are clipped to +-LARGEST, corrections to half of that; a score is their sum and lies within +-OFFSET.
LARGEST, OFFSET = 2048, 4096
SCORES = 2 * OFFSET
NOTHING = -32768  # in the feed: not watched in this region
# Scores below the threshold among which files are sought for what room is left.
_BELOW = 64
# Scores above it whose files are placed last, so that what finds no room is worth little more than what does.
_LAST = 12
_BANDS = BANDS.astype(np.int64)
_WORTH = 2.0 ** ((np.arange(SCORES) - OFFSET) / OCTAVE)

Function = TypeVar("Function", bound=Callable[..., Any])


def _compiled(function: Function) -> Function:
    return cast(Function, numba.njit(nogil=True, cache=True)(function))


@_compiled
def sort_region(
    density: npt.NDArray[np.int16],
    group: npt.NDArray[np.uint8],
    size: npt.NDArray[np.int32],
    key: npt.NDArray[np.uint64],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """A region's files by (group, falling density): the files; where those of each (group, LARGEST - density) begin;
    the bytes (KiB) before each position; and each position's key, for looking it up by file would miss the cache."""
    width = 2 * LARGEST + 2
    begins = np.zeros((GROUPS, width), np.int32)
    count = 0
    for file in range(len(density)):
        if density[file] != NOTHING:
            place = LARGEST - min(max(density[file], -LARGEST), LARGEST)
            begins[group[file], place + 1] += 1
            count += 1
    total = 0
    for one in range(GROUPS):
        for place in range(width):
            total += begins[one, place]
            begins[one, place] = total
    cursor = begins.copy()
    order = np.empty(count, np.int32)
    for file in range(len(density)):
        if density[file] != NOTHING:
            place = LARGEST - min(max(density[file], -LARGEST), LARGEST)
            order[cursor[group[file], place]] = file
            cursor[group[file], place] += 1
    before = np.zeros(count + 1, np.int64)
    keys = np.empty(count, np.uint64)
    for position in range(count):
        before[position + 1] = before[position] + size[order[position]]
        keys[position] = key[order[position]]
    return order, begins, before, keys


@_compiled
def decode_positions(data: npt.NDArray[np.uint8], count: int, start: int) -> tuple[npt.NDArray[np.int32], int]:
    """`count` rising positions from their gaps as varints (LEB128), and where they end; fewer if the data is cut."""
    positions = np.empty(count, np.int32)
    last, at, known = -1, start, 0
    while known < count:
        gap, shift = 0, 0
        while at < len(data):
            byte = data[at]
            at += 1
            gap |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        else:
            return positions[:known], at
        last += gap + 1
        positions[known] = last
        known += 1
    return positions, at


@_compiled
def encode_positions(positions: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
    """Rising positions as the gaps between them, varints."""
    data = np.empty(5 * len(positions), np.uint8)
    last, at = -1, 0
    for position in positions:
        gap = position - last - 1
        last = position
        while gap >= 128:
            data[at] = (gap & 127) | 128
            gap >>= 7
            at += 1
        data[at] = gap
        at += 1
    return data[:at]


@_compiled
def _score(file: int, density: Any, group: Any, correction: Any) -> int:
    clipped = min(max(density[file], -LARGEST), LARGEST)
    return int(clipped + correction[group[file]] + OFFSET)


@_compiled
def _end(begins: Any, group: int, score: int, correction: Any) -> int:
    """Where the files of a group that have at least this score end."""
    place = LARGEST - (score - OFFSET - correction[group])
    return int(begins[group, min(max(place + 1, 0), 2 * LARGEST + 1)])


@_compiled
def _thresholds(new: Any, old: Any, capacity: int, give_up: float) -> tuple[int, int]:
    """The band, and the lowest score at which all that is at least so worthy fits; both bytes are by score."""
    new_bytes, old_bytes = np.zeros(SCORES + 1, np.int64), np.zeros(SCORES + 1, np.int64)
    new_value, old_value = np.zeros(SCORES + 1), np.zeros(SCORES + 1)
    any_old = False
    for score in range(SCORES - 1, -1, -1):
        worth = _WORTH[score]
        new_bytes[score] = new_bytes[score + 1] + new[score]
        old_bytes[score] = old_bytes[score + 1] + old[score]
        new_value[score] = new_value[score + 1] + new[score] * worth
        old_value[score] = old_value[score + 1] + old[score] * worth
        any_old = any_old or old[score] > 0
    best, band_of_best, low_of_best = 0.0, 0, 0
    for number in range(-1, len(_BANDS)):
        band = 0 if number < 0 else _BANDS[number]
        fails, fits = -1, SCORES
        while fits - fails > 1:
            middle = (fits + fails) // 2
            if old_bytes[middle] + new_bytes[min(middle + band, SCORES)] > capacity:
                fails = middle
            else:
                fits = middle
        high = min(fits + band, SCORES)
        value = old_value[fits] + new_value[high]
        if fits > 0:
            room = capacity - old_bytes[fits] - new_bytes[high]
            kept = min(room, old[fits - 1])
            value += kept * _WORTH[fits - 1]
            if high > 0:
                value += min(room - kept, new[high - 1]) * _WORTH[high - 1]
        if number < 0:
            best = value
            if not any_old:
                return 0, fits
        elif number == 0 or value >= (1 - give_up) * best:
            band_of_best, low_of_best = band, fits
        else:
            break
    return band_of_best, low_of_best


@_compiled
def _home(key: Any, salts: Any, weights: Any, is_even: bool, rooms: Any, size: int) -> int:
    """The first of a package's homes that has room, -1 where none has; drawn as in fill/planner/spread.py."""
    best, best_score = -1, 0.0
    for place in range(len(salts)):
        if rooms[place] < size:
            continue
        mixed = key ^ salts[place]
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = mixed ^ (mixed >> np.uint64(31))
        uniform = (np.float64(mixed >> np.uint64(11)) + 0.5) / 2.0**53
        # Among equals the order of the scores is that of the draws, and logarithms are most of the time.
        score = uniform if is_even else -max(weights[place], 1e-12) / np.log(uniform)
        if best < 0 or score > best_score:
            best, best_score = place, score
    return best


@_compiled
def choose_cluster(
    order: npt.NDArray[np.int32],
    begins: npt.NDArray[np.int32],
    before: npt.NDArray[np.int64],
    keys: npt.NDArray[np.uint64],
    density: npt.NDArray[np.int16],
    group: npt.NDArray[np.uint8],
    size: npt.NDArray[np.int32],
    correction: npt.NDArray[np.int16],
    disks: npt.NDArray[np.int64],
    salts: npt.NDArray[np.uint64],
    held: npt.NDArray[np.int32],
    holders: npt.NDArray[np.uint8],
    owner: npt.NDArray[np.uint8],
    give_up: float,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8], npt.NDArray[np.int32], npt.NDArray[np.uint8], int]:
    """What comes and what goes in one cluster: files and appliances that fetch them, and that drop them; the band.

    `disks` are what may be used of each appliance, and `size` of each file, in KiB. `held` are the files that are held,
    each once, and `holders` the appliances that have them. `owner` is scratch of the catalogue's length, all zero
    before and after. What is held stays with whoever has it; what comes goes to the first of its homes with room.
    """
    capacity = 0
    for disk in disks:
        capacity += disk
    rooms = disks.copy()
    weights = disks.astype(np.float64)
    is_even = bool((disks == disks[0]).all())
    scores = np.empty(len(held), np.int16)
    old = np.zeros(SCORES, np.int64)
    used = np.zeros(len(disks), np.int64)
    for number in range(len(held)):
        file = held[number]
        owner[file] = holders[number] + 1
        if density[file] == NOTHING:
            scores[number] = -1
            continue
        scores[number] = _score(file, density, group, correction)
        old[scores[number]] += size[file]
        used[holders[number]] += size[file]

    # Bytes of each score: those of all files, less those that are held. Nothing new comes from below the score above
    # which everything together is too much, so nothing below it is counted.
    floor, enough = 0, SCORES
    while enough - floor > 1:
        middle = (floor + enough) // 2
        total = 0
        for one in range(GROUPS):
            total += before[_end(begins, one, middle, correction)] - before[begins[one, 0]]
        if total > capacity:
            floor = middle
        else:
            enough = middle
    floor = max(0, floor - 1)
    new = np.zeros(SCORES, np.int64)
    for one in range(GROUPS):
        shift = OFFSET + correction[one]
        for score in range(max(floor, shift - LARGEST), min(SCORES, shift + LARGEST + 1)):
            place = LARGEST - (score - shift)
            new[score] += before[begins[one, place + 1]] - before[begins[one, place]]
    for score in range(floor, SCORES):
        new[score] -= old[score]
    band, low = _thresholds(new, old, capacity, give_up)
    high = min(low + band, SCORES)

    # What is held and worthy stays, unless a disk is smaller than what it holds: then its best.
    ranked = np.argsort(-scores, kind="mergesort") if (used > disks).any() else np.arange(len(held))
    stays = np.zeros(len(held), np.bool_)
    for number in ranked:
        file = held[number]
        if scores[number] >= low and size[file] <= rooms[holders[number]]:
            stays[number] = True
            rooms[holders[number]] -= size[file]
    fetched = np.empty(1024, np.int32)
    fetchers = np.empty(1024, np.uint8)
    count = 0

    # What is new and worthy comes: first what is clearly so, then what is about as worthy as the last.
    smallest = 2**31 - 1
    for is_last in range(2):
        for one in range(GROUPS):
            clearly = _end(begins, one, high + _LAST, correction)
            start = clearly if is_last else begins[one, 0]
            end = _end(begins, one, high, correction) if is_last else clearly
            for position in range(start, end):
                file = order[position]
                if owner[file]:
                    continue
                taken = before[position + 1] - before[position]
                home = _home(keys[position], salts, weights, is_even, rooms, taken)
                if home < 0:
                    continue
                rooms[home] -= taken
                owner[file] = 255
                if count == len(fetched):
                    fetched = np.append(fetched, np.empty(count, np.int32))
                    fetchers = np.append(fetchers, np.empty(count, np.uint8))
                fetched[count], fetchers[count] = file, home
                count += 1

    # What is a little less worthy, while it fits: held files first, for they cost nothing.
    rest = np.flatnonzero(~stays)
    rest = rest[np.argsort(-scores[rest], kind="mergesort")]
    at = 0
    for below in range(1, _BELOW + 1):
        while at < len(rest) and scores[rest[at]] >= low - below:
            number = rest[at]
            if size[held[number]] <= rooms[holders[number]]:
                stays[number] = True
                rooms[holders[number]] -= size[held[number]]
            at += 1
        if high - below < 0 or rooms.max() <= 0:
            break
        for one in range(GROUPS):
            for position in range(
                _end(begins, one, high - below + 1, correction), _end(begins, one, high - below, correction)
            ):
                file = order[position]
                taken = before[position + 1] - before[position]
                smallest = min(smallest, taken)
                if owner[file] or taken > rooms.max():
                    continue
                home = _home(keys[position], salts, weights, is_even, rooms, taken)
                rooms[home] -= taken
                owner[file] = 255
                if count == len(fetched):
                    fetched = np.append(fetched, np.empty(count, np.int32))
                    fetchers = np.append(fetchers, np.empty(count, np.uint8))
                fetched[count], fetchers[count] = file, home
                count += 1
        if below > 8 and rooms.max() < smallest:
            break
    while at < len(rest):
        number = rest[at]
        if size[held[number]] <= rooms[holders[number]]:
            stays[number] = True
            rooms[holders[number]] -= size[held[number]]
        at += 1
    for number in range(len(held)):
        owner[held[number]] = 0
    for number in range(count):
        owner[fetched[number]] = 0
    goes = np.flatnonzero(~stays)
    return fetched[:count].copy(), fetchers[:count].copy(), held[goes], holders[goes], band
