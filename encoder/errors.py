"""What can go wrong between a film and its package.

NearcastError
  PackageError        a package, its manifest or a name in it is not what the format says
  EncodeError         a film cannot become a package
    SourceError       ... because of the film (not a film, no video, truncated)
    ToolError         ... because a tool (ffmpeg, ffprobe, packager) failed
    SpaceError        ... because the disk is full
    CheckError        ... because what came out is not right
    ProtectionError   ... because of the keys that it is to be encrypted with
    WorkerError       ... because a worker of a cluster cannot do its part
  JobError            the queue of jobs cannot be used so
"""

from __future__ import annotations

from config.errors import NearcastError


class PackageError(NearcastError):
    """`status` is 404 for names that do not exist; everything else about a package is its publisher's fault."""

    def __init__(self, message: str, *, status: int = 500) -> None:
        super().__init__(message)
        self.status = status


class EncodeError(NearcastError):
    pass


class SourceError(EncodeError):
    pass


class ToolError(EncodeError):
    """`reason` is the cause in the tool's own words; `retryable` if it was killed by somebody else."""

    def __init__(self, message: str, *, reason: str = "", retryable: bool = False) -> None:
        super().__init__(message)
        self.reason = reason or message
        self.retryable = retryable


class SpaceError(EncodeError):
    retryable = True


class CheckError(EncodeError):
    pass


class WorkerError(EncodeError):
    retryable = True


class ProtectionError(EncodeError):
    """Names key IDs at most, never keys."""


class JobError(NearcastError):
    pass
