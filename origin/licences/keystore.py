"""The keys of a folder of key files: `{title}.toml`, `.json` or `.xml`, as films were encrypted with.

Files come and go while the service runs. The folder is looked at when licences are asked for, and what changed is read.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

from encoder.errors import ProtectionError
from encoder.protection.keyring import SUFFIXES, read_keys
from encoder.protection.keys import ContentKey, show_id

# A folder is looked at at most so often, however many ask.
LOOK_EVERY_S = 1.0

logger = logging.getLogger(__name__)

# When it was changed, its size and its inode.
_Stamp: TypeAlias = tuple[int, int, int] | None


class StoredKey(NamedTuple):
    key: ContentKey
    titles: tuple[str, ...]  # films may share a key


class _File(NamedTuple):
    stamp: _Stamp
    keys: tuple[ContentKey, ...]  # none, if it cannot be used


class KeyStore:
    def __init__(self, path: Path, now: float) -> None:
        """`path` is a key file, or a folder of them. Raises ProtectionError if it, or a file, cannot be used."""
        self._path = path
        self._files: Mapping[Path, _File] = {}
        self._keys: Mapping[str, StoredKey] = {}
        self._looked_at = now
        self._read(strict=True)

    def find(self, key_id: str) -> StoredKey | None:
        return self._keys.get(key_id)

    def is_due(self, now: float) -> bool:
        """Whether it is time to look again; if so, nobody else needs to."""
        if now - self._looked_at < LOOK_EVERY_S:
            return False
        self._looked_at = now
        return True

    def look(self) -> None:
        """Reads what changed. In a thread: a disk may be slow."""
        try:
            self._read(strict=False)
        except ProtectionError as error:
            logger.warning("the keys cannot be looked at; those that are known stay", extra={"reason": str(error)})

    def _read(self, *, strict: bool) -> None:
        files = {}
        for file in _listed(self._path):
            stamp, known = _stamp(file), self._files.get(file)
            files[file] = known if known and known.stamp == stamp else _File(stamp, _keys_of(file, strict=strict))
        if files != self._files:
            self._keys = _by_id(files, strict=strict)
            self._files = files


def _listed(path: Path) -> list[Path]:
    try:
        return sorted(file for file in path.iterdir() if file.suffix in SUFFIXES) if path.is_dir() else [path]
    except OSError as error:
        raise ProtectionError(f"the keys in {path} cannot be read: {error.strerror}") from error


def _stamp(file: Path) -> _Stamp:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _keys_of(file: Path, *, strict: bool) -> tuple[ContentKey, ...]:
    try:
        return read_keys(file).keys
    except ProtectionError as error:
        if strict:
            raise
        logger.warning("a key file cannot be used", extra={"reason": str(error)})
        return ()


def _by_id(files: Mapping[Path, _File], *, strict: bool) -> Mapping[str, StoredKey]:
    found: dict[str, StoredKey] = {}
    for path, file in files.items():
        for key in file.keys:
            before = found.get(key.key_id, StoredKey(key, ()))
            if before.key.secret == key.secret:
                found[key.key_id] = before._replace(titles=(*before.titles, path.stem))
                continue
            other = f"{path} has another key of the ID {show_id(key.key_id)} than {before.titles[0]} has"
            if strict:
                raise ProtectionError(other)
            logger.warning("a key is not used", extra={"reason": other})
    return found
