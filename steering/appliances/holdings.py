"""Who holds what: for each package a bit of each appliance, so that one byte says it of a whole cluster.

A session asks of some eight appliances whether they hold its package. In a dictionary of each appliance's own that is
many more cache lines, and at the size of a fleet none of them is in any cache. A fleet of 6,000 sites takes
6 kB for each package that somebody holds.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from oca.report import EVERY_FILE

# Appliances have numbers; eight of them, a block, share a byte.
BLOCK = 8
_LEAST_BLOCKS = 64


class Holdings:
    def __init__(self) -> None:
        self._blocks = _LEAST_BLOCKS
        self._nobody = bytes(self._blocks)
        self._whole: dict[str, bytearray] = {}
        self._part: dict[str, bytearray] = {}
        self._holders: dict[str, int] = {}  # how many hold something of a package

    def whole(self, package: str) -> bytes | bytearray:
        """By block, a bit of each appliance that holds all files of a package."""
        return self._whole.get(package, self._nobody)

    def part(self, package: str) -> bytes | bytearray | None:
        """By block, a bit of each appliance that holds some files, perhaps all that matter; None if nobody does."""
        return self._part.get(package)

    def make_room(self, blocks: int) -> None:
        """For appliances of so many blocks."""
        if blocks <= self._blocks:
            return
        more = bytes(max(blocks, 2 * self._blocks) - self._blocks)
        self._blocks += len(more)
        self._nobody = bytes(self._blocks)
        for row in (*self._whole.values(), *self._part.values()):
            row += more

    def change(self, number: int, before: Mapping[str, tuple[str, ...]], after: Mapping[str, tuple[str, ...]]) -> None:
        """The appliance of this number held `before` and holds `after`: files by package."""
        block, bit = number // BLOCK, 1 << number % BLOCK
        for package, files in before.items():
            if files and files != after.get(package):
                self._drop(package, self._whole if files == EVERY_FILE else self._part, block, bit)
        for package, files in after.items():
            if files and files != before.get(package):
                self._put(package, self._whole if files == EVERY_FILE else self._part, block, bit)

    def _put(self, package: str, rows: dict[str, bytearray], block: int, bit: int) -> None:
        row = rows.get(package)
        if row is None:
            row = rows[package] = bytearray(self._blocks)
        row[block] |= bit
        self._holders[package] = self._holders.get(package, 0) + 1

    def _drop(self, package: str, rows: dict[str, bytearray], block: int, bit: int) -> None:
        rows[package][block] &= ~bit
        self._holders[package] -= 1
        if not self._holders[package]:
            del self._holders[package]
            self._whole.pop(package, None)
            self._part.pop(package, None)
