"""Re-reads what is held and drops what has rotted, so that it is fetched again instead of served."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from encoder import package as packages
from encoder.package import StoredFile
from oca.errors import NotHeld
from oca.store.volume import FileKey, Volume

logger = logging.getLogger(__name__)

# A disk gives hundreds of MB/s; scrubbing takes so little of that that players do not notice.
_BYTES_PER_SECOND = 64 * 1024 * 1024


@dataclass(frozen=True)
class Scrubbed:
    """What one pass over the volume found."""

    files: int
    bytes: int
    rotten: tuple[str, ...]


def rotten_block(path: Path, file: StoredFile, block: int) -> bool:
    """True if the block's digest is wrong. Raises OSError where the disk does not give it."""
    first, end = packages.block_range(block, file.size)
    with path.open("rb", buffering=0) as stored:
        data = os.pread(stored.fileno(), end - first, first)
    return hashlib.sha256(data).hexdigest() != file.blocks[block]


async def scrub(volume: Volume, drop: Callable[[FileKey], Awaitable[bool]]) -> Scrubbed:
    """One pass, block by block at a bounded rate. A block that the disk cannot give (EIO) counts as rotten."""
    count = size = 0
    rotten = []
    for key in volume.files():
        try:
            file = next(file for file in volume.manifest(key.title, key.package).files if file.name == key.file)
        except (NotHeld, StopIteration):
            continue
        for block in range(len(file.blocks)):
            if not volume.holds(key):
                break  # dropped meanwhile
            try:
                is_rotten = await asyncio.to_thread(rotten_block, volume.path(key), file, block)
            except OSError as error:
                is_rotten = error.errno in (errno.EIO, errno.ENOENT)
                logger.error("a block cannot be read", extra={"file": str(key), "block": block, "why": str(error)})
            if is_rotten:
                logger.error("a file has rotted and was dropped", extra={"file": str(key), "block": block})
                rotten.append(f"{key.package_key}/{key.file}")
                await drop(key)
                break
            first, end = packages.block_range(block, file.size)
            size += end - first
            await asyncio.sleep((end - first) / _BYTES_PER_SECOND)
        count += 1
    return Scrubbed(count, size, tuple(rotten))
