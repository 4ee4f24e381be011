"""Small packages on disk: real manifests and digests over bytes that are not film."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Literal

from encoder.package import (
    BLOCK_SIZE,
    MANIFEST_NAME,
    Package,
    Rendition,
    StoredFile,
    digest_blocks,
    encode,
    package_name,
)

INIT_SIZE = 700


def make_folder(root: Path, title: str = "film", *, seed: int = 1, video_size: int = BLOCK_SIZE + 5000) -> Path:
    """A package in ROOT/{title}/{package}; another `seed` gives another package of the title."""
    source = random.Random(seed)
    contents = {
        "v720.mp4": source.randbytes(video_size),
        "audio-en.mp4": source.randbytes(INIT_SIZE + 900),
        "v720.m3u8": b"#EXTM3U\n",
        "audio-en.m3u8": b"#EXTM3U\n",
        "master.m3u8": b"#EXTM3U\n#EXT-X-VERSION:7\n",
        "poster.jpg": source.randbytes(64),
    }
    files = []
    for name, data in contents.items():
        size, digest, blocks = digest_blocks(iter((data,)))
        files.append(StoredFile(name, size, digest, blocks))
    renditions = (
        _rendition("v720", "video", _thirds(video_size - INIT_SIZE), width=1280, height=720),
        _rendition("audio-en", "audio", (300, 300, 300), language="en"),
    )
    package = Package(
        format=1,
        title=title,
        name=title.title(),
        duration=12.0,
        source_digest="0" * 64,
        encoder=f"none, seed {seed}",
        renditions=renditions,
        files=tuple(files),
        poster="poster.jpg",
    )
    manifest = encode(package)
    folder = root / title / package_name(manifest)
    folder.mkdir(parents=True)
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    (folder / MANIFEST_NAME).write_bytes(manifest)
    return folder


def _thirds(size: int) -> tuple[int, int, int]:
    return size // 3, size // 3, size - 2 * (size // 3)


def _rendition(name: str, kind: Literal["video", "audio"], sizes: tuple[int, ...], **more: Any) -> Rendition:
    return Rendition(
        name=name,
        kind=kind,
        file=f"{name}.mp4",
        playlist=f"{name}.m3u8",
        codecs="avc1.64001f" if kind == "video" else "mp4a.40.2",
        bandwidth=1_000_000,
        average_bandwidth=800_000,
        timescale=1000,
        init_size=INIT_SIZE,
        media_offset=INIT_SIZE,
        durations=(4000,) * len(sizes),
        sizes=sizes,
        **more,
    )
