"""A package's bytes as they were encoded, to compare with what a player was sent."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

from bench.errors import PlayError
from encoder.package import MANIFEST_NAME, Rendition, decode


class Reference:
    """The package in a folder. `nearcast origin publish` has checked its files against their digests.

    Pieces are found by their place in the rendition and not by their URL, so that a URL that stands for the wrong
    piece shows.
    """

    def __init__(self, folder: Path) -> None:
        """Raises PackageError, OSError."""
        self.package = decode((folder / MANIFEST_NAME).read_bytes())
        self._folder = folder
        self._renditions = {rendition.name: rendition for rendition in self.package.renditions}
        self._offsets = {
            rendition.name: tuple(accumulate(rendition.sizes, initial=rendition.media_offset))
            for rendition in self.package.renditions
        }

    def segments(self, rendition: str) -> int:
        return len(self._rendition(rendition).sizes)

    def wrong_in_init(self, rendition: str, data: bytes) -> int:
        """How many bytes of an init segment are not the package's."""
        known = self._rendition(rendition)
        return _differences(self._read(known, 0, known.init_size), data)

    def wrong_in_segment(self, rendition: str, number: int, data: bytes) -> int:
        """How many bytes of a segment, counted from 0, are not the package's."""
        known = self._rendition(rendition)
        return _differences(self._read(known, self._offsets[rendition][number], known.sizes[number]), data)

    def _rendition(self, name: str) -> Rendition:
        try:
            return self._renditions[name]
        except KeyError:
            raise PlayError(f"a manifest offers {name!r}, which {self.package.title} does not have") from None

    def _read(self, rendition: Rendition, offset: int, length: int) -> bytes:
        with (self._folder / rendition.file).open("rb") as file:
            file.seek(offset)
            return file.read(length)


def _differences(expected: bytes, found: bytes) -> int:
    if expected == found:
        return 0
    return sum(a != b for a, b in zip(expected, found, strict=False)) + abs(len(expected) - len(found))
