"""Reads what is held again and again, at a bounded rate, so that rot is found before a player does.

Every block is read from the disk itself, not from memory, by one thread for each volume that gives way to everybody
else. Passes go through the files in order of their names; how far the last one came is kept in a small file, so that a
pass which takes months also ends on an appliance that is restarted every week.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec

from encoder import package as packages
from encoder.package import StoredFile
from oca.errors import NotHeld, OcaError
from oca.store.inventory import FileKey
from oca.store.volumes import Volumes

logger = logging.getLogger(__name__)

# Asked for by an operator while the scrub in the background is off.
_RATE_ASKED_FOR = 64 * 1024 * 1024
# What a seek costs, in bytes that a disk could have read meanwhile; so small files do not make a storm of seeks.
_SEEK_BYTES = 256 * 1024
_KEEP_EVERY_S = 60.0
# With little to read, passes would follow each other without end.
_BETWEEN_PASSES_S = 3600.0


class Scrubbed(msgspec.Struct, frozen=True):
    """What one pass found. `rotten` are all files of which a block was wrong; those of `lost` are not whole again."""

    files: int
    bytes: int
    rotten: tuple[str, ...]
    lost: tuple[str, ...]


class Scrub:
    """`check(key, block)` reads one block and has it repaired, `check_manifest(title, package)` does so for a manifest.

    `table(title, package)` gives a package's files. `rate` is in bytes a second; with 0 it only runs when asked to.
    `place` is the file that keeps how far it came.
    """

    def __init__(
        self,
        volumes: Volumes,
        table: Callable[[str, str], Awaitable[dict[str, StoredFile]]],
        check: Callable[[FileKey, int], Awaitable[str]],
        check_manifest: Callable[[str, str], Awaitable[str]],
        rate: int,
        place: Path,
    ) -> None:
        self._volumes, self._table, self._check, self._check_manifest = volumes, table, check, check_manifest
        self.rate = rate
        self._place = place
        self._kept_at = 0.0
        self.read_bytes = 0
        self.passes = 0

    async def run(self) -> None:
        """Pass after pass, until cancelled."""
        after = await asyncio.to_thread(_read_place, self._place)
        while True:
            if self.rate:
                await self._pass(self.rate, after, self._keep)
                after = ""
                await asyncio.to_thread(_write_place, self._place, after)
                self.passes += 1
            await asyncio.sleep(_BETWEEN_PASSES_S)

    async def once(self) -> Scrubbed:
        """A whole pass, because an operator asks for it."""
        return await self._pass(self.rate or _RATE_ASKED_FOR, "", _keep_nothing)

    async def _pass(self, rate: int, after: str, keep: Callable[[str], Awaitable[None]]) -> Scrubbed:
        files = size = 0
        rotten, lost = [], []
        package_key = ""
        for key in self._files(after):
            name = f"{key.package_key}/{key.file}"
            found: set[str] = set()
            await asyncio.sleep(0)  # nothing below waits where nothing is held any more
            try:
                if key.package_key != package_key:
                    package_key = key.package_key
                    found.add(await self._check_manifest(key.title, key.package))
                file = (await self._table(key.title, key.package))[key.file]
                for block in range(len(file.blocks)):
                    if not self._volumes.entry(key):
                        break  # dropped meanwhile
                    found.add(await self._check(key, block))
                    first, end = packages.block_range(block, file.size)
                    size += end - first
                    self.read_bytes += end - first
                    await asyncio.sleep(max(end - first, _SEEK_BYTES) / rate)
            except (KeyError, NotHeld):
                continue
            except (OcaError, OSError) as error:
                logger.warning("a file could not be scrubbed", extra={"file": name, "why": str(error)})
                await asyncio.sleep(_SEEK_BYTES / rate)
            if found & {"repaired", "missing", "dropped"}:
                rotten.append(name)
            if found & {"missing", "dropped"}:
                lost.append(name)
            files += 1
            await keep(name)
        return Scrubbed(files, size, tuple(rotten), tuple(lost))

    def _files(self, after: str) -> Iterator[FileKey]:
        """What is held, by name; what comes meanwhile was verified as it came."""
        inventory = self._volumes.inventory
        for package_key in sorted(inventory.packages()):
            if package_key < after[: len(package_key)]:
                continue
            title, _, package = package_key.partition("/")
            for name, entry in sorted(inventory.files(package_key).items()):
                if entry.is_whole and f"{package_key}/{name}" > after:
                    yield FileKey(title, package, name)

    async def _keep(self, name: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._kept_at >= _KEEP_EVERY_S:
            self._kept_at = now
            await asyncio.to_thread(_write_place, self._place, name)


async def _keep_nothing(name: str) -> None:
    pass


def _read_place(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _write_place(path: Path, name: str) -> None:
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.write_text(f"{name}\n")
        fresh.rename(path)
    except OSError as error:  # the next pass begins at its beginning; nothing else is lost
        logger.warning("how far the scrub came could not be kept", extra={"why": str(error)})
