"""The catalog as steering knows it: every title's package, read from the origin and checked, kept when it is away.

Only what changed is read. A package's manifest is believed if its digest is the package's name, so whoever answers for
the origin cannot make players ask for something else. The last good state of each title stays until a newer good one is
read or the origin withdraws the title; that the origin is away, or that one package is wrong, costs nobody a session.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import aiohttp
import msgspec

from encoder.errors import PackageError
from encoder.manifests import Manifests
from encoder.package import (
    MANIFEST_NAME,
    PACKAGE_PATTERN,
    TITLE_PATTERN,
    Package,
    decode,
    package_name,
)
from steering.errors import CatalogError

# The origin is near and its catalog is small; whoever takes longer is away.
_TIMEOUT = aiohttp.ClientTimeout(total=10, sock_connect=3)
# A two-hour film in twelve renditions is half a megabyte; ten thousand titles of catalog are three.
_LARGEST_ANSWER = 64 * 1024 * 1024

logger = logging.getLogger(__name__)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A title as the origin's API offers it; what else it says is not ours to read."""

    title: str
    package: str
    name: str
    duration: float  # seconds
    size: int  # bytes
    poster: str  # a file of the package, or empty
    published_at: str  # RFC 3339
    available_from: str = ""  # RFC 3339, as the next; empty: no limit
    available_until: str = ""


class _Titles(msgspec.Struct, frozen=True):
    titles: list[Entry]


@dataclass(frozen=True)
class Title:
    """A title that can be played. `nominal_bps` is what a session of it is reserved at."""

    entry: Entry
    package: Package
    manifests: Manifests
    files: frozenset[str]
    nominal_bps: int
    available_from: float = 0.0  # seconds since the epoch, as the next
    available_until: float = math.inf

    def is_available(self, now: float) -> bool:
        """Whether players may play it at `now` (seconds since the epoch)."""
        return self.available_from <= now < self.available_until


def read_title(entry: Entry, manifest: bytes) -> Title:
    """Checks a package's manifest against its name. Raises CatalogError."""
    place = f"title {entry.title!r}: package {entry.package}"
    if package_name(manifest) != entry.package:
        raise CatalogError(f"{place}: its {MANIFEST_NAME} has the digest {package_name(manifest)}, expected its name")
    try:
        package = decode(manifest)
    except PackageError as error:
        raise CatalogError(f"{place}: {error}") from error
    if package.title != entry.title:
        raise CatalogError(f"{place}: it is of the title {package.title!r}")
    rates = [max((r.average_bandwidth for r in package.of_kind(kind)), default=0) for kind in ("video", "audio")]
    files = frozenset(file.name for file in package.files)
    try:
        start = datetime.fromisoformat(entry.available_from).timestamp() if entry.available_from else 0.0
        end = datetime.fromisoformat(entry.available_until).timestamp() if entry.available_until else math.inf
    except ValueError as error:
        raise CatalogError(f"{place}: when it is available cannot be read: {error}") from error
    return Title(entry, package, Manifests(package), files, sum(rates), start, end)


class Catalog:
    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._etag = ""
        self._complaints: dict[str, str] = {}  # title -> what was last logged of it
        self.titles: Mapping[str, Title] = {}
        self.is_known = False  # it was read once, so that a title that is missing does not exist
        self.trouble = "the origin has not been asked yet"  # why what is known may be old; empty if it is not

    async def follow(self, session: aiohttp.ClientSession, every_s: float) -> None:
        """Refreshes for ever; the origin's comings and goings are logged once each."""
        while True:
            before = self.trouble
            try:
                await self.refresh(session)
                self.trouble = ""
            except CatalogError as error:
                self.trouble = str(error)
            if self.trouble and self.trouble != before:
                logger.warning("the catalog is not up to date", extra={"reason": self.trouble})
            elif before and not self.trouble:
                logger.info("the catalog is up to date", extra={"titles": len(self.titles)})
            await asyncio.sleep(every_s)

    async def refresh(self, session: aiohttp.ClientSession) -> None:
        """Raises CatalogError if the origin is away or says nonsense; then everything stays as it was."""
        status, etag, body = await _get(session, f"{self._origin}/api/v1/titles", self._etag)
        if status == 304:
            return
        try:
            entries = msgspec.json.decode(body, type=_Titles).titles
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CatalogError(f"{self._origin}/api/v1/titles is not a catalog: {error}") from error
        titles, complaints = {}, {}
        for entry in entries:
            if not TITLE_PATTERN.fullmatch(entry.title) or not PACKAGE_PATTERN.fullmatch(entry.package):
                complaints[entry.title] = f"the catalog names {entry.title!r} and {entry.package!r}, which are no names"
                continue
            known = self.titles.get(entry.title)
            try:
                titles[entry.title] = await self._title(session, entry, known)
            except CatalogError as error:
                complaints[entry.title] = str(error)
                if known is not None:
                    titles[entry.title] = known
        for title, complaint in complaints.items():
            if self._complaints.get(title) != complaint:
                logger.warning("a title is not taken over from the catalog", extra={"reason": complaint})
        self.titles, self._complaints, self.is_known = titles, complaints, True
        # With a title still wrong the same catalog must be gone through again.
        self._etag = etag if not complaints else ""

    async def _title(self, session: aiohttp.ClientSession, entry: Entry, known: Title | None) -> Title:
        if known is not None and known.entry == entry:
            return known
        url = f"{self._origin}/v1/{entry.title}/{entry.package}/{MANIFEST_NAME}"
        _, _, body = await _get(session, url)
        return read_title(entry, body)


async def _get(session: aiohttp.ClientSession, url: str, etag: str = "") -> tuple[int, str, bytes]:
    """Status (200 or 304), ETag and body. Raises CatalogError."""
    headers = {"If-None-Match": etag} if etag else {}
    try:
        async with session.get(url, headers=headers, timeout=_TIMEOUT) as answer:
            if answer.status not in (200, 304):
                raise CatalogError(f"{url} answered {answer.status}, expected 200")
            body = bytearray()
            async for piece in answer.content.iter_chunked(64 * 1024):
                body += piece
                if len(body) > _LARGEST_ANSWER:
                    raise CatalogError(f"{url} answered more than {_LARGEST_ANSWER} bytes")
            return answer.status, answer.headers.get("ETag", ""), bytes(body)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise CatalogError(f"{url} could not be asked: {error or 'it took too long'}") from error
