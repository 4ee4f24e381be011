"""Plans thousands of clusters over millions of files: a feed on disk in, one diff for each appliance on disk out.

    for each region:   its density -> its files in order, once
      for each of its clusters:   held lists -> choose_cluster -> diffs

Which files a cluster holds is decided by the rule of fill/planner/knapsack.py, on densities in whole hundredths of an
octave; each goes to the first of its homes (fill/planner/spread.py) that has room, and what is held stays where it is.
Copies for even load, windows and budgets are the small planner's: this one is for questions about whole networks.

Regions are shared out over threads: all that takes time runs compiled, without the interpreter's lock, and they share
the feed's memory. Diffs appear together: they are written beside, and their folder renamed when all are there.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from config.progress import Reporter
from fill.errors import BulkError
from fill.planner.bulk_files import Cluster, Feed, Positions, decode_held, encode_diff, read_feed
from fill.planner.kernels import choose_cluster, sort_region
from fill.planner.knapsack import GIVE_UP
from fill.planner.spread import hashed


@dataclass(frozen=True)
class Made:
    """What a run came to."""

    clusters: int
    appliances: int
    files: int
    fetches: int
    drops: int
    fetch_kib: int


class _Region(NamedTuple):
    density: npt.NDArray[np.int16]
    order: npt.NDArray[np.int32]
    begins: npt.NDArray[np.int32]
    before: npt.NDArray[np.int64]
    keys: npt.NDArray[np.uint64]


def plan_bulk(
    feed_folder: Path,
    held_folder: Path | None,
    diffs_folder: Path,
    *,
    threads: int = 2,
    give_up: float = GIVE_UP,
    reporter: Reporter | None = None,
) -> Made:
    """Writes `diffs_folder`, which must not exist yet. Without `held_folder` nothing is held. Raises BulkError."""
    feed = read_feed(feed_folder)
    if diffs_folder.exists():
        raise BulkError(f"{diffs_folder} exists already; diffs are never written over others")
    partial = diffs_folder.with_name(f"{diffs_folder.name}.partial")
    regions: dict[int, list[int]] = {}
    for number, cluster in enumerate(feed.fleet.clusters):
        regions.setdefault(cluster.region, []).append(number)
    parts = _shared_out(regions, max(1, threads))
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        with (
            (reporter or Reporter(quiet=True)).bar("planning", len(feed.fleet.clusters)) as bar,
            ThreadPoolExecutor(max(1, threads)) as pool,
        ):
            jobs = [pool.submit(_plan_part, feed, part, held_folder, partial, give_up) for part in parts]
            counts = np.zeros(3, dtype=np.int64)
            done = 0
            for part, job in zip(parts, jobs, strict=True):
                counts += job.result()
                done += len(part)
                bar.update(done)
        partial.rename(diffs_folder)
    except OSError as error:
        raise BulkError(f"{error.filename or partial}: {error.strerror or error}") from error
    fetches, drops, fetch_kib = (int(count) for count in counts)
    appliances = sum(len(cluster.appliances) for cluster in feed.fleet.clusters)
    return Made(len(feed.fleet.clusters), appliances, len(feed.size), fetches, drops, fetch_kib)


def _shared_out(regions: dict[int, list[int]], threads: int) -> list[list[int]]:
    """Clusters in parts of one region each; where there are fewer regions than threads, a region is several parts."""
    pieces = max(1, -(-2 * threads // max(1, len(regions))))
    return [
        clusters[piece::pieces]
        for _, clusters in sorted(regions.items())
        for piece in range(pieces)
        if clusters[piece:]
    ]


def _plan_part(
    feed: Feed, clusters: Sequence[int], held_folder: Path | None, out: Path, give_up: float
) -> npt.NDArray[np.int64]:
    """Fetches, drops and KiB fetched of clusters of one region."""
    density = np.ascontiguousarray(feed.density[feed.fleet.clusters[clusters[0]].region])
    region = _Region(density, *sort_region(density, feed.group, feed.size, feed.key))
    owner = np.zeros(len(feed.size), np.uint8)
    counts = np.zeros(3, dtype=np.int64)
    for number in clusters:
        counts += _plan_cluster(feed, region, number, held_folder, out, owner, give_up)
    return counts


def _plan_cluster(
    feed: Feed,
    region: _Region,
    number: int,
    held_folder: Path | None,
    out: Path,
    owner: npt.NDArray[np.uint8],
    give_up: float,
) -> npt.NDArray[np.int64]:
    cluster = feed.fleet.clusters[number]
    held, holders, doubled = _read_held(cluster, held_folder, len(feed.size))
    fetches, fetchers, drops, droppers, _ = choose_cluster(
        region.order,
        region.begins,
        region.before,
        region.keys,
        region.density,
        feed.group,
        feed.size,
        feed.correction[number],
        np.array([max(0, appliance.disk) for appliance in cluster.appliances], dtype=np.int64),
        hashed([appliance.name for appliance in cluster.appliances]),
        held,
        holders,
        owner,
        give_up,
    )
    for place, appliance in enumerate(cluster.appliances):
        comes = np.sort(fetches[fetchers == place])
        goes = np.sort(np.concatenate([drops[droppers == place], doubled[place]]))
        (out / f"{appliance.name}.diff").write_bytes(encode_diff(comes, goes))
    return np.array([len(fetches), len(drops) + sum(map(len, doubled)), feed.size[fetches].sum(dtype=np.int64)])


def _read_held(
    cluster: Cluster, folder: Path | None, files: int
) -> tuple[Positions, npt.NDArray[np.uint8], list[Positions]]:
    """What the cluster holds and who has it, each file once; and what each appliance has that another has too."""
    lists = []
    for appliance in cluster.appliances:
        path = folder / f"{appliance.name}.held" if folder else None
        try:
            lists.append(decode_held(path.read_bytes(), files, str(path)) if path else np.empty(0, np.int32))
        except FileNotFoundError:  # a new appliance, or one that lost its disks
            lists.append(np.empty(0, np.int32))
    held = np.concatenate(lists)
    holders = np.repeat(np.arange(len(lists), dtype=np.uint8), [len(one) for one in lists])
    if not _has_twice(lists, files):
        return held, holders, [held[:0] for _ in lists]
    _, first = np.unique(held, return_index=True)
    is_first = np.zeros(len(held), np.bool_)
    is_first[first] = True
    doubled = [held[~is_first & (holders == place)] for place in range(len(lists))]
    return held[is_first], holders[is_first], doubled


def _has_twice(lists: Sequence[Positions], files: int) -> bool:
    seen = np.zeros(files, np.bool_)
    for positions in lists:
        if seen[positions].any():
            return True
        seen[positions] = True
    return False
