"""Whose nearest site is where, by network: what steering decided, so that demand is counted where the viewer is.

What is watched from afar because the nearest appliances are full, lost or drained is demand of the viewer's own region
all the same: counted where it was served, an outage would empty the plans of the region that has it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from fill.feed.store import Store, appear_json, read_json
from steering.placement.sites import By

# Networks (/24, /48) with viewers, the last that were seen: some 50 MB. All of a large country's are fewer.
MOST_NETWORKS = 500_000
# A default says nothing of where a client is.
_TELLING = {By.ROUTE.value, By.PREFIX.value, By.GEOGRAPHY.value}


class _Decided(msgspec.Struct, frozen=True):
    """What is read of a line of the log of decisions (steering/decisions.py)."""

    client: str
    site: str
    by: str


_decoder = msgspec.json.Decoder(_Decided)


def learn(networks: dict[str, str], line: bytes) -> bool:
    """Takes into `networks` (client -> site) what a line says, over what was said before; a broken one says nothing.

    Returns whether that is another site than was known.
    """
    try:
        decided = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    if not decided.client or not decided.site or decided.by not in _TELLING:
        return False
    known = networks.pop(decided.client, None)  # to be the last that is forgotten
    networks[decided.client] = decided.site
    if len(networks) > MOST_NETWORKS:
        del networks[next(iter(networks))]
    return known != decided.site


def read_networks(store: Store) -> dict[str, str]:
    """Raises FeedError."""
    return read_json(store.networks, dict[str, str], "delete it, and it is learnt anew") or {}


def write_networks(store: Store, networks: Mapping[str, str]) -> None:
    """Raises FeedError."""
    appear_json(store.networks, dict(networks))
