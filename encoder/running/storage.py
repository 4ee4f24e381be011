"""The origin's storages, as the encoder uses them: opened by URL, and read to the end whatever breaks off."""

from __future__ import annotations

import asyncio
import importlib
import os
from contextlib import aclosing
from pathlib import Path
from typing import Any

from encoder.errors import CheckError

# How often an object is asked for from where the last answer broke off, before storage is said to fail.
ATTEMPTS = 4
RETRY_AFTER_S = 0.5


def open_storage(url: str, s3_endpoint: str) -> Any:
    """An origin.storage.Storage, used as an async context manager."""
    # By name: the origin imports the encoder's package format, so the encoder must not import the origin.
    return importlib.import_module("origin.storage").open_storage(url, s3_endpoint=s3_endpoint)


async def download(storage: Any, key: str, path: Path, size: int) -> None:
    """Writes an object to `path` and to the disk. Raises the origin's StorageError, CheckError if it is too short."""
    failure = importlib.import_module("origin.errors").StorageError
    with path.open("wb") as file:
        for attempt in range(ATTEMPTS):
            try:
                async with aclosing(storage.read(key, file.tell())) as pieces:
                    async for piece in pieces:
                        file.write(piece)
            except failure as error:
                if not error.retryable or attempt == ATTEMPTS - 1:
                    raise
                await asyncio.sleep(RETRY_AFTER_S * 2**attempt)
            if file.tell() == size:
                break
        else:
            raise CheckError(f"{key} ends after {file.tell()} bytes, expected {size}")
        file.flush()
        os.fsync(file.fileno())
