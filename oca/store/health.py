"""Tells a volume that is well from one that is full of errors, read-only, not mounted, or another one than before.

An empty mount point looks like an empty volume, and content written there would fill the wrong disk, and be hidden once
the volume is mounted again. So a volume carries its own name, `.nearcast-volume`, and the appliance remembers in its
state directory which name it saw under which path, on the file system mounted where:

    name there      as remembered, or another one of ours (disks were swapped)       well
    no name there   nothing remembered                                               new: gets a name
                    remembered, and the same file system is still mounted there      replaced or emptied: gets a name
                    remembered, and that file system is not mounted                  not mounted

All functions block.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path

import msgspec

from oca.errors import VolumeFailed

_NAME_NAME = ".nearcast-volume"
_PROBE_NAME = ".nearcast-probe"
_REMEMBERED_NAME = "volumes.json"


class Identity(msgspec.Struct, frozen=True):
    """Which volume it is, and where its file system was mounted."""

    name: str
    mount: str


def identify(root: Path, remembered: Identity | None) -> Identity:
    """Which volume is at `root`; a new one gets a name. Raises VolumeFailed if it is not mounted, OSError."""
    mount = _mount_of(root)
    try:
        name = (root / _NAME_NAME).read_text().strip()
    except FileNotFoundError:
        if remembered is not None and remembered.mount != mount:
            raise VolumeFailed(
                f"it is not mounted: expected the file system that was mounted at {remembered.mount}, "
                f"found the one at {mount}"
            ) from None
        name = uuid.uuid4().hex
        (root / _NAME_NAME).write_text(f"{name}\n")
    return Identity(name, mount)


def probe(root: Path, identity: Identity | None) -> int:
    """Writes and syncs a few bytes; the bytes that are free. Raises OSError, or VolumeFailed if it is another volume.

    Without an identity the root may be any directory that can be written to.
    """
    if identity is not None:
        try:
            name = (root / _NAME_NAME).read_text().strip()
        except FileNotFoundError:
            name = ""
        if name != identity.name:
            raise VolumeFailed(f"it is not there: expected the one named {identity.name}, found {name or 'none'}")
    path = root / _PROBE_NAME
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        os.write(fd, b"well\n")
        os.fsync(fd)
    finally:
        os.close(fd)
        path.unlink(missing_ok=True)
    return free_bytes(root)


def free_bytes(root: Path) -> int:
    status = os.statvfs(root)
    return status.f_bavail * status.f_frsize


def remember(state: Path, identities: Mapping[Path, Identity]) -> None:
    path = state / _REMEMBERED_NAME
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode({str(root): who for root, who in identities.items()})))
    fresh.rename(path)


def remembered(state: Path) -> dict[Path, Identity]:
    try:
        known = msgspec.json.decode((state / _REMEMBERED_NAME).read_bytes(), type=dict[str, Identity])
    except (FileNotFoundError, msgspec.DecodeError):
        return {}
    return {Path(root): who for root, who in known.items()}


def _mount_of(root: Path) -> str:
    path = root.resolve()
    while not path.is_mount():
        path = path.parent
    return str(path)
