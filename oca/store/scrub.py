"""Re-reads what is held and drops what has rotted, so that it is fetched again instead of served."""

from __future__ import annotations

import asyncio
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


def first_rotten_block(path: Path, file: StoredFile) -> int | None:
    """The first block whose digest is wrong, the number of blocks if the file is too long, None if all is right."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for block, digest in enumerate(file.blocks):
            first, end = packages.block_range(block, file.size)
            data = os.pread(fd, end - first, first)
            # A scrub reads everything once: leave the page cache to what players ask for.
            os.posix_fadvise(fd, first, end - first, os.POSIX_FADV_DONTNEED)
            if hashlib.sha256(data).hexdigest() != digest:
                return block
        return len(file.blocks) if os.fstat(fd).st_size != file.size else None
    finally:
        os.close(fd)


async def scrub(volume: Volume, drop: Callable[[FileKey], Awaitable[bool]]) -> Scrubbed:
    """One pass at a bounded rate. A file that cannot be read counts as rotten."""
    count = size = 0
    rotten = []
    for key in volume.files():
        try:
            names = {file.name: file for file in volume.manifest(key.title, key.package).files}
        except NotHeld:
            continue
        file = names.get(key.file)
        if file is None or not volume.holds(key):
            continue
        try:
            block = await asyncio.to_thread(first_rotten_block, volume.path(key), file)
        except OSError as error:
            logger.error("a file cannot be read", extra={"file": str(key), "why": str(error)})
            block = 0
        count, size = count + 1, size + file.size
        if block is not None:
            logger.error("a file has rotted and was dropped", extra={"file": str(key), "block": block})
            rotten.append(f"{key.package_key}/{key.file}")
            await drop(key)
        await asyncio.sleep(file.size / _BYTES_PER_SECOND)
    return Scrubbed(count, size, tuple(rotten))
