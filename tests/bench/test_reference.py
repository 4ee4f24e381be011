from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import PlayError
from bench.reference import Reference
from encoder.errors import PackageError
from tests.media import make_package


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_package(tmp_path, size=100_000, segments=3)


def test_the_encoded_bytes_are_right(folder: Path) -> None:
    reference = Reference(folder)
    data = (folder / "v360.mp4").read_bytes()
    assert reference.wrong_in_init("v360", data[:800]) == 0
    offset = reference.package.renditions[0].media_offset
    for number, size in enumerate(reference.package.renditions[0].sizes):
        assert reference.wrong_in_segment("v360", number, data[offset : offset + size]) == 0
        offset += size
    assert reference.segments("v360") == 3


def test_different_missing_and_additional_bytes_are_counted(folder: Path) -> None:
    reference = Reference(folder)
    data = bytearray((folder / "v360.mp4").read_bytes()[:800])
    assert reference.wrong_in_init("v360", bytes(data[:790])) == 10
    assert reference.wrong_in_init("v360", bytes(data) + b"more") == 4
    data[5] ^= 1
    assert reference.wrong_in_init("v360", bytes(data)) == 1


def test_a_rendition_that_the_package_does_not_have_is_said(folder: Path) -> None:
    with pytest.raises(PlayError, match="'v999', which title does not have"):
        Reference(folder).segments("v999")


def test_a_folder_that_is_no_package_is_refused(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text("{}")
    with pytest.raises(PackageError):
        Reference(tmp_path)
