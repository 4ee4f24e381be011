"""Packages made of chance bytes: right in every digest and index, cheap to make, and not to be played."""

from __future__ import annotations

import random
from pathlib import Path

from encoder import package as packages
from encoder.package import BLOCK_SIZE, MANIFEST_NAME, Package, Rendition, StoredFile


def make_package(
    root: Path, title: str = "title", *, size: int = 3 * BLOCK_SIZE + 12345, segments: int = 7, seed: int = 1
) -> Path:
    """A package folder ROOT/TITLE/PACKAGE with one video rendition of `size` bytes, its playlist and a poster."""
    chance = random.Random(seed)
    init, sidx = 800, 120
    media = size - init - sidx
    sizes = [media // segments] * segments
    sizes[-1] += media - sum(sizes)
    contents = {
        "v360.mp4": chance.randbytes(size),
        "v360.m3u8": b"#EXTM3U\n# of chance bytes\n",
        "poster.jpg": chance.randbytes(5000),
    }
    rendition = Rendition(
        name="v360", kind="video", file="v360.mp4", playlist="v360.m3u8", codecs="avc1.64001e",
        bandwidth=800_000, average_bandwidth=700_000, timescale=12288, init_size=init, media_offset=init + sidx,
        durations=(4 * 12288,) * segments, sizes=tuple(sizes), width=640, height=360, frame_rate="24",
    )  # fmt: skip
    package = Package(
        format=packages.FORMAT, title=title, name=title.title(), duration=4.0 * segments, source_digest="0" * 64,
        encoder="chance", renditions=(rendition,), files=tuple(stored(name, data) for name, data in contents.items()),
        poster="poster.jpg",
    )  # fmt: skip
    manifest = packages.encode(package)
    folder = root / title / packages.package_name(manifest)
    folder.mkdir(parents=True)
    for name, data in {**contents, MANIFEST_NAME: manifest}.items():
        (folder / name).write_bytes(data)
    return folder


def stored(name: str, data: bytes) -> StoredFile:
    size, digest, blocks = packages.digest_blocks(iter([data]))
    return StoredFile(name, size, digest, blocks)
