"""Offers and appliances for tests: packages as manifests only, for planning never reads a film."""

from __future__ import annotations

from encoder.package import BLOCK_SIZE, Package, Rendition, StoredFile, encode, package_name
from fill.appliances import Seen
from fill.names import Offer
from oca.report import Held, Report, held_version

NOW = 1_800_000_000.0
MIB = 1024 * 1024


def stored(name: str, size: int) -> StoredFile:
    return StoredFile(name, size, "0" * 64, ("0" * 64,) * -(-size // BLOCK_SIZE))


def rendition(name: str, kind: str, size: int, *, default: bool = False) -> Rendition:
    return Rendition(
        name=name,
        kind=kind,  # type: ignore[arg-type]
        file=f"{name}.mp4" if kind != "text" else f"{name}.vtt",
        playlist=f"{name}.m3u8",
        codecs="" if kind == "text" else "avc1.64001f",
        bandwidth=1,
        average_bandwidth=1,
        timescale=1000,
        init_size=0,
        media_offset=0,
        durations=(4000,),
        sizes=(size,),
        default=default,
    )


def make_offer(
    title: str, *, video: dict[str, int] | None = None, audio: int = MIB, age_s: float = 30 * 86400.0, seed: str = ""
) -> Offer:
    """A title with these video files (name -> bytes), one audio and one text track, published `age_s` ago."""
    video = video or {"v480": 4 * MIB, "v720": 8 * MIB}
    renditions = [rendition(name, "video", size) for name, size in video.items()]
    renditions += [rendition("audio-en", "audio", audio, default=True), rendition("text-en", "text", 100)]
    files = [stored(one.file, one.sizes[0]) for one in renditions]
    files += [stored(one.playlist, 50) for one in renditions] + [stored("master.m3u8", 60), stored("poster.jpg", 500)]
    package = Package(
        format=1,
        title=title,
        name=title,
        duration=60.0,
        source_digest="0" * 64,
        encoder=f"none {seed}",
        renditions=tuple(renditions),
        files=tuple(files),
        poster="poster.jpg",
    )
    return Offer(package_name(encode(package)), package, NOW - age_s)


def make_seen(
    name: str, *, site: str = "site-a", disk: int = 1000 * MIB, held: Held | None = None, health: str = "healthy"
) -> Seen:
    report = Report(
        format=1,
        name=name,
        instance="1",
        sequence=1,
        site=site,
        url=f"http://{name}.example:8080",
        state="serving",
        problems=(),
        capacity_bps=10**9,
        serving_bps=0,
        connections=0,
        disk_bytes=disk,
        disk_used_bytes=0,
        held_version=held_version(held or {}),
        held=dict(held or {}),
    )
    return Seen(report=report, health=health, age_s=1.0)


def package_key(offer: Offer) -> str:
    return f"{offer.package.title}/{offer.package_name}"
