"""What can go wrong in an appliance.

NearcastError
  OcaError
    VolumeInUse        another process holds the volume (exit code 1)
    NameInUse          steering knows a living appliance of this name
    NotHeld            the store does not hold these bytes, and they may not be fetched (404 or 504)
    UpstreamError      no upstream gave the right bytes (502 wrong bytes, 503 nobody answered)
    SpaceError         the disk is full (507)
    MessageError       a message on the local socket, or a report, is not what the format says (400)
"""

from __future__ import annotations

from config.errors import NearcastError


class OcaError(NearcastError):
    def __init__(self, message: str, *, status: int = 500) -> None:
        super().__init__(message)
        self.status = status


class VolumeInUse(OcaError):
    pass


class NameInUse(OcaError):
    pass


class NotHeld(OcaError):
    pass


class UpstreamError(OcaError):
    pass


class SpaceError(OcaError):
    pass


class MessageError(OcaError):
    pass
