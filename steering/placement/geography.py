"""Where clients that no prefix covers are, and how far two places are apart.

The database is the operator's (GeoLite2, DB-IP Lite, ...); Nearcast ships none. It is replaced by renaming a new file
over the old one and SIGHUP, never by writing into it: it is mapped into memory.
"""

from __future__ import annotations

import logging
import math
import mmap
import time
from collections.abc import Callable
from pathlib import Path

import maxminddb

from steering.errors import GeographyError
from steering.placement.places import Damaged, Places
from steering.placement.places import Point as Point
from steering.prefixes.addresses import Address

EARTH_RADIUS_KM = 6371.0  # IUGG mean radius, rounded; the answer only orders sites
# Addresses move between places all the time: in a year the published ones have moved a few percent of all.
_OLD_S = 365 * 86400

logger = logging.getLogger(__name__)


def distance_km(one: Point, other: Point) -> float:
    """The great-circle distance by the haversine formula, which keeps its precision for places close together."""
    north, north_too = math.radians(one.latitude), math.radians(other.latitude)
    half_north = math.sin((north_too - north) / 2)
    half_east = math.sin(math.radians(other.longitude - one.longitude) / 2)
    chord = half_north**2 + math.cos(north) * math.cos(north_too) * half_east**2
    # Rounding may lift the chord of two antipodes a little above 1, where asin ends.
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, chord)))


class Geography:
    """A MaxMind database with a `location` in its records (the City ones), or none at all.

    Raises GeographyError if there is a path and no database. Once it is there no look-up fails: a record that cannot
    be read is a client whose place nobody knows, and `trouble` says so until one can be read again.
    """

    def __init__(self, path: Path | None, epoch: Callable[[], float] = time.time) -> None:
        self._path = path
        self.trouble = ""
        self.age_s = 0.0  # of the database, since it was built
        self._places: Places | None = None
        if path is not None:
            self._places, built = _open(path)
            self.age_s = max(0.0, epoch() - built)
            if self.age_s > _OLD_S:
                days = round(self.age_s / 86400)
                logger.warning("the geographic database is old", extra={"path": str(path), "days": days})

    def find(self, address: Address) -> Point | None:
        """Where the client is, if the database says so."""
        if self._places is None:
            return None
        try:
            point = self._places.find(address)
        except Damaged as error:
            self._say(f"geo: {self._path} is damaged: {error}")
            return None
        if self.trouble:
            self._say("")
        return point

    def close(self) -> None:
        """Nobody is anywhere from now on."""
        self._places = None

    def _say(self, trouble: str) -> None:
        if trouble and not self.trouble:
            logger.error("geography cannot place a client", extra={"reason": trouble})
        self.trouble = trouble


def _open(path: Path) -> tuple[Places, int]:
    """The places, and when the database was built (seconds since 1970). Raises GeographyError."""
    try:
        # Opened once: another may be renamed over it meanwhile, and each has its own tree.
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            # The library's own reader says whether it is a database at all.
            with maxminddb.open_database(file, maxminddb.MODE_FD) as reader:
                about = reader.metadata()
        places = Places(
            data, nodes=about.node_count, record_bits=about.record_size, ip_version=about.ip_version
        )  # fmt: skip
        return places, int(about.build_epoch)
    except Exception as error:  # a damaged one raises whatever its bytes happen to mean
        raise GeographyError(f"geo: found {path} ({error}), expected a MaxMind database (.mmdb)") from error
