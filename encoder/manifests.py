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
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum, auto
from fractions import Fraction
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from config.structs import Flat
from encoder.film.colour import CICP
from encoder.package import INIT_NAME, Package, Protection, Rendition
from encoder.packages.gzipped import SharedEnd
from encoder.packages.signalling import NAMESPACES, content_protection, hls_keys, hls_session_keys
from encoder.pictures.sheets import image_set, image_stream

# EXT-X-MAP outside of I-frame playlists needs version 6, and 7 is what fMP4 with everything used here asks
# (RFC 8216 section 7).
_HLS_VERSION = 7
_HLS_START = f"#EXTM3U\n#EXT-X-VERSION:{_HLS_VERSION}\n#EXT-X-INDEPENDENT-SEGMENTS\n".encode()
# What a player without an estimate starts with is the first variant listed; Apple's authoring guide asks for one that
# plays on a slow link at once, 2 Mbit/s.
_START_BANDWIDTH = 2_000_000
# Sample entries of codecs, the one that needs the fewest bits last.
_FAMILIES = ("", "avc1", "hvc1", "av01")
# Stands for what a pathway adds to a line. Control characters never get into a label (see _plain), so nothing else
# looks like it.
_ADDED = "\x01"
# Appliances of a large fleet; each pathway of each session is one of them.
_MOST_NAMED = 2**15
# RFC 8216 section 4.3.4.1 and Apple's list, by DASH's role; the others have none.
_CHARACTERISTICS = {
    "description": "public.accessibility.describes-video",
    "caption": "public.accessibility.transcribes-spoken-dialog,public.accessibility.describes-music-and-sound",
    "enhanced-audio-intelligibility": "public.accessibility.enhances-speech-intelligibility",
}
_ROLE_SCHEME = "urn:mpeg:dash:role:2011"
# DASH-IF IOP: what a track is for those who need it, beside its role. TV-Anytime: 1 for the blind, 2 for the deaf.
_ACCESSIBLE = {
    "description": ("urn:tva:metadata:cs:AudioPurposeCS:2007", "1"),
    "enhanced-audio-intelligibility": ("urn:tva:metadata:cs:AudioPurposeCS:2007", "8"),
    "caption": ("urn:tva:metadata:cs:AudioPurposeCS:2007", "2"),
}
# ISO/IEC 23091-3, table 10: channel configurations by the number of channels; up to 6 (5.1) they are the same.
_CONFIGURATIONS = {7: 11, 8: 12}
# Times the usual speed. Any decoder of the top rung has the points a second for 16 times the smallest.
_FASTEST = 16
# RFC 8216 section 4.1 forbids these in playlists; what ends a line to some readers, and what XML may not have.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]+")
# The same of a URL, where none of them belongs: byte by byte is three times as quick, and URLs are long.
_HARMLESS = bytes.maketrans(bytes(range(0x21)) + b'\x7f"', b" " * 0x22 + b"'")


class Pathway(Flat, frozen=True):
    """An appliance as a player sees it: its name, and the absolute URL of the package's folder there, ending in "/"."""

    id: str
    base: str


class Kind(IntEnum):
    """What lines of a multivariant playlist there are for each pathway, in their order.

    Numbers, which hash in no time: each pathway of each session is looked up by them.
    """

    AUDIO = auto()
    SURROUND = auto()
    SUBTITLES = auto()
    VARIANT = auto()
    SURROUND_VARIANT = auto()
    IFRAME = auto()


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

    __slots__ = ("_hls_start", "_kinds", "_mpd_end", "_mpd_start", "_once", "_pieces")

    def __init__(self, package: Package) -> None:
        lines = {kind: "".join(lines) for kind, lines in _lines(package).items() if lines}
        self._kinds = tuple(lines)
        self._hls_start = _HLS_START + "".join(f"{line}\n" for line in hls_session_keys(package)).encode()
        self._pieces = tuple([tuple(text.encode().split(_ADDED.encode())) for text in lines.values()])
        self._once = tuple("".join(_lines_once(package)).encode().split(_ADDED.encode()))
        self._mpd_start = _mpd_start(package)
        self._mpd_end = SharedEnd((_period(package) + "</MPD>\n").encode())

    def multivariant(self, pathways: Sequence[Pathway] = (), steering_uri: str = "") -> bytes:
        written = [self._hls_start]
        if steering_uri:
            first = f",PATHWAY-ID={_quoted(pathways[0].id)}" if pathways else ""
            uri = steering_uri.encode().translate(_HARMLESS)
            written.append(b'#EXT-X-CONTENT-STEERING:SERVER-URI="%b"%b\n' % (uri, first.encode()))
        for pathway in pathways or _RELATIVE:
            base = pathway.base.encode().translate(_HARMLESS)
            for added, pieces in zip(_added(pathway.id, self._kinds), self._pieces, strict=True):
                written.append((added + base).join(pieces))
        first_base = pathways[0].base.encode().translate(_HARMLESS) if pathways else b""
        written.append(first_base.join(self._once))
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
    # As variants name them.
    subtitles = f',SUBTITLES="subtitles{end}"' if Kind.SUBTITLES in kinds else ""
    audio = f',AUDIO="audio{end}"' if Kind.AUDIO in kinds else ""
    added = {
        Kind.AUDIO: f',GROUP-ID="audio{end}",URI="',
        Kind.SURROUND: f',GROUP-ID="surround{end}",URI="',
        # The standard has no PATHWAY-ID here, and clients ignore what they do not know; Shaka 5.2 reads it, and without
        # it finds the captions of no pathway: it asks for the multivariant playlist in their place and fails.
        Kind.SUBTITLES: f',GROUP-ID="subtitles{end}"{named},URI="',
        Kind.VARIANT: f"{audio}{subtitles}{named}\n",
        Kind.SURROUND_VARIANT: f',AUDIO="surround{end}"{subtitles}{named}\n',
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
    videos, texts = package.of_kind("video"), package.of_kind("text")
    labelled = _labelled([audio for audio in package.of_kind("audio") if not audio.version_of])
    audios = [audio for audio, _ in labelled]
    surround = {audio.version_of: audio for audio in package.of_kind("audio") if audio.version_of}
    # Two groups whatever the film has: each doubles the variants. A track without surround is in both.
    # Apple: VIDEO-RANGE is said of all variants or of none; without it they are SDR.
    told = any(video.video_range != "SDR" for video in videos)
    fullest = [(surround.get(audio.name, audio), label) for audio, label in labelled] if surround else []
    return {
        Kind.AUDIO: _group("AUDIO", labelled),
        Kind.SURROUND: _group("AUDIO", fullest),
        Kind.SUBTITLES: _group("SUBTITLES", _labelled(texts)),
        Kind.VARIANT: [_variant(video, audios, told) for video in best_first(videos)],
        Kind.SURROUND_VARIANT: [
            _variant(video, [audio for audio, _ in fullest], told, "-surround")
            for video in best_first(videos)
            if fullest
        ],
        Kind.IFRAME: [_iframe_variant(video, told) for video in videos if video.iframe_playlist],
    }


def _lines_once(package: Package) -> Iterator[str]:
    """What no pathway has of its own: a player reads it at the start, from the first."""
    if package.chapters_json:
        yield f'#EXT-X-SESSION-DATA:DATA-ID="com.apple.hls.chapters",URI="{_ADDED}{package.chapters_json}"\n'
    if package.thumbnails is not None:
        yield image_stream(package.thumbnails, _ADDED)


def _variant(video: Rendition, audios: Sequence[Rendition], tells_range: bool, version: str = "") -> str:
    attributes = [
        f"BANDWIDTH={video.bandwidth + max((audio.bandwidth for audio in audios), default=0)}",
        f"AVERAGE-BANDWIDTH={video.average_bandwidth + max((a.average_bandwidth for a in audios), default=0)}",
        f"CODECS={_quoted(','.join(dict.fromkeys([video.codecs, *(audio.codecs for audio in audios)])))}",
        f"RESOLUTION={video.width}x{video.height}",
        f"FRAME-RATE={float(Fraction(video.frame_rate)):.3f}",
        *([f"VIDEO-RANGE={video.video_range}"] if tells_range else []),
        "CLOSED-CAPTIONS=NONE",
        f"STABLE-VARIANT-ID={_quoted(video.name + version)}",
    ]
    return f"#EXT-X-STREAM-INF:{','.join(attributes)}{_ADDED}{video.playlist}\n"


def _group(type_: str, labelled: Sequence[tuple[Rendition, str]]) -> list[str]:
    """The MEDIA lines of a group. Of members that a player cannot tell apart it may choose one (RFC 8216 4.3.4.1.1)."""
    chosen: dict[tuple[str, bool, str], Rendition] = {}
    for rendition, _ in sorted(labelled, key=lambda member: not member[0].default):
        if rendition.default or "commentary" not in rendition.roles:
            chosen.setdefault((rendition.language, rendition.forced, _characteristics(rendition)), rendition)
    return [
        _media(type_, rendition, label, autoselect=any(rendition is one for one in chosen.values()))
        for rendition, label in labelled
    ]


def _characteristics(rendition: Rendition) -> str:
    return ",".join(_CHARACTERISTICS[role] for role in rendition.roles if role in _CHARACTERISTICS)


def _media(type_: str, rendition: Rendition, label: str, *, autoselect: bool) -> str:
    characteristics = _characteristics(rendition)
    attributes = [
        f"TYPE={type_}",
        f"NAME={_quoted(label)}",
        *([f"LANGUAGE={_quoted(rendition.language)}"] if rendition.language != "und" else []),
        f"DEFAULT={'YES' if rendition.default else 'NO'}",
        f"AUTOSELECT={'YES' if autoselect else 'NO'}",
        *(["FORCED=YES"] if rendition.forced else []),
        *([f"CHARACTERISTICS={_quoted(characteristics)}"] if characteristics else []),
        *([f"CHANNELS={_quoted(_channels(rendition))}"] if rendition.channels else []),
        f"STABLE-RENDITION-ID={_quoted(rendition.name)}",
    ]
    return f'#EXT-X-MEDIA:{",".join(attributes)}{_ADDED}{rendition.playlist}"\n'


def _channels(audio: Rendition) -> str:
    # Apple, HLS Authoring Specification: Atmos is 16 channels whatever bed it lies on.
    return "16/JOC" if audio.has_objects else str(audio.channels)


def _iframe_variant(video: Rendition, tells_range: bool) -> str:
    attributes = [
        f"BANDWIDTH={video.iframe_bandwidth}",
        f"CODECS={_quoted(video.codecs)}",
        f"RESOLUTION={video.width}x{video.height}",
        *([f"VIDEO-RANGE={video.video_range}"] if tells_range else []),
        f"STABLE-VARIANT-ID={_quoted(video.name + '-iframes')}",
    ]
    return f'#EXT-X-I-FRAME-STREAM-INF:{",".join(attributes)}{_ADDED}{video.iframe_playlist}"\n'


def best_first(videos: Iterable[Rendition]) -> list[Rendition]:
    """The variants as HLS lists them: of each codec first the one to start with, then the others from the lowest up.

    A player that begins with the first it can play finds the codec that needs the fewest bits. But what is not SDR
    comes last: a player that has not heard of VIDEO-RANGE would show it pale.
    """
    groups: dict[tuple[bool, int], list[Rendition]] = {}
    for video in sorted(videos, key=lambda video: video.bandwidth):
        groups.setdefault((video.video_range != "SDR", -_preference(video)), []).append(video)
    return [video for group in sorted(groups) for video in _start_first(groups[group])]


def _preference(video: Rendition) -> int:
    """Higher for codecs that need fewer bits for the same picture; 0 for what none of ours is."""
    family = video.codecs.partition(".")[0]
    return _FAMILIES.index(family) if family in _FAMILIES else 0


def _start_first(ascending: Sequence[Rendition]) -> list[Rendition]:
    affordable = [video for video in ascending if video.bandwidth <= _START_BANDWIDTH]
    first = affordable[-1:] or ascending[:1]
    return [*first, *(video for video in ascending if video not in first)]


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


def media_playlist(rendition: Rendition, protection: Protection | None = None) -> str:
    """The playlist of one rendition; its URIs are relative to the package's folder, where it lies."""
    if rendition.kind == "text":
        entries = [_extinf(rendition.durations[0], rendition.timescale) + rendition.file]
    else:
        entries = [f'#EXT-X-MAP:URI="{rendition.name}/{INIT_NAME}"', *hls_keys(protection, rendition)]
        for number, duration in enumerate(rendition.durations, 1):
            entries.append(f"{_extinf(duration, rendition.timescale)}{rendition.name}/{number}.m4s")
    return _playlist(rendition, entries)


def iframe_playlist(rendition: Rendition, iframes: Sequence[ByteRange], protection: Protection | None = None) -> str:
    """The I-frame playlist: for each segment, the bytes of the rendition's file up to the end of its first picture."""
    entries = ["#EXT-X-I-FRAMES-ONLY", f'#EXT-X-MAP:URI="{rendition.name}/{INIT_NAME}"']
    entries += hls_keys(protection, rendition)
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
        f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"{NAMESPACES if package.protection else ""} '
        'profiles="urn:mpeg:dash:profile:isoff-live:2011" type="static" '
        f'mediaPresentationDuration="{_iso_duration(package.duration)}" minBufferTime="{_iso_duration(longest)}">\n'
    )


def _iso_duration(seconds: float) -> str:
    """Rounded up to milliseconds, never down: dash.js rounds further, and where its end of the film lies before the
    last sample, it takes the film's last moment for one beyond the end.
    """
    # The packager's own durations are exact to a microsecond; less than that is the float's.
    return f"PT{math.ceil(round(seconds * 1e6) / 1e3) / 1e3:.3f}".rstrip("0").rstrip(".") + "S"


def _period(package: Package) -> str:
    """The only Period. One AdaptationSet for all of the ladder that has one key, one for each audio and text track."""
    sets = _video_sets(package.of_kind("video"), package.protection)
    sets += _audio_sets(package.of_kind("audio"), package.protection)
    sets += [_text_set(text) for text in package.of_kind("text")]
    sets += [image_set(package.thumbnails)] if package.thumbnails is not None else []
    sets += _trick_sets(package)
    numbered = (f'<AdaptationSet id="{number}"{body}</AdaptationSet>\n' for number, body in enumerate(sets, 1))
    return f'<Period id="1" start="PT0S">\n{"".join(numbered)}</Period>\n'


def _video_sets(videos: Sequence[Rendition], protection: Protection | None) -> list[str]:
    """A set has one codec, one dynamic range and one key (DASH-IF IOP part 6, 6.4.2).

    Sets that differ in the key alone name each other, and players may switch between them as within one. Sets of
    different codecs could be named as well, for their segments begin together; but a switch of codecs in the middle of
    a film costs a player its decoder and gains nothing: who can play the better codec begins with it.
    """
    groups = _video_groups(videos)
    numbers = {key: number for number, key in enumerate(groups, 1)}  # they are the first of all sets
    return [
        _video_set(group, protection, [numbers[other] for other in groups if other != key and other[:2] == key[:2]])
        for key, group in groups.items()
    ]


def _video_groups(videos: Sequence[Rendition]) -> dict[tuple[int, str, str], list[Rendition]]:
    """The renditions of each set, in the order of the sets: by preference of codec, dynamic range and key."""
    groups: dict[tuple[int, str, str], list[Rendition]] = {}
    for video in videos:
        groups.setdefault((_preference(video), video.video_range, video.key_id), []).append(video)
    return groups


def _trick_sets(package: Package) -> list[str]:
    """The smallest rung once more, for playing fast (DASH-IF IOP, section 3.2.9), if the package has that.

    Its segments are those of the rung: none is cut to its first picture, for half a fragment is no segment. A player
    that knows the property fetches the fewest bytes there are and decodes the fewest points; to others, though an
    EssentialProperty should keep them off, it is one more rung.
    """
    groups = enumerate(_video_groups(package.of_kind("video")).values(), 1)
    return [
        f' contentType="video" mimeType="video/mp4" segmentAlignment="true" startWithSAP="1">\n'
        f"{content_protection(package.protection, [video])}"
        f'<EssentialProperty schemeIdUri="http://dashif.org/guidelines/trickmode" value="{number}"/>\n'
        f"{_segment_template(video, video.name)}"
        f'<Representation id={quoteattr(f"{video.name}-fast")} bandwidth="{video.bandwidth}" '
        f'codecs={quoteattr(video.codecs)} width="{video.width}" height="{video.height}" '
        f'frameRate="{_frame_rate(video)}" sar="1:1" maxPlayoutRate="{_FASTEST}"/>\n'
        for number, videos in groups
        for video in videos
        if video.name == package.trick_mode
    ]


def _video_set(videos: Sequence[Rendition], protection: Protection | None, others: Sequence[int]) -> str:
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
        f' contentType="video" mimeType="video/mp4"{aligned} startWithSAP="1"{_priority(videos[0])}>\n'
        f"{content_protection(protection, videos)}{_colour(videos[0])}{_switching(others)}"
        f"{_segment_template(ascending[0]) if shared else ''}{''.join(representations)}"
    )


def _priority(video: Rendition) -> str:
    """dash.js begins with the set of the highest priority that it can play; 1 if none is said."""
    priority = max(1, _preference(video))
    return f' selectionPriority="{priority}"' if priority > 1 else ""


def _colour(video: Rendition) -> str:
    """What must be understood to show HDR: essential, so that who does not know of it takes the set in SDR."""
    if video.video_range == "SDR":
        return ""
    parts = zip(
        ("ColourPrimaries", "TransferCharacteristics", "MatrixCoefficients"), CICP[video.video_range], strict=True
    )
    return "".join(
        f'<EssentialProperty schemeIdUri="urn:mpeg:mpegB:cicp:{part}" value="{value}"/>\n' for part, value in parts
    )


def _switching(others: Sequence[int]) -> str:
    if not others:
        return ""
    value = ",".join(map(str, others))
    return f'<SupplementalProperty schemeIdUri="urn:mpeg:dash:adaptation-set-switching:2016" value="{value}"/>\n'


def _audio_sets(audios: Sequence[Rendition], protection: Protection | None) -> list[str]:
    """Where there is surround, what everybody has the speakers for goes first: dash.js would take the most bits."""
    has_surround = any(audio.version_of for audio in audios)
    return [
        _audio_set(audio, protection, ' selectionPriority="2"' if has_surround and not audio.version_of else "")
        for audio in audios
    ]


def _audio_set(audio: Rendition, protection: Protection | None, priority: str) -> str:
    return (
        f' contentType="audio" mimeType="audio/mp4"{_language(audio)} segmentAlignment="true" startWithSAP="1"'
        f"{priority}>\n"
        '<AudioChannelConfiguration schemeIdUri="urn:mpeg:mpegB:cicp:ChannelConfiguration" '
        f'value="{_CONFIGURATIONS.get(audio.channels, audio.channels)}"/>\n'
        f"{content_protection(protection, [audio])}{_atmos(audio)}"
        f"{_label(audio)}{_roles(audio, 'main' if audio.default else 'alternate')}{_segment_template(audio)}"
        f'<Representation id={quoteattr(audio.name)} bandwidth="{audio.bandwidth}" '
        f'codecs={quoteattr(audio.codecs)} audioSamplingRate="{audio.sample_rate}"/>\n'
    )


def _text_set(text: Rendition) -> str:
    return (
        f' contentType="text" mimeType="text/vtt"{_language(text)}>\n'
        f"{_label(text)}{_roles(text, 'forced-subtitle' if text.forced else 'subtitle')}"
        f'<Representation id={quoteattr(text.name)} bandwidth="{text.bandwidth}">'
        f"<BaseURL>{escape(text.file)}</BaseURL></Representation>\n"
    )


def _segment_template(rendition: Rendition, name: str = "$RepresentationID$") -> str:
    runs = ((duration, sum(1 for _ in same)) for duration, same in groupby(rendition.durations))
    entries = (f'<S d="{duration}"{f" r={quoteattr(str(n - 1))}" if n > 1 else ""}/>' for duration, n in runs)
    return (
        f'<SegmentTemplate timescale="{rendition.timescale}" initialization="{escape(name)}/{INIT_NAME}" '
        f'media="{escape(name)}/$Number$.m4s" startNumber="1">'
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


def _roles(rendition: Rendition, first: str) -> str:
    """Accessibility, then Role: the schema has them in this order. Captions for the deaf are no subtitles beside."""
    accessible = [_ACCESSIBLE[role] for role in rendition.roles if role in _ACCESSIBLE]
    roles = rendition.roles if "caption" in rendition.roles and not rendition.forced else (first, *rendition.roles)
    return "".join(
        f'<{element} schemeIdUri="{scheme}" value="{value}"/>\n'
        for element, scheme, value in (
            *(("Accessibility", scheme, value) for scheme, value in accessible),
            *(("Role", _ROLE_SCHEME, role) for role in roles),
        )
    )


def _atmos(audio: Rendition) -> str:
    """As Dolby signals it (ETSI TS 103 420 annex D); how many objects nobody asks."""
    if not audio.has_objects:
        return ""
    return '<SupplementalProperty schemeIdUri="tag:dolby.com,2018:dash:EC3_ExtensionType:2018" value="JOC"/>\n'
