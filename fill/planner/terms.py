"""What is agreed with a site, as far as planning goes: its region, how much a night may bring, what is kept free.

A link that is billed by its 95th percentile costs by the busiest five minutes after the busiest 5 % of the month are
left out: 1.2 hours a day. A window that is agreed to be no longer than that is free; in a longer one, and by day, the
site must stay below what is committed.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

DAY_S = 86400.0
_FREE_S = 0.05 * DAY_S
# A plan made within the day brings what this time can: enough for one file of a film, and soon there is another plan.
DAY_PLAN_S = 3600.0


@dataclass(frozen=True)
class SiteTerms:
    """`None` is no limit. `budget_bytes` is what may still come from outside this month, in so many nights."""

    region: str = "default"
    window_s: float = 12 * 3600.0  # that the fill window is open in the coming night, or still is in this one
    agreed_s: float = 12 * 3600.0  # that it is open each night
    rate_bps: int | None = None  # of each appliance's fill
    link_bps: int | None = None  # of the site's fill from outside: its committed 95th percentile
    budget_bytes: int | None = None
    nights_left: int = 1  # this one included
    spent_tonight: int = 0  # bytes of the budget
    spent_since_night: int = 0  # the same since the last window opened, which is what counts by day
    reserve: float = 0.05  # share of each disk for what players ask of it during the day
    masters: int = 1  # appliances that fetch a file from outside, for the others to copy
    day_rate_bps: int = 100_000_000  # of each appliance's fill outside the window; 0: nothing is filled then

    def by_day(self) -> SiteTerms:
        """The same for what may not wait for the window."""
        rate = self.day_rate_bps if self.rate_bps is None else min(self.rate_bps, self.day_rate_bps)
        return replace(
            self,
            window_s=DAY_PLAN_S,
            agreed_s=DAY_S,
            rate_bps=rate,
            # What comes by day is of the night that was.
            nights_left=self.nights_left + 1,
            spent_tonight=self.spent_since_night,
        )

    def rate_of_each(self, appliances: int) -> int | None:
        """What each of the site's appliances may fill at, bit/s: all may be filling from outside at once."""
        limits = [self.rate_bps] if self.rate_bps is not None else []
        if self.link_bps is not None and self.agreed_s > _FREE_S:
            limits.append(max(1, self.link_bps // max(1, appliances)))
        return min(limits, default=None)

    def bytes_of_each(self, appliances: int) -> int | None:
        """What one night can bring to each of the site's appliances."""
        rate = self.rate_of_each(appliances)
        return None if rate is None else int(rate * self.window_s / 8)

    @property
    def bytes_from_outside(self) -> int | None:
        """What may come to the site this night, beyond what has, whatever its appliances copy from each other."""
        if self.budget_bytes is None:
            return None
        share = (max(0, self.budget_bytes) + self.spent_tonight) // max(1, self.nights_left)
        return max(0, min(self.budget_bytes, share - self.spent_tonight))


NO_TERMS = SiteTerms()
