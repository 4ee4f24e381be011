"""What goes wrong in a run, and when.

Pure.
"""

from __future__ import annotations

from typing import NamedTuple


class Scenario(NamedTuple):
    """Moments are seconds of the run; a region that is cut off answers nobody and reports to nobody."""

    name: str
    about: str
    cut_region: str = ""
    loses_reports: bool = False  # of every appliance, which go on serving
    from_s: float = float("inf")
    until_s: float = float("inf")

    def is_on(self, now_s: float) -> bool:
        return self.from_s <= now_s < self.until_s

    def cuts(self, region: str, now_s: float) -> bool:
        return region != "" and region == self.cut_region and self.is_on(now_s)


UNDISTURBED = Scenario("undisturbed", "nothing goes wrong")


def scenarios(region: str, from_s: float, back_s: float) -> tuple[Scenario, ...]:
    """The undisturbed run first: the others are compared with it."""
    return (
        UNDISTURBED,
        Scenario("cut", "a region is cut off", cut_region=region, from_s=from_s),
        Scenario("cut-and-back", "... and comes back", cut_region=region, from_s=from_s, until_s=back_s),
        Scenario("reports-lost", "nobody's report arrives any more", loses_reports=True, from_s=from_s),
    )
