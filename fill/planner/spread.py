"""Which appliances of a cluster are the home of a package, how many copies it needs, and how load spreads over them.

**Homes** are drawn by weighted rendezvous hashing: each appliance draws a number from the hash of its name and the
package's; the draws, scaled by the appliances' weights, are the order. So anybody computes it from the names alone; an
appliance of twice the weight is first twice as often; and when one comes or goes, only what it is first for moves.

A package is placed as one, though its files are chosen one by one: a pathway is a host (RFC 8216bis 7.1), so a player
asks one appliance for video and audio alike, and files of one film on several appliances would only be asked for there
to be fetched from each other. So the copy of a hot package is a copy of all of its files that are worth holding.

**Copies** even out what hashing cannot: with one copy each, the busiest of 30 appliances has several times the mean,
because a few packages make most of the load. One more copy of the hottest thousandth to hundredth is enough, for
players are sent to the holder with the most room (steering), which fills the holders like water: `split` computes the
outcome.

**Weights** settle who stores and who serves where appliances differ (large slow disks beside small fast ones): the hot
head of the catalogue is drawn with one set of weights and the tail with another, such that each appliance's disk and
its serving rate are used in proportion.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Sizes = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

# No copy shall need more of its appliance than this share of a mean appliance's load: what is smaller evens out.
LARGEST_COPY = 0.25
# Bytes that copies for the sake of even load may add. In a cluster of 30 with Zipf(1.0) demand this brings the busiest
# appliance from 3.8 times the mean to 1.01 (`nearcast bench fill --only planning`).
EXTRA_BYTES = 0.01
# Nobody busier than this, for the mean, needs relief.
EVEN = 1.002
# Homes after the first that a copy may go to: choosing among a few evens out far better than taking the next.
_CHOICES = 4
# Sweeps of `split`, each of which fills every package's copies anew; three are within a thousandth of the end.
_SWEEPS = 12
_SETTLED = 1e-4
# Weights are rounded to this share of their sum, so that the noise of a night's forecast moves nothing.
_WEIGHT_STEP = 1 / 64


class Order(NamedTuple):
    """Weights of each appliance for the hot head of the catalogue, and for the rest."""

    head: Floats
    tail: Floats


def order(key: str, weights: Mapping[str, float]) -> list[str]:
    """The appliances (name -> weight >= 0) in the order in which they are home to `key`."""
    names = sorted(weights)
    if not names:
        return []
    row = homes(hashed([key]), names, np.array([weights[name] for name in names], dtype=np.float64))[0]
    return [names[position] for position in row]


def hashed(keys: Sequence[str]) -> Hashes:
    """64 bits of each key."""
    return np.array([_hash(key) for key in keys], dtype=np.uint64)


def homes(keys: Hashes, names: Sequence[str], weights: Floats, count: int | None = None) -> Places:
    """For each key, the positions in `names` of its first `count` homes (all of them by default): [key, place].

    Score -w / ln(u) with u uniform in (0, 1): Schindelhauer and Schomaker, "Weighted Distributed Hash Tables", 2005.
    """
    salts = hashed(names)
    # 53 bits are what a float can tell apart; the half keeps the draw off 0 and 1.
    uniform = ((mixed(keys[:, None] ^ salts[None, :]) >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
    scores = -np.maximum(weights, 1e-12)[None, :] / np.log(uniform)
    return np.argsort(-scores, axis=1, kind="stable")[:, :count].astype(np.int64)


def mixed(keys: Hashes) -> Hashes:
    """Every bit of a key in every bit of the result: the finalizer of splitmix64 (Steele, Lea, Flood, 2014)."""
    with np.errstate(over="ignore"):
        keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


def place(
    load: Floats,
    size: Sizes,
    order: Places,
    rates: Floats,
    *,
    least: Places | None = None,
    held: Places | None = None,
    extra: float = EXTRA_BYTES,
) -> Places:
    """The holders of each package for the sake of even load, -1 where there is no further one: [key, place].

    `order` are the homes of each package, all of them. Each package gets `least` copies, whatever that costs (1 by
    default). Then, as long as `extra` more bytes last: as many copies as it takes for none to exceed LARGEST_COPY of a
    mean appliance's load; and while somebody is busier than EVEN, one more of what is hottest there, on the least busy
    of its next homes. The first `held` homes after the first one have a copy already, and are preferred.
    """
    total, appliances = float(load.sum()), order.shape[1]
    count = np.ones(len(load), dtype=np.int64) if least is None else np.clip(least, 1, appliances)
    places = np.where(np.arange(appliances)[None, :] < count[:, None], order, -1)
    if appliances < 2 or total <= 0:
        return places
    budget = int(size.sum() * extra)
    needed = np.clip(np.ceil(load / total * appliances / LARGEST_COPY), 1, appliances).astype(np.int64)
    hottest = np.argsort(-load, kind="stable")
    for key in hottest[: int((needed > 1).sum())]:
        first = int(count[key])
        more = int(min(max(0, needed[key] - first), budget // max(1, size[key])))
        places[key, first : first + more] = order[key, first : first + more]
        budget -= int(more * size[key])
    _even_out(load, size, order, rates, places, hottest, np.zeros_like(needed) if held is None else held, budget)
    return places


def _even_out(
    load: Floats,
    size: Sizes,
    order: Places,
    rates: Floats,
    places: Places,
    hottest: Places,
    held: Places,
    budget: int,
) -> None:
    """Adds copies to `places`, in batches between which the spread is computed anew."""
    appliances = order.shape[1]
    rates = np.maximum(rates, 1e-9)
    # What each appliance is the only holder of, hottest last; what does not fit the budget is never looked at again.
    queues: list[list[int]] = [[] for _ in range(appliances)]
    for key in hottest[::-1]:
        if places[key, 1] < 0 and load[key] > 0:
            queues[order[key, 0]].append(int(key))
    while True:
        levels = split(load, places, rates)[1] / rates
        mean = float(load.sum()) / float(rates.sum())
        for _ in range(appliances):
            busiest = int(levels.argmax())
            while queues[busiest] and size[queues[busiest][-1]] > budget:
                queues[busiest].pop()
            if levels[busiest] <= EVEN * mean or not queues[busiest]:
                break
            key = queues[busiest].pop()
            nearest = order[key, 1 : 1 + (int(held[key]) or _CHOICES)]
            other = int(nearest[levels[nearest].argmin()])
            places[key, 1] = other
            budget -= int(size[key])
            moved = min(float(load[key]), max(0.0, (levels[busiest] - levels[other]) * rates[busiest] / 2))
            levels[busiest] -= moved / rates[busiest]
            levels[other] += moved / rates[other]
        else:
            continue
        if levels.max() <= EVEN * mean or not queues[int(levels.argmax())]:
            break


def split(load: Floats, places: Places, rates: Floats) -> tuple[Floats, Floats]:
    """How players spread when each package's go to its holder with most room: share [key, place], load [appliance].

    `places` are the holders of each package, -1 where there is none; `rates` what each appliance can serve (any unit).
    A package with one holder leaves no choice; the others fill their holders to one level, in turn until it settles.
    """
    share = np.zeros(places.shape)
    loads = np.zeros(len(rates))
    holders = (places >= 0).sum(axis=1)
    single = np.flatnonzero(holders == 1)
    if len(single):
        column = (places[single] >= 0).argmax(axis=1)
        share[single, column] = 1.0
        np.add.at(loads, places[single, column], load[single])
    several = np.flatnonzero((holders > 1) & (load > 0))
    several = several[np.argsort(-load[several], kind="stable")]
    rates = np.maximum(rates, 1e-9)
    for _ in range(_SWEEPS):
        moved = 0.0
        for key in several:
            columns = np.flatnonzero(places[key] >= 0)
            where = places[key, columns]
            others = loads[where] - share[key, columns] * load[key]
            amounts = _poured(float(load[key]), others, rates[where])
            moved = max(moved, float(np.abs(others + amounts - loads[where]).max() / rates[where].min()))
            loads[where] = others + amounts
            share[key, columns] = amounts / load[key]
        if moved <= _SETTLED * loads.sum() / rates.sum():
            break
    return share, loads


def _poured(amount: float, levels: Floats, rates: Floats) -> Floats:
    """`amount` over vessels that already hold `levels`, such that all that get any end equally full for their rate."""
    full = levels / rates
    ranked = np.argsort(full, kind="stable")
    held, width = np.cumsum(levels[ranked]), np.cumsum(rates[ranked])
    surface = (amount + held) / width
    # The first so many vessels take it all: the surface over them does not reach the next one's.
    reached = np.flatnonzero(surface[:-1] <= full[ranked][1:])
    level = surface[reached[0]] if len(reached) else surface[-1]
    return np.asarray(np.maximum(0.0, level * rates - levels), dtype=np.float64)


def weights(disks: Floats, rates: Floats, load: Floats, size: Sizes) -> tuple[Order, int]:
    """Weights that use disks and rates alike, and how many packages (given hottest first) are the head.

    With x and y the shares of an appliance in head and tail, its disk asks x B_head + y B_tail = disk, and its rate
    x L_head + y L_tail = rate (both as shares of the whole): two equations, solved for each head that is tried; the one
    that leaves least undone is taken. Where all appliances are alike x = y, whatever the head.
    """
    disks, rates = _shares(disks), _shares(rates)
    alike = Order(_rounded(disks), _rounded(disks))
    if len(disks) < 2 or not len(load) or np.allclose(disks, rates, atol=_WEIGHT_STEP / 2):
        return alike, 0
    total_bytes, total_load = float(size.sum()), float(load.sum())
    if total_bytes <= 0 or total_load <= 0:
        return alike, 0
    ends = np.unique(np.geomspace(1, max(1, len(load) - 1), 64).astype(int))
    best: tuple[float, Order, int] | None = None
    for count in ends:
        head_bytes, head_load = float(size[:count].sum()) / total_bytes, float(load[:count].sum()) / total_load
        determinant = head_bytes * (1 - head_load) - (1 - head_bytes) * head_load
        if abs(determinant) < 1e-9:
            continue
        head = (disks * (1 - head_load) - rates * (1 - head_bytes)) / determinant
        tail = (rates * head_bytes - disks * head_load) / determinant
        head, tail = _shares(np.maximum(head, 0)), _shares(np.maximum(tail, 0))
        undone = float(
            np.abs(head * head_bytes + tail * (1 - head_bytes) - disks).sum()
            + np.abs(head * head_load + tail * (1 - head_load) - rates).sum()
        )
        if best is None or undone < best[0] - 1e-9:
            best = undone, Order(_rounded(head), _rounded(tail)), int(count)
    return (best[1], best[2]) if best else (alike, 0)


def _shares(amounts: Floats) -> Floats:
    amounts = np.maximum(np.nan_to_num(np.asarray(amounts, dtype=np.float64)), 0.0)
    total = float(amounts.sum())
    alike = np.full(len(amounts), 1 / max(1, len(amounts)))
    return np.asarray(amounts / total if total > 0 else alike, dtype=np.float64)


def _rounded(shares: Floats) -> Floats:
    """Never 0 where something was left: an appliance is somebody's last home at least."""
    return np.asarray(np.maximum(np.round(shares / _WEIGHT_STEP), 0.05) * _WEIGHT_STEP, dtype=np.float64)


@lru_cache(maxsize=65536)
def _hash(key: str) -> int:
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big")
