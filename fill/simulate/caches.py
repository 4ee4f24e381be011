"""Which requests a cache answers that fills itself from what is asked of it: LRU, S3-FIFO, SIEVE, FIFO.

The policies are those of libCacheSim (https://github.com/1a1a11a/libCacheSim), a cache simulator that others maintain
and that the papers' authors contribute to, so that what we are compared with is not of our own making. Every request
is for a whole object, and what is missed is kept if the policy keeps it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fill.errors import FillError

Ids = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

POLICIES = ("lru", "s3-fifo", "sieve", "fifo")
# The simulator divides capacities in bytes (by ten for a small queue): below this they are counted in finer units.
_FINE_BELOW = 2**20
# S3-FIFO's first queue is a tenth of the cache, and what is not smaller than the queue is never kept. With films that
# would be a handicap of the yardstick, so the queue is widened for the largest object, to half of the cache at most.
_SMALL_QUEUE, _LARGEST_SMALL_QUEUE = 0.1, 0.5


def hits(policy: str, capacity: int, objects: Ids, sizes: Ids) -> Flags:
    """For each request whether the cache held the object. `objects`: any numbers >= 0; `sizes` in bytes, by request.

    2 million requests a second. Raises FillError where the simulator is not installed, ValueError for another policy.
    """
    if policy not in POLICIES:
        raise ValueError(f"policy {policy!r} is not one of {', '.join(POLICIES)}")
    objects, sizes = np.asarray(objects, dtype=np.int64), np.asarray(sizes, dtype=np.int64)
    if objects.shape != sizes.shape or objects.ndim != 1:
        raise ValueError(f"{objects.shape} objects and {sizes.shape} sizes: one size for each request is expected")
    answers = np.zeros(len(objects), dtype=np.bool_)
    # The simulator ends the process on a cache without room, and writes a line for each object larger than the cache.
    fits = (sizes <= capacity) & (sizes > 0)
    if capacity <= 0 or not fits.any():
        return answers
    unit = _FINE_BELOW if capacity < _FINE_BELOW else 1
    largest = int(sizes[fits].max()) / capacity
    get, request = _cache(policy, capacity * unit, len(np.unique(objects)), largest)
    found = bytearray(int(fits.sum()))
    asked = zip(objects[fits].tolist(), (sizes[fits] * unit).tolist(), strict=True)
    for position, (request.obj_id, request.obj_size) in enumerate(asked):
        found[position] = get(request)
    answers[fits] = np.frombuffer(found, dtype=np.bool_)
    return answers


def _cache(policy: str, capacity: int, distinct: int, largest: float) -> tuple[Callable[[Any], bool], Any]:
    """The cache's `get` and the request to ask it with: made once, as an object for each request would cost half."""
    try:
        import libcachesim
    except ImportError as error:
        raise FillError(
            f"{policy} needs libcachesim, which is not installed: pip install 'nearcast[simulate]'"
        ) from error
    # Buckets of its hash table, as a power of two; it grows by itself.
    table = {"hashpower": max(10, min(24, distinct.bit_length() + 1))}
    made: Any
    if policy == "lru":
        made = libcachesim.LRU(capacity, **table)
    elif policy == "sieve":
        made = libcachesim.Sieve(capacity, **table)
    elif policy == "fifo":
        made = libcachesim.FIFO(capacity, **table)
    else:
        queue = min(_LARGEST_SMALL_QUEUE, max(_SMALL_QUEUE, largest * 1.01))
        made = libcachesim.S3FIFO(capacity, small_size_ratio=queue, **table)
    # Past the Python method of the same name, which takes as long again.
    return made._cache.get, libcachesim.Request()
