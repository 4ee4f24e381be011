"""Writes the bytes of one block while more of them come.

What comes while others are being written waits, and is then written in one go: a fast upstream costs few turns of a
thread, a slow one has each piece on disk, and on its way to the player, as it comes.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress

from encoder.package import BLOCK_SIZE
from oca.errors import SpaceError
from oca.store.volumes import OpenFile

# Read from the upstream and not written yet; more would only be memory.
_MOST_WAITING_BYTES = 1024 * 1024
_MOST_WAITING_PIECES = 256  # less than IOV_MAX, 1024 on Linux


class Landing:
    """Bytes from `first` on, in order. `landed(position)` hears how far they are written, in any number of steps."""

    def __init__(
        self,
        opened: OpenFile,
        first: int,
        landed: Callable[[int], None],
        shed: Callable[[int], Awaitable[int]],
    ) -> None:
        self.position = first  # where what has not come begins
        self._opened, self._landed, self._shed = opened, landed, shed
        self._written = first
        self._digest = hashlib.sha256()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._writing: asyncio.Task[None] | None = None

    async def add(self, piece: bytes) -> None:
        """Raises SpaceError or VolumeFailed, perhaps of pieces before."""
        self._waiting.append(piece)
        self._waiting_bytes += len(piece)
        self.position += len(piece)
        if self._writing is None or self._writing.done():
            await self.settle()
            self._writing = asyncio.create_task(self._write())
        elif self._waiting_bytes >= _MOST_WAITING_BYTES or len(self._waiting) >= _MOST_WAITING_PIECES:
            await self.settle()

    async def settle(self) -> None:
        """Waits until all that has come is written. Raises as `add`."""
        if self._writing is not None:
            # Whoever waits may be cancelled; the thread cannot be, and is waited for in `close`.
            await asyncio.shield(self._writing)

    async def digest(self) -> str:
        """Of all bytes, in hex. Raises as `add`."""
        await self.settle()
        return self._digest.hexdigest()

    async def close(self) -> None:
        """Writes no more. What is under way ends first: it must not end after what another fetch writes there."""
        self._waiting, self._waiting_bytes = [], 0
        if self._writing is not None:
            await asyncio.wait([self._writing])
            with suppress(asyncio.CancelledError, Exception):
                self._writing.result()

    async def _write(self) -> None:
        while self._waiting:
            pieces, size = self._waiting, self._waiting_bytes
            self._waiting, self._waiting_bytes = [], 0
            try:
                await self._opened.write(pieces, self._written, self._digest)
            except SpaceError:  # full after all: once more, when something was shed
                if not await self._shed(BLOCK_SIZE):
                    raise
                await self._opened.write(pieces, self._written, self._digest)
            self._written += size
            self._landed(self._written)
