"""How far away an appliance may ask for a file by now.

Of each file a few appliances of a site are masters: they fetch it from wherever it is, and the others copy it from
them, so that the ISP's links carry it once. An appliance that is no master waits: it asks peers only, then also other
sites, then the origin. What counts is how long it has had nothing to copy; while peers give it work, nothing is lost
by waiting for more.

Waiting must not cost the night. Of the time that is to spare, that is what the window has left beyond what the rest of
the plan takes, it waits for at most a quarter before it asks other sites, and for half before it asks the origin.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

_TIER_SHARE, _ORIGIN_SHARE = 0.25, 0.5


class Reach(IntEnum):
    """Each includes those before it."""

    PEERS = 0  # the site's own appliances
    TIER = 1  # other sites'
    ORIGIN = 2


@dataclass(frozen=True)
class Waits:
    """Seconds without anything to copy from a peer, before others are asked."""

    tier_s: float
    origin_s: float


# A master with 1 Gbit/s has fetched some 200 GB in half an hour: by then it gives others something to do, or is ill.
NIGHTLY = Waits(30 * 60.0, 90 * 60.0)
# Without a window somebody waits for the files: a master has passed a film of 1 GB on within this time.
AT_ONCE = Waits(10.0, 30.0)


def reach(*, is_master: bool, has_peers: bool, idle_s: float, spare_s: float | None, waits: Waits) -> Reach:
    """`has_peers`: there is another appliance of the site that may come to hold the file. `spare_s` is None where no
    window closes; it is what is left of it now, so what was waited already is added to it again."""
    if is_master or not has_peers:
        return Reach.ORIGIN
    tier_s, origin_s = waits.tier_s, waits.origin_s
    if spare_s is not None:
        whole_s = max(0.0, spare_s) + idle_s
        tier_s, origin_s = min(tier_s, whole_s * _TIER_SHARE), min(origin_s, whole_s * _ORIGIN_SHARE)
        if spare_s <= 0:
            return Reach.ORIGIN
    if idle_s >= origin_s:
        return Reach.ORIGIN
    return Reach.TIER if idle_s >= tier_s else Reach.PEERS
