"""What the planner's decisions are worth, and how long they take.

gap       of `choose` to the relaxed knapsack's optimum, catalogues of 100,000 and 1,000,000 files of 0.25 to 4 GiB
          with Zipf(1.0) demand, a disk of 5 % of them
churn     20,000 such files for 28 nights: each night each file's demand drifts by 3 %, 2 in 1,000 are replaced by new
          ones, and the planner sees counts that are off by 15 %; bytes written of the disk's, and the value of the
          plan for the true demand of the day after as a share of what planning anew each night is worth
balance   20,000 packages of equal size, Zipf(1.0), homes and copies by the planner, players water-filled over the
          copies: load of the busiest appliance over the mean, and the bytes that copies add
loss      20 appliances lose one: bytes that move, over what the lost one held
bulk      6,000 clusters of three appliances x 1,000,000 files (bench/fill/network.py), last night's content held:
          a process of its own with numba's cache empty, its files dropped from the page cache, from the feed on
          disk to 18,000 diffs on disk. For 50 random clusters the result is taken from the files and compared with
          the bound, computed with numpy alone, and with the disks: a byte too much is an error
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from bench.errors import BenchError
from bench.fill.clusters import moved_by_loss
from bench.fill.network import write_night
from bench.rows import OURS, Row
from config.progress import Reporter
from fill.planner.bulk_files import Feed, decode_diff, decode_held
from fill.planner.kernels import NOTHING
from fill.planner.knapsack import BANDS, choose, factor, find_band, fractional_bound
from fill.planner.spread import hashed, homes, place, split

_CASE = "planning"
_CHECKED = 50
_CLOSE = 1e-7
_DISK_SHARE = 0.05


# To Linux the most memory that a process had begins with what forked it had, and the benchmark has the whole network in
# memory: so the planner is started by somebody who has nothing.
_LAUNCHER = """
import json, os, subprocess, sys, time
began = time.perf_counter()
with open(sys.argv[1], "wb") as said:
    child = subprocess.Popen(sys.argv[2:], stdout=said, stderr=said)
    _, status, used = os.wait4(child.pid, 0)
seconds = time.perf_counter() - began
print(json.dumps({"status": status, "seconds": seconds, "rss": used.ru_maxrss * 1024}))
"""


class _Run(NamedTuple):
    seconds: float
    rss: int
    fetches: int
    drops: int


class _Checked(NamedTuple):
    gap: float
    given_up: float


def measure(files: Sequence[Path] = (), *, quick: bool, reporter: Reporter) -> list[Row]:
    """Rows of all cases; `files` are not needed. Raises BenchError where a plan breaks a rule."""
    rows = [*_gaps(quick), *_churn(quick), *_balance(quick), *_loss(quick)]
    clusters, catalogue = (60, 50_000) if quick else (6000, 1_000_000)
    return rows + bulk(clusters, catalogue, reporter)


def _row(case: str, metric: str, values: Sequence[float], **goals: Any) -> Row:
    return Row(
        subject=OURS,
        case=f"{_CASE}: {case}",
        metric=metric,
        median=float(median(values)),
        min=float(min(values)),
        max=float(max(values)),
        **goals,
    )


def _gaps(quick: bool) -> list[Row]:
    rows = []
    for count in (20_000,) if quick else (100_000, 1_000_000):
        gaps = []
        for seed in range(3):
            random = np.random.default_rng(seed)
            density = random.permutation(1 / np.arange(1.0, count + 1))
            size = random.integers(2**28, 2**32, count)
            nothing = np.zeros(count, dtype=np.bool_)
            gaps.append(choose(density, size, nothing, int(size.sum() * _DISK_SHARE)).gap)
        rows.append(
            _row(f"one disk, {count:,} files", "gap to the bound", gaps, must=1e-4, aim=1e-6, more_is_better=False)
        )
    return rows


def _churn(quick: bool) -> list[Row]:
    written, kept = [], []
    for seed in range(2 if quick else 5):
        ours, anew = _nights(seed, None), _nights(seed, 0.0)
        written.append(ours[0] * 100)
        kept.append(ours[1] / anew[1] * 100)
    return [
        _row("28 nights", "bytes rewritten, % a night", written, must=0.8, aim=0.45, limit=0.3, more_is_better=False),
        _row("28 nights", "value of planning anew, %", kept, must=99.0),
    ]


def _nights(seed: int, band: float | None) -> tuple[float, float]:
    """Bytes written a night as a share of the disk, and the plans' share of the bound of the day after."""
    count = 20_000
    random = np.random.default_rng(seed)
    log_density = np.log(random.permutation(1 / np.arange(1.0, count + 1)))
    size = random.integers(2**28, 2**32, count)
    disk = int(size.sum() * _DISK_SHARE)
    held = np.zeros(count, dtype=np.bool_)
    written, shares = [], []
    for night in range(29):
        seen = np.exp(log_density + 0.15 * random.standard_normal(count))
        chosen = choose(seen, size, held, disk, band=band).chosen
        log_density = log_density + 0.03 * random.standard_normal(count)
        if night:
            density = np.exp(log_density)
            written.append(float(size[chosen & ~held].sum()) / disk)
            shares.append(float((density * size)[chosen].sum()) / fractional_bound(density, size, disk))
        held = chosen.copy()
        new = random.choice(count, count // 500, replace=False)
        log_density[new] = -np.log(random.integers(1, count + 1, len(new)))
        held[new] = False
    return float(np.mean(written)), float(np.mean(shares))


def _balance(quick: bool) -> list[Row]:
    rows = []
    load, size = 1 / np.arange(1.0, 20_001), np.full(20_000, 2**30)
    for appliances, must, aim in ((10, 1.05, 1.01), (30, 1.08, 1.02)):
        busiest, extra = [], []
        for seed in range(3 if quick else 10):
            keys = hashed([f"{seed}-{number}" for number in range(len(load))])
            rates = np.ones(appliances)
            ordered = homes(keys, [f"{seed}-box-{number}" for number in range(appliances)], rates)
            places = place(load, size, ordered, rates)
            _, loads = split(load, places, rates)
            busiest.append(float(loads.max() / loads.mean()))
            extra.append(((places >= 0).sum() / len(load) - 1) * 100)
        case = f"a cluster of {appliances}"
        rows.append(_row(case, "load, max/mean", busiest, must=must, aim=aim, limit=1.0, more_is_better=False))
        rows.append(_row(case, "bytes that copies add, %", extra, must=1.0, more_is_better=False))
    return rows


def _loss(quick: bool) -> list[Row]:
    ratios = [moved_by_loss(seed, appliances=20) for seed in range(1 if quick else 3)]
    return [_row("one of 20 lost", "bytes moved / bytes lost", ratios, must=1.1, limit=1.0, more_is_better=False)]


def bulk(clusters: int, files: int, reporter: Reporter, *, is_cold: bool = True) -> list[Row]:
    """Rows of planning in bulk; unless `is_cold`, with whatever numba has compiled before. Raises BenchError."""
    case = f"{clusters:,} clusters x {files:,} files"
    with tempfile.TemporaryDirectory(prefix="nearcast-planning-") as name:
        folder = Path(name)
        reporter.say(f"making a network of {case}, and what it holds")
        feed = write_night(folder, clusters, files, seed=os.getpid())
        reporter.say("planning it, with numba's cache empty and then filled")
        cold, warm, first = (
            _run(folder, held, out, folder / "numba" if is_cold else None)
            for held, out in (("held", "cold"), ("held", "warm"), ("", "anew"))
        )
        checked = [_check(folder, feed, number) for number in _some(clusters)]
    gaps, given_up = [one.gap for one in checked], [one.given_up * 100 for one in checked]
    note = f"{cold.fetches:,} fetches, {cold.drops:,} drops"
    return [
        _row(case, "seconds, cold", [cold.seconds], must=60.0, aim=25.0, more_is_better=False, note=note),
        _row(case, "seconds, code compiled before", [warm.seconds], must=60.0, aim=25.0, more_is_better=False),
        _row(case, "seconds, nothing held yet", [first.seconds], must=60.0, aim=25.0, more_is_better=False),
        _row(case, "peak memory, MB", [max(cold.rss, first.rss) / 1e6], must=2000.0, aim=1000.0, more_is_better=False),
        _row(case, "gap to the bound", gaps, must=1e-4, aim=1e-6, more_is_better=False),
        _row(case, "value given up for what is held, %", given_up, must=1.0, more_is_better=False),
    ]


def _some(clusters: int) -> list[int]:
    return sorted(int(number) for number in np.random.default_rng().permutation(clusters)[:_CHECKED])


def _run(folder: Path, held: str, out: str, cache: Path | None) -> _Run:
    """Plans in a process of its own, and takes the time of all of it. Raises BenchError."""
    for path in (*(folder / "feed").iterdir(), *((folder / held).iterdir() if held else ())):
        _forget(path)
    options = ["--held", str(folder / held)] if held else []
    words = ["bulk", str(folder / "feed"), str(folder / out), *options, "--json", "--quiet"]
    environment = dict(os.environ) if cache is None else {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    said = folder / "said"
    command = [sys.executable, "-c", _LAUNCHER, str(said), sys.executable, "-m", "fill", *words]
    launched = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    used = json.loads(launched.stdout)
    if used["status"]:
        raise BenchError(f"planning in bulk failed: {said.read_text()[-500:].strip()}")
    made = json.loads(said.read_text())
    return _Run(used["seconds"], used["rss"], made["fetches"], made["drops"])


def _forget(path: Path) -> None:
    """Out of the page cache: what is measured begins on disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def _check(folder: Path, feed: Feed, number: int) -> _Checked:
    """One cluster's content after its diffs, against disks and bounds. Raises BenchError where a disk is overfilled.

    The gap is to the bound of the objective for whichever band the choice is best for: which one was taken the diffs
    do not tell.
    """
    cluster = feed.fleet.clusters[number]
    count = len(feed.size)
    held, after = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
    for appliance in cluster.appliances:
        path = folder / "held" / f"{appliance.name}.held"
        had = decode_held(path.read_bytes(), count, str(path))
        path = folder / "cold" / f"{appliance.name}.diff"
        fetches, drops = decode_diff(path.read_bytes(), count, str(path))
        has = np.zeros(count, dtype=np.bool_)
        has[had] = True
        if not has[drops].all() or has[fetches].any():
            raise BenchError(f"{path}: fetches what is held, or drops what is not")
        has[drops], has[fetches] = False, True
        if feed.size[has].sum(dtype=np.int64) > appliance.disk or (has & after).any():
            raise BenchError(f"{path}: more than the disk holds, or what another appliance has")
        held[had] = True
        after |= has
    density, size = _densities(feed, number), feed.size.astype(np.int64)
    disk = sum(appliance.disk for appliance in cluster.appliances)
    gap = 1.0
    likely = find_band(density, size, held, disk)
    for band in sorted((0, *BANDS), key=lambda band: abs(band - likely)):
        worth = np.where(held, density * factor(band), density)
        gap = min(gap, 1 - float((worth * size)[after].sum()) / fractional_bound(worth, size, disk))
        if gap < _CLOSE:
            break
    given_up = 1 - float((density * size)[after].sum()) / fractional_bound(density, size, disk)
    return _Checked(max(0.0, gap), given_up)


def _densities(feed: Feed, number: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    hundredths = feed.density[feed.fleet.clusters[number].region].astype(np.float64)
    known = hundredths != NOTHING
    return np.where(known, 2.0 ** ((hundredths + feed.correction[number][feed.group]) / 100), 0.0)
