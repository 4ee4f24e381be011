"""Objects by key, in a directory (`file`) or an S3 bucket (`s3`): what every storage does, and opening one by its URL.

An object appears whole or not at all, replaces the one of its key in one step, and is durable once `put_*` returned.
Keys are names joined by "/"; neither an empty name, nor "..", nor a hidden name passes `check_key`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self
from urllib.parse import unquote, urlsplit

from config.errors import ConfigError, Problem
from origin.errors import StorageError

# Reading and writing go in pieces of this size: large enough that a thread hop or an HTTP frame costs nothing beside
# it, small enough that a hundred slow clients of the origin hold 100 MiB and not more.
PIECE = 1024 * 1024

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,191}"
_KEY = re.compile(rf"{_NAME}(?:/{_NAME})*")
# A prefix is what a key may begin with: whole names, and perhaps the beginning of one.
_PREFIX = re.compile(rf"(?:{_NAME}/)*(?:{_NAME})?")

Moved = Callable[[int], None]


class Stored(NamedTuple):
    """An object as a listing tells it; `version` differs after each change of its content."""

    key: str
    size: int
    version: str


class Storage(Protocol):
    """Every method raises StorageError (or one of its kinds) where storage fails, and nothing of the library below."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def put_file(self, key: str, path: Path, moved: Moved | None = None) -> None:
        """Stores a copy of the file at `path`; `moved` is told the bytes of each piece that went."""
        ...

    async def put_bytes(self, key: str, data: bytes, *, if_absent: bool = False) -> None:
        """Raises AlreadyThere if `if_absent` and the key exists (as far as storage can tell: see origin.storage.s3)."""
        ...

    def read(self, key: str, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        """Bytes [offset, offset + length) in pieces of at most PIECE; fewer where the object ends before. NotFound."""
        ...

    async def read_bytes(self, key: str, offset: int = 0, length: int | None = None) -> bytes: ...

    async def size(self, key: str) -> int:
        """Raises NotFound."""
        ...

    def list(self, prefix: str) -> AsyncIterator[Stored]:
        """Every object whose key begins with `prefix`, in no particular order; none is not an error."""
        ...

    async def delete(self, key: str) -> None:
        """Nothing to delete is not an error."""
        ...

    def lock(self, name: str) -> AbstractAsyncContextManager[None]:
        """Held by one process at a time where storage can do that, and released when its holder dies."""
        ...


def open_storage(url: str, *, s3_endpoint: str = "") -> Storage:
    """The storage at file:///DIRECTORY or s3://BUCKET[/PREFIX]; used as an async context manager.

    `s3_endpoint` is the S3 API to ask instead of Amazon's. Raises ConfigError for a URL that names no storage,
    StorageError if the library for S3 is not installed.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/"):
        from origin.storage.file import FileStorage

        return FileStorage(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.netloc:
        # Imported only here: it takes a quarter of a second, and is an optional extra.
        from origin.storage.s3 import S3Storage

        prefix = parts.path.strip("/")
        if prefix:
            check_key(prefix)
        return S3Storage(parts.netloc, prefix, s3_endpoint)
    raise ConfigError([Problem("storage", "url", repr(url), "file:///DIRECTORY or s3://BUCKET[/PREFIX]")])


def check_key(key: str) -> str:
    """`key` itself, if it can name an object. Raises StorageError."""
    if not _KEY.fullmatch(key):
        raise StorageError(f"{key!r} cannot be a key of storage: expected names of A-Z a-z 0-9 . _ - joined by /")
    return key


def check_prefix(prefix: str) -> str:
    """`prefix` itself, if a key can begin with it. Raises StorageError."""
    if not _PREFIX.fullmatch(prefix):
        raise StorageError(f"{prefix!r} cannot begin a key of storage: expected names of A-Z a-z 0-9 . _ - joined by /")
    return prefix
