"""What steering tells of the fleet: each appliance's last report, its health and how long ago that was."""

from __future__ import annotations

import msgspec

from oca.report import EVERY_FILE, Report


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """An appliance as steering last saw it; `report.held` is what it holds."""

    report: Report
    health: str  # healthy, full, draining, unhealthy or lost
    age_s: float

    def holds(self, title: str, package: str, file: str) -> bool:
        files = (self.report.held or {}).get(f"{title}/{package}", ())
        return files == EVERY_FILE or file in files


class Fleet(msgspec.Struct, frozen=True):
    """What GET {steering}/api/v1/fleet answers, as far as filling reads it."""

    appliances: tuple[Seen, ...]
