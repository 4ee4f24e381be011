"""Finds the stored bytes behind a content URL, for packages that the catalog names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from cachetools import LRUCache

from encoder.errors import PackageError
from encoder.package import (
    MANIFEST_NAME,
    Extent,
    PackageIndex,
    StoredFile,
    decode,
    digest_blocks,
    media_type,
    package_name,
    parse_content_path,
)
from origin.catalog import Entry, package_prefix
from origin.errors import CatalogError, NotFound
from origin.storage import Storage

# An index of a two-hour film with ten renditions is about 1 MB of segment offsets.
INDEXES_KEPT = 256


class Located(NamedTuple):
    """A piece of the stored object `key`."""

    key: str
    extent: Extent


class _Known(NamedTuple):
    pieces: PackageIndex
    manifest: StoredFile


class Content:
    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._known: LRUCache[tuple[str, str], _Known] = LRUCache(INDEXES_KEPT)

    async def locate(self, path: str, entries: Mapping[str, Entry]) -> Located:
        """What a URL's path stands for.

        A package is served while an entry of the catalog names it, as its current or as a superseded one: a package
        half published has no entry yet, one that was withdrawn none any more.
        Raises PackageError (404), CatalogError (the stored manifest is damaged), StorageError.
        """
        parsed = parse_content_path(path)
        entry = entries.get(parsed.title)
        if entry is None or parsed.package not in entry.packages:
            raise PackageError(f"{path}: the origin has no such package", status=404)
        known = await self._index(parsed.title, parsed.package)
        prefix = package_prefix(parsed.title, parsed.package)
        if parsed.path == MANIFEST_NAME:
            extent = Extent(known.manifest, 0, known.manifest.size, media_type(MANIFEST_NAME))
        else:
            extent = known.pieces.locate(parsed.path)
        return Located(prefix + extent.file.name, extent)

    async def _index(self, title: str, package: str) -> _Known:
        known = self._known.get((title, package))
        if known is None:
            known = self._known[title, package] = await self._read_index(title, package)
        return known

    async def _read_index(self, title: str, package: str) -> _Known:
        key = package_prefix(title, package) + MANIFEST_NAME
        try:
            data = await self._storage.read_bytes(key)
            if package_name(data) != package:
                raise CatalogError(f"{key} is damaged: its digest is not the package's name")
            pieces = PackageIndex(decode(data))
        except (NotFound, PackageError) as error:
            raise CatalogError(f"{key}, which the catalog names: {error}") from error
        size, digest, blocks = digest_blocks(iter((data,)))
        return _Known(pieces, StoredFile(MANIFEST_NAME, size, digest, blocks))
