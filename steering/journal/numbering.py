"""Packages and sets of files by number, and what is held as a bit for each package.

Thousands of appliances hold thousands of packages each. As names that is gigabytes; as bits it is a kilobyte or two an
appliance, and the exclusive or of two versions says what changed between them.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from oca.report import EVERY_FILE, Held

# The number of EVERY_FILE among the sets of files, and of "nothing" where a part is gone; others begin with 1.
EVERY = NOTHING = 0


class Numbering:
    """Numbers names in the order in which they are met, and knows them by their numbers again."""

    def __init__(self) -> None:
        self.packages: list[str] = []
        self.file_sets: list[tuple[str, ...]] = [EVERY_FILE]
        self._packages: dict[str, int] = {}
        self._file_sets: dict[tuple[str, ...], int] = {EVERY_FILE: EVERY}

    def package(self, key: str) -> int:
        """The number of "title/package"; a new one if it was not met before."""
        number = self._packages.get(key)
        if number is None:
            number = self._packages[key] = len(self.packages)
            self.packages.append(key)
        return number

    def numbers(self, keys: Iterable[str]) -> list[int]:
        """Of many at once, most of which were met before."""
        keys, numbers = list(keys), self._packages
        try:
            return [numbers[key] for key in keys]
        except KeyError:
            return [self.package(key) for key in keys]

    def files(self, names: Iterable[str]) -> int:
        key = tuple(sorted(names))
        number = self._file_sets.get(key)
        if number is None:
            number = self._file_sets[key] = len(self.file_sets)
            self.file_sets.append(key)
        return number

    def find(self, key: str) -> int | None:
        return self._packages.get(key)


class HeldBits(Mapping[str, tuple[str, ...]]):
    """What an appliance holds, as `oca.report.Held`: whole packages as bits, of others the set of files by number."""

    __slots__ = ("_numbering", "parts", "whole")

    def __init__(self, numbering: Numbering, whole: bytes, parts: Mapping[int, int]) -> None:
        self._numbering, self.whole, self.parts = numbering, whole, parts

    def __getitem__(self, key: str) -> tuple[str, ...]:
        found: tuple[str, ...] | None = self.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def get(self, key: str, default: Any = None) -> Any:
        """Asked several times for each decision, mostly for what is not held: an exception would cost more."""
        number = self._numbering.find(key)
        if number is None:
            return default
        if number >> 3 < len(self.whole) and self.whole[number >> 3] >> (number & 7) & 1:
            return EVERY_FILE
        return self._numbering.file_sets[self.parts[number]] if number in self.parts else default

    def __iter__(self) -> Iterator[str]:
        names = self._numbering.packages
        for place, byte in enumerate(self.whole):
            if byte:
                yield from (names[place * 8 + bit] for bit in range(8) if byte >> bit & 1)
        yield from (names[number] for number in self.parts)

    def __len__(self) -> int:
        return int.from_bytes(self.whole).bit_count() + len(self.parts)

    def is_sound(self) -> bool:
        """Whether all that it names has been numbered; of a damaged journal it may not be."""
        packages, sets = len(self._numbering.packages), len(self._numbering.file_sets)
        return int.from_bytes(self.whole, "little").bit_length() <= packages and all(
            package < packages and files < sets for package, files in self.parts.items()
        )

    def since(self, base: HeldBits) -> tuple[bytes, tuple[tuple[int, int], ...]]:
        """What makes this of `base`, which is of the same numbering: the bits that differ, and the parts that do."""
        parts = [(number, files) for number, files in self.parts.items() if base.parts.get(number) != files]
        parts += [(number, NOTHING) for number in base.parts if number not in self.parts]
        return _differing(self.whole, base.whole), tuple(sorted(parts))

    def changed(self, whole: bytes, parts: Iterable[tuple[int, int]]) -> HeldBits:
        """What `since` gave, taken back in."""
        after = {**self.parts, **dict(parts)}
        left = {number: files for number, files in after.items() if files != NOTHING}
        return HeldBits(self._numbering, _differing(self.whole, whole), left)


def pack(held: Held, numbering: Numbering) -> HeldBits:
    """0.25 ms for 3,000 packages: not for each report."""
    others = {key: files for key, files in held.items() if files != EVERY_FILE}
    numbers = numbering.numbers(key for key in held if key not in others) if others else numbering.numbers(held)
    bits = np.zeros(len(numbering.packages), np.uint8)
    bits[numbers] = 1
    whole = np.packbits(bits[: max(numbers, default=-1) + 1], bitorder="little").tobytes()
    parts = {numbering.package(key): numbering.files(files) for key, files in others.items() if files}
    return HeldBits(numbering, whole, parts)


def _differing(one: bytes, other: bytes) -> bytes:
    """The bits that are not the same in both, without zeros at the end."""
    bits = int.from_bytes(one, "little") ^ int.from_bytes(other, "little")
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")
