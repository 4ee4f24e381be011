"""Reads what a volume's tree holds: names, sizes and who placed them, without opening a single file of content.

One `stat` a file is what it costs: sizes could also come from the manifests, but of a long film those are 3 MB each,
and a million files are some 20,000 packages. A million files take 4 s with their directories in memory and 11 s
without; several threads make that slower (2-core machine, ext4 on a virtual disk, Linux 6.18, Python 3.11).

The names that a package should have are in its manifest, and that is read later, in the background: until then a
package that is held whole is told of file by file. What was read is kept in a file beside the content. It is only ever
a short cut: without it, or with a part of it missing, the manifests are read again.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import msgspec

from encoder import package as packages
from encoder.package import MANIFEST_NAME
from oca.store.inventory import Entry, FileKey, Found, Shelf

PARTIAL, BLOCKS = packages.RESERVED_SUFFIXES
PLANNED_MODE = 0o444
PULLED_MODE = 0o644
# A file of the plan that is not whole (yet, or any more): it must be writable for us, and known as the plan's.
PLANNED_PARTIAL_MODE = 0o640
_PLANNED_MODES = frozenset({PLANNED_MODE, PLANNED_PARTIAL_MODE})
_NAMES_NAME = ".nearcast-names"


def scan(root: Path, volume: int) -> Found:
    """Everything that is ours; other names are left alone and not served. Blocks. Raises OSError."""
    shelves: dict[str, Shelf] = {}
    pulled: list[tuple[float, FileKey]] = []
    names = _read_names(root)
    for title in _folders(root, packages.TITLE_PATTERN):
        for package in _folders(title.path, packages.PACKAGE_PATTERN):
            shelf = Shelf(names=names.get(package_key := f"{title.name}/{package.name}"))
            with os.scandir(package.path) as files:
                for file in files:
                    stored = _stored_name(file.name)
                    if stored is None or not file.is_file(follow_symlinks=False):
                        continue
                    name, is_whole = stored
                    status = file.stat(follow_symlinks=False)
                    if name == MANIFEST_NAME:
                        shelf.manifests[volume] = status.st_size
                    elif is_whole or name not in shelf.files:
                        is_planned = status.st_mode & 0o777 in _PLANNED_MODES
                        shelf.files[name] = Entry(volume, status.st_size, is_whole, is_planned)
                        if not is_planned:
                            pulled.append((status.st_mtime, FileKey(title.name, package.name, name)))
            if shelf.files or shelf.manifests:
                shelves[package_key] = shelf
    return Found(shelves, [key for _, key in sorted(pulled)])


def _folders(path: str | Path, pattern: re.Pattern[str]) -> list[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        return [entry for entry in entries if pattern.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)]


@lru_cache(maxsize=65536)
def _stored_name(name: str) -> tuple[str, bool] | None:
    """The file that is stored under this name, and whether it is whole; the same few names come again and again."""
    if not packages.FILE_PATTERN.fullmatch(name) or name.endswith(BLOCKS) or name == MANIFEST_NAME + PARTIAL:
        return None
    return sys.intern(name.removesuffix(PARTIAL)), not name.endswith(PARTIAL)


# Names


class _Name(msgspec.Struct):
    name: str


class _Names(msgspec.Struct):
    files: tuple[_Name, ...]


_names_decoder = msgspec.json.Decoder(_Names)


class _Kept(msgspec.Struct):
    """Most packages have the files of some other: `packages` has places in `sets`."""

    sets: list[frozenset[str]]
    packages: dict[str, int]


def names_in(manifest: bytes) -> frozenset[str]:
    """The names of a package's files; the rest of the manifest is skipped, not decoded. Raises msgspec.DecodeError."""
    return frozenset(sys.intern(file.name) for file in _names_decoder.decode(manifest).files)


def keep_names(root: Path, names: Mapping[str, frozenset[str]]) -> None:
    """For the next scan. Blocks. Raises OSError."""
    places: dict[frozenset[str], int] = {}
    kept = {package_key: places.setdefault(files, len(places)) for package_key, files in names.items()}
    fresh = root / (_NAMES_NAME + PARTIAL)
    fresh.write_bytes(msgspec.msgpack.encode(_Kept(list(places), kept)))
    fresh.rename(root / _NAMES_NAME)


def _read_names(root: Path) -> dict[str, frozenset[str]]:
    try:
        kept = msgspec.msgpack.decode((root / _NAMES_NAME).read_bytes(), type=_Kept)
        sets = [frozenset(map(sys.intern, names)) for names in kept.sets]
        return {package_key: sets[place] for package_key, place in kept.packages.items()}
    except (OSError, msgspec.DecodeError, IndexError):
        return {}
