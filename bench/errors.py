"""What can go wrong in the demo, the local network and simulated players.

NearcastError
  BenchError
    ProcessFailed     a process of the local network ended, or did not become ready
    NetworkError      the local network cannot be had here (addresses, a port that is taken)
    ManifestError     a playlist, an MPD or a steering manifest is not what a player can read
    PlayError         a simulated player had to give up
    FilmError         what should be shown is not there, or cannot be named
    TraceError        a bandwidth trace cannot be read
"""

from __future__ import annotations

from config.errors import NearcastError


class BenchError(NearcastError):
    pass


class ProcessFailed(BenchError):
    pass


class NetworkError(BenchError):
    pass


class ManifestError(BenchError):
    pass


class PlayError(BenchError):
    pass


class FilmError(BenchError):
    exit_code = 2


class TraceError(BenchError):
    exit_code = 2
