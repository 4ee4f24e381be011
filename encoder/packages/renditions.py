"""Shaka Packager's files as renditions: each file's own segment index, read back, is what manifests are written from.

The packager writes `ftyp moov sidx (moof mdat)*`: the init segment is what precedes the sidx, and segments follow it
without gaps. Its own manifests are used for one thing, the RFC 6381 codec strings; they cannot say what ours say
(segment URLs, pathways, one timeline for all rungs).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

from lxml import etree

from encoder.errors import CheckError, PackageError
from encoder.film.colour import VideoRange
from encoder.film.languages import language_name
from encoder.film.source import AudioStream, TextStream
from encoder.manifests import ByteRange, average_bandwidth, peak_bandwidth
from encoder.package import Rendition
from encoder.packages import boxes
from encoder.sound.units import MadeSound
from encoder.video.chunks import Plan
from encoder.video.ladder import Rung

# As menus of players have them.
_PURPOSES = {
    "caption": "SDH",
    "commentary": "commentary",
    "description": "audio description",
    "enhanced-audio-intelligibility": "clear speech",
}
# A header larger than this is none: the moov of a fragmented file lists no samples.
_LARGEST_HEADER = 64 * 1024 * 1024


@dataclass(frozen=True)
class FileIndex:
    """What a packaged file says of itself. One fragment is one segment."""

    init_size: int
    media_offset: int
    timescale: int
    earliest: int
    has_edit_list: bool
    durations: tuple[int, ...]
    sizes: tuple[int, ...]
    fragments: tuple[boxes.Fragment, ...]

    @property
    def iframes(self) -> tuple[ByteRange, ...]:
        """For each segment, its bytes up to the end of its first picture."""
        starts = accumulate(self.sizes[:-1], initial=self.media_offset)
        return tuple(ByteRange(start, f.first_end) for start, f in zip(starts, self.fragments, strict=True))


def read_index(path: Path) -> FileIndex:
    """Reads the headers of a packaged file. Raises CheckError if they are not as the packager writes them."""
    try:
        with path.open("rb") as file:
            return _read_index(file)
    except PackageError as error:
        raise CheckError(f"{path.name}: {error}") from error


def _read_index(file: BinaryIO) -> FileIndex:
    head = bytearray()
    while True:
        box = _read_box(file)
        if box[4:8] == b"sidx":
            break
        head += box
    sidx = boxes.parse_sidx(box)
    media_offset = len(head) + len(box) + sidx.first_offset
    fragments = []
    for start in accumulate(sidx.sizes[:-1], initial=media_offset):
        file.seek(start)
        fragments.append(boxes.parse_moof(_read_box(file)))
    return FileIndex(
        init_size=len(head),
        media_offset=media_offset,
        timescale=sidx.timescale,
        earliest=sidx.earliest,
        has_edit_list=boxes.find(bytes(head), "moov", "trak", "edts") is not None,
        durations=sidx.durations,
        sizes=sidx.sizes,
        fragments=tuple(fragments),
    )


def _read_box(file: BinaryIO) -> bytes:
    start = file.read(8)
    size = int.from_bytes(start[:4], "big")
    if len(start) < 8 or not 8 <= size <= _LARGEST_HEADER or start[4:] == b"mdat":
        raise PackageError(f"found {start!r} where a header box was expected")
    return start + file.read(size - 8)


def read_codecs(mpd: bytes) -> dict[str, str]:
    """File name -> RFC 6381 codec string, from the packager's MPD."""
    namespace = "{urn:mpeg:dash:schema:mpd:2011}"
    found = {}
    for representation in etree.fromstring(mpd).iter(f"{namespace}Representation"):
        found[representation.findtext(f"{namespace}BaseURL", "")] = representation.get("codecs", "")
    return found


def video_rendition(rung: Rung, plan: Plan, index: FileIndex, codecs: str, video_range: VideoRange) -> Rendition:
    """`video_range` is the film's."""
    return Rendition(
        name=rung.name,
        kind="video",
        file=f"{rung.name}.mp4",
        playlist=f"{rung.name}.m3u8",
        codecs=codecs,
        bandwidth=peak_bandwidth(index.durations, index.sizes, index.timescale),
        average_bandwidth=average_bandwidth(index.durations, index.sizes, index.timescale),
        timescale=index.timescale,
        init_size=index.init_size,
        media_offset=index.media_offset,
        durations=index.durations,
        sizes=index.sizes,
        width=rung.width,
        height=rung.height,
        video_range=video_range if rung.is_hdr else "SDR",
        frame_rate=f"{plan.frame_rate.numerator}/{plan.frame_rate.denominator}",
        iframe_playlist=f"{rung.name}-iframes.m3u8",
        iframe_bandwidth=peak_bandwidth(index.durations, [i.length for i in index.iframes], index.timescale),
        vmaf=rung.vmaf,
    )


def audio_rendition(made: MadeSound, index: FileIndex, codecs: str, *, default: bool) -> Rendition:
    track, sound = made.track, made.sound
    stream, number = track.stream, (track.version_of or track.name).removeprefix("a")
    return Rendition(
        name=track.name,
        kind="audio",
        file=f"{track.name}.mp4",
        playlist=f"{track.name}.m3u8",
        codecs=codecs,
        bandwidth=peak_bandwidth(index.durations, index.sizes, index.timescale),
        average_bandwidth=average_bandwidth(index.durations, index.sizes, index.timescale),
        timescale=index.timescale,
        init_size=index.init_size,
        media_offset=index.media_offset,
        durations=index.durations,
        sizes=index.sizes,
        language=stream.language,
        label=_label(stream, f"Audio {number}"),
        default=default,
        channels=sound.channels,
        sample_rate=sound.sample_rate,
        has_objects=sound.has_objects,
        loudness=sound.loudness,
        version_of=track.version_of,
        roles=stream.roles,
    )


def text_rendition(number: int, stream: TextStream, size: int, plan: Plan, *, default: bool) -> Rendition:
    """One whole WebVTT file, as long as the film."""
    timescale = 1000
    durations, sizes = (max(1, round(plan.duration * timescale)),), (size,)
    return Rendition(
        name=f"t{number}",
        kind="text",
        file=f"t{number}.vtt",
        playlist=f"t{number}.m3u8",
        codecs="",
        bandwidth=average_bandwidth(durations, sizes, timescale),
        average_bandwidth=average_bandwidth(durations, sizes, timescale),
        timescale=timescale,
        init_size=0,
        media_offset=0,
        durations=durations,
        sizes=sizes,
        language=stream.language,
        label=_label(stream, f"Captions {number}"),
        default=default,
        forced=stream.forced,
        roles=stream.roles,
    )


def _label(stream: AudioStream | TextStream, otherwise: str) -> str:
    """What the film calls a track, or its language and what it is for: a menu has several of one language."""
    if stream.title:
        return stream.title
    purposes = [_PURPOSES[role] for role in stream.roles if role in _PURPOSES]
    if isinstance(stream, TextStream) and stream.forced:
        purposes.append("forced")
    name = language_name(stream.language) or otherwise
    return f"{name} ({', '.join(purposes)})" if purposes else name


def only_first(flags: Sequence[bool], *, at_least_one: bool) -> list[bool]:
    """At most one of a group may be the default (RFC 8216 section 4.3.4.1); the first that claims it is."""
    chosen = flags.index(True) if True in flags else 0 if at_least_one else -1
    return [at == chosen for at in range(len(flags))]
