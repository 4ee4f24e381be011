"""The package format: what one immutable encode of a title is, and how its URLs map to bytes.

A package is a flat folder: one file per rendition, playlists, an MPD, a poster, and `package.json`, the manifest
that lists all of it. The manifest holds a SHA-256 of each file and of each 4 MiB block, and the package's name *is*
the SHA-256 of the manifest (its first 128 bits). So from the name alone every byte can be checked, whoever sent it.

    /v1/{title}/{package}/package.json          the manifest
    /v1/{title}/{package}/{file}                a whole file
    /v1/{title}/{package}/{rendition}/init.mp4  bytes [0, init_size) of the rendition's file
    /v1/{title}/{package}/{rendition}/{n}.m4s   its n-th segment, counted from 1
    /t/{token}/v1/...                           the same; relative URIs in playlists keep the token

Pure: no files, no clock. Everybody to the right of encoder/ reads this module and encoder/manifests.py, nothing else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Literal, NamedTuple

import msgspec

from encoder.errors import PackageError

FORMAT = 1
# The unit of digest, of transfer and of a partial hold: a disk reads 4 MiB in one seek's time, and a two-hour film's
# largest rendition still has only about a thousand digests.
BLOCK_SIZE = 4 * 1024 * 1024
MANIFEST_NAME = "package.json"
INIT_NAME = "init.mp4"
# What an appliance calls a file while its blocks arrive, and the record of which have; no stored file may end so.
RESERVED_SUFFIXES = (".partial", ".blocks")

TITLE_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
PACKAGE_PATTERN = re.compile(r"[0-9a-f]{32}")
FILE_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
DIGEST_PATTERN = re.compile(r"[0-9a-f]{64}")
KEY_ID_PATTERN = re.compile(r"[0-9a-f]{32}")
_SEGMENT_PATTERN = re.compile(r"([1-9][0-9]{0,6})\.m4s")

MEDIA_TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mpd": "application/dash+xml",
    ".mp4": "video/mp4",
    ".m4s": "video/iso.segment",
    ".vtt": "text/vtt",
    ".json": "application/json",
    ".jpg": "image/jpeg",
}


def media_type(name: str) -> str:
    return MEDIA_TYPES.get(name[name.rfind(".") :], "application/octet-stream")


class StoredFile(msgspec.Struct, frozen=True):
    """One file of a package. `digest` and each of `blocks` are SHA-256 in hex; the last block may be shorter."""

    name: str
    size: int
    digest: str
    blocks: tuple[str, ...]


class DrmSignal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What manifests say of one key for one DRM system. Never the key."""

    system: str  # the system's UUID, or "identity" (RFC 8216 section 4.3.2.4), which only HLS has
    key_id: str
    pssh: str = ""  # the whole box, in base64
    hls: str = ""  # attributes of EXT-X-KEY; empty: the system has none in HLS
    hls_session: str = ""  # of EXT-X-SESSION-KEY
    dash: str = ""  # XML inside of ContentProtection, beside cenc:pssh
    licence_url: str = ""  # where players get licences, for those that are told so


class Protection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the renditions that have a `key_id` are encrypted (ISO/IEC 23001-7)."""

    scheme: str
    signals: tuple[DrmSignal, ...] = ()

    @property
    def licence_urls(self) -> dict[str, str]:
        """DRM system -> where its licences are, for those of which that is known."""
        return {signal.system: signal.licence_url for signal in self.signals if signal.licence_url}


class Loudness(msgspec.Struct, frozen=True):
    """How loud a rendition is by EBU R 128, as it is in the package; of silence -70 LUFS and -99 dB."""

    integrated_lufs: float
    range_lu: float
    true_peak_dbtp: float


class Chapter(msgspec.Struct, frozen=True):
    """A part of the film that has a name; `start` and `end` in seconds."""

    start: float
    end: float
    title: str


class Poster(msgspec.Struct, frozen=True):
    """A picture of the film for pages; `width` and `height` in pixels."""

    file: str
    width: int
    height: int


class Thumbnails(msgspec.Struct, frozen=True):
    """Small pictures of the film at even times, many in one file: `columns` x `rows`, in the order of reading.

    The files are `sheet_name(1)` to `sheet_name(sheets)`; what the film does not fill of the last is black.
    """

    playlist: str
    sheets: int
    columns: int
    rows: int
    width: int  # of one picture
    height: int
    interval: int  # seconds from one picture to the next
    count: int  # pictures
    bandwidth: int  # bit/s, of the largest sheet


def sheet_name(number: int | str) -> str:
    return f"thumbnails-{number}.jpg"


class Rendition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One encoded version of one track, stored as one file: init segment first, then the segments without gaps.

    Text renditions are one whole WebVTT file: no init segment, one entry in `durations` and `sizes`.
    """

    name: str
    kind: Literal["video", "audio", "text"]
    file: str
    playlist: str
    codecs: str  # RFC 6381; empty for text
    bandwidth: int  # peak bit/s over windows of 0.5 to 1.5 segment durations, as HLS's BANDWIDTH asks
    average_bandwidth: int
    timescale: int  # ticks a second
    init_size: int  # bytes [0, init_size) are the init segment (a sidx may follow it, before the media)
    media_offset: int  # where the first segment starts
    durations: tuple[int, ...]  # of each segment, in ticks
    sizes: tuple[int, ...]  # of each segment, in bytes
    language: str = "und"  # BCP 47
    label: str = ""
    default: bool = False
    forced: bool = False
    width: int = 0
    height: int = 0
    frame_rate: str = ""  # "24000/1001"
    video_range: Literal["SDR", "PQ", "HLG"] = "SDR"
    channels: int = 0
    sample_rate: int = 0
    has_objects: bool = False  # Dolby Atmos within E-AC-3
    loudness: Loudness | None = None  # of audio; None: nobody measured it
    version_of: str = ""  # rendition of the same track with fewer channels, which every player can play
    roles: tuple[str, ...] = ()  # of DASH beside main, alternate, subtitle: "commentary", "description", "caption" ...
    iframe_playlist: str = ""
    iframe_bandwidth: int = 0
    key_id: str = ""  # 32 hex digits; empty: not encrypted
    vmaf: float = 0.0  # mean quality that it was made to have, at the largest rendition's size; 0: nobody asked for one


class Package(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One immutable encode of a title. Holds no clock and no path: the same film gives the same bytes."""

    format: int
    title: str
    name: str  # what people call the title
    duration: float  # seconds
    source_digest: str  # SHA-256 of the film
    encoder: str  # tools and their versions
    renditions: tuple[Rendition, ...]
    files: tuple[StoredFile, ...]  # all but package.json itself
    poster: str = ""
    posters: tuple[Poster, ...] = ()  # `poster` in all sizes that there are
    thumbnails: Thumbnails | None = None
    trick_mode: str = ""  # rendition that the MPD offers once more for playing fast; empty: none
    chapters: tuple[Chapter, ...] = ()
    chapters_json: str = ""  # the file that HLS names
    protection: Protection | None = None  # None: nothing is encrypted

    def of_kind(self, kind: str) -> tuple[Rendition, ...]:
        return tuple(rendition for rendition in self.renditions if rendition.kind == kind)

    @property
    def size(self) -> int:
        """Bytes of all files, without the manifest."""
        return sum(file.size for file in self.files)


class Extent(NamedTuple):
    """What one URL of a package stands for: a piece of one stored file."""

    file: StoredFile
    offset: int
    length: int
    media_type: str


class ContentPath(NamedTuple):
    """A content URL's path, taken apart; `path` is what follows the package and is not checked yet."""

    token: str
    title: str
    package: str
    path: str


def encode(package: Package) -> bytes:
    """The manifest's bytes. Raises PackageError if the package contradicts itself."""
    check(package)
    return msgspec.json.encode(package, order="deterministic")


def decode(data: bytes) -> Package:
    """The package that a manifest describes. Raises PackageError saying what is wrong and where."""
    try:
        package = msgspec.json.decode(data, type=Package)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PackageError(f"{MANIFEST_NAME}: {error}") from error
    check(package)
    return package


def package_name(manifest: bytes) -> str:
    """The name of the package that has this manifest: 128 bits of its SHA-256, in hex."""
    return hashlib.sha256(manifest).hexdigest()[:32]


def digest_blocks(data: Iterator[bytes]) -> tuple[int, str, tuple[str, ...]]:
    """Size, SHA-256 and SHA-256 of each block of a file that arrives in pieces of any size."""
    whole, block = hashlib.sha256(), hashlib.sha256()
    size, blocks = 0, []
    for piece in data:
        whole.update(piece)
        view = memoryview(piece)
        while view:
            part = view[: BLOCK_SIZE - size % BLOCK_SIZE]
            block.update(part)
            size += len(part)
            view = view[len(part) :]
            if size % BLOCK_SIZE == 0:
                blocks.append(block.hexdigest())
                block = hashlib.sha256()
    if size % BLOCK_SIZE:
        blocks.append(block.hexdigest())
    return size, whole.hexdigest(), tuple(blocks)


def check(package: Package) -> None:
    """Raises PackageError at the first thing in which the package contradicts the format or itself."""

    def demand(condition: bool, complaint: str) -> None:
        if not condition:
            raise PackageError(f"{MANIFEST_NAME} of {package.title!r}: {complaint}")

    demand(package.format == FORMAT, f"format {package.format}, this version reads {FORMAT}")
    demand(TITLE_PATTERN.fullmatch(package.title) is not None, "a title is 1-64 of a-z 0-9 . _ -")
    files = {file.name: file for file in package.files}
    demand(len(files) == len(package.files), "two files of one name")
    for file in package.files:
        demand(FILE_PATTERN.fullmatch(file.name) is not None, f"file name {file.name!r}")
        demand(file.name != MANIFEST_NAME, "lists its own manifest")
        demand(not file.name.endswith(RESERVED_SUFFIXES), f"file name {file.name!r} ends like an unfinished one")
        demand(file.size >= 0, f"{file.name}: size {file.size}")
        blocks = -(-file.size // BLOCK_SIZE)
        demand(len(file.blocks) == blocks, f"{file.name}: {len(file.blocks)} block digests for {blocks} blocks")
        for digest in (file.digest, *file.blocks):
            demand(DIGEST_PATTERN.fullmatch(digest) is not None, f"{file.name}: digest {digest!r}")
    names = {rendition.name for rendition in package.renditions}
    demand(len(names) == len(package.renditions), "two renditions of one name")
    demand(not names & files.keys(), "a rendition is named like a file")
    for rendition in package.renditions:
        place = f"rendition {rendition.name!r}"
        demand(FILE_PATTERN.fullmatch(rendition.name) is not None, f"{place}: name")
        for name in (rendition.file, rendition.playlist, rendition.iframe_playlist or rendition.playlist):
            demand(name in files, f"{place}: file {name!r} is not in the package")
        if rendition.key_id:
            demand(KEY_ID_PATTERN.fullmatch(rendition.key_id) is not None, f"{place}: key ID {rendition.key_id!r}")
            demand(package.protection is not None, f"{place}: is encrypted, and nothing says how")
        demand(rendition.timescale > 0, f"{place}: timescale {rendition.timescale}")
        demand(len(rendition.durations) == len(rendition.sizes) > 0, f"{place}: durations and sizes do not pair")
        demand(min(rendition.durations) > 0 <= min(rendition.sizes), f"{place}: an empty segment")
        demand(0 <= rendition.init_size <= rendition.media_offset, f"{place}: init segment and media overlap")
        end = rendition.media_offset + sum(rendition.sizes)
        demand(end == files[rendition.file].size, f"{place}: segments end at {end}, not at the end of the file")
    for signal in package.protection.signals if package.protection is not None else ():
        place = f"what DRM system {signal.system!r} is told"
        demand(KEY_ID_PATTERN.fullmatch(signal.key_id) is not None, f"{place}: key ID {signal.key_id!r}")
        # One line of a playlist each; a line end would begin another.
        demand(f"{signal.hls}{signal.hls_session}".isprintable(), f"{place}: a line end, or what cannot be shown")
    demand(package.poster == "" or package.poster in files, f"poster {package.poster!r} is not in the package")
    demand(package.trick_mode == "" or package.trick_mode in names, f"no rendition {package.trick_mode!r} to play fast")
    for name in _named(package):
        demand(name in files, f"{name!r} is named and not in the package")


def _named(package: Package) -> Iterator[str]:
    yield from (poster.file for poster in package.posters)
    if package.chapters_json:
        yield package.chapters_json
    if package.thumbnails is not None:
        yield package.thumbnails.playlist
        yield from (sheet_name(number) for number in range(1, package.thumbnails.sheets + 1))


def parse_content_path(path: str) -> ContentPath:
    """Takes apart a decoded URL path. Raises PackageError (404) for anything that is not a content URL."""
    parts = path.split("/")
    token = ""
    if len(parts) > 3 and parts[1] == "t":
        token, parts = parts[2], parts[2:]
    # After this, parts = ["", or the token, "v1", title, package, ...]; neither ".." nor "" passes the patterns.
    if len(parts) not in (5, 6) or path[:1] != "/" or parts[1] != "v1":
        raise PackageError(f"{path}: not a content URL, expected /v1/TITLE/PACKAGE/FILE", status=404)
    title, package, rest = parts[2], parts[3], parts[4:]
    if not TITLE_PATTERN.fullmatch(title) or not PACKAGE_PATTERN.fullmatch(package):
        raise PackageError(f"{path}: not the name of a title and a package", status=404)
    if not all(FILE_PATTERN.fullmatch(part) for part in rest):
        raise PackageError(f"{path}: not the name of a file", status=404)
    return ContentPath(token, title, package, "/".join(rest))


class PackageIndex:
    """Finds the bytes of each URL of one package; built once, asked for every request."""

    __slots__ = ("_files", "_offsets", "_renditions", "package")

    def __init__(self, package: Package) -> None:
        self.package = package
        self._files = {file.name: file for file in package.files}
        self._renditions = {rendition.name: rendition for rendition in package.renditions}
        self._offsets = {
            rendition.name: tuple(accumulate(rendition.sizes, initial=rendition.media_offset))
            for rendition in package.renditions
        }

    def file(self, name: str) -> StoredFile:
        """Raises PackageError (404)."""
        try:
            return self._files[name]
        except KeyError:
            raise PackageError(f"{self.package.title} has no file {name!r}", status=404) from None

    def locate(self, path: str) -> Extent:
        """The bytes behind `path` ("v720.mp4", "v720/init.mp4", "v720/3.m4s"). Raises PackageError (404)."""
        name, slash, part = path.partition("/")
        if not slash:
            file = self.file(name)
            return Extent(file, 0, file.size, media_type(name))
        rendition = self._renditions.get(name)
        if rendition is None or not rendition.init_size:
            raise PackageError(f"{self.package.title} has no segmented rendition {name!r}", status=404)
        file = self._files[rendition.file]
        if part == INIT_NAME:
            return Extent(file, 0, rendition.init_size, f"{rendition.kind}/mp4")
        match = _SEGMENT_PATTERN.fullmatch(part)
        number = int(match[1]) if match else 0
        if not 1 <= number <= len(rendition.sizes):
            raise PackageError(
                f"{self.package.title}/{name} has no segment {part!r}; it has 1.m4s to {len(rendition.sizes)}.m4s",
                status=404,
            )
        return Extent(file, self._offsets[name][number - 1], rendition.sizes[number - 1], media_type(part))


def block_range(block: int, size: int) -> tuple[int, int]:
    """First byte and end (exclusive) of a block of a file of `size` bytes."""
    return block * BLOCK_SIZE, min((block + 1) * BLOCK_SIZE, size)


def blocks_of(offset: int, length: int) -> range:
    """The blocks that bytes [offset, offset + length) lie in."""
    return range(offset // BLOCK_SIZE, -(-(offset + length) // BLOCK_SIZE)) if length else range(0)
