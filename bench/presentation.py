"""What a player reads before it plays: the presentation in an HLS playlist or an MPD, and steering manifests.

    multivariant playlist --read_multivariant-->  Presentation --playlist_url, read_playlist-->  Stream
    MPD                   --read_mpd---------->   Presentation --------stream---------------->  Stream

Nothing here knows how our manifests are written: they are read with m3u8 and mpegdash, which others wrote, so that
what these players can play is more than what we can write.

Pure: texts in, values out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias
from urllib.parse import urljoin
from xml.parsers.expat import ExpatError

import m3u8
import msgspec
from lxml import etree
from mpegdash.parser import MPEGDASHParser

from bench.errors import ManifestError

Protocol: TypeAlias = Literal["HLS", "DASH"]
Kind: TypeAlias = Literal["video", "audio", "text"]

# RFC 8216bis 4.4.6.6: the pathway of variants that name none.
DEFAULT_PATHWAY = "."
# RFC 8216bis 7.2: what a player waits between two steering requests if it is told nothing.
DEFAULT_TTL_S = 300.0
_HLS_KINDS: Mapping[str, Kind] = {"AUDIO": "audio", "SUBTITLES": "text"}
# Rounding in EXTINF (six digits) and in sums of it; no segment is this short.
CLOSE_S = 0.01


@dataclass(frozen=True)
class Segment:
    start: float  # seconds of film
    duration: float
    url: str

    @property
    def end(self) -> float:
        return self.start + self.duration


@dataclass(frozen=True)
class Stream:
    """One rendition as one pathway serves it. `init_url` is empty where there is no init segment (text)."""

    init_url: str
    segments: tuple[Segment, ...]

    @property
    def end(self) -> float:
        return self.segments[-1].end

    def number_at(self, position: float) -> int:
        """Index of the segment that begins at `position` seconds. Raises ManifestError: renditions must line up."""
        for number, segment in enumerate(self.segments):
            if abs(segment.start - position) < CLOSE_S:
                return number
        raise ManifestError(f"no segment begins at {position:.3f} s, expected the renditions of a track to line up")


@dataclass(frozen=True)
class Offer:
    """One rendition that a track may be played in."""

    rendition: str
    bandwidth: int  # bit/s


@dataclass(frozen=True)
class Track:
    kind: Kind
    language: str
    offers: tuple[Offer, ...]  # lowest bandwidth first


@dataclass(frozen=True)
class Presentation:
    protocol: Protocol
    tracks: tuple[Track, ...]
    pathways: tuple[str, ...]  # the one to start with first, then as listed
    steering_url: str  # empty: nobody steers
    locations: Mapping[tuple[str, str], str]  # (pathway, rendition) -> playlist (HLS) or base URL (DASH)
    _relative: Mapping[str, Stream] = field(default_factory=dict)  # DASH: rendition -> stream of relative URLs

    def playlist_url(self, pathway: str, rendition: str) -> str:
        """The playlist to read for this rendition; empty if the presentation says it all (DASH)."""
        return self._location(pathway, rendition) if self.protocol == "HLS" else ""

    def stream(self, pathway: str, rendition: str) -> Stream:
        """DASH: the rendition on this pathway."""
        base, relative = self._location(pathway, rendition), self._relative[rendition]
        segments = (Segment(s.start, s.duration, urljoin(base, s.url)) for s in relative.segments)
        return Stream(urljoin(base, relative.init_url) if relative.init_url else "", tuple(segments))

    def _location(self, pathway: str, rendition: str) -> str:
        try:
            return self.locations[pathway, rendition]
        except KeyError:
            raise ManifestError(f"pathway {pathway!r} does not offer rendition {rendition!r}") from None


@dataclass(frozen=True)
class Steering:
    """A steering manifest: whom to ask, and when and where to ask again."""

    priority: tuple[str, ...]
    ttl_s: float
    reload_url: str


def read_multivariant(text: str, url: str) -> Presentation:
    """The presentation of a multivariant playlist. Raises ManifestError."""
    playlist = _hls(text, url)
    if not playlist.playlists:
        raise ManifestError(f"{url}: no multivariant playlist, expected EXT-X-STREAM-INF")
    locations: dict[tuple[str, str], str] = {}
    video: dict[str, int] = {}
    others: dict[tuple[Kind, str], Track] = {}
    pathways: list[str] = []
    for variant in playlist.playlists:
        info = variant.stream_info
        pathway, name = info.pathway_id or DEFAULT_PATHWAY, info.stable_variant_id or variant.uri
        pathways += [pathway] if pathway not in pathways else []
        video[name] = info.bandwidth
        locations[pathway, name] = variant.absolute_uri
        for media in variant.media:
            kind = _HLS_KINDS.get(media.type)
            if kind is None or not media.uri:  # CLOSED-CAPTIONS, or a rendition that is muxed into the variant
                continue
            rendition = media.stable_rendition_id or media.uri
            others[kind, rendition] = Track(kind, media.language or "und", (Offer(rendition, 0),))
            locations[pathway, rendition] = media.absolute_uri
    steering = playlist.content_steering
    first = steering.pathway_id if steering and steering.pathway_id in pathways else pathways[0]
    return Presentation(
        protocol="HLS",
        tracks=(Track("video", "und", _ascending(video)), *others.values()),
        pathways=(first, *(pathway for pathway in pathways if pathway != first)),
        steering_url=steering.absolute_uri if steering else "",
        locations=locations,
    )


def read_playlist(text: str, url: str) -> Stream:
    """The stream of a media playlist. Raises ManifestError; a playlist without its end is one, for these are films."""
    playlist = _hls(text, url)
    if playlist.is_variant or not playlist.segments or not playlist.is_endlist:
        raise ManifestError(f"{url}: not the whole media playlist of a film")
    segments, start = [], 0.0
    for entry in playlist.segments:
        segments.append(Segment(start, entry.duration, entry.absolute_uri))
        start += entry.duration
    init = playlist.segments[0].init_section
    return Stream(init.absolute_uri if init is not None else "", tuple(segments))


def _hls(text: str, url: str) -> Any:
    if not text.startswith("#EXTM3U"):
        raise ManifestError(f"{url}: not an HLS playlist, expected #EXTM3U first")
    try:
        return m3u8.loads(text, uri=url)
    except (m3u8.ParseError, ValueError, KeyError, IndexError) as error:
        raise ManifestError(f"{url}: not an HLS playlist: {error}") from error


def read_mpd(text: str, url: str) -> Presentation:
    """The presentation of a static MPD with one Period. Raises ManifestError."""
    try:
        mpd = MPEGDASHParser.parse(text) if "<MPD" in text else None  # anything else it would take for a file's name
    except (ExpatError, ValueError, IndexError) as error:
        raise ManifestError(f"{url}: not an MPD: {error}") from error
    if mpd is None or not mpd.periods or len(mpd.periods) != 1:
        raise ManifestError(f"{url}: not an MPD with one Period")
    bases = {
        base.service_location or DEFAULT_PATHWAY: urljoin(url, base.base_url_value) for base in mpd.base_urls or ()
    } or {DEFAULT_PATHWAY: url}
    tracks: list[Track] = []
    relative: dict[str, Stream] = {}
    for adaptation in mpd.periods[0].adaptation_sets or ():
        # Pictures for a seek bar are not played, and what asks for more than is known here is not for this player.
        if adaptation.content_type == "image" or adaptation.essential_properties:
            continue
        for representation in adaptation.representations:
            relative[representation.id] = _dash_stream(adaptation, representation, mpd, url)
        bandwidths = {representation.id: representation.bandwidth for representation in adaptation.representations}
        tracks.append(Track(adaptation.content_type, adaptation.lang or "und", _ascending(bandwidths)))
    steering_url, first = _dash_steering(text, url)
    first = first if first in bases else next(iter(bases))
    return Presentation(
        protocol="DASH",
        tracks=tuple(tracks),
        pathways=(first, *(pathway for pathway in bases if pathway != first)),
        steering_url=steering_url,
        locations={(pathway, name): base for pathway, base in bases.items() for name in relative},
        _relative=relative,
    )


def _dash_stream(adaptation: Any, representation: Any, mpd: Any, url: str) -> Stream:
    """The representation's stream, its URLs relative to the pathway's base."""
    template = next(iter(representation.segment_templates or adaptation.segment_templates or ()), None)
    if template is None:  # one file for the whole Period
        file = next((base.base_url_value for base in representation.base_urls or ()), "")
        duration = _iso_seconds(mpd.media_presentation_duration or "", url)
        return Stream("", (Segment(0.0, duration, file),))
    if not template.segment_timelines:
        raise ManifestError(f"{url}: Representation {representation.id!r} has no SegmentTimeline")
    segments = []
    number = template.start_number if template.start_number is not None else 1
    for start, duration in _timeline(template.segment_timelines[0].Ss, url):
        name = _expand(template.media, representation.id, number)
        segments.append(Segment(start / template.timescale, duration / template.timescale, name))
        number += 1
    return Stream(_expand(template.initialization, representation.id, 0), tuple(segments))


def _timeline(entries: Sequence[Any], url: str) -> Iterator[tuple[int, int]]:
    """Start and duration of each segment, in ticks (ISO/IEC 23009-1 5.3.9.6)."""
    start = 0
    for entry in entries:
        if (entry.r or 0) < 0 or entry.d <= 0:
            raise ManifestError(f"{url}: an S with d={entry.d} r={entry.r}, expected d > 0 and r >= 0")
        start = entry.t if entry.t is not None else start
        for _ in range((entry.r or 0) + 1):
            yield start, entry.d
            start += entry.d


def _expand(template: str, representation: str, number: int) -> str:
    return template.replace("$RepresentationID$", representation).replace("$Number$", str(number))


def _dash_steering(text: str, url: str) -> tuple[str, str]:
    """The steering URL and the service location to start with. mpegdash drops the element without a word."""
    root = etree.fromstring(text.encode(), etree.XMLParser(resolve_entities=False, no_network=True))
    element = root.find("{*}ContentSteering")
    if element is None:
        return "", ""
    return urljoin(url, (element.text or "").strip()), element.get("defaultServiceLocation", "")


def _iso_seconds(text: str, url: str) -> float:
    """Seconds of "PT30.5S" or "PT1H2M3S"."""
    seconds, rest = 0.0, text.removeprefix("PT")
    for unit, factor in (("H", 3600.0), ("M", 60.0), ("S", 1.0)):
        amount, found, left = rest.partition(unit)
        if found:
            seconds, rest = seconds + float(amount) * factor, left
    if not seconds or rest:
        raise ManifestError(f"{url}: duration {text!r}, expected hours, minutes and seconds as in PT1H2M3S")
    return seconds


def _ascending(bandwidths: Mapping[str, int]) -> tuple[Offer, ...]:
    return tuple(sorted((Offer(name, rate) for name, rate in bandwidths.items()), key=lambda offer: offer.bandwidth))


class _SteeringManifest(msgspec.Struct):
    version: int = msgspec.field(name="VERSION")
    priority: list[str] = msgspec.field(name="PATHWAY-PRIORITY")
    ttl: float = msgspec.field(default=DEFAULT_TTL_S, name="TTL")
    reload_uri: str = msgspec.field(default="", name="RELOAD-URI")


def read_steering(data: bytes, url: str) -> Steering:
    """A steering manifest. Raises ManifestError; unknown keys are no error (RFC 8216bis 7.2)."""
    try:
        manifest = msgspec.json.decode(data, type=_SteeringManifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ManifestError(f"{url}: not a steering manifest: {error}") from error
    if manifest.version != 1 or not manifest.priority or manifest.ttl <= 0:
        raise ManifestError(f"{url}: a steering manifest without VERSION 1, a priority or a positive TTL")
    return Steering(tuple(manifest.priority), manifest.ttl, urljoin(url, manifest.reload_uri))
