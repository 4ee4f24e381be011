"""What would have been served at a site with more storage there, or one more appliance.

More storage is filled in the order in which the planner fills it: by what was missed of a file for each byte of it.
That says what the best plan of the same period would have saved, so it is an upper bound for a plan that was made
before. One more appliance brings its disk, and in each hour as much as it can serve of what the site was too full for.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from fill.ledger.accounts import Accounts
from fill.names import FileName

MORE_STORAGE = 10**12  # one TB: how disks are sold
_HOUR_S = 3600


class Appliance(NamedTuple):
    """What one more appliance would bring."""

    disk_bytes: int
    capacity_bps: int


class Saved(NamedTuple):
    """Bytes at a site that would not have been missed."""

    site: str
    by_storage: int  # with MORE_STORAGE
    by_appliance: int
    unsized: int  # missed of files whose size nobody knows; not in the others


def more_storage(missed: Mapping[FileName, int], sizes: Mapping[FileName, int], storage: int) -> int:
    """The missed bytes of those files that would be held, each as a whole."""
    known = [(missed[file] / sizes[file], sizes[file], missed[file]) for file in missed if sizes.get(file, 0) > 0]
    saved = 0
    for _, size, amount in sorted(known, reverse=True):
        if size <= storage:
            storage -= size
            saved += amount
    return saved


def more_capacity(missed: Mapping[int, int], capacity_bps: int) -> int:
    """The bytes of each hour that an appliance can serve in an hour."""
    most = capacity_bps // 8 * _HOUR_S
    return sum(min(amount, most) for amount in missed.values())


def saved_at(site: str, accounts: Accounts, sizes: Mapping[FileName, int], appliance: Appliance) -> Saved:
    content, capacity = accounts.missed_content(site), accounts.missed_capacity(site)
    stored = more_storage(content, sizes, appliance.disk_bytes)
    return Saved(
        site,
        more_storage(content, sizes, MORE_STORAGE),
        stored + more_capacity(capacity, appliance.capacity_bps),
        sum(amount for file, amount in content.items() if sizes.get(file, 0) <= 0),
    )
