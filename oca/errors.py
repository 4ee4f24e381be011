"""What can go wrong in an appliance.

NearcastError
  OcaError
    VolumeInUse        another process holds the volume (exit code 1)
    VolumeFailed       a volume was taken out, or none is left (503)
    NameInUse          steering knows a living appliance of this name
    NotHeld            the store does not hold these bytes, and they may not be fetched (404 or 504)
    UpstreamError      no upstream gave the right bytes (502 wrong bytes, 503 nobody answered)
      Unavailable      down, cut off or busy: the same question may be answered next time (503; oca.miss.door)
    SpaceError         the disk is full (507)
    MessageError       a message on the local socket, or a report, is not what the format says (400)
    CertificateError   a certificate or its key is not to be used
    TokenError         an access token does not hold (401), or holds but does not allow this (403)
"""

from __future__ import annotations

from config.errors import NearcastError


class OcaError(NearcastError):
    def __init__(self, message: str, *, status: int = 500) -> None:
        super().__init__(message)
        self.status = status


class VolumeInUse(OcaError):
    pass


class VolumeFailed(OcaError):
    def __init__(self, message: str) -> None:
        super().__init__(message, status=503)


class NameInUse(OcaError):
    pass


class NotHeld(OcaError):
    pass


class UpstreamError(OcaError):
    """`is_final` where all whose word counts answered, and asking again would not help.

    `retry_after_s` is above 0 where whoever was asked has players to serve first, and said for how long.
    """

    is_final = False
    retry_after_s = 0.0


class SpaceError(OcaError):
    pass


class MessageError(OcaError):
    pass


class CertificateError(OcaError):
    pass


class TokenError(OcaError):
    """`claim` names what failed: a claim ("exp", "catu"), or "format", "crit", "alg", "kid" or "signature".

    The sentence may be sent to the client: it says what was expected, and nothing of the keys that are held here.
    """

    def __init__(self, claim: str, message: str, *, status: int = 401) -> None:
        super().__init__(message, status=status)
        self.claim = claim
