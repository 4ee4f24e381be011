"""What a byte can be on the ledger: served at its viewer's nearest site, or missed there for one reason.

Pure.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    LOCAL = "local"  # no miss
    CONTENT = "content"  # the nearest site was asked, and had to fetch it
    CAPACITY = "capacity"  # its appliances were full
    HEALTH = "health"  # they were lost or unwell, or the player gave them up
    DRAIN = "drain"  # an operator was emptying them
    ROUTE = "route"  # no site is the client's
    POLICY = "policy"  # the title may not be held there, or the session was to stay where it was
    UNKNOWN = "unknown"  # no decision of steering is known of the client


MISSES = tuple(reason for reason in Reason if reason is not Reason.LOCAL)
