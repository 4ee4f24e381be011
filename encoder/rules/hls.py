"""What playlists must keep to: RFC 8216 and, marked so, Apple's HLS Authoring Specification.

Of Apple's recommendations those are left out that our design answers otherwise, with reasons in docs/decisions.md:
segments of six seconds and a keyframe every two.

Pure: m3u8 reads the texts, and it shares nothing with what wrote them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import m3u8

from encoder.errors import PackageError
from encoder.package import Package, PackageIndex, Rendition
from encoder.rules.finding import Finding

# Apple: what is declared may be off what is measured by a tenth, and the peak of a film be twice its average.
_DECLARED_TOLERANCE = 0.1
_PEAK_OF_AVERAGE = 2.0
_MOST_FRAMES_A_SECOND = 60.0
# Seconds. EXTINF is rounded to microseconds, of some thousand segments; audio ends with a whole frame, of AC-3 up to
# 1536 samples, and begins with the encoder's delay.
_VIDEO_TOLERANCE_S = 0.01
_OTHER_TOLERANCE_S = 0.1
_AUDIO_CODECS = ("mp4a.", "ac-3", "ec-3", "ac-4", "fLaC", "Opus", "opus", "alac")
# Sample entries with parameter sets in the samples: Apple plays hvc1 only, and avc3 needs version 7 and goodwill.
_IN_BAND = ("hev1", "avc3", "dvhe")
# RFC 8216 section 4.1: none but line ends.
_CONTROL = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]")

# Of a playlist's name, what m3u8 read, and the package.
_Rules: TypeAlias = Callable[[str, Any, PackageIndex], Iterator[Finding]]


def broken_rules(master: str, documents: Mapping[str, str], package: Package) -> Iterator[Finding]:
    """All that is wrong with the multivariant playlist named `master` and what it leads to.

    `documents`: name -> text of every playlist in the package; `package` lists its files.
    """
    text = documents.get(master, "")
    yield from _header(master, text)
    playlist = m3u8.loads(text)
    if not playlist.playlists:
        yield Finding(master, "no variant")
    renditions = {rendition.playlist: rendition for rendition in package.renditions}
    index = PackageIndex(package)
    yield from _groups(master, playlist)
    for variant in playlist.playlists:
        yield from _variant(f"{master}, {variant.uri}", variant, renditions)
    yield from _ranges(master, playlist)
    if package.of_kind("video") and not playlist.iframe_playlists:
        yield Finding(master, "no I-frame playlist, which Apple demands for seeking by pictures")
    named = [variant.uri for variant in playlist.playlists] + [media.uri for media in playlist.media if media.uri]
    for rendition in package.renditions:
        if rendition.playlist not in named:
            yield Finding(master, f"{rendition.name} is in the package and not offered")
    for name in dict.fromkeys(named):
        yield from _of_media(name, documents, index, _segments)
    for entry in playlist.iframe_playlists:
        yield from _of_media(entry.uri, documents, index, _iframes)
    for data in playlist.session_data:
        yield from _reaches(master, data.uri, index)
    for entry in playlist.image_playlists:
        yield from _of_media(entry.uri, documents, index, _pictures)
    yield from _alignment([variant.uri for variant in playlist.playlists], documents)


def _header(name: str, text: str) -> Iterator[Finding]:
    lines = text.splitlines()
    if not lines or lines[0] != "#EXTM3U":
        yield Finding(name, f"begins with {lines[0][:20] if lines else 'nothing'!r}, expected #EXTM3U")
    if control := _CONTROL.search(text):
        line = text.count("\n", 0, control.start()) + 1
        yield Finding(name, f"line {line}: a control character, which RFC 8216 section 4.1 forbids")
    versions = sum(line.startswith("#EXT-X-VERSION:") for line in lines)
    if versions != 1:
        yield Finding(name, f"has {versions} EXT-X-VERSION, expected 1")
    if "#EXT-X-MAP:" in text and "#EXT-X-I-FRAMES-ONLY" not in text and _version(text) < 6:
        yield Finding(name, f"EXT-X-MAP in version {_version(text)}, expected 6 at least (RFC 8216 section 7)")


def _version(text: str) -> int:
    found = re.search(r"^#EXT-X-VERSION:(\d+)", text, re.MULTILINE)
    return int(found[1]) if found else 1


def _groups(name: str, playlist: Any) -> Iterator[Finding]:
    """RFC 8216 section 4.3.4.1.1."""
    groups: dict[tuple[str, str], list[Any]] = {}
    for media in playlist.media:
        groups.setdefault((media.type, media.group_id), []).append(media)
    for (kind, group), members in groups.items():
        place = f"{name}, {kind} group {group}"
        for label, count in Counter(media.name for media in members).items():
            if count > 1:
                yield Finding(place, f"{count} members are called {label!r}, expected names of their own")
        if sum(media.default == "YES" for media in members) > 1:
            yield Finding(place, "several members are DEFAULT, expected one at most")
        chosen = ((m.language, m.forced, m.characteristics) for m in members if m.autoselect == "YES")
        if max(Counter(chosen).values(), default=1) > 1:
            yield Finding(place, "a player cannot tell apart all members that are AUTOSELECT, as it should", False)
        for media in members:
            if media.default == "YES" and media.autoselect != "YES":
                yield Finding(place, f"{media.name!r} is DEFAULT and not AUTOSELECT")
            if kind == "AUDIO" and not media.channels:
                yield Finding(place, f"{media.name!r} has no CHANNELS, which Apple demands")
    for variant in playlist.playlists:
        info = variant.stream_info
        for kind, group in (("AUDIO", info.audio), ("SUBTITLES", info.subtitles), ("VIDEO", info.video)):
            if group and (kind, group) not in groups:
                yield Finding(name, f"{variant.uri} names the {kind} group {group!r}, which is not there")


def _variant(place: str, variant: Any, renditions: Mapping[str, Rendition]) -> Iterator[Finding]:
    info = variant.stream_info
    if "." not in variant.uri or variant.uri not in renditions:
        yield Finding(place, "is not the playlist of a rendition")
        return
    rendition = renditions[variant.uri]
    given = {
        "BANDWIDTH": info.bandwidth,
        "AVERAGE-BANDWIDTH": info.average_bandwidth,
        "CODECS": info.codecs,
        "RESOLUTION": info.resolution,
        "FRAME-RATE": info.frame_rate,
    }
    missing = [attribute for attribute, value in given.items() if not value]
    if missing:
        yield Finding(place, f"has no {', '.join(missing)}, which Apple demands")
        return
    if tuple(info.resolution) != (rendition.width, rendition.height):
        yield Finding(place, f"RESOLUTION {info.resolution}, expected {rendition.width}x{rendition.height}")
    if info.frame_rate > _MOST_FRAMES_A_SECOND:
        yield Finding(place, f"FRAME-RATE {info.frame_rate}, expected {_MOST_FRAMES_A_SECOND:g} at most (Apple)")
    codecs = info.codecs.split(",")
    if rendition.codecs not in codecs:
        yield Finding(place, f"CODECS {info.codecs!r} do not name the video's {rendition.codecs!r}")
    for codec in codecs:
        if codec.startswith(_IN_BAND):
            yield Finding(place, f"{codec}: parameter sets within the samples, which not every player takes")
    if bool(info.audio) != any(codec.startswith(_AUDIO_CODECS) for codec in codecs):
        yield Finding(place, f"CODECS {info.codecs!r} and the audio group {info.audio!r} do not fit")
    yield from _bandwidths(place, info, rendition, [renditions[m.uri] for m in variant.media if m.uri in renditions])


def _bandwidths(place: str, info: Any, rendition: Rendition, others: list[Rendition]) -> Iterator[Finding]:
    average, peak = info.average_bandwidth, info.bandwidth
    if peak < average:
        yield Finding(place, f"BANDWIDTH {peak} is less than AVERAGE-BANDWIDTH {average}")
    if peak > _PEAK_OF_AVERAGE * average:
        yield Finding(place, f"the peak is {peak / average:.1f} times the average, Apple recommends 2 at most", False)
    sounds = [_rate(other) for other in others if other.kind == "audio"]
    measured = _rate(rendition) + max(sounds, default=0.0)
    if abs(average - measured) > _DECLARED_TOLERANCE * measured:
        yield Finding(place, f"AVERAGE-BANDWIDTH {average}, measured {measured:.0f} (Apple allows a tenth)")


def _rate(rendition: Rendition) -> float:
    """Bit/s of its segments, counted here anew."""
    return 8 * sum(rendition.sizes) * rendition.timescale / sum(rendition.durations)


def _ranges(name: str, playlist: Any) -> Iterator[Finding]:
    ranges = [variant.stream_info.video_range for variant in playlist.playlists]
    if any(ranges) and not all(ranges):
        yield Finding(name, "some variants have a VIDEO-RANGE and some none, expected it of all or none (Apple)")


def _of_media(name: str, documents: Mapping[str, str], index: PackageIndex, rules: _Rules) -> Iterator[Finding]:
    """What is wrong with a playlist of media, of which there are three kinds with `rules` of their own."""
    if name not in documents:
        yield Finding(name, "is named and not in the package")
        return
    yield from _header(name, documents[name])
    playlist = m3u8.loads(documents[name])
    yield from _vod(name, playlist)
    yield from rules(name, playlist, index)


def _vod(name: str, playlist: Any) -> Iterator[Finding]:
    if not playlist.segments:
        yield Finding(name, "no segment")
        return
    if (playlist.playlist_type or "").upper() != "VOD" or not playlist.is_endlist:
        yield Finding(name, "is not a finished VOD playlist (EXT-X-PLAYLIST-TYPE:VOD, EXT-X-ENDLIST)")
    longest = max(segment.duration for segment in playlist.segments)
    # RFC 8216 section 4.3.3.1: rounded to the nearest, halves up.
    if int(longest + 0.5) > (playlist.target_duration or 0):
        yield Finding(
            name, f"a segment of {longest:.3f} s, longer than EXT-X-TARGETDURATION {playlist.target_duration}"
        )
    if min(segment.duration for segment in playlist.segments) <= 0:
        yield Finding(name, "a segment without any duration")


def _segments(name: str, playlist: Any, index: PackageIndex) -> Iterator[Finding]:
    rendition = next((one for one in index.package.renditions if one.playlist == name), None)
    if rendition is None:
        yield Finding(name, "is not the playlist of a rendition")
        return
    if rendition.kind != "text" and not playlist.segment_map:
        yield Finding(name, "has no EXT-X-MAP, which fragmented MP4 needs")
    for segment in playlist.segments:
        yield from _segment(name, segment, index)
    yield from _length(name, playlist, index, _VIDEO_TOLERANCE_S if rendition.kind == "video" else _OTHER_TOLERANCE_S)


def _length(name: str, playlist: Any, index: PackageIndex, tolerance: float) -> Iterator[Finding]:
    length = sum(segment.duration for segment in playlist.segments)
    if abs(length - index.package.duration) > tolerance:
        yield Finding(name, f"lasts {length:.3f} s, expected {index.package.duration:.3f} s as the film")


def _segment(name: str, segment: Any, index: PackageIndex) -> Iterator[Finding]:
    yield from _reaches(name, segment.uri, index)
    if segment.init_section is not None:
        yield from _reaches(name, segment.init_section.uri, index)


def _reaches(name: str, uri: str, index: PackageIndex) -> Iterator[Finding]:
    """What a URI leads to."""
    try:
        length = index.locate(uri).length
    except PackageError as error:
        yield Finding(name, str(error))
        return
    if length == 0:
        yield Finding(name, f"{uri} is empty")


def _iframes(name: str, playlist: Any, index: PackageIndex) -> Iterator[Finding]:
    if not playlist.is_i_frames_only:
        yield Finding(name, "has no EXT-X-I-FRAMES-ONLY")
    for segment in playlist.segments:
        yield from _segment(name, segment, index)
        length, _, offset = (segment.byterange or "").partition("@")
        if not offset:
            yield Finding(name, "an I-frame without a byte range")
            continue
        size = index.file(segment.uri).size
        if int(offset) + int(length) > size:
            yield Finding(name, f"bytes {segment.byterange} of {segment.uri}, which has {size}")


def _pictures(name: str, playlist: Any, index: PackageIndex) -> Iterator[Finding]:
    """Image Media Playlist Specification, version 0.4."""
    if not playlist.is_images_only:
        yield Finding(name, "has no EXT-X-IMAGES-ONLY")
    for segment in playlist.segments:
        yield from _reaches(name, segment.uri, index)
    yield from _length(name, playlist, index, _OTHER_TOLERANCE_S)


def _alignment(names: list[str], documents: Mapping[str, str]) -> Iterator[Finding]:
    """Players change the variant between any two segments, so each must begin where its siblings do."""
    grids = {
        name: [segment.duration for segment in m3u8.loads(documents[name]).segments]
        for name in names
        if name in documents
    }
    for name, grid in grids.items():
        first, wanted = next(iter(grids.items()))
        if len(grid) != len(wanted):
            yield Finding(name, f"has {len(grid)} segments, and {first} has {len(wanted)}")
        elif any(abs(one - other) > _VIDEO_TOLERANCE_S for one, other in zip(grid, wanted, strict=True)):
            yield Finding(name, f"its segments do not begin where those of {first} do")
