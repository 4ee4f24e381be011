"""The keys of a folder of key files: `{title}.toml`, `.json` or `.xml`, as films were encrypted with.

Files come and go while the service runs: when a key is asked for that is not known, the folder is looked at again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from encoder.errors import ProtectionError
from encoder.protection.keyring import read_keys
from encoder.protection.keys import ContentKey

# A folder is read at most so often, however many ask for keys that are not there.
LOOK_EVERY_S = 1.0
_SUFFIXES = (".toml", ".json", ".xml")

logger = logging.getLogger(__name__)


class StoredKey(NamedTuple):
    key: ContentKey
    title: str


class KeyStore:
    def __init__(self, path: Path, now: float) -> None:
        """`path` is a key file, or a folder of them. Raises ProtectionError if it, or a file, cannot be used."""
        self._path = path
        self._keys = _read(path, strict=True)
        self._looked_at = now

    def find(self, key_id: str, now: float) -> StoredKey | None:
        if key_id not in self._keys and now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            self._keys = _read(self._path, strict=False)
        return self._keys.get(key_id)


def _read(path: Path, *, strict: bool) -> Mapping[str, StoredKey]:
    files = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES) if path.is_dir() else [path]
    found: dict[str, StoredKey] = {}
    for file in files:
        try:
            ring = read_keys(file)
        except ProtectionError as error:
            if strict:
                raise
            logger.warning("a key file cannot be used", extra={"reason": str(error)})
            continue
        found |= {key.key_id: StoredKey(key, file.stem) for key in ring.keys}
    return found
