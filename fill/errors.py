"""What can go wrong while deciding what goes where, and while moving it.

NearcastError
  FillError
    FleetError      steering or the origin cannot be asked, or answers nonsense
    PlanError       a stored plan is not what the format says, or is another appliance's
      ForgedError   nobody whose key is accepted has signed it, or it was changed since
    BulkError       a file of planning in bulk is missing, damaged, or does not fit the others
    NoPlan          there is no plan for this appliance yet
    ApplianceGone   nobody listens on the appliance's local socket
    WindowNeverOpens  no time of any day is left to fill in
    OrderError      an urgent order is not what the format says, or asks for what cannot be
    TraceError      what a simulation should replay is of no known format, or has nothing in it
    FeedError       what was watched cannot be kept, or what is kept cannot be read
      LogError      a log cannot be read
"""

from __future__ import annotations

from config.errors import NearcastError


class FillError(NearcastError):
    pass


class FleetError(FillError):
    status = 503


class PlanError(FillError):
    pass


class ForgedError(PlanError):
    pass


class BulkError(FillError):
    pass


class NoPlan(FillError):
    status = 404


class ApplianceGone(FillError):
    status = 503


class WindowNeverOpens(FillError):
    exit_code = 2


class OrderError(FillError):
    status = 400


class FeedError(FillError):
    pass


class LogError(FeedError):
    pass


class TraceError(FillError):
    exit_code = 2
