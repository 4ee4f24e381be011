"""What can go wrong while deciding what goes where, and while moving it.

NearcastError
  FillError
    FleetError      steering or the origin cannot be asked, or answers nonsense
    PlanError       a stored plan is not what the format says, or is another appliance's
    NoPlan          there is no plan for this appliance yet
    ApplianceGone   nobody listens on the appliance's local socket
"""

from __future__ import annotations

from config.errors import NearcastError


class FillError(NearcastError):
    pass


class FleetError(FillError):
    status = 503


class PlanError(FillError):
    pass


class NoPlan(FillError):
    status = 404


class ApplianceGone(FillError):
    status = 503
