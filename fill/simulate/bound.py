"""What no policy can exceed, however much it knows of what is to come.

A request is served from a disk only if the file was kept there since it was last asked for (or since it was fetched for
this request alone, which costs what it saves). Keeping it takes size x time of the disks, and there are disk x days of
that. Taking the cheapest waits first until that is used up serves more than anything that must also fit at each moment:
the bound PFOO-L of Berger, Beckmann and Harchol-Balter, "Practical Bounds on Optimal Caching with Variable Object
Sizes" (SIGMETRICS 2018). Fill counts like a first miss, so it bounds the offload *after* fill.

Pure.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fill.simulate.catalogue import Floats, Ints


def most_hits(
    files: Ints, sizes: Ints, times: Floats, capacity: int, start: float, end: float
) -> npt.NDArray[np.bool_]:
    """The requests that would be hits; only those from `start` on are decided, and what was held then came for nothing.

    `sizes` and `times` (in the unit of `start` and `end`) are of each request; times do not fall.
    """
    order = np.lexsort((times, files))
    same = files[order][1:] == files[order][:-1]
    since = np.full(len(files), start)
    since[order[1:][same]] = np.maximum(start, times[order[:-1][same]])
    decided = np.flatnonzero((times >= start) & (sizes <= capacity))
    waits = (times - since)[decided] * sizes[decided]
    # Cheapest for each byte saved: the shortest waits.
    cheapest = np.argsort((times - since)[decided], kind="stable")
    total = np.cumsum(waits[cheapest])
    count = int(np.searchsorted(total, capacity * (end - start), side="right"))
    # The one that no longer fits is taken too: a bound may be too high by one request, and never too low.
    hit = np.zeros(len(files), dtype=np.bool_)
    hit[decided[cheapest[: count + 1]]] = True
    return hit
