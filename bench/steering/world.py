"""A made-up network of ISPs in the proportions of a real one, the same in each process that makes it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

import msgspec

from encoder import package as packages
from encoder.package import Package, Rendition, StoredFile
from oca.report import EVERY_FILE, FORMAT, Report, held_version

GIGABIT = 10**9
# Of the prefixes of the global table by length, in per cent (CIDR report and APNIC's BGP statistics, 2025, rounded).
_LENGTHS_4 = {24: 60, 23: 10, 22: 11, 21: 5, 20: 5, 19: 3, 18: 2, 17: 1, 16: 3}
_LENGTHS_6 = {48: 48, 32: 12, 44: 9, 40: 8, 36: 4, 47: 3, 46: 3, 45: 2, 38: 2, 35: 2, 34: 2, 33: 3, 29: 2}
# One prefix in three is also announced at another site of its ISP, further off.
_WITH_ALTERNATE = 1 / 3
# Films of 20 to 120 minutes; so many different ones, told apart by their titles.
_SHAPES = 40
_LADDER = ((234, 400), (360, 900), (480, 1600), (720, 3000), (1080, 5500), (2160, 14000))  # height, kbit/s
# How much more popular titles and large sites are asked for: Zipf's law with the exponent that requests have (Breslau
# and others, "Web Caching and Zipf-like Distributions", 1999: 0.64 to 0.83).
_SKEW = 0.8
_HELD_BY_EACH = 100  # titles; all of an appliance's would only be more of the same in memory


class Size(NamedTuple):
    """How much of everything."""

    sites: int
    per_site: int  # appliances
    titles: int
    ipv4: int  # prefixes, as the next
    ipv6: int
    is_even: bool = False  # every title and every prefix is asked for as often as any other

    @property
    def appliances(self) -> int:
        return self.sites * self.per_site


def read_size(numbers: Sequence[str]) -> Size:
    """What `Size` was as the arguments of a process."""
    sites, per_site, titles, ipv4, ipv6, is_even = map(int, numbers)
    return Size(sites, per_site, titles, ipv4, ipv6, bool(is_even))


FULL = Size(sites=6_000, per_site=3, titles=10_000, ipv4=1_000_000, ipv6=250_000)
QUICK = Size(sites=60, per_site=3, titles=50, ipv4=10_000, ipv6=2_500)


class Place(NamedTuple):
    name: str
    isp: str
    latitude: float
    longitude: float


class Offer(NamedTuple):
    """A title as the origin offers it: the entry of the catalog, and the package's manifest."""

    entry: dict[str, object]
    manifest: bytes


def places(size: Size) -> list[Place]:
    """The sites: those of one ISP are near each other."""
    chance = random.Random("places")
    found = []
    for number in range(size.sites):
        if number % 10 == 0:
            home = chance.uniform(-50, 65), chance.uniform(-170, 170)
        latitude, longitude = home[0] + chance.uniform(-3, 3), home[1] + chance.uniform(-3, 3)
        found.append(Place(f"site-{number:04}", f"isp-{number // 10:03}", round(latitude, 3), round(longitude, 3)))
    return found


def prefixes(size: Size) -> dict[tuple[int, int, int], tuple[str, ...]]:
    """The whole table: (IP version, network, length) -> sites, best path first."""
    chance = random.Random("prefixes")
    names = [place.name for place in places(size)]
    table: dict[tuple[int, int, int], tuple[str, ...]] = {}
    values = [((name,), (name, _neighbour(names, number))) for number, name in enumerate(names)]
    for version, count, bits, low, high, lengths in (
        (4, size.ipv4, 32, 0x01000000, 0xE0000000, _LENGTHS_4),
        (6, size.ipv6, 128, 0x2000 << 112, 0x3000 << 112, _LENGTHS_6),
    ):
        drawn = chance.choices(list(lengths), list(lengths.values()), k=count + count // 4)
        found = 0
        for length in drawn:
            shift = bits - length
            prefix = version, chance.randrange(low, high) >> shift << shift, length
            if prefix not in table:
                site = values[int(chance.random() * len(values))]
                table[prefix] = site[chance.random() < _WITH_ALTERNATE]
                found += 1
            if found == count:
                break
    return table


def clients(size: Size, table: Mapping[tuple[int, int, int], tuple[str, ...]], count: int) -> list[str]:
    """Addresses that the table covers: one in six is IPv6, as in the table. Large sites have more of them."""
    chance = random.Random("clients")
    if size.is_even:
        drawn = chance.choices(list(table), k=count)
    else:
        of_site: dict[str, list[tuple[int, int, int]]] = {}
        for prefix, sites in table.items():
            of_site.setdefault(sites[0], []).append(prefix)
        names = sorted(of_site)
        chance.shuffle(names)
        chosen = chance.choices(names, _popularity(len(names)), k=count)
        drawn = [chance.choice(of_site[site]) for site in chosen]
    told = []
    for version, network, length in drawn:
        bits = 32 if version == 4 else 128
        number = network + chance.randrange(1 << (bits - length))
        told.append(str(IPv4Address(number) if version == 4 else IPv6Address(number)))
    return told


def asked_for(size: Size, count: int) -> list[str]:
    """The titles of so many sessions."""
    chance, known = random.Random("audience"), titles(size)
    return chance.choices(known, None if size.is_even else _popularity(len(known)), k=count)


def _popularity(count: int) -> list[float]:
    return [rank**-_SKEW for rank in range(1, count + 1)]


def titles(size: Size) -> list[str]:
    return [f"title-{number:05}" for number in range(size.titles)]


def offer(title: str) -> Offer:
    """A film of 20 to 120 minutes in six renditions; its segments are empty, for steering reads only their times."""
    number = int(title.rpartition("-")[2])
    manifest = _shape(number % _SHAPES).replace(b'"title-nobody"', f'"{title}"'.encode())
    package = packages.package_name(manifest)
    duration = _duration(number % _SHAPES)
    entry: dict[str, object] = {
        "title": title,
        "package": package,
        "name": title,
        "duration": duration,
        "size": 10**9,
        "poster": "",
    }
    return Offer(entry | {"published_at": "2026-01-01T00:00:00Z"}, manifest)


def reports(size: Size, packages_of: dict[str, str]) -> Iterator[Report]:
    """The first report of every appliance; `packages_of` is the package of each title."""
    chance = random.Random("reports")
    names = list(packages_of)
    for place in places(size):
        for number in range(size.per_site):
            name = f"{place.name}-{number}"
            held: dict[str, tuple[str, ...]] = {
                f"{title}/{packages_of[title]}": EVERY_FILE for title in chance.sample(names, _held_by_each(size))
            }
            yield Report(
                format=FORMAT, name=name, instance=f"{name}-1", sequence=1, site=place.name,
                url=f"http://{name}.{place.isp}.example.net", state="serving", problems=(), capacity_bps=100 * GIGABIT,
                serving_bps=chance.randrange(60) * GIGABIT, connections=1000, disk_bytes=10**14, disk_used_bytes=10**13,
                held=held, held_version=held_version(held),
            )  # fmt: skip


def _held_by_each(size: Size) -> int:
    return min(_HELD_BY_EACH, size.titles // 2)


def _neighbour(names: list[str], number: int) -> str:
    """Another site of the same ISP."""
    first = number // 10 * 10
    return names[first + (number + 1 - first) % min(10, len(names) - first)]


def _duration(shape: int) -> float:
    return 1200.0 + shape * 6000.0 / (_SHAPES - 1)


@lru_cache(_SHAPES)
def _shape(shape: int) -> bytes:
    """The manifest of a film of this length, of no title yet."""
    chance = random.Random(f"shape {shape}")
    ticks = int(_duration(shape) * 1000)
    video = _times(chance, ticks)
    audio = (*[3840] * (ticks // 3840), ticks % 3840 or 3840)
    renditions = [
        _rendition(f"v{height}", video, kind="video", codecs="avc1.640028", bandwidth=kbps * 1000,
                   width=height * 16 // 9, height=height, frame_rate="24",
                   iframe_playlist=f"v{height}-iframes.m3u8", iframe_bandwidth=kbps * 60)
        for height, kbps in _LADDER
    ]  # fmt: skip
    renditions.append(
        _rendition("a-en", audio, kind="audio", codecs="mp4a.40.2", bandwidth=128_000, language="en", label="English",
                   default=True, channels=2, sample_rate=48_000)
    )  # fmt: skip
    names = [name for one in renditions for name in (one.file, one.playlist, one.iframe_playlist) if name]
    files = tuple(StoredFile(name, 1000, "0" * 64, ("0" * 64,)) for name in names)
    film = Package(
        format=packages.FORMAT, title="title-nobody", name="a film", duration=ticks / 1000, source_digest="0" * 64,
        encoder="bench", renditions=tuple(renditions), files=files,
    )  # fmt: skip
    return packages.encode(film)


def _times(chance: random.Random, ticks: int) -> tuple[int, ...]:
    """Segments that end at the film's cuts: 2 to 4 s in frames of 1/24 s, here in milliseconds."""
    found = []
    while ticks > 4000:
        found.append(chance.randrange(48, 97) * 1000 // 24)
        ticks -= found[-1]
    return (*found, ticks)


def _rendition(name: str, durations: tuple[int, ...], **more: object) -> Rendition:
    fields = {
        "name": name, "file": f"{name}.mp4", "playlist": f"{name}.m3u8", "timescale": 1000, "init_size": 1000,
        "media_offset": 1000, "durations": durations, "sizes": (0,) * len(durations),
        "average_bandwidth": more["bandwidth"],
    }  # fmt: skip
    return msgspec.convert({**fields, **more}, Rendition)
