"""Encrypts packaged files, and proves it: decrypted again, they are what they were, byte for byte.

The files in clear have been checked already (encoder/packages/verify.py), so that nothing there has to know keys. What
is checked here besides is that no sample was left in clear: one encrypted sample entry, the wanted key ID and IV in its
`tenc`, no group of samples that is excepted (`seig`), and every range that `senc` names is another than before.
"""

from __future__ import annotations

import filecmp
from collections.abc import Mapping, Sequence
from pathlib import Path

from encoder.errors import CheckError, PackageError
from encoder.package import Rendition
from encoder.packages.boxes import find, walk
from encoder.packages.renditions import FileIndex, read_index
from encoder.protection.arguments import (
    SCHEME,
    FileKey,
    decrypting,
    decryption_keys,
    encrypting,
    encryption_keys,
)
from encoder.protection.keys import KeyRing, show_id, track_of
from encoder.protection.samples import is_encrypted, read_segment
from encoder.running.work import Work

# Sample entries: their fields before the first box (ISO/IEC 14496-12 12.1.3 and 12.2.3).
_ENTRY_FIELDS = {"encv": 78, "enca": 28}
# One block in ten of pictures, all of sound (ISO/IEC 23001-7 10.4).
_PATTERNS = {"encv": 0x19, "enca": 0x00}


def assign(ring: KeyRing, renditions: Sequence[Rendition], digest: str) -> dict[str, FileKey]:
    """File name -> its key, for all renditions. `digest` is the film's. Raises ProtectionError if one has no key."""
    keys = {rendition.file: ring.key_of(track_of(rendition)) for rendition in renditions}
    return {file: FileKey(key, key.iv_of(digest, file)) for file, key in keys.items()}


def encrypt(
    work: Work, clear: Path, runs: Sequence[Sequence[str]], files: Mapping[str, FileKey], ring: KeyRing
) -> Path:
    """The folder with the files of `clear`, encrypted. `runs` are the packager's that made those."""
    wanted = [argument for run in runs for argument in encrypting(run, files)]

    def make(folder: Path) -> None:
        for run in runs:
            work.tools.packager(encrypting(run, files), cwd=folder, flags=encryption_keys(files))

    made = work.run("encrypted", [ring.fingerprint, *wanted], make)

    def check(folder: Path) -> None:
        for run in runs:
            work.tools.packager(decrypting(run, f"../{made.name}"), cwd=folder, flags=decryption_keys(files))
        for name, file in files.items():
            demand_encrypted(made / name, clear / name, file)
            if not filecmp.cmp(folder / name, clear / name, shallow=False):
                raise CheckError(f"{name}: decrypted it is not what was encrypted")
            (folder / name).unlink()

    work.run("decrypted", [made.name, clear.name], check)
    return made


def demand_encrypted(path: Path, clear: Path, file: FileKey) -> None:
    """Raises CheckError unless every sample of the file at `path` is encrypted with that key and IV."""
    index, before = read_index(path), read_index(clear)
    with path.open("rb") as encrypted, clear.open("rb") as plain:
        try:
            _demand_entry(encrypted.read(index.init_size), path.name, file)
            for number, (found, was) in enumerate(zip(_media(index), _media(before), strict=True), 1):
                encrypted.seek(found[0])
                plain.seek(was[0])
                segment = encrypted.read(found[1])
                if b"seig" in segment[: segment.find(b"mdat")]:
                    raise CheckError(f"{path.name}: segment {number} excepts samples from encryption")
                if not is_encrypted(read_segment(segment), read_segment(plain.read(was[1])).data):
                    raise CheckError(f"{path.name}: segment {number} is not encrypted")
        except PackageError as error:
            raise CheckError(f"{path.name}: {error}") from error


def _media(index: FileIndex) -> list[tuple[int, int]]:
    """Offset and size of each segment."""
    at, found = index.media_offset, []
    for size in index.sizes:
        found.append((at, size))
        at += size
    return found


def _demand_entry(init: bytes, name: str, file: FileKey) -> None:
    """Checks the sample description of an init segment (ISO/IEC 14496-12 8.12, ISO/IEC 23001-7 8.2)."""
    table = find(init, "moov", "trak", "mdia", "minf", "stbl", "stsd")
    entries = list(walk(init, table.body + 8, table.end)) if table is not None else []
    if len(entries) != 1 or entries[0].kind not in _ENTRY_FIELDS:
        kinds = ", ".join(entry.kind for entry in entries) or "none"
        raise CheckError(f"{name}: sample entries {kinds}, expected one that is encrypted")
    start = entries[0].body + _ENTRY_FIELDS[entries[0].kind]
    protection = next((box for box in walk(init, start, entries[0].end) if box.kind == "sinf"), None)
    inside = init[protection.start : protection.end] if protection is not None else b""
    scheme, track = find(inside, "sinf", "schm"), find(inside, "sinf", "schi", "tenc")
    if scheme is None or track is None:
        raise CheckError(f"{name}: an encrypted sample entry that does not say how")
    found = inside[scheme.body + 4 : scheme.body + 8].decode("latin-1")
    if found != SCHEME:
        raise CheckError(f"{name}: protection scheme {found!r}, expected {SCHEME}")
    # Version and flags, a reserved byte, the pattern, isProtected, the size of IVs of samples, the key ID; and as there
    # are no such IVs, the size of the constant one and it.
    said = inside[track.body : track.end]
    key_id = said[8:24].hex()
    if key_id != file.key.key_id:
        raise CheckError(f"{name}: is encrypted with key {show_id(key_id)}, expected {show_id(file.key.key_id)}")
    if said[5:8] != bytes((_PATTERNS[entries[0].kind], 1, 0)):
        raise CheckError(f"{name}: pattern, protection and IV size {said[5:8].hex()}, expected those of {SCHEME}")
    if said[24:] != bytes((len(file.iv),)) + file.iv:
        raise CheckError(f"{name}: is encrypted with another IV than was given")
