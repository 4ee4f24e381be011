"""What one delivery process knows of stored content: pieces by URL, indexes by package, open files and what is right.

A *piece* is what one URL stands for. It is made once and kept, so that the usual request costs one dictionary look-up.
It may be sent directly when every block under it was found right since the appliance started; which those are is the
parent's to say, file by file (oca.messages.Located), and to take back (Gone, Rotten).
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from encoder import package as packages
from encoder.package import MANIFEST_NAME, Extent, PackageIndex, StoredFile
from oca.errors import OcaError
from oca.http.connection import Descriptor
from oca.messages import Located

# Pieces are ~1 KiB each; at the limit the oldest half goes, which costs a look-up each to make again.
_MOST_PIECES = 65536
# A longer one is not a player's; keeping it would let one client fill the memory.
_LONGEST_KEPT_LINE = 512
# An index without block digests has some 100 KB for a long film.
_MOST_INDEXES = 256


class FileName(NamedTuple):
    """Names one stored file of one package."""

    title: str
    package: str
    file: str


class OpenFile:
    """A stored file that is open here: `verified` has one byte for each block, 1 where it may be sent."""

    __slots__ = ("descriptor", "inode", "lines", "verified")

    def __init__(self, descriptor: Descriptor, inode: int, verified: bytes) -> None:
        self.descriptor, self.inode = descriptor, inode
        self.verified = bytearray(verified)
        self.lines: set[bytes] = set()  # of the pieces that are kept

    def covers(self, first: int, end: int) -> bool:
        """Whether bytes [first, end) may be sent. Of manifests that is never known: each is asked for anew."""
        blocks = packages.blocks_of(first, end - first)
        return blocks.stop <= len(self.verified) and all(self.verified[block] for block in blocks)

    def mark(self, first: int, end: int) -> None:
        """Bytes [first, end) were found right."""
        for block in packages.blocks_of(first, end - first):
            if block < len(self.verified):
                self.verified[block] = 1


class Piece:
    """What one URL stands for. `file` is None until all of its bytes may be sent directly."""

    __slots__ = ("extent", "file", "head", "name", "part", "rate_bps", "record")

    def __init__(self, name: FileName, part: str, extent: Extent, rate_bps: int) -> None:
        self.name, self.part, self.extent = name, part, extent
        self.rate_bps = rate_bps  # nominal, of what is being watched; 0 where that cannot be told
        self.file: OpenFile | None = None
        self.head = b""  # of a plain 200, without the fields that end it
        self.record = b""  # what the access log says of it


class _Index(NamedTuple):
    pieces: PackageIndex
    manifest: StoredFile
    rates: dict[str, int]  # of each rendition


class Pieces:
    """`most_files` may be open at once; the one that was opened first goes for a new one."""

    def __init__(self, most_files: int) -> None:
        self._most_files = most_files
        self._pieces: dict[bytes, Piece] = {}
        self._indexes: dict[tuple[str, str], _Index] = {}
        self._files: dict[FileName, OpenFile] = {}
        self.find = self._pieces.get  # by request line without token and query: what can be sent at once, or None

    # From a URL to a piece

    def locate(self, title: str, package: str, part: str) -> Piece:
        """What a part of a package is. Raises PackageError, or KeyError where the package is not known."""
        index = self._indexes[title, package]
        if part == MANIFEST_NAME:  # it does not list itself
            file = index.manifest
            extent = Extent(file, 0, file.size, packages.media_type(MANIFEST_NAME))
        else:
            extent = index.pieces.locate(part)
        name = FileName(title, package, extent.file.name)
        return Piece(name, part, extent, index.rates.get(part.partition("/")[0], 0))

    def learn(self, title: str, package: str, manifest: Path) -> None:
        """Reads a package's manifest. Raises OcaError if it is not right, OSError."""
        data = manifest.read_bytes()
        if packages.package_name(data) != package:
            raise OcaError(f"the manifest of {title}/{package} has another digest than its name", status=503)
        decoded = packages.decode(data)
        replace = msgspec.structs.replace
        # Nothing is verified here: without the digests of blocks an index is a third of its size.
        lean = replace(decoded, files=tuple(replace(file, blocks=()) for file in decoded.files))
        stored = StoredFile(MANIFEST_NAME, len(data), hashlib.sha256(data).hexdigest(), ())
        if len(self._indexes) >= _MOST_INDEXES:
            self._indexes.pop(next(iter(self._indexes)))
        rates = {rendition.name: rendition.bandwidth for rendition in decoded.renditions}
        self._indexes[title, package] = _Index(PackageIndex(lean), stored, rates)

    def keep(self, line: bytes, piece: Piece, file: OpenFile) -> None:
        """From now on `find` gives the piece."""
        if len(line) > _LONGEST_KEPT_LINE:
            return
        if len(self._pieces) >= _MOST_PIECES:
            for old in list(self._pieces)[: _MOST_PIECES // 2]:
                forgotten = self._pieces.pop(old)
                if forgotten.file is not None:
                    forgotten.file.lines.discard(old)
        piece.file = file
        self._pieces[line] = piece
        file.lines.add(line)

    # Files

    def file(self, name: FileName) -> OpenFile | None:
        return self._files.get(name)

    def open(self, name: FileName, located: Located) -> OpenFile:
        """The file that the parent located, opened if it is not yet. Raises OSError."""
        known = self._files.get(name)
        if known is not None:
            if known.inode == located.inode:
                return known
            self.forget(name)
        file = OpenFile(_open(located), located.inode, located.verified)
        while len(self._files) >= self._most_files:
            self.forget(next(iter(self._files)))
        self._files[name] = file
        return file

    def forget(self, name: FileName) -> None:
        """The file is no longer held, or its descriptor is needed for another one."""
        file = self._files.pop(name, None)
        if file is not None:
            self._forget_pieces(file)
            file.descriptor.retire()

    def forget_package(self, title: str, package: str) -> None:
        """`find` gives no piece of it until one is kept again."""
        for name, file in self._files.items():
            if (name.title, name.package) == (title, package):
                self._forget_pieces(file)

    def distrust(self, name: FileName, block: int) -> None:
        """A block of the file is no longer known to be right; -1 stands for all."""
        file = self._files.get(name)
        if file is not None:
            blocks = range(len(file.verified)) if block < 0 else range(block, min(block + 1, len(file.verified)))
            for unsure in blocks:
                file.verified[unsure] = 0
            self._forget_pieces(file)

    def _forget_pieces(self, file: OpenFile) -> None:
        for line in file.lines:
            del self._pieces[line]
        file.lines = set()

    def __iter__(self) -> Iterator[FileName]:
        return iter(self._files)


def _open(located: Located) -> Descriptor:
    """The file whose bytes are there or landing. Raises OSError.

    It may have got its final name since the parent told the other one. Or it was dropped and asked for again: then the
    path is that of another file, still full of holes, and only the inode tells.
    """
    path = Path(located.path)
    partial = packages.RESERVED_SUFFIXES[0]
    other = path.with_name(path.name.removesuffix(partial) if path.name.endswith(partial) else path.name + partial)
    for name in (path, other):
        with suppress(FileNotFoundError):
            descriptor = Descriptor(name)
            if os.fstat(descriptor.fd).st_ino == located.inode:
                return descriptor
            descriptor.retire()
    raise FileNotFoundError(errno.ENOENT, "the file whose bytes landed is gone", located.path)
