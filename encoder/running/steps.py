"""Finished steps of an encode, kept under a key of what went into them, so that a killed encode resumes.

Each step fills a folder. It works in `{step}.{chance}.tmp`, which becomes `{step}` by one rename when all of it is on
the disk: a folder without that suffix is whole, whatever happened in between.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from config.units import show_bytes
from encoder.errors import SpaceError
from encoder.running.process import full_disk_is_space_error

_UNFINISHED = ".tmp"


def key_of(*parts: str) -> str:
    """A short name for exactly these texts, in this order."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()[:16]


class Steps:
    """The steps of one film. Not two at once on one folder: see `locked`."""

    def __init__(self, folder: Path, min_free_space: int) -> None:
        self.folder = folder
        self._min_free_space = min_free_space
        folder.mkdir(parents=True, exist_ok=True)

    def run(self, name: str, inputs: Sequence[str], make: Callable[[Path], object]) -> Path:
        """The folder of this step, made by `make(folder)` unless it exists. `inputs` is all that its bytes depend on.

        Raises SpaceError if there is less free space than the operator wants kept, or the disk fills.
        """
        return self.make(self.name(name, inputs), make)

    @staticmethod
    def name(name: str, inputs: Sequence[str]) -> str:
        """Of a step's folder."""
        return f"{name}-{key_of(*inputs)}"

    def make(self, step: str, make: Callable[[Path], object]) -> Path:
        """The same by the name of the folder."""
        finished = self.folder / step
        if finished.exists():
            return finished
        demand_space(self.folder, self._min_free_space)
        # Of a name of its own: a worker that was thought lost may be making the same step.
        unfinished = self.folder / f"{step}.{secrets.token_hex(4)}{_UNFINISHED}"
        with full_disk_is_space_error(self.folder):
            unfinished.mkdir()
            try:
                make(unfinished)
                sync_folder(unfinished)
            except BaseException:
                shutil.rmtree(unfinished, ignore_errors=True)
                raise
            try:
                unfinished.rename(finished)
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
                shutil.rmtree(unfinished)  # somebody else made it first
            sync(self.folder)
        return finished

    def sweep(self) -> None:
        """Removes what killed steps left. Only for who holds the lock, before anything is made."""
        for left in self.folder.glob(f"*{_UNFINISHED}"):
            shutil.rmtree(left, ignore_errors=True)

    def remove(self) -> None:
        """Forgets all steps, when what they led to exists."""
        shutil.rmtree(self.folder, ignore_errors=True)


def demand_space(folder: Path, wanted: int) -> None:
    """Raises SpaceError if the disk of `folder` has less than `wanted` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise SpaceError(f"the disk of {folder} has {show_bytes(free)} free, expected at least {show_bytes(wanted)}")


def sync_folder(folder: Path) -> None:
    """Brings a folder and its files to the disk. Without, a power cut could leave a renamed folder of empty files."""
    for path in folder.iterdir():
        sync(path)
    sync(folder)


def sync(path: Path) -> None:
    """Brings one file, or the names in one folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def try_lock(file: IO[str] | int) -> bool:
    """Locks an open file or folder, unless somebody else has; the lock ends when it is closed, also by a kill."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def locked(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Holds an exclusive lock on the file at `path`; `on_wait` is called if another process holds it now."""
    with path.open("a") as file:
        if not try_lock(file):
            on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
