"""Reads bandwidth traces from where the operator has them: a file, a folder of files, or a .tgz."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from bench.errors import TraceError
from bench.failover.traces import Trace, parse_trace

_LARGEST_TRACE = 16 * 1024 * 1024


def read_traces(place: Path) -> list[Trace]:
    """Of a file, a folder or a .tgz; sorted by name. Raises TraceError."""
    texts = _archived(place) if place.is_file() and tarfile.is_tarfile(place) else _plain(place)
    traces = [parse_trace(text, name) for name, text in sorted(texts)]
    if not traces:
        raise TraceError(f"{place}: found no traces, expected files of seconds and Mbit/s")
    return traces


def _archived(archive: Path) -> Iterator[tuple[str, str]]:
    try:
        with tarfile.open(archive) as members:
            for member in members:
                if member.isfile() and member.size <= _LARGEST_TRACE and (file := members.extractfile(member)):
                    yield member.name, _decoded(file.read(), f"{archive}: {member.name}")
    except (OSError, tarfile.TarError, EOFError) as error:
        raise TraceError(f"{archive}: cannot be read: {error}") from error


def _plain(place: Path) -> Iterable[tuple[str, str]]:
    try:
        files = [path for path in place.rglob("*") if path.is_file()] if place.is_dir() else [place]
        return [(path.name, _decoded(path.read_bytes(), str(path))) for path in files]
    except OSError as error:
        raise TraceError(f"{place}: cannot be read: {error.strerror}") from error


def _decoded(data: bytes, place: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise TraceError(f"{place}: is no text, expected lines of seconds and Mbit/s") from error
