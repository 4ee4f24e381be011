"""What can go wrong in steering.

NearcastError
  SteeringError
    RequestError       a request that makes no sense (400)
    TitleUnknown       nobody published a title of this name (404)
    NotReady           steering knows no catalog yet (503)
    CatalogError       the origin is away, or what it said is not a catalog or a package (502)
    SitesError         the sites of the configuration contradict themselves (exit code 2)
    GeographyError     the geographic database cannot be used (exit code 2)
    DatabaseError      the fleet database cannot be used; logged, never a player's trouble
    LogError           the log of decisions cannot be opened
    ListenError        the address to listen on is taken or is not ours
    AskError           the running steering service could not be asked

A second appliance of one name is `oca.errors.NameInUse` (409), what is no report `oca.errors.MessageError` (400, 413).
"""

from __future__ import annotations

from config.errors import NearcastError


class SteeringError(NearcastError):
    pass


class RequestError(SteeringError):
    status = 400


class TitleUnknown(SteeringError):
    status = 404


class NotReady(SteeringError):
    status = 503


class CatalogError(SteeringError):
    status = 502


class SitesError(SteeringError):
    exit_code = 2


class GeographyError(SteeringError):
    exit_code = 2


class DatabaseError(SteeringError):
    pass


class LogError(SteeringError):
    pass


class ListenError(SteeringError):
    pass


class AskError(SteeringError):
    pass
