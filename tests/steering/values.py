"""Values that several tests of steering start from: reports, appliances, a package."""

from __future__ import annotations

import hashlib
from typing import Any

from config.steering import SiteSettings
from encoder.package import FORMAT, Package, Rendition, StoredFile, encode, package_name
from oca.report import EVERY_FILE, Report, held_version
from oca.report import FORMAT as REPORT_FORMAT
from steering.appliances.roll import Appliance, Health

GIGABIT = 10**9
NORTH = SiteSettings(name="north", isp="Northern", prefixes=("127.0.0.0/9",), latitude=59.9, longitude=10.7)
SOUTH = SiteSettings(name="south", isp="Southern", prefixes=("127.128.0.0/9",), latitude=48.1, longitude=11.6)


def report(name: str = "a1", **changes: Any) -> Report:
    """A report of a healthy appliance of its own address; `held` is told unless it is given."""
    held = changes.pop("held", {})
    fields: dict[str, Any] = {
        "format": REPORT_FORMAT,
        "name": name,
        "instance": f"{name}-first",
        "sequence": 1,
        "site": "north",
        "url": f"http://{name}.localhost:8080",
        "state": "serving",
        "problems": (),
        "capacity_bps": 10 * GIGABIT,
        "serving_bps": 0,
        "connections": 0,
        "disk_bytes": 10**12,
        "disk_used_bytes": 0,
        "held": held,
        "held_version": held_version(held or {}),
    }
    return Report(**{**fields, **changes})


def appliance(name: str, site: str = "north", *, holds: str = "", **changes: Any) -> Appliance:
    """An appliance of the fleet's view; `holds` is "title/package" that it holds whole."""
    fields: dict[str, Any] = {
        "name": name,
        "site": site,
        "url": f"http://{name}.localhost:8080",
        "health": Health.HEALTHY,
        "load_bps": 0,
        "capacity_bps": 10 * GIGABIT,
        "held": {holds: EVERY_FILE} if holds else {},
    }
    return Appliance(**{**fields, **changes})


def stored(name: str, data: bytes) -> StoredFile:
    digest = hashlib.sha256(data).hexdigest()
    return StoredFile(name, len(data), digest, (digest,))


def package(title: str = "film", name: str = "A Film") -> Package:
    """A package of two video renditions and one of audio, each two segments of 4 s; its files hold no real media."""
    media = b"i" * 10 + b"m" * 90
    shared: dict[str, Any] = {"init_size": 10, "media_offset": 10, "sizes": (40, 50)}

    def video(height: int, bandwidth: int) -> Rendition:
        return Rendition(
            name=f"v{height}s", kind="video", file=f"v{height}.mp4", playlist=f"v{height}.m3u8", codecs="avc1.64001f",
            bandwidth=bandwidth, average_bandwidth=bandwidth // 2, timescale=1000, durations=(4000, 4000),
            width=height * 16 // 9, height=height, frame_rate="24", **shared,
        )  # fmt: skip

    audio = Rendition(
        name="a-en", kind="audio", file="a.mp4", playlist="a.m3u8", codecs="mp4a.40.2", bandwidth=128_000,
        average_bandwidth=128_000, timescale=1000, durations=(4000, 4000), language="en", label="English", default=True,
        channels=2, sample_rate=48_000, **shared,
    )  # fmt: skip
    names = ("v360.mp4", "v720.mp4", "a.mp4", "v360.m3u8", "v720.m3u8", "a.m3u8", "poster.jpg")
    return Package(
        format=FORMAT, title=title, name=name, duration=8.0, source_digest="0" * 64, encoder="test",
        renditions=(video(360, 800_000), video(720, 3_000_000), audio),
        files=tuple(stored(file, media) for file in names), poster="poster.jpg",
    )  # fmt: skip


def manifest(film: Package) -> tuple[str, bytes]:
    """The package's name and its manifest."""
    data = encode(film)
    return package_name(data), data
