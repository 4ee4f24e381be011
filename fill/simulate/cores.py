"""Spreads the simulation of many sites over the machine's cores."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from fill.simulate.replay import Each

# Files x days x kinds of sites from which on starting processes (half a second each) is worth it: ten seconds' work.
_WORTH_IT = 15_000_000
_MOST = 16


@contextmanager
def each_on_its_core(work: int) -> Iterator[Each]:
    """A `map` over processes, or the plain one for little `work` (files x days x kinds of sites)."""
    cores = min(_MOST, os.cpu_count() or 1)
    if work < _WORTH_IT or cores < 2:
        yield map
        return
    # spawn: a fork would copy locks that other threads of ours hold.
    with ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool.map
