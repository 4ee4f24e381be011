"""The manifests of a package: HLS playlists and the MPD, written from its segment index.

A package carries its own multivariant playlist and MPD with relative URIs, which any server can deliver. For a session
that is steered, the same two documents are written again with absolute URIs, once for each pathway. Players merge the
pathways of an HLS playlist only if all attributes but the URIs, groups and pathway IDs are byte-identical (Shaka), so
everything that differs stands together, right before the URI, and the rest is written once.

Pure: values in, text out. A session's manifests are the one thing made for each player that starts, so whoever writes
many keeps a `Manifests` for each package: it has done all the work that does not depend on the session. What a pathway
adds is then a separator that joins pieces (1 us a pathway; replacing placeholders in text took 5), and an MPD is a
start before a shared end. Both are bytes there, as they are sent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

import msgspec

from encoder.gzipped import SharedEnd
from encoder.package import INIT_NAME, Package, Rendition

# EXT-X-MAP outside of I-frame playlists needs version 6, and 7 is what fMP4 with everything used here asks
# (RFC 8216 section 7).
_HLS_VERSION = 7
_HLS_START = f"#EXTM3U\n#EXT-X-VERSION:{_HLS_VERSION}\n#EXT-X-INDEPENDENT-SEGMENTS\n".encode()
# What a player without an estimate starts with is the first variant listed; Apple's authoring guide asks for one that
# plays on a slow link at once, 2 Mbit/s.
_START_BANDWIDTH = 2_000_000
# Stands for what a pathway adds to a line. Control characters never get into a label (see _plain), so nothing else
# looks like it.
_ADDED = "\x01"
# Appliances of a large fleet; each pathway of each session is one of them.
_MOST_NAMED = 2**15
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
# The same of a URL, where none of them belongs: byte by byte is three times as quick, and URLs are long.
_HARMLESS = bytes.maketrans(bytes(range(0x21)) + b'\x7f"', b" " * 0x22 + b"'")


class Pathway(msgspec.Struct, frozen=True, gc=False):
    """An appliance as a player sees it: its name, and the absolute URL of the package's folder there, ending in "/"."""

    id: str
    base: str


class Kind(Enum):
    """What lines of a multivariant playlist there are for each pathway, in their order."""

    AUDIO = "audio"
    SUBTITLES = "subtitles"
    VARIANT = "variant"
    IFRAME = "iframe"


_RELATIVE = (Pathway("", ""),)


class ByteRange(NamedTuple):
    """A piece of a rendition's file."""

    offset: int
    length: int


def multivariant(package: Package, pathways: Sequence[Pathway] = (), steering_uri: str = "") -> str:
    """The multivariant playlist: relative without pathways, else absolute with one set of variants for each."""
    return Manifests(package).multivariant(pathways, steering_uri).decode()


def mpd(package: Package, pathways: Sequence[Pathway] = (), steering_uri: str = "") -> str:
    """The MPD: relative without pathways, else with one BaseURL (service location) for each."""
    return Manifests(package).mpd(pathways, steering_uri).decode()


class Manifests:
    """Writes the manifests of one package for any number of sessions."""

    __slots__ = ("_kinds", "_mpd_end", "_mpd_start", "_pieces")

    def __init__(self, package: Package) -> None:
        lines = {kind: "".join(lines) for kind, lines in _lines(package).items() if lines}
        self._kinds = tuple(lines)
        self._pieces = tuple([tuple(text.encode().split(_ADDED.encode())) for text in lines.values()])
        self._mpd_start = _mpd_start(package)
        self._mpd_end = SharedEnd((_period(package) + "</MPD>\n").encode())

    def multivariant(self, pathways: Sequence[Pathway] = (), steering_uri: str = "") -> bytes:
        written = [_HLS_START]
        if steering_uri:
            first = f",PATHWAY-ID={_quoted(pathways[0].id)}" if pathways else ""
            uri = steering_uri.encode().translate(_HARMLESS)
            written.append(b'#EXT-X-CONTENT-STEERING:SERVER-URI="%b"%b\n' % (uri, first.encode()))
        for pathway in pathways or _RELATIVE:
            base = pathway.base.encode().translate(_HARMLESS)
            for added, pieces in zip(_added(pathway.id, self._kinds), self._pieces, strict=True):
                written.append((added + base).join(pieces))
        return b"".join(written)

    def mpd(self, pathways: Sequence[Pathway] = (), steering_uri: str = "") -> bytes:
        return self._mpd_end.plain(self._start(pathways, steering_uri))

    def gzipped_mpd(self, pathways: Sequence[Pathway] = (), steering_uri: str = "") -> bytes:
        """The MPD as `Content-Encoding: gzip` has it: a sixth of the bytes, made in a few microseconds."""
        return self._mpd_end.gzipped(self._start(pathways, steering_uri))

    def _start(self, pathways: Sequence[Pathway], steering_uri: str) -> bytes:
        """The MPD up to its Period, which is the same for every session."""
        lines = [self._mpd_start]
        for pathway in pathways:
            lines += (_located(pathway.id), _escaped(pathway.base), "</BaseURL>\n")
        if steering_uri:
            # One token: the text of ETSI TS 103 998 allows a list here, its XSD does not.
            first = f" defaultServiceLocation={quoteattr(pathways[0].id)}" if pathways else ""
            uri = _escaped(steering_uri)
            lines.append(f'<ContentSteering{first} queryBeforeStart="true">{uri}</ContentSteering>\n')
        return "".join(lines).encode()


@lru_cache(_MOST_NAMED)
def _added(pathway: str, kinds: tuple[Kind, ...]) -> tuple[bytes, ...]:
    """What a pathway adds to the lines of each kind, up to its base; nothing but groups if it has no name."""
    plain = _plain(pathway)
    named, end = (f',PATHWAY-ID="{plain}"', f"-{plain}") if plain else ("", "")
    groups = "".join(
        f',{kind.name}="{kind.value}{end}"' for kind in (Kind.AUDIO, Kind.SUBTITLES) if kind in kinds
    )  # as variants name them
    added = {
        Kind.AUDIO: f',GROUP-ID="audio{end}",URI="',
        # The standard has no PATHWAY-ID here, and clients ignore what they do not know; Shaka 5.2 reads it, and without
        # it finds the captions of no pathway: it asks for the multivariant playlist in their place and fails.
        Kind.SUBTITLES: f',GROUP-ID="subtitles{end}"{named},URI="',
        Kind.VARIANT: f"{groups}{named}\n",
        Kind.IFRAME: f'{named},URI="',
    }
    return tuple([added[kind].encode() for kind in kinds])


@lru_cache(_MOST_NAMED)
def _located(pathway: str) -> str:
    return f"<BaseURL serviceLocation={quoteattr(pathway)}>"


def _escaped(url: str) -> str:
    """As XML has it; hardly any URL of ours has something to escape."""
    return escape(url) if "&" in url or "<" in url or ">" in url else url


def _lines(package: Package) -> dict[Kind, list[str]]:
    """The MEDIA, STREAM-INF and I-FRAME-STREAM-INF lines of one pathway, but for what it adds."""
    videos, audios, texts = (package.of_kind(kind) for kind in ("video", "audio", "text"))
    return {
        Kind.AUDIO: [_media("AUDIO", audio, label) for audio, label in _labelled(audios)],
        Kind.SUBTITLES: [_media("SUBTITLES", text, label) for text, label in _labelled(texts)],
        Kind.VARIANT: [_variant(video, audios) for video in _start_first(videos)],
        Kind.IFRAME: [_iframe_variant(video) for video in videos if video.iframe_playlist],
    }


def _variant(video: Rendition, audios: Sequence[Rendition]) -> str:
    attributes = [
        f"BANDWIDTH={video.bandwidth + max((audio.bandwidth for audio in audios), default=0)}",
        f"AVERAGE-BANDWIDTH={video.average_bandwidth + max((a.average_bandwidth for a in audios), default=0)}",
        f"CODECS={_quoted(','.join(dict.fromkeys([video.codecs, *(audio.codecs for audio in audios)])))}",
        f"RESOLUTION={video.width}x{video.height}",
        f"FRAME-RATE={float(Fraction(video.frame_rate)):.3f}",
        "CLOSED-CAPTIONS=NONE",
        f"STABLE-VARIANT-ID={_quoted(video.name)}",
    ]
    return f"#EXT-X-STREAM-INF:{','.join(attributes)}{_ADDED}{video.playlist}\n"


def _media(type_: str, rendition: Rendition, label: str) -> str:
    attributes = [
        f"TYPE={type_}",
        f"NAME={_quoted(label)}",
        *([f"LANGUAGE={_quoted(rendition.language)}"] if rendition.language != "und" else []),
        f"DEFAULT={'YES' if rendition.default else 'NO'}",
        "AUTOSELECT=YES",
        *(["FORCED=YES"] if rendition.forced else []),
        *([f'CHANNELS="{rendition.channels}"'] if rendition.channels else []),
        f"STABLE-RENDITION-ID={_quoted(rendition.name)}",
    ]
    return f'#EXT-X-MEDIA:{",".join(attributes)}{_ADDED}{rendition.playlist}"\n'


def _iframe_variant(video: Rendition) -> str:
    attributes = [
        f"BANDWIDTH={video.iframe_bandwidth}",
        f"CODECS={_quoted(video.codecs)}",
        f"RESOLUTION={video.width}x{video.height}",
        f"STABLE-VARIANT-ID={_quoted(video.name + '-iframes')}",
    ]
    return f'#EXT-X-I-FRAME-STREAM-INF:{",".join(attributes)}{_ADDED}{video.iframe_playlist}"\n'


def _start_first(videos: Iterable[Rendition]) -> list[Rendition]:
    """The variant to start with, then the others from the lowest up."""
    ascending = sorted(videos, key=lambda video: video.bandwidth)
    affordable = [video for video in ascending if video.bandwidth <= _START_BANDWIDTH]
    first = affordable[-1:] or ascending[:1]
    return first + [video for video in ascending if video not in first]


def _labelled(renditions: Sequence[Rendition]) -> list[tuple[Rendition, str]]:
    """Each rendition with a NAME that no other of its group has (RFC 8216 section 4.3.4.1.1)."""
    taken: set[str] = set()
    labelled = []
    for rendition in renditions:
        label = wanted = _plain(rendition.label) or rendition.language
        number = 1
        while label in taken:
            number += 1
            label = f"{wanted} {number}"
        taken.add(label)
        labelled.append((rendition, label))
    return labelled


def _plain(text: str) -> str:
    """What may stand in a quoted-string: it has no escapes, so quotes, line ends and controls must not occur."""
    if text.isprintable() and '"' not in text and " " not in text:  # nearly all: a tenth of the time
        return text
    return _CONTROL.sub(" ", text).replace('"', "'").strip()


def _quoted(text: str) -> str:
    return f'"{_plain(text)}"'


def media_playlist(rendition: Rendition) -> str:
    """The playlist of one rendition; its URIs are relative to the package's folder, where it lies."""
    if rendition.kind == "text":
        entries = [_extinf(rendition.durations[0], rendition.timescale) + rendition.file]
    else:
        entries = [f'#EXT-X-MAP:URI="{rendition.name}/{INIT_NAME}"']
        for number, duration in enumerate(rendition.durations, 1):
            entries.append(f"{_extinf(duration, rendition.timescale)}{rendition.name}/{number}.m4s")
    return _playlist(rendition, entries)


def iframe_playlist(rendition: Rendition, iframes: Sequence[ByteRange]) -> str:
    """The I-frame playlist: for each segment, the bytes of the rendition's file up to the end of its first picture."""
    entries = ["#EXT-X-I-FRAMES-ONLY", f'#EXT-X-MAP:URI="{rendition.name}/{INIT_NAME}"']
    for duration, iframe in zip(rendition.durations, iframes, strict=True):
        extinf = _extinf(duration, rendition.timescale)
        entries.append(f"{extinf}#EXT-X-BYTERANGE:{iframe.length}@{iframe.offset}\n{rendition.file}")
    return _playlist(rendition, entries)


def target_duration(durations: Sequence[int], timescale: int) -> int:
    """EXT-X-TARGETDURATION: no segment's duration, rounded to the nearest second, may be larger (RFC 8216 4.3.3.1)."""
    return max(1, (2 * max(durations) + timescale) // (2 * timescale))


def peak_bandwidth(durations: Sequence[int], sizes: Sequence[int], timescale: int) -> int:
    """HLS's BANDWIDTH in bit/s: the highest rate of any run of segments that lasts 0.5 to 1.5 target durations.

    RFC 8216 section 4.1. Taken for each segment alone, a half-second segment would inflate it (measured: +26 %).
    If no run lasts so long, the film is one short segment, and its rate is the peak.
    """
    target = target_duration(durations, timescale) * timescale
    peak = Fraction(0)
    for first in range(len(durations)):
        ticks = size = 0
        for last in range(first, len(durations)):
            ticks += durations[last]
            size += sizes[last]
            if 2 * ticks > 3 * target:
                break
            if 2 * ticks >= target:
                peak = max(peak, Fraction(size, ticks))
    return _bits_per_second(peak or Fraction(sum(sizes), sum(durations)), timescale)


def average_bandwidth(durations: Sequence[int], sizes: Sequence[int], timescale: int) -> int:
    """Bit/s over the whole rendition."""
    return _bits_per_second(Fraction(sum(sizes), sum(durations)), timescale)


def _bits_per_second(bytes_a_tick: Fraction, timescale: int) -> int:
    return -(-bytes_a_tick.numerator * 8 * timescale // bytes_a_tick.denominator)


def _extinf(duration: int, timescale: int) -> str:
    return f"#EXTINF:{duration / timescale:.6f},\n"


def _playlist(rendition: Rendition, entries: Sequence[str]) -> str:
    head = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{_HLS_VERSION}",
        f"#EXT-X-TARGETDURATION:{target_duration(rendition.durations, rendition.timescale)}",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        *(["#EXT-X-INDEPENDENT-SEGMENTS"] if rendition.kind != "text" else []),
    ]
    return "\n".join([*head, *entries, "#EXT-X-ENDLIST", ""])


def _mpd_start(package: Package) -> str:
    segmented = [rendition for rendition in package.renditions if rendition.init_size]
    longest = max((max(r.durations) / r.timescale for r in segmented), default=1.0)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011" type="static" '
        f'mediaPresentationDuration="{_iso_duration(package.duration)}" minBufferTime="{_iso_duration(longest)}">\n'
    )


def _iso_duration(seconds: float) -> str:
    """Rounded up to milliseconds, never down: dash.js rounds further, and where its end of the film lies before the
    last sample, it takes the film's last moment for one beyond the end.
    """
    # The packager's own durations are exact to a microsecond; less than that is the float's.
    return f"PT{math.ceil(round(seconds * 1e6) / 1e3) / 1e3:.3f}".rstrip("0").rstrip(".") + "S"


def _period(package: Package) -> str:
    """The only Period. One AdaptationSet for all of the ladder, one for each audio and text track."""
    sets = [_video_set(package.of_kind("video"))] if package.of_kind("video") else []
    sets += [_audio_set(audio) for audio in package.of_kind("audio")]
    sets += [_text_set(text) for text in package.of_kind("text")]
    numbered = (f'<AdaptationSet id="{number}"{body}</AdaptationSet>\n' for number, body in enumerate(sets, 1))
    return f'<Period id="1" start="PT0S">\n{"".join(numbered)}</Period>\n'


def _video_set(videos: Sequence[Rendition]) -> str:
    ascending = sorted(videos, key=lambda video: video.bandwidth)
    # A timeline for each of six renditions is five times the bytes of a shared one: 128 kB for two hours, not 23 kB.
    shared = len({(video.timescale, video.durations) for video in videos}) == 1
    representations = []
    for video in ascending:
        attributes = (
            f'id={quoteattr(video.name)} bandwidth="{video.bandwidth}" codecs={quoteattr(video.codecs)} '
            f'width="{video.width}" height="{video.height}" frameRate="{_frame_rate(video)}" sar="1:1"'
        )
        own = "/>" if shared else f">\n{_segment_template(video)}</Representation>"
        representations.append(f"<Representation {attributes}{own}\n")
    aligned = ' segmentAlignment="true"' if shared else ""
    return (
        f' contentType="video" mimeType="video/mp4"{aligned} startWithSAP="1">\n'
        f"{_segment_template(ascending[0]) if shared else ''}{''.join(representations)}"
    )


def _audio_set(audio: Rendition) -> str:
    return (
        f' contentType="audio" mimeType="audio/mp4"{_language(audio)} segmentAlignment="true" startWithSAP="1">\n'
        # ISO/IEC 23001-8: channel configurations 1 and 2 are mono and stereo, up to 6 (5.1) the count of channels.
        '<AudioChannelConfiguration schemeIdUri="urn:mpeg:mpegB:cicp:ChannelConfiguration" '
        f'value="{audio.channels}"/>\n'
        f"{_label(audio)}{_role('main' if audio.default else 'alternate')}{_segment_template(audio)}"
        f'<Representation id={quoteattr(audio.name)} bandwidth="{audio.bandwidth}" '
        f'codecs={quoteattr(audio.codecs)} audioSamplingRate="{audio.sample_rate}"/>\n'
    )


def _text_set(text: Rendition) -> str:
    return (
        f' contentType="text" mimeType="text/vtt"{_language(text)}>\n'
        f"{_label(text)}{_role('forced-subtitle' if text.forced else 'subtitle')}"
        f'<Representation id={quoteattr(text.name)} bandwidth="{text.bandwidth}">'
        f"<BaseURL>{escape(text.file)}</BaseURL></Representation>\n"
    )


def _segment_template(rendition: Rendition) -> str:
    runs = ((duration, sum(1 for _ in same)) for duration, same in groupby(rendition.durations))
    entries = (f'<S d="{duration}"{f" r={quoteattr(str(n - 1))}" if n > 1 else ""}/>' for duration, n in runs)
    return (
        f'<SegmentTemplate timescale="{rendition.timescale}" initialization="$RepresentationID$/{INIT_NAME}" '
        f'media="$RepresentationID$/$Number$.m4s" startNumber="1">'
        f"<SegmentTimeline>{''.join(entries)}</SegmentTimeline></SegmentTemplate>\n"
    )


def _frame_rate(video: Rendition) -> str:
    rate = Fraction(video.frame_rate)
    return str(rate.numerator) if rate.denominator == 1 else f"{rate.numerator}/{rate.denominator}"


def _language(rendition: Rendition) -> str:
    return f" lang={quoteattr(rendition.language)}"


def _label(rendition: Rendition) -> str:
    label = _plain(rendition.label)
    return f"<Label>{escape(label)}</Label>\n" if label else ""


def _role(value: str) -> str:
    return f'<Role schemeIdUri="urn:mpeg:dash:role:2011" value="{value}"/>\n'
