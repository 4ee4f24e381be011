"""Packages of chance bytes for fills to move: right in every digest, quick to make, and not to be played."""

from __future__ import annotations

import random
from pathlib import Path

from encoder import package as packages
from encoder.package import MANIFEST_NAME, Package, Rendition, StoredFile

_PIECE_BYTES = 16 * 1024 * 1024
_SEGMENT_BYTES = 1024 * 1024
_HEADER_BYTES = 800


def make_film(root: Path, title: str, *, size: int, files: int = 1, seed: int = 1) -> tuple[str, Package]:
    """ROOT/TITLE/PACKAGE with so many renditions of `size` bytes each; the package's name, and what is in it."""
    chance = random.Random(f"{title} {seed}")
    folder = root / title / "making"
    folder.mkdir(parents=True)
    stored, renditions = [], []
    for number in range(files):
        name = f"v{number}"
        stored.append(_write(folder / f"{name}.mp4", size, chance))
        media = size - _HEADER_BYTES
        segments = max(1, media // _SEGMENT_BYTES)
        sizes = [media // segments] * segments
        sizes[-1] += media - sum(sizes)
        renditions.append(
            Rendition(
                name=name, kind="video", file=f"{name}.mp4", playlist=f"{name}.m3u8", codecs="avc1.64001e",
                bandwidth=1_000_000 + number, average_bandwidth=1_000_000, timescale=1000, init_size=_HEADER_BYTES,
                media_offset=_HEADER_BYTES,
                durations=(4000,) * segments, sizes=tuple(sizes), width=640, height=360, frame_rate="24",
            )
        )  # fmt: skip
    for rendition in renditions:
        (folder / rendition.playlist).write_bytes(f"#EXTM3U\n# {rendition.name}\n".encode())
        stored.append(_digested(folder / rendition.playlist))
    (folder / "poster.jpg").write_bytes(chance.randbytes(1000))
    stored.append(_digested(folder / "poster.jpg"))
    package = Package(
        format=packages.FORMAT, title=title, name=title, duration=60.0, source_digest="0" * 64, encoder="chance",
        renditions=tuple(renditions), files=tuple(stored), poster="poster.jpg",
    )  # fmt: skip
    manifest = packages.encode(package)
    (folder / MANIFEST_NAME).write_bytes(manifest)
    folder.rename(root / title / packages.package_name(manifest))
    return packages.package_name(manifest), package


def _write(path: Path, size: int, chance: random.Random) -> StoredFile:
    with path.open("wb") as file:
        for first in range(0, size, _PIECE_BYTES):
            file.write(chance.randbytes(min(_PIECE_BYTES, size - first)))
    return _digested(path)


def _digested(path: Path) -> StoredFile:
    with path.open("rb") as file:
        size, digest, blocks = packages.digest_blocks(iter(lambda: file.read(_PIECE_BYTES), b""))
    return StoredFile(path.name, size, digest, blocks)
