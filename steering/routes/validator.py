"""The file of an RPKI validator: read when it changes, believed while it is whole and young.

A file that is missing, damaged or old rejects nothing: RPKI is a reason to doubt a route, and no file is none.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from config.units import show_duration
from steering.errors import RouteError
from steering.routes.vrps import Vrps, decode


class Validator:
    def __init__(self, path: Path | None, max_age_s: float, clock: Callable[[], float]) -> None:
        """`clock` in seconds since the epoch."""
        self._path, self._max_age_s, self._clock = path, max_age_s, clock
        self._seen: tuple[int, int] | None = None
        self._read: Vrps | None = None
        self._written_at = 0.0
        self._damage = ""
        self.trouble = ""

    def look(self) -> Vrps | None:
        """What to hold routes against now; None: nothing, and `trouble` says why if there is a file to be. Blocks."""
        if self._path is None:
            return None
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_size)
            if seen != self._seen:
                self._seen, self._read, self._damage = seen, None, ""
                self._read = decode(self._path.read_bytes())
                self._written_at = self._read.written_at or status.st_mtime
        except OSError as error:
            self._seen = None
            self._refuse(error.strerror or str(error))
            return None
        except RouteError as error:
            self._damage = str(error)
        if self._damage or self._read is None:
            self._refuse(self._damage)
            return None
        age_s = self._clock() - self._written_at
        if age_s > self._max_age_s:
            self._refuse(f"it is {show_duration(round(age_s))} old, expected at most its vrps_max_age")
            return None
        self.trouble = ""
        return self._read

    def _refuse(self, why: str) -> None:
        self.trouble = f"vrps: {self._path}: {why}; no route is refused as RPKI-invalid"
