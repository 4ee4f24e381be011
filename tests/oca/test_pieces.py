"""What a worker knows of stored files, without a socket: which file it opens, what may be sent, what is forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from encoder.errors import PackageError
from encoder.package import BLOCK_SIZE
from oca.http.request import usual_line
from oca.messages import Located
from oca.pieces import FileName, OpenFile, Pieces
from tests.media import make_package

NAME = FileName("title", "0" * 32, "v360.mp4")


def located(path: Path, verified: bytes = b"\x01") -> Located:
    return Located(1, str(path), path.stat().st_ino, verified, True)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_landing_file_is_found_by_its_final_name_too(tmp_path: Path) -> None:
    partial = tmp_path / "v360.mp4.partial"
    partial.write_bytes(b"x")
    told = located(partial)
    partial.rename(tmp_path / "v360.mp4")
    pieces, before = Pieces(2), descriptors()
    pieces.open(NAME, told)
    pieces.forget(NAME)
    assert descriptors() == before


def test_a_file_that_was_dropped_and_begun_anew_is_not_the_one_that_landed(tmp_path: Path) -> None:
    partial = tmp_path / "v360.mp4.partial"
    partial.write_bytes(b"right")
    told = located(partial)
    anew = tmp_path / "anew"
    anew.write_bytes(bytes(5))
    anew.replace(partial)
    before = descriptors()
    with pytest.raises(FileNotFoundError, match="is gone"):
        Pieces(2).open(NAME, told)
    assert descriptors() == before


def test_the_file_that_was_opened_first_makes_room(tmp_path: Path) -> None:
    pieces, before = Pieces(2), descriptors()
    for number in range(3):
        path = tmp_path / str(number)
        path.write_bytes(b"x")
        pieces.open(NAME._replace(file=str(number)), located(path))
    assert [name.file for name in pieces] == ["1", "2"]
    assert descriptors() == before + 2
    for name in list(pieces):
        pieces.forget(name)


def opened(tmp_path: Path, verified: bytes) -> tuple[Pieces, OpenFile]:
    path = tmp_path / "v360.mp4"
    path.write_bytes(b"x")
    pieces = Pieces(2)
    return pieces, pieces.open(NAME, located(path, verified))


def test_bytes_may_be_sent_when_all_their_blocks_are_right(tmp_path: Path) -> None:
    _, file = opened(tmp_path, b"\x01\x00\x01")
    assert file.covers(0, BLOCK_SIZE) and file.covers(2 * BLOCK_SIZE, 2 * BLOCK_SIZE + 1)
    assert not file.covers(BLOCK_SIZE - 1, BLOCK_SIZE + 1)
    file.mark(BLOCK_SIZE, BLOCK_SIZE + 1)
    assert file.covers(0, 3 * BLOCK_SIZE)
    assert not file.covers(0, 3 * BLOCK_SIZE + 1), "there is no such block"


@pytest.mark.parametrize(("block", "left"), [(1, b"\x01\x00\x01"), (-1, bytes(3)), (7, b"\x01\x01\x01")])
def test_what_is_distrusted_is_not_found_any_more(tmp_path: Path, block: int, left: bytes) -> None:
    folder = make_package(tmp_path / "source")
    pieces, file = opened(tmp_path, b"\x01\x01\x01")
    pieces.learn("title", folder.name, folder / "package.json")
    line = usual_line(b"/v1/x")
    piece = pieces.locate("title", folder.name, "v360/1.m4s")
    pieces.keep(line, piece, file)
    assert pieces.find(line) is piece
    pieces.distrust(NAME, block)
    assert pieces.find(line) is None
    assert file.verified == left


def test_a_package_is_known_from_its_manifest_on(tmp_path: Path) -> None:
    folder = make_package(tmp_path / "source")
    pieces = Pieces(2)
    with pytest.raises(KeyError):
        pieces.locate("title", folder.name, "v360/1.m4s")
    pieces.learn("title", folder.name, folder / "package.json")
    assert pieces.locate("title", folder.name, "v360/1.m4s").rate_bps == 800_000
    assert len(pieces.locate("title", folder.name, "package.json").extent.file.digest) == 64
    with pytest.raises(PackageError):
        pieces.locate("title", folder.name, "v360/9.m4s")


def test_a_file_that_was_cut_short_and_repaired_is_mapped_again(tmp_path: Path) -> None:
    path = tmp_path / "v360.mp4"
    path.write_bytes(b"short")
    file = Pieces(2).open(NAME, located(path))
    assert bytes(file.descriptor.view(0, 5)) == b"short"
    with path.open("ab") as stored:
        stored.write(b" and whole")
    assert bytes(file.descriptor.view(6, 15)) == b"and whole"
    file.descriptor.retire()
