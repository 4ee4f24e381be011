"""What can go wrong in steering.

NearcastError
  SteeringError
    RequestError       a request that makes no sense (400)
    TitleUnknown       nobody published a title of this name (404)
    NotReady           steering knows no catalog yet (503)
    CatalogError       the origin is away, or what it said is not a catalog or a package (502)
    SitesError         the sites of the configuration contradict themselves (exit code 2)
    TableError         the prefix table cannot be written, or what should go into it is no prefix
    GeographyError     the geographic database cannot be used (exit code 2)
    RouteError         what should be a prefix, a path or a message about routes is none (400)
    PeersError         the BGP sessions of the configuration contradict themselves (exit code 2)
    DumpError          a file or an answer of routes cannot be read; nothing of it is taken over (422)
    StoreError         routes kept over a restart cannot be used; they come again from the sessions
    SessionUnknown     there is no BGP session of this name, or none that may be asked this (404)
    ExaBgpError        ExaBGP is not installed (exit code 2)
    PolicyError        CDNs or experiments of the configuration make no sense (exit code 2)
    DatabaseError      the fleet database cannot be used; logged, never a player's trouble
    LogError           the log of decisions cannot be opened
    JournalError       what steering knew at a moment cannot be read, or was not kept
    ReplayError        decisions cannot be made again: a log cannot be read, or a change makes no sense (exit code 2)
    ListenError        the address to listen on is taken or is not ours
    WorkerError        a worker process did not come to serve; it said why
      WorkerSettingsError  it cannot be configured so (exit code 2)
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


class TableError(SteeringError):
    pass


class GeographyError(SteeringError):
    exit_code = 2


class RouteError(SteeringError):
    status = 400


class PeersError(SteeringError):
    exit_code = 2


class DumpError(SteeringError):
    status = 422


class StoreError(SteeringError):
    pass


class SessionUnknown(SteeringError):
    status = 404


class ExaBgpError(SteeringError):
    exit_code = 2


class PolicyError(SteeringError):
    exit_code = 2


class DatabaseError(SteeringError):
    pass


class LogError(SteeringError):
    pass


class JournalError(SteeringError):
    pass


class ReplayError(SteeringError):
    exit_code = 2


class ListenError(SteeringError):
    pass


class WorkerError(SteeringError):
    pass


class WorkerSettingsError(WorkerError):
    exit_code = 2


class AskError(SteeringError):
    pass
