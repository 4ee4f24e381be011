"""What a worker decides by itself, without a socket: which file lands, what is kept, how descriptors are shared."""

from __future__ import annotations

from pathlib import Path

import pytest

from oca.messages import Located
from oca.worker import _kept_path, _open_landing, _shares


def located(path: Path) -> Located:
    return Located(1, str(path), path.stat().st_ino)


def test_a_landing_file_is_found_by_its_final_name_too(tmp_path: Path) -> None:
    partial = tmp_path / "v360.mp4.partial"
    partial.write_bytes(b"x")
    told = located(partial)
    partial.rename(tmp_path / "v360.mp4")
    descriptor = _open_landing(told)
    descriptor.retire()
    assert descriptor.fd == -1


def test_a_file_that_was_dropped_and_begun_anew_is_not_the_one_that_landed(tmp_path: Path) -> None:
    partial = tmp_path / "v360.mp4.partial"
    partial.write_bytes(b"right")
    told = located(partial)
    anew = tmp_path / "anew"
    anew.write_bytes(bytes(5))
    anew.replace(partial)
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(FileNotFoundError, match="is gone"):
        _open_landing(told)
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        (b"/v1/a/b/c", b"/v1/a/b/c"),
        (b"/v1/a/b/c?CMCD=x", b"/v1/a/b/c"),
        (b"/t/secret/v1/a/b/c?x", b"/v1/a/b/c"),
        (b"/t/", b"/t/"),
    ],
)
def test_neither_token_nor_query_tells_pieces_apart(target: bytes, kept: bytes) -> None:
    assert _kept_path(target) == kept


@pytest.mark.parametrize("limit", [64, 256, 1024, 1048576])
def test_clients_and_files_share_the_descriptors_there_are(limit: int) -> None:
    files, clients = _shares(limit)
    assert files >= 1 <= clients and files + clients <= limit
