"""A small fleet as the planner sees it, for what one night's plans of it come to."""

from __future__ import annotations

import numpy as np

from encoder.package import BLOCK_SIZE, Package, Rendition, StoredFile
from fill.appliances import Seen
from fill.forecast.expected import Expected, Forecast
from fill.names import FileName, Offer
from fill.planner.plan import plan
from oca.report import Report, held_version

_GIB = 2**30
_TITLES = 4000
# Half of the catalogue fits.
_FULL = 0.5


def moved_by_loss(seed: int, appliances: int) -> float:
    """Bytes that an even cluster fetches when one appliance is lost for good, over the bytes that this one held."""
    random = np.random.default_rng(seed)
    offers = [_offer(f"t{seed}-{number}", int(size)) for number, size in enumerate(random.integers(1, 8, _TITLES))]
    ranks = random.permutation(_TITLES) + 1.0
    expected = {
        FileName(offer.package.title, "v.mp4"): Expected(1e4 / rank, "Zipf")
        for offer, rank in zip(offers, ranks, strict=True)
    }
    forecasts = {"default": Forecast("default", 0.0, "given", expected, np.full(24, 1 / 24))}
    names = [f"box-{seed}-{number}" for number in range(appliances)]
    disk = int(sum(offer.package.size for offer in offers) * _FULL / appliances)
    before = plan(offers, forecasts, [_seen(name, disk, {}) for name in names])
    held: dict[str, dict[str, tuple[str, ...]]] = {
        name: {f"{line.title}/{line.package}": (line.file,) for line in made.fetches} for name, made in before.items()
    }
    lost, *left = names
    after = plan(offers, forecasts, [_seen(name, disk, held[name]) for name in left])
    return sum(made.fetch_bytes for made in after.values()) / before[lost].held_bytes


def _offer(title: str, gib: int) -> Offer:
    size = gib * _GIB
    rendition = Rendition(
        name="v",
        kind="video",
        file="v.mp4",
        playlist="v.m3u8",
        codecs="avc1.64001f",
        bandwidth=1,
        average_bandwidth=1,
        timescale=1,
        init_size=0,
        media_offset=0,
        durations=(1,),
        sizes=(size,),
    )
    blocks = ("0" * 64,) * (size // BLOCK_SIZE)
    package = Package(
        format=1,
        title=title,
        name=title,
        duration=1.0,
        source_digest="0" * 64,
        encoder="none",
        renditions=(rendition,),
        files=(StoredFile("v.mp4", size, "0" * 64, blocks), StoredFile("v.m3u8", 0, "0" * 64, ())),
    )
    return Offer("a" * 32, package, 0.0)


def _seen(name: str, disk: int, held: dict[str, tuple[str, ...]]) -> Seen:
    report = Report(
        format=1,
        name=name,
        instance="1",
        sequence=1,
        site="site",
        url=f"http://{name}.example:8080",
        state="serving",
        problems=(),
        capacity_bps=100 * 10**9,
        serving_bps=0,
        connections=0,
        disk_bytes=disk,
        disk_used_bytes=0,
        held_version=held_version(held),
        held=held,
    )
    return Seen(report=report, health="healthy", age_s=1.0)
