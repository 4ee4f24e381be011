"""Writes the bytes of one block while more of them come.

What comes while others are being written waits, and is then written in one go: a fast upstream costs few turns of a
thread, a slow one has each piece on disk, and on its way to the player, as it comes.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TypeAlias

from encoder.package import BLOCK_SIZE
from oca.errors import SpaceError
from oca.store.volumes import OpenFile

# Read from the upstream and not written yet; more would only be memory.
_MOST_WAITING_BYTES = 1024 * 1024
_MOST_WAITING_PIECES = 256  # less than IOV_MAX, 1024 on Linux


Take: TypeAlias = Callable[[memoryview], None]


class DiskFailed(Exception):
    """A disk's error, kept apart from a network's while both can happen."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


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
        self._thread: asyncio.Task[None] | None = None  # what receives and writes, or did

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

    async def receive(
        self, fetch: Callable[[Take], Awaitable[None]], is_read_soon: Callable[[], bool] = lambda: True
    ) -> None:
        """Has `fetch` hand pieces over from `position` on, in a thread. Raises as `add`, and as `fetch`."""
        await self.settle()
        take = partial(self._take, is_read_soon)
        try:
            try:
                await fetch(take)
            except SpaceError:  # full after all: once more, when something was shed
                if not await self._shed(BLOCK_SIZE):
                    raise
                await fetch(take)
        except DiskFailed as failed:
            raise self._opened.volume.judge(failed.error) from failed.error

    def _take(self, is_read_soon: Callable[[], bool], piece: memoryview) -> None:
        try:
            self._opened.blocks.write([piece], self._written, self._digest, through_memory=is_read_soon())
        except OSError as error:
            raise DiskFailed(error) from error
        self._written += len(piece)
        self.position = self._written

    def note(self) -> None:
        """In the event loop: what was handed over by now has landed."""
        self._landed(self._written)

    def wait_for(self, thread: asyncio.Task[None]) -> None:
        """It writes: `close` and `settle` wait for it; how it ends is for whoever began it."""
        self._thread = thread

    async def settle(self) -> None:
        """Waits until all that has come is written. Raises as `add`."""
        if self._thread is not None:
            await asyncio.wait([self._thread])
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
        for work in (self._writing, self._thread):
            if work is not None:
                await asyncio.wait([work])
                with suppress(asyncio.CancelledError, Exception):
                    work.result()

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
