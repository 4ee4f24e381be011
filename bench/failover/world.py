"""The network that fails: regions of sites, appliances, who watches what from where, and the film.

The same numbers and seed give the same world.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bench.failover.traces import Trace
from config.steering import SiteSettings, SteeringSettings
from encoder.package import BLOCK_SIZE, FORMAT, Package, Rendition, StoredFile, encode, package_name
from oca.report import EVERY_FILE, Report, held_version
from oca.report import FORMAT as REPORT_FORMAT
from steering.appliances.fleet import ORIGIN
from steering.catalog import Entry, Title, read_title

# Metropolises far enough apart that no region is another's neighbour by chance.
_REGIONS = (
    ("north", 59.9, 10.7),
    ("west", 51.5, -0.1),
    ("south", 45.5, 9.2),
    ("east", 52.2, 21.0),
)
_AROUND_DEGREES = 1.5  # sites of a region lie within some 150 km of its centre
# The ladder of the Pensieve traces' own experiments (bit/s): what their bandwidths were collected for.
LADDER_BPS = (300_000, 750_000, 1_200_000, 1_850_000, 2_850_000, 4_300_000)
_AUDIO_BPS = 128_000
SEGMENT_S = 4
# Segments of one rendition differ as scenes do.
_SIZES = (0.6, 1.4)
FILM = "film"
_TTL_S = 5
# At the peak an appliance is half busy, as a network is that survives the loss of a part.
_BUSY = 0.5
# What the origin can give of all that is watched: it is no appliance.
_ORIGIN_SHARE = 0.1


class Server(NamedTuple):
    """An appliance, or the origin."""

    name: str
    site: str
    region: str
    capacity_bps: float


@dataclass(frozen=True)
class Watcher:
    """Who watches: the address decides the site, the trace what the link gives."""

    session: str
    address: str
    site: str
    region: str
    trace: Trace
    trace_from_s: float
    begins_at_s: float


@dataclass(frozen=True)
class World:
    settings: SteeringSettings
    servers: tuple[Server, ...]  # the origin last
    watchers: tuple[Watcher, ...]
    title: Title
    segment_bytes: tuple[tuple[int, ...], ...]  # by rendition, lowest first, then by segment; the sound is in them

    @property
    def regions(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(server.region for server in self.servers if server.region))


def make_world(traces: Sequence[Trace], *, sites: int, players: int, film_s: int, arrive_s: float, seed: int) -> World:
    """`players` begin within `arrive_s` seconds, as many at each site; all watch the same film."""
    draw = random.Random(seed)
    places = [_site(number, draw) for number in range(sites)]
    watchers = tuple(_watcher(number, places, traces, arrive_s, draw) for number in range(players))
    demand_bps = sum(min(watcher.trace.mean_bps, LADDER_BPS[-1]) for watcher in watchers)
    capacity = demand_bps / _BUSY / (sites * 2)
    servers = [
        Server(f"{place.name}-{letter}", place.name, _region(place), capacity) for place in places for letter in "ab"
    ]
    servers.append(Server(ORIGIN, "", "", demand_bps * _ORIGIN_SHARE))
    title, sizes = _film(film_s, draw)
    settings = SteeringSettings(ttl=_TTL_S, session_key="of the benchmark", sites=tuple(places))
    return World(settings, tuple(servers), watchers, title, sizes)


def report_of(server: Server, title: Title, sequence: int, serving_bps: float, connections: int) -> Report:
    """What an appliance says, which holds the film."""
    held: dict[str, tuple[str, ...]] = {f"{title.entry.title}/{title.entry.package}": EVERY_FILE}
    return Report(
        format=REPORT_FORMAT, name=server.name, instance="first", sequence=sequence, site=server.site,
        url=f"http://{server.name}.example", state="serving", problems=(), capacity_bps=round(server.capacity_bps),
        serving_bps=round(serving_bps), connections=connections, disk_bytes=10**12, disk_used_bytes=0,
        held_version=held_version(held), held=held if sequence == 1 else None,
    )  # fmt: skip


def _site(number: int, draw: random.Random) -> SiteSettings:
    region, latitude, longitude = _REGIONS[number % len(_REGIONS)]
    return SiteSettings(
        name=f"{region}-{number // len(_REGIONS) + 1}",
        isp=f"isp-{number}",
        prefixes=(f"10.{number}.0.0/16",),
        latitude=latitude + draw.uniform(-_AROUND_DEGREES, _AROUND_DEGREES),
        longitude=longitude + draw.uniform(-_AROUND_DEGREES, _AROUND_DEGREES),
    )


def _region(site: SiteSettings) -> str:
    return site.name.partition("-")[0]


def _watcher(
    number: int, sites: Sequence[SiteSettings], traces: Sequence[Trace], arrive_s: float, draw: random.Random
) -> Watcher:
    at = number % len(sites)
    trace = draw.choice(traces)
    address = f"10.{at}.{number // len(sites) // 250}.{number // len(sites) % 250 + 1}"
    return Watcher(
        f"viewer-{number}", address, sites[at].name, _region(sites[at]), trace,
        draw.uniform(0.0, trace.length_s), draw.uniform(0.0, arrive_s),
    )  # fmt: skip


def _film(film_s: int, draw: random.Random) -> tuple[Title, tuple[tuple[int, ...], ...]]:
    """A title with real indexes and no media: nobody reads its bytes here."""
    count = film_s // SEGMENT_S
    shape = [draw.uniform(*_SIZES) for _ in range(count)]
    sizes = tuple(tuple(round(rate * SEGMENT_S / 8 * part) for part in shape) for rate in LADDER_BPS)
    videos = [_rendition(number, rate, sizes[number]) for number, rate in enumerate(LADDER_BPS)]
    package = Package(
        format=FORMAT, title=FILM, name="A film", duration=float(count * SEGMENT_S), source_digest="0" * 64,
        encoder="none", renditions=tuple(videos), files=tuple(file for one in videos for file in _files(one)),
    )  # fmt: skip
    data = encode(package)
    entry = Entry(
        title=FILM, package=package_name(data), name="A film", duration=package.duration,
        size=sum(file.size for file in package.files), poster="", published_at="2026-01-01T00:00:00Z",
    )  # fmt: skip
    with_sound = tuple(tuple(size + _AUDIO_BPS * SEGMENT_S // 8 for size in one) for one in sizes)
    return read_title(entry, data), with_sound


def _rendition(number: int, rate_bps: int, sizes: tuple[int, ...]) -> Rendition:
    name = f"v{number}"
    return Rendition(
        name=f"{name}s", kind="video", file=f"{name}.mp4", playlist=f"{name}.m3u8", codecs="avc1.64001f",
        bandwidth=round(rate_bps * _SIZES[1]), average_bandwidth=rate_bps, timescale=1, init_size=800, media_offset=800,
        durations=(SEGMENT_S,) * len(sizes), sizes=sizes, width=320 * (number + 1), height=180 * (number + 1),
        frame_rate="25",
    )  # fmt: skip


def _files(rendition: Rendition) -> tuple[StoredFile, StoredFile]:
    size = rendition.media_offset + sum(rendition.sizes)
    return _stored(rendition.file, size), _stored(rendition.playlist, 1000)


def _stored(name: str, size: int) -> StoredFile:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return StoredFile(name, size, digest, (digest,) * -(-size // BLOCK_SIZE))
