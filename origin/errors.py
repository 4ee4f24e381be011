"""What can go wrong at the origin.

NearcastError
  OriginError
    StorageError       storage cannot be used now (503); trying again may help
      NotFound         no object of this key (404)
      AlreadyThere     an object of this key exists, and was not to be replaced (409)
      SpaceError       storage is full (507)
    PublishError       a folder cannot be published
      DamagedPackage   ... because it is not what its manifest and its name say
      TitleTaken       ... because another package of this title is in the catalog (409)
    UnknownTitle       the catalog has no such title (404)
    CatalogError       an entry of the catalog is not what the format says
    LogError           the access log cannot be opened
    ListenError        the service cannot have its address
    LicenceError       a licence that cannot be given (400, or what the request deserves)
"""

from __future__ import annotations

from config.errors import NearcastError


class OriginError(NearcastError):
    pass


class StorageError(OriginError):
    status = 503
    retryable = True


class NotFound(StorageError):
    status = 404
    retryable = False


class AlreadyThere(StorageError):
    status = 409
    retryable = False


class SpaceError(StorageError):
    status = 507


class PublishError(OriginError):
    pass


class DamagedPackage(PublishError):
    pass


class TitleTaken(PublishError):
    status = 409


class UnknownTitle(OriginError):
    status = 404


class CatalogError(OriginError):
    pass


class LogError(OriginError):
    pass


class ListenError(OriginError):
    pass


class LicenceError(OriginError):
    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
