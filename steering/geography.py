"""Where clients that no prefix covers are, and how far two places are apart.

The database is the operator's (GeoLite2, DB-IP Lite, ...); Nearcast ships none. It is replaced by renaming a new file
over the old one and SIGHUP, never by writing into it: it is mapped into memory.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import NamedTuple

import maxminddb

from steering.errors import GeographyError
from steering.prefixes import Address

EARTH_RADIUS_KM = 6371.0  # IUGG mean radius, rounded; the answer only orders sites

logger = logging.getLogger(__name__)


class Point(NamedTuple):
    latitude: float  # degrees north
    longitude: float  # degrees east


def distance_km(one: Point, other: Point) -> float:
    """The great-circle distance by the haversine formula, which keeps its precision for places close together."""
    north, north_too = math.radians(one.latitude), math.radians(other.latitude)
    half_north = math.sin((north_too - north) / 2)
    half_east = math.sin(math.radians(other.longitude - one.longitude) / 2)
    chord = half_north**2 + math.cos(north) * math.cos(north_too) * half_east**2
    # Rounding may lift the chord of two antipodes a little above 1, where asin ends.
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(1.0, chord)))


class Geography:
    """A MaxMind database with a `location` in its records (the City ones), or none at all."""

    def __init__(self, path: Path | None) -> None:
        """Raises GeographyError if there is a path and no database."""
        self._reader = _open(path) if path is not None else None

    def find(self, address: Address) -> Point | None:
        """Where the client is, if the database says so."""
        if self._reader is None or (address.version == 6 and self._reader.metadata().ip_version == 4):
            return None
        record = self._reader.get(address)
        location = record.get("location") if isinstance(record, dict) else None
        if not isinstance(location, dict):
            return None
        latitude, longitude = location.get("latitude"), location.get("longitude")
        if not isinstance(latitude, (int, float)) or not isinstance(longitude, (int, float)):
            return None
        return Point(float(latitude), float(longitude))

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()


def _open(path: Path) -> maxminddb.Reader:
    try:
        try:
            return maxminddb.open_database(path, maxminddb.MODE_MMAP_EXT)
        except ValueError:
            # Asked for by name, because the library otherwise falls back in silence to a reader that is 17 to 20
            # times slower.
            logger.warning("maxminddb has no C extension here; geographic look-ups take about 20 us instead of 1")
            return maxminddb.open_database(path, maxminddb.MODE_MMAP)
    except (OSError, maxminddb.InvalidDatabaseError) as error:
        raise GeographyError(f"geo: found {path} ({error}), expected a MaxMind database (.mmdb)") from error
