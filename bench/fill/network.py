"""A made-up network for planning in bulk: thousands of clusters of three appliances, and what they held last night.

Demand is Zipf(1.0) over a shuffled catalogue, the same in shape everywhere: each region sees it with its own taste
(half an octave for each file), each cluster with a third of an octave for each of 64 groups. Files are of 64 MiB to
2 GiB, disks of 5 to 15 % of the catalogue. From last night to tonight each file drifts by 3 %, its count is off by
15 %, and 2 files in 1,000 are new.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from fill.planner.bulk import plan_bulk
from fill.planner.bulk_files import Appliance, Cluster, Feed, Fleet, decode_diff, encode_held, write_feed
from fill.planner.kernels import GROUPS, LARGEST, NOTHING
from fill.planner.spread import mixed

CLUSTERS_OF_A_REGION = 100
BOXES = 3
_OCTAVE = 100
DRIFT, MISCOUNT, NEW = 0.03, 0.15, 0.002


def make_feed(clusters: int, files: int, seed: int) -> Feed:
    random = np.random.default_rng(seed)
    regions = -(-clusters // CLUSTERS_OF_A_REGION)
    size = random.integers(2**16, 2**21, files, dtype=np.int32)
    total = int(size.sum(dtype=np.int64))
    law = _OCTAVE * np.log2(1e6 / random.permutation(np.arange(1.0, files + 1)))
    density = np.empty((regions, files), np.int16)
    for region in range(regions):
        taste = random.standard_normal(files, np.float32) * (_OCTAVE / 2)
        density[region] = np.clip(np.round(law + taste - 1000), -LARGEST, LARGEST)
    fleet = Fleet(
        tuple(
            Cluster(
                f"c{number}",
                number // CLUSTERS_OF_A_REGION,
                tuple(Appliance(f"c{number}-{box}", int(total * share / BOXES)) for box in range(BOXES)),
            )
            for number, share in enumerate(random.uniform(0.05, 0.15, clusters))
        )
    )
    correction = np.round(random.standard_normal((clusters, GROUPS)) * (_OCTAVE / 3)).astype(np.int16)
    key = mixed(np.arange(files, dtype=np.uint64))
    return Feed(fleet, size, random.integers(0, GROUPS, files).astype(np.uint8), key, density, correction)


def yesterday_of(feed: Feed, seed: int) -> Feed:
    """What was seen the night before: without what is new tonight."""
    random = np.random.default_rng(seed)
    density = np.empty_like(feed.density)
    unit = _OCTAVE / np.log(2)
    for region, today in enumerate(feed.density):
        change = random.standard_normal(len(today), np.float32) * (np.hypot(DRIFT, MISCOUNT * np.sqrt(2)) * unit)
        density[region] = np.clip(np.round(today + change), -LARGEST, LARGEST)
        density[region, random.random(len(today)) < NEW] = NOTHING
    return replace(feed, density=density)


def write_night(folder: Path, clusters: int, files: int, seed: int) -> Feed:
    """Tonight's feed in FOLDER/feed, last night's plans in FOLDER/first, and what is held since in FOLDER/held."""
    feed = make_feed(clusters, files, seed)
    write_feed(folder / "feed", feed)
    write_feed(folder / "yesterday", yesterday_of(feed, seed + 1))
    plan_bulk(folder / "yesterday", None, folder / "first")
    (folder / "held").mkdir()
    for cluster in feed.fleet.clusters:
        for appliance in cluster.appliances:
            path = folder / "first" / f"{appliance.name}.diff"
            held, _ = decode_diff(path.read_bytes(), files, str(path))
            (folder / "held" / f"{appliance.name}.held").write_bytes(encode_held(held))
    return feed
