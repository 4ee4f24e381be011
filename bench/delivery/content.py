"""The files that everybody serves: one package of chance bytes, and a folder in which its URLs are paths.

    {folder}/v1/delivery/{package}/16K.mp4 ... big.mp4 package.json

Servers of plain files have {folder} for their root. Our appliance has a volume of its own that holds hard links to the
same files, and so shares their pages in the page cache.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from encoder import package as packages
from encoder.package import BLOCK_SIZE, MANIFEST_NAME, Package, StoredFile

_TITLE = "delivery"
_PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Content:
    root: Path  # the folder whose paths are URLs
    package: Path  # {root}/v1/{title}/{package}
    sizes: dict[str, int]  # of each file, without package.json

    def path(self, name: str) -> str:
        """The URL path of a file."""
        return "/" + (self.package / name).relative_to(self.root).as_posix()

    def link_volume(self, volume: Path) -> None:
        """Makes a volume that holds the package, by links to the same files."""
        folder = volume / self.package.relative_to(self.root / "v1")
        folder.mkdir(parents=True)
        for name in (*self.sizes, MANIFEST_NAME):
            (folder / name).hardlink_to(self.package / name)

    def warm(self) -> None:
        """Reads everything once, so that it is in the page cache."""
        for name in self.sizes:
            for _ in _pieces(self.package / name):
                pass


def make_content(root: Path, sizes: dict[str, int]) -> Content:
    """Writes the files (the same bytes for the same names and sizes) and their manifest."""
    fresh = root / "fresh"
    fresh.mkdir(parents=True)
    files = [_write(fresh / name, size) for name, size in sizes.items()]
    package = Package(
        format=packages.FORMAT, title=_TITLE, name="Delivery", duration=1.0, source_digest="0" * 64, encoder="chance",
        renditions=(), files=tuple(files),
    )  # fmt: skip
    manifest = packages.encode(package)
    (fresh / MANIFEST_NAME).write_bytes(manifest)
    folder = root / "v1" / _TITLE / packages.package_name(manifest)
    folder.parent.mkdir(parents=True)
    return Content(root, fresh.rename(folder), sizes)


def _write(path: Path, size: int) -> StoredFile:
    chance = random.Random(path.name).randbytes(min(size, BLOCK_SIZE))
    with path.open("wb") as file:
        for first in range(0, size, BLOCK_SIZE):
            # No block is like another: a cache that knows equal blocks would have an advantage.
            mark = first.to_bytes(8, "big")
            file.write(mark[: size - first] + chance[len(mark) : size - first])
    path.chmod(0o444)
    return StoredFile(path.name, *packages.digest_blocks(_pieces(path)))


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece


def memory_available_bytes() -> int:
    """What the machine can still hold in its page cache; a number that is large enough where nobody says."""
    try:
        lines: Sequence[str] = Path("/proc/meminfo").read_text().splitlines()
    except FileNotFoundError:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
