"""The catalog: one entry for each title that is offered, and reading all of them without reading each again."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import msgspec

from encoder.package import PACKAGE_PATTERN, TITLE_PATTERN
from origin.errors import CatalogError, NotFound
from origin.storage import Storage

CATALOG, PACKAGES = "catalog/", "packages/"

logger = logging.getLogger(__name__)


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A title that is offered, as the origin's API tells it."""

    title: str
    package: str
    name: str
    duration: float  # seconds
    size: int  # bytes of all files
    poster: str  # a file of the package, or empty
    published_at: str  # RFC 3339, UTC
    # Earlier packages of the title that are still served, because players are in the middle of them.
    superseded: tuple[str, ...] = ()
    # Steering offers it to players within these times only (RFC 3339, UTC; empty: no limit); appliances fill it before.
    available_from: str = ""
    available_until: str = ""

    @property
    def packages(self) -> tuple[str, ...]:
        """Every package of the title that may be served, the current one first."""
        return (self.package, *self.superseded)


def entry_key(title: str) -> str:
    return f"{CATALOG}{title}.json"


def package_prefix(title: str, package: str = "") -> str:
    """Where the files of a package (or of all packages of the title) are, with the "/" at the end."""
    return f"{PACKAGES}{title}/{package}/" if package else f"{PACKAGES}{title}/"


def encode_entry(entry: Entry) -> bytes:
    return msgspec.json.encode(entry)


def decode_entry(key: str, data: bytes) -> Entry:
    """Raises CatalogError that says what is wrong with the entry stored at `key`."""
    try:
        entry = msgspec.json.decode(data, type=Entry)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CatalogError(f"{key} is not an entry of the catalog: {error}") from error
    if entry_key(entry.title) != key or not TITLE_PATTERN.fullmatch(entry.title):
        raise CatalogError(f"{key} is the entry of another title, {entry.title!r}")
    if not all(PACKAGE_PATTERN.fullmatch(package) for package in entry.packages):
        raise CatalogError(f"{key} names a package that is none: {', '.join(entry.packages)}")
    return entry


async def read_entry(storage: Storage, title: str) -> Entry | None:
    """The title's entry, or None. Raises CatalogError, StorageError."""
    key = entry_key(title)
    try:
        return decode_entry(key, await storage.read_bytes(key))
    except NotFound:
        return None


class Catalog:
    """The catalog as it was at the last `refresh`; only entries that changed since are read again."""

    def __init__(self) -> None:
        self.entries: Mapping[str, Entry] = {}
        self.damaged: Mapping[str, str] = {}  # key -> what is wrong with it
        self._known: dict[str, tuple[str, Entry | CatalogError]] = {}  # key -> version, what was read

    async def refresh(self, storage: Storage) -> None:
        """Raises StorageError, and then knows what it knew before."""
        known = {}
        async for stored in storage.list(CATALOG):
            version, read = self._known.get(stored.key, ("", None))
            if read is None or version != stored.version:
                read = await _read(storage, stored.key)
            if read is not None:
                known[stored.key] = (stored.version, read)
        self._known = known
        read_now = [(key, read) for key, (_, read) in known.items()]
        self.entries = dict(sorted((read.title, read) for _, read in read_now if isinstance(read, Entry)))
        self.damaged = {key: str(read) for key, read in read_now if isinstance(read, CatalogError)}


async def _read(storage: Storage, key: str) -> Entry | CatalogError | None:
    try:
        return decode_entry(key, await storage.read_bytes(key))
    except NotFound:
        return None  # withdrawn since it was listed
    except CatalogError as error:
        # One bad entry must not hide all others; it is kept, so that it is reported once and not every second.
        logger.warning("an entry of the catalog is left out", extra={"key": key, "reason": str(error)})
        return error
