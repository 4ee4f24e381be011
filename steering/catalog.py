"""The catalog as steering knows it: every title's package, read from the origin and checked, kept when it is away.

Only what changed is read. A package's manifest is believed if its digest is the package's name, so whoever answers for
the origin cannot make players ask for something else. The last good state of each title stays until a newer good one is
read or the origin withdraws the title; that the origin is away, or that one package is wrong, costs nobody a session.
The same state is kept in the database (steering/replicas/exchange.py carries it there), so that steering can be started
while the origin is away.

Of a package only what steering tells of it stays in memory: whole, 10,000 films would be 8 GB (0.8 MB each: sizes of
segments, digests of blocks), and reading them again 40 s. What is kept is 6 kB each and read in 20 us; the manifests
of what was restored are made by the first who asks, or before, one after another.
"""

from __future__ import annotations

import asyncio
import logging
import math
import zlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

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
# Manifests asked for at once: enough to hide the way to the origin, and no load on it.
_ASKED_AT_ONCE = 16
# Titles that are read, or taken out of the database, are known in lots of so many: each lot is a new mapping.
_KNOWN_IN_LOTS = 256
# Titles taken out of the database before somebody else has a turn: a millisecond.
_RESTORED_AT_ONCE = 16
# Manifests are made ahead with this pause, so that no poll waits for more than the 3 ms of one: 10,000 in 4 minutes.
_PREPARED_EVERY_S = 0.02
_LOOKED_FOR_NEW_EVERY_S = 5.0

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


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """A title as the database has it."""

    entry: Entry
    outline: Package  # without files, and its renditions without segments
    files: tuple[str, ...]
    timelines: bytes  # the durations of each rendition's segments, packed


@dataclass(slots=True, eq=False)
class Title:
    """A title that can be played. `nominal_bps` is what a session of it is reserved at.

    `package` is an outline: it has neither files nor segments.
    """

    entry: Entry
    package: Package
    files: frozenset[str]
    nominal_bps: int
    available_from: float  # seconds since the epoch, as the next
    available_until: float
    _timelines: bytes
    _manifests: Manifests | None = None

    @property
    def manifests(self) -> Manifests:
        """Raises CatalogError if nobody can write them."""
        if self._manifests is None:
            try:
                self._manifests = Manifests(_with_segments(self.package, self._timelines))
            except (ArithmeticError, LookupError, ValueError, zlib.error, msgspec.DecodeError) as error:
                place = f"title {self.entry.title!r}: package {self.entry.package}"
                raise CatalogError(f"{place}: its manifests cannot be written: {error}") from error
        return self._manifests

    @property
    def is_prepared(self) -> bool:
        """Whether its manifests are made."""
        return self._manifests is not None

    def is_available(self, now: float) -> bool:
        """Whether players may play it at `now` (seconds since the epoch)."""
        return self.available_from <= now < self.available_until

    def keep(self) -> bytes:
        """What `restore_title` makes the title of."""
        return msgspec.msgpack.encode(_Kept(self.entry, self.package, tuple(sorted(self.files)), self._timelines))


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
    durations = [rendition.durations for rendition in package.renditions]
    timelines = zlib.compress(msgspec.msgpack.encode(durations), 1)
    bare = tuple(msgspec.structs.replace(rendition, durations=(), sizes=()) for rendition in package.renditions)
    outline = msgspec.structs.replace(package, renditions=bare, files=())
    title = _title(_Kept(entry, outline, tuple(file.name for file in package.files), timelines))
    _ = title.manifests  # what is wrong with them is its publisher's to hear, not a player's
    return title


def restore_title(kept: bytes) -> Title:
    """A title that was kept. Raises CatalogError if it is of another version, or damaged."""
    try:
        return _title(msgspec.msgpack.decode(kept, type=_Kept))
    except msgspec.DecodeError as error:
        raise CatalogError(f"a title in the database cannot be read: {error}") from error


def _title(kept: _Kept) -> Title:
    """Raises CatalogError."""
    entry, outline = kept.entry, kept.outline
    rates = [max((r.average_bandwidth for r in outline.of_kind(kind)), default=0) for kind in ("video", "audio")]
    try:
        start = datetime.fromisoformat(entry.available_from).timestamp() if entry.available_from else 0.0
        end = datetime.fromisoformat(entry.available_until).timestamp() if entry.available_until else math.inf
    except ValueError as error:
        place = f"title {entry.title!r}: package {entry.package}"
        raise CatalogError(f"{place}: when it is available cannot be read: {error}") from error
    return Title(entry, outline, frozenset(kept.files), sum(rates), start, end, kept.timelines)


def _with_segments(outline: Package, timelines: bytes) -> Package:
    durations = msgspec.msgpack.decode(zlib.decompress(timelines), type=list[tuple[int, ...]])
    renditions = tuple(
        msgspec.structs.replace(rendition, durations=own)
        for rendition, own in zip(outline.renditions, durations, strict=True)
    )
    return msgspec.structs.replace(outline, renditions=renditions)


class Changes(NamedTuple):
    """What the database lacks of the catalog, and what it has too much."""

    changed: Mapping[str, bytes]
    gone: tuple[str, ...]


class _OriginAway(CatalogError):
    """Nothing was answered, and the next question would not be either."""


class Catalog:
    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._etag = ""
        self._complaints: dict[str, str] = {}  # title -> what was last logged of it
        self._titles: dict[str, Title] = {}  # as it is being read
        self._unsaved: dict[str, None] = {}  # titles that changed, or are gone, since they were saved
        self.titles: Mapping[str, Title] = {}  # never changed, only replaced
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
            except Exception:
                # What ends here is never looked at again: a withdrawn title would be played for ever.
                self.trouble = f"{self._origin}: its catalog met a fault of ours; the log says more"
                if self.trouble != before:
                    logger.exception("the catalog met a fault")
            if self.trouble and self.trouble != before:
                logger.warning("the catalog is not up to date", extra={"reason": self.trouble})
            elif before and not self.trouble:
                logger.info("the catalog is up to date", extra={"titles": len(self.titles)})
            await asyncio.sleep(every_s)

    async def prepare(self) -> None:
        """Makes the manifests of restored titles ahead for ever, so that no session waits for them."""
        while True:
            for name, title in list(self._titles.items()):
                if not title.is_prepared:
                    try:
                        _ = title.manifests
                    except CatalogError as error:  # the origin is asked for it as for a new one
                        logger.warning("a title in the database is left out", extra={"reason": str(error)})
                        self._titles.pop(name, None)
                        self._etag = ""
                        self._show()
                    await asyncio.sleep(_PREPARED_EVERY_S)
            await asyncio.sleep(_LOOKED_FOR_NEW_EVERY_S)

    async def refresh(self, session: aiohttp.ClientSession) -> None:
        """Raises CatalogError if the origin is away or says nonsense; then everything stays as it was."""
        status, etag, body = await _get(session, f"{self._origin}/api/v1/titles", self._etag)
        if status == 304:
            return
        try:
            entries = msgspec.json.decode(body, type=_Titles).titles
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CatalogError(f"{self._origin}/api/v1/titles is not a catalog: {error}") from error
        complaints: dict[str, str] = {}
        wanted = [entry for entry in entries if self._is_wanted(entry, complaints)]
        news = deque(entry for entry in wanted if entry != self._entry(entry.title))
        if news:
            readers = (self._read_some(session, news, complaints) for _ in range(_ASKED_AT_ONCE))
            for failure in await asyncio.gather(*readers, return_exceptions=True):
                if failure is not None:
                    raise failure
        self._withdraw({entry.title for entry in wanted})
        for title, complaint in complaints.items():
            if self._complaints.get(title) != complaint:
                logger.warning("a title is not taken over from the catalog", extra={"reason": complaint})
        self._complaints, self.is_known = complaints, True
        # With a title still wrong the same catalog must be gone through again.
        self._etag = etag if not complaints else ""

    async def restore(self, kept: Mapping[str, bytes]) -> None:
        """Knows again what was kept, unless the origin has been asked since."""
        titles: dict[str, Title] = {}
        for number, (name, data) in enumerate(kept.items()):
            if self.is_known:
                break
            try:
                titles[name] = restore_title(data)
            except CatalogError as error:
                logger.warning("a title in the database is left out", extra={"reason": str(error)})
            if number % _RESTORED_AT_ONCE == 0:
                await asyncio.sleep(0)
        if self.is_known:
            self._unsaved.update(dict.fromkeys(kept.keys() - self._titles.keys()))
            return
        self._titles = titles | self._titles
        self._show()
        self.is_known = bool(self._titles)

    def unsaved(self, most: int) -> Changes | None:
        """Up to so many titles that changed since they were saved; None if the database has all as it is here."""
        names = [name for name, _ in zip(self._unsaved, range(most), strict=False)]
        if not names:
            return None
        changed = {name: self._titles[name].keep() for name in names if name in self._titles}
        return Changes(changed, tuple(name for name in names if name not in changed))

    def saved(self, changes: Changes) -> None:
        for name in (*changes.changed, *changes.gone):
            self._unsaved.pop(name, None)

    def save_all(self) -> None:
        """The database is another one, which has nothing yet."""
        self._unsaved.update(dict.fromkeys(self._titles))

    def _entry(self, title: str) -> Entry | None:
        known = self._titles.get(title)
        return known.entry if known is not None else None

    def _is_wanted(self, entry: Entry, complaints: dict[str, str]) -> bool:
        is_named = TITLE_PATTERN.fullmatch(entry.title) and PACKAGE_PATTERN.fullmatch(entry.package)
        if not is_named:
            complaints[entry.title] = f"the catalog names {entry.title!r} and {entry.package!r}, which are no names"
        return bool(is_named)

    async def _read_some(self, session: aiohttp.ClientSession, news: deque[Entry], complaints: dict[str, str]) -> None:
        """Reads titles until there are no more; several do at once, each taking the next. Raises _OriginAway."""
        while news:
            entry = news.popleft()
            url = f"{self._origin}/v1/{entry.title}/{entry.package}/{MANIFEST_NAME}"
            try:
                _, _, body = await _get(session, url)
                self._titles[entry.title] = read_title(entry, body)
            except _OriginAway:
                news.clear()  # nobody need ask for more
                raise
            except CatalogError as error:  # what was known of the title stays
                complaints[entry.title] = str(error)
            else:
                self._unsaved[entry.title] = None
                if len(news) % _KNOWN_IN_LOTS == 0:  # the first start with 10,000 titles takes a minute
                    self._show()

    def _withdraw(self, offered: set[str]) -> None:
        for title in self._titles.keys() - offered:
            del self._titles[title]
            self._unsaved[title] = None
        self._show()

    def _show(self) -> None:
        """What was read is known from now on."""
        if self._titles != self.titles:
            self.titles = dict(self._titles)


async def _get(session: aiohttp.ClientSession, url: str, etag: str = "") -> tuple[int, str, bytes]:
    """Status (200 or 304), ETag and body. Raises CatalogError, _OriginAway."""
    headers = {"If-None-Match": etag} if etag else {}
    try:
        async with session.get(url, headers=headers, timeout=_TIMEOUT) as answer:
            if answer.status != 200 and not (answer.status == 304 and etag):
                raise CatalogError(f"{url} answered {answer.status}, expected 200")
            body = bytearray()
            async for piece in answer.content.iter_chunked(64 * 1024):
                body += piece
                if len(body) > _LARGEST_ANSWER:
                    raise CatalogError(f"{url} answered more than {_LARGEST_ANSWER} bytes")
            return answer.status, answer.headers.get("ETag", ""), bytes(body)
    except aiohttp.ClientPayloadError as error:  # of this file, others may be whole
        raise CatalogError(f"{url} broke off: {error}") from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise _OriginAway(f"{url} could not be asked: {error or 'it took too long'}") from error
