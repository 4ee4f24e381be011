"""Files in which operators and ISPs list a site's prefixes: one a line, or a geofeed (RFC 8805).

What is in a file is read by pure functions; `read_lists` gives them the files. A file counts whole or not at all.
"""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

from config.steering import SiteSettings
from steering.errors import SitesError
from steering.prefixes.listed import Listing


def read_lists(sites: Iterable[SiteSettings]) -> list[Listing]:
    """The prefixes of the files of all sites. Raises SitesError."""
    found = []
    for site in sites:
        found += [parse_list(site.name, str(path), _text(path)) for path in site.prefix_files]
        if site.geofeed is not None:
            found.append(parse_geofeed(site.name, str(site.geofeed), _text(site.geofeed), site.geofeed_places))
    return found


def parse_list(site: str, file: str, text: str) -> Listing:
    """A prefix on each line."""
    prefixes, lines = [], array("I")
    for number, line in _lines(text):
        prefixes.append(line)
        lines.append(number)
    return Listing(site, prefixes, file, lines)


def parse_geofeed(site: str, file: str, text: str, places: Iterable[str] = ()) -> Listing:
    """The prefixes of a geofeed that are in one of the places, in all if none is named. Raises SitesError.

    A line is prefix,country,region,city,postal code; all but the first may be empty or missing, and what follows is
    nobody's (RFC 8805 2.1.1). A place is a country (DE), a region (DE-BY) or a city of either (DE-BY/Munich).
    """
    wanted = {_plain(place) for place in places}
    prefixes, lines = [], array("I")
    for number, line in _lines(text):
        prefix, country, region, city = _fields(line, f"{file}, line {number}")
        if wanted.isdisjoint((country, region, f"{country}/{city}", f"{region}/{city}")) and wanted:
            continue
        prefixes.append(prefix)
        lines.append(number)
    return Listing(site, prefixes, file, lines)


def _fields(line: str, where: str) -> tuple[str, str, str, str]:
    """Prefix, country, region and city; the places in small letters."""
    try:
        (values,) = csv.reader([line], strict=True, skipinitialspace=True) if '"' in line else (line.split(","),)
    except csv.Error as error:
        raise SitesError(f"{where}: found {line!r} ({error}), expected prefix,country,region,city") from error
    prefix, country, region, city = (*map(str.strip, values[:4]), "", "", "")[:4]
    if country and not (len(country) == 2 and country.isascii() and country.isalpha()):
        raise SitesError(f"{where}: found country {country!r}, expected two letters such as DE")
    return prefix, _plain(country), _plain(region), _plain(city)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines in which anything is, with their numbers. From a # on it is a comment (RFC 8805 2.1)."""
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = (line.partition("#")[0] if "#" in line else line).strip()
        if stripped:
            yield number, stripped


def _plain(place: str) -> str:
    return place.strip().casefold()


def _text(path: Path) -> str:
    """Raises SitesError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SitesError(f"{path} cannot be read: {error.strerror}, expected a list of prefixes") from error
    except UnicodeDecodeError as error:
        raise SitesError(f"{path}: found byte {error.start} to be no UTF-8, expected a text of prefixes") from error
