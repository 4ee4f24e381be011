"""What a film is: its streams, its clock and its frame grid, judged before any work begins.

Two readings make a `Source`. The *description* (ffprobe's JSON) says what the streams claim to be. The *scan* is the
timestamp of every packet, a pass over the file without decoding: only that tells whether the frame rate is constant,
how many pictures there are, when the video begins relative to the audio, and whether the end of the file is there.

Pure: encoder/film/probe.py runs ffprobe.
"""

from __future__ import annotations

import itertools
import re
import statistics
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from encoder.errors import SourceError
from encoder.film.colour import Colour, dynamic_metadata, has_base_layer, read_colour
from encoder.film.languages import language_tag
from encoder.package import Chapter

# Containers whose index leads to any picture exactly; in others a seek lands where it lands.
SEEKABLE = frozenset({"mov", "mp4", "matroska", "webm"})
# Of files that are films. A folder of them also holds captions, posters and notes.
SUFFIXES = frozenset({
    ".3gp", ".asf", ".avi", ".dv", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf",
    ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m",
})  # fmt: skip
# Readers of ffmpeg that find "video" in what nobody means as a film: text (as ANSI art), pictures, lists of files.
_NOT_FILMS = frozenset({"tty", "image2", "hls", "dash", "concat", "concatf", "ffmetadata"})
_TEXT_CODECS = frozenset({"subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text"})
# ffmpeg's dispositions (Matroska's flags, MP4's kinds) as the roles of DASH, ISO/IEC 23009-1.
_AUDIO_ROLES = {
    "dub": "dub",
    "comment": "commentary",
    "visual_impaired": "description",
    "descriptions": "description",
    "hearing_impaired": "enhanced-audio-intelligibility",
}
_TEXT_ROLES = {"hearing_impaired": "caption", "captions": "caption", "comment": "commentary"}
_COVER_CODECS = frozenset({"png", "mjpeg", "bmp", "gif", "webp", "tiff"})
# Rates that films are made at. A variable one is put on the first of these that loses no picture.
_STANDARD_RATES = tuple(
    Fraction(rate) for rate in ("10", "12", "15", "20", "24000/1001", "24", "25", "30000/1001", "30", "48", "50",
                                "60000/1001", "60")
)  # fmt: skip
# A picture this far from its place on the grid (in frames) is still surely nearer to it than to any other; seeks aim
# half a frame before a picture, so it must be well below a half.
_JITTER = Fraction(2, 5)
# A file whose packets end earlier than it declares, by more than this, has lost its end. Muxers round and guess the
# last frame's length, so some tolerance is needed; half a second is less than any lost piece worth the name.
_LOST_END_S = 0.5
# The end of ffmpeg's names of pixel formats with more than 8 bits a sample: yuv420p10le, gray16be, rgb48le, gbrpf32le.
_DEEP = re.compile(r"(?:10|12|14|16|48|64|f32)[lb]e$")
# H.264 codes blocks of 16 pixels; nothing smaller is a film.
_SMALLEST_SIDE = 16


@dataclass(frozen=True)
class VideoStream:
    index: int  # in the file: ffmpeg's "0:{index}"
    codec: str
    width: int  # as stored, before rotation
    height: int
    sample_aspect: Fraction
    rotation: int  # degrees to turn clockwise for display: 0, 90, 180, 270
    interlaced: bool
    pixel_format: str
    colour: Colour
    frame_rate: Fraction
    is_constant: bool  # every picture stands on the grid start + k / frame_rate
    frames: int  # pictures on the grid of frame_rate
    start: Fraction  # seconds, on the file's own clock: the zero of the package
    longest: Fraction = Fraction(0)  # seconds that a picture lasts at most; 0 if not all times are known
    reordered: int = 0  # pictures that are decoded before one that is shown before them

    @property
    def depth(self) -> int:
        """Bits of a sample, as far as the ladder keeps them: 8, or 10 for all that are deeper."""
        return 10 if _DEEP.search(self.pixel_format) else 8


@dataclass(frozen=True)
class AudioStream:
    index: int
    codec: str
    channels: int
    sample_rate: int
    language: str  # BCP 47
    title: str
    default: bool
    layout: str = ""  # ffmpeg's name of where the channels are; "" where the film does not say
    has_objects: bool = False  # E-AC-3 with Dolby Atmos in it
    original: bool = False  # the language that the film was made in
    roles: tuple[str, ...] = ()  # of DASH (urn:mpeg:dash:role:2011), see _AUDIO_ROLES


@dataclass(frozen=True)
class TextStream:
    index: int
    codec: str
    language: str
    title: str
    default: bool
    forced: bool
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    container: str
    video: VideoStream
    audios: tuple[AudioStream, ...]
    texts: tuple[TextStream, ...]
    left_out: tuple[str, ...]  # sentences about streams that do not get into the package
    chapters: tuple[Chapter, ...] = ()  # on the film's own clock
    keyframes: tuple[int, ...] = ()  # of a film on its grid: the pictures that decoding may begin with

    @property
    def duration(self) -> Fraction:
        """Seconds of film: of the video, which everything else is cut and padded to."""
        return self.video.frames / self.video.frame_rate

    @property
    def is_seekable(self) -> bool:
        return not SEEKABLE.isdisjoint(self.container.split(","))


@dataclass
class Scan:
    """Packet times of a file, in the ticks of each stream."""

    video_pts: list[int] = field(default_factory=list)
    keyframe_pts: list[int] = field(default_factory=list)
    untimed: int = 0  # pictures without a presentation time
    lost: int = 0  # pictures without any time, before the first that has one
    last_duration: int = 0  # of the latest picture
    ends: dict[int, int] = field(default_factory=dict)  # where each stream's packets end


def parse_scan(lines: Iterable[str], video_index: int, on_bytes: Callable[[int], None] | None = None) -> Scan:
    """Reads ffprobe's lines `stream_index,pts,dts,duration,pos,flags`; `on_bytes` gets each packet's place."""
    scan, latest = Scan(), -(2**63)
    for line in lines:
        parts = line.strip().split(",")
        if len(parts) < 6 or not parts[0].isdigit():
            continue  # side data prints lines of its own
        index, flags = int(parts[0]), parts[5]
        if on_bytes is not None and parts[4] != "N/A":
            on_bytes(int(parts[4]))
        if parts[1] == "N/A":
            # AVI knows only the times of decoding: good enough to see where the film ends.
            scan.untimed += index == video_index
            parts[1] = parts[2]
            if parts[1] == "N/A":
                scan.lost += index == video_index and not scan.video_pts
                continue
        pts, duration = int(parts[1]), int(parts[3]) if parts[3] != "N/A" else 0
        scan.ends[index] = max(scan.ends.get(index, pts), pts + duration)
        # Packets flagged D are decoded and thrown away (before the start of an edit list): not part of the film.
        if index == video_index and "D" not in flags:
            if pts >= latest:
                latest, scan.last_duration = pts, duration
            scan.video_pts.append(pts)
            if "K" in flags:
                scan.keyframe_pts.append(pts)
    scan.video_pts.sort()
    return scan


def choose_video(film: str, described: Mapping[str, Any]) -> dict[str, Any]:
    """The stream with the most pixels that is not a cover picture. Raises SourceError if there is none."""
    container = described.get("format", {}).get("format_name", "")
    streams = described.get("streams", [])
    if not container or container in _NOT_FILMS or container.endswith("_pipe"):
        raise SourceError(f"{film} is not a film: ffprobe takes it for {container or 'nothing it knows'}")
    videos = [stream for stream in streams if stream.get("codec_type") == "video" and not _is_cover(stream)]
    if not videos:
        kinds = sorted({stream.get("codec_type", "unknown") for stream in streams})
        raise SourceError(f"{film} has no video, only {', '.join(kinds) or 'an empty container'}")
    # Not blindly the first: films hold previews and covers as video streams of their own.
    largest = max(videos, key=lambda stream: (stream.get("width", 0) * stream.get("height", 0), -stream["index"]))
    width, height = largest.get("width", 0), largest.get("height", 0)
    if min(width, height) < _SMALLEST_SIDE:
        raise SourceError(f"{film} has video of {width}x{height}, expected at least {_SMALLEST_SIDE} pixels each way")
    if "codec_name" not in largest or largest["codec_name"] == "unknown":
        raise SourceError(f"{film} has video in a codec that ffmpeg does not know ({largest.get('codec_tag_string')})")
    return largest  # type: ignore[no-any-return]


def _is_cover(stream: Mapping[str, Any]) -> bool:
    disposition = stream.get("disposition", {})
    if disposition.get("attached_pic") or disposition.get("timed_thumbnails"):
        return True
    # Covers that are not flagged: one picture in a picture codec.
    return stream.get("codec_name") in _COVER_CODECS and stream.get("nb_frames") == "1"


def read_source(film: str, described: Mapping[str, Any], scan: Scan) -> Source:
    """Judges what ffprobe said about `film`. Raises SourceError saying why it cannot be encoded."""
    stream = choose_video(film, described)
    if not scan.video_pts:
        if scan.untimed == 0:
            raise SourceError(f"{film} has a video stream without a single picture (is the file truncated?)")
        raise SourceError(f"{film} has pictures without any times; put it into a container, such as Matroska, first")
    if scan.lost:
        raise SourceError(
            f"{film} begins with {scan.lost} pictures without times (were they negative?), which would be lost; "
            "put it into another container first, with times from 0"
        )
    _demand_whole(film, described, scan)
    if not has_base_layer(stream):
        raise SourceError(
            f"{film} is {dynamic_metadata(stream)[0]}, which only Dolby's own decoders show in its right colours; "
            "expected a film with a base layer in HDR10, HLG or SDR (profile 7 or 8)"
        )
    video = _read_video(stream, scan)
    audios, texts = [], []
    left_out = [
        f"the {metadata} of its pictures is left out: what remains is {video.colour.video_range}"
        for metadata in dynamic_metadata(stream)
    ]
    for other in described["streams"]:
        kind, codec = other.get("codec_type"), other.get("codec_name", "unknown")
        what = f"stream {other['index']} ({kind}, {codec})"
        if other["index"] == video.index or kind == "data" or (kind == "video" and _is_cover(other)):
            continue
        if kind == "audio" and codec != "unknown" and other.get("channels", 0) and other["index"] in scan.ends:
            audios.append(_read_audio(other))
        elif kind == "subtitle" and codec in _TEXT_CODECS:
            texts.append(_read_text(other))
        elif kind == "subtitle":
            left_out.append(f"{what} is left out: its captions are pictures, expected text")
        elif kind == "video":
            left_out.append(f"{what} is left out: {other.get('width')}x{other.get('height')} is not the largest")
        elif kind == "audio":
            left_out.append(f"{what} is left out: it is empty or its codec is unknown")
    chapters = tuple(_read_chapter(chapter) for chapter in described.get("chapters", ()))
    container = described["format"]["format_name"]
    keyframes = (
        tuple(bisect_left(scan.video_pts, pts) for pts in sorted(scan.keyframe_pts)) if video.is_constant else ()
    )
    return Source(container, video, tuple(audios), tuple(texts), tuple(left_out), chapters, keyframes)


def _demand_whole(film: str, described: Mapping[str, Any], scan: Scan) -> None:
    """Raises SourceError if packets end well before what the container declares."""
    declared = float(described["format"].get("duration", 0) or 0)
    start = float(described["format"].get("start_time", 0) or 0)
    bases = {stream["index"]: Fraction(stream["time_base"]) for stream in described["streams"] if "time_base" in stream}
    end = max(float(ticks * bases[index]) for index, ticks in scan.ends.items() if index in bases)
    if end - start < declared - _LOST_END_S:
        raise SourceError(
            f"{film} is truncated: it declares {declared:.1f} s, but its last packet ends at {end - start:.1f} s"
        )


def _read_video(stream: Mapping[str, Any], scan: Scan) -> VideoStream:
    time_base = Fraction(stream["time_base"])
    candidates = [_fraction(stream.get(key, "0/0")) for key in ("r_frame_rate", "avg_frame_rate")]
    rate, is_constant = frame_grid(scan.video_pts, time_base, [rate for rate in candidates if rate])
    is_constant = is_constant and not scan.untimed
    frames = len(scan.video_pts)
    if not is_constant:
        span = (scan.video_pts[-1] + scan.last_duration - scan.video_pts[0]) * time_base
        frames = max(1, round(span * rate))
    return VideoStream(
        index=stream["index"],
        codec=stream["codec_name"],
        width=stream["width"],
        height=stream["height"],
        sample_aspect=_fraction(stream.get("sample_aspect_ratio", "1:1").replace(":", "/")) or Fraction(1),
        rotation=_rotation(stream),
        interlaced=stream.get("field_order", "unknown") in ("tt", "bb", "tb", "bt"),
        pixel_format=stream.get("pix_fmt", ""),
        colour=read_colour(stream),
        frame_rate=rate,
        is_constant=is_constant,
        frames=frames,
        start=scan.video_pts[0] * time_base,
        reordered=stream.get("has_b_frames", 0),
        longest=Fraction(0) if scan.untimed else _longest(scan) * time_base,
    )


def _longest(scan: Scan) -> int:
    """Ticks that a picture lasts at most."""
    return max(itertools.chain([scan.last_duration], (b - a for a, b in itertools.pairwise(scan.video_pts))))


def frame_grid(pts: Sequence[int], time_base: Fraction, candidates: Sequence[Fraction]) -> tuple[Fraction, bool]:
    """The frame rate of sorted picture times, and whether it is constant.

    Constant means: every picture lies within 0.4 frames of first + k / rate. What the container claims is only a
    candidate; so is the standard rate nearest to the measured mean, for containers that claim nonsense.
    """
    span = (pts[-1] - pts[0]) * time_base
    measured = [] if span <= 0 else [min(_STANDARD_RATES, key=lambda rate: abs(rate - (len(pts) - 1) / span))]
    # A rate that films are made at before one that a reader worked out of a few rounded times ("19001/317" for 59.94).
    usual_first = (rate for rate in candidates if rate in _STANDARD_RATES)
    for rate in (*usual_first, *measured, *candidates):
        if _on_grid(pts, time_base, rate):
            return rate, True
    if span <= 0:
        return Fraction(25), True
    usual = statistics.median_low([b - a for a, b in itertools.pairwise(pts)]) * time_base
    fastest = 1 / usual if usual > 0 else (len(pts) - 1) / span
    return next((rate for rate in _STANDARD_RATES if rate * Fraction(101, 100) >= fastest), _STANDARD_RATES[-1]), False


def _on_grid(pts: Sequence[int], time_base: Fraction, rate: Fraction) -> bool:
    # In whole numbers: a film has some 200,000 pictures, and Fractions would take seconds.
    ticks = time_base.numerator * rate.numerator  # a tick, in units of which a frame has `frame`
    frame = time_base.denominator * rate.denominator
    limit = _JITTER.numerator * frame
    return all(abs((at - pts[0]) * ticks - k * frame) * _JITTER.denominator <= limit for k, at in enumerate(pts))


def _fraction(text: str) -> Fraction:
    """ "24000/1001"; 0 for "0/0" and what cannot be read."""
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        return Fraction(0)
    return max(value, Fraction(0))


def _rotation(stream: Mapping[str, Any]) -> int:
    for data in stream.get("side_data_list", []):
        if "rotation" in data:
            # ffprobe counts counter-clockwise; ffmpeg turns pictures only by whole quarters.
            return -round(float(data["rotation"]) / 90) * 90 % 360
    return 0


def _read_audio(stream: Mapping[str, Any]) -> AudioStream:
    tags, disposition = _tags(stream), stream.get("disposition", {})
    return AudioStream(
        index=stream["index"],
        codec=stream["codec_name"],
        channels=stream["channels"],
        sample_rate=int(stream.get("sample_rate", 0)),
        language=language_tag(tags.get("language", "")),
        title=_title(tags),
        default=bool(disposition.get("default")),
        layout=stream.get("channel_layout", ""),
        has_objects="Atmos" in stream.get("profile", ""),
        original=bool(disposition.get("original")),
        roles=_roles(disposition, _AUDIO_ROLES),
    )


def _read_text(stream: Mapping[str, Any]) -> TextStream:
    tags, disposition = _tags(stream), stream.get("disposition", {})
    return TextStream(
        index=stream["index"],
        codec=stream["codec_name"],
        language=language_tag(tags.get("language", "")),
        title=_title(tags),
        default=bool(disposition.get("default")),
        forced=bool(disposition.get("forced")),
        roles=_roles(disposition, _TEXT_ROLES),
    )


def _read_chapter(chapter: Mapping[str, Any]) -> Chapter:
    return Chapter(float(chapter["start_time"]), float(chapter["end_time"]), _tags(chapter).get("title", ""))


def _roles(disposition: Mapping[str, int], names: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(role for name, role in names.items() if disposition.get(name)))


def _title(tags: Mapping[str, str]) -> str:
    """On one line, whatever ends one; a menu shows no more."""
    return " ".join(tags.get("title", "").split())


def _tags(stream: Mapping[str, Any]) -> dict[str, str]:
    return {key.lower(): value for key, value in stream.get("tags", {}).items()}
