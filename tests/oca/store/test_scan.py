from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from encoder.package import MANIFEST_NAME
from oca.store.inventory import Entry, FileKey
from oca.store.scan import keep_names, names_in, scan
from tests.media import make_package


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_package(tmp_path / "volume", size=10_000)


def scanned(folder: Path) -> dict[str, Entry]:
    shelves = scan(folder.parents[1], 3).shelves
    return shelves[f"title/{folder.name}"].files if shelves else {}


def test_files_are_found_with_their_sizes_and_who_placed_them(folder: Path) -> None:
    (folder / "v360.mp4").chmod(0o444)
    found = scan(folder.parents[1], 3)
    shelf = found.shelves[f"title/{folder.name}"]
    assert shelf.files["v360.mp4"] == Entry(3, 10_000, is_whole=True, is_planned=True)
    assert shelf.files["poster.jpg"] == Entry(3, 5000, is_whole=True, is_planned=False)
    assert shelf.manifests == {3: (folder / MANIFEST_NAME).stat().st_size}
    assert {key.file for key in found.pulled} == {"poster.jpg", "v360.m3u8"}


def test_what_was_pulled_comes_oldest_first(folder: Path) -> None:
    os.utime(folder / "poster.jpg", (5, 5))
    os.utime(folder / "v360.mp4", (4, 4))
    assert [key.file for key in scan(folder.parents[1], 0).pulled] == ["v360.mp4", "poster.jpg", "v360.m3u8"]


@pytest.mark.parametrize(("mode", "planned"), [(0o640, True), (0o644, False)])
def test_an_unfinished_file_is_known_as_the_plans_or_not(folder: Path, mode: int, planned: bool) -> None:
    (folder / "v360.mp4").chmod(mode)
    (folder / "v360.mp4").rename(folder / "v360.mp4.partial")
    (folder / "v360.mp4.blocks").write_bytes(b"\1")
    assert scanned(folder)["v360.mp4"] == Entry(3, 10_000, is_whole=False, is_planned=planned)


def test_a_whole_file_counts_before_a_partial_one_of_its_name(folder: Path) -> None:
    (folder / "v360.mp4.partial").write_bytes(b"")
    assert scanned(folder)["v360.mp4"].is_whole


@pytest.mark.parametrize("name", [".hidden", "package.json.partial", "-", "with space", "a" * 200])
def test_foreign_names_are_left_alone(folder: Path, name: str) -> None:
    (folder / name).write_text("x")
    assert set(scanned(folder)) == {"v360.mp4", "v360.m3u8", "poster.jpg"}
    assert (folder / name).exists()


def test_links_and_folders_are_no_files(folder: Path) -> None:
    (folder / "link.mp4").symlink_to(folder / "v360.mp4")
    (folder / "folder.mp4").mkdir()
    (folder.parents[1] / "lost+found").mkdir()
    (folder.parents[1] / "title" / "not-a-package").mkdir()
    assert set(scanned(folder)) == {"v360.mp4", "v360.m3u8", "poster.jpg"}


def test_names_are_those_of_the_manifest() -> None:
    assert names_in(b'{"format":1,"files":[{"name":"a","size":1},{"name":"b"}],"more":[1,{}]}') == {"a", "b"}
    with pytest.raises(msgspec.DecodeError):
        names_in(b'{"files":[{"name":')


def test_names_that_were_kept_are_known_at_the_next_scan(folder: Path) -> None:
    key = f"title/{folder.name}"
    root = folder.parents[1]
    keep_names(root, {key: frozenset({"a", "b"}), "other/package": frozenset({"a", "b"})})
    assert scan(root, 0).shelves[key].names == frozenset({"a", "b"})


@pytest.mark.parametrize("nonsense", [b"", b"\xc1", b"\x82\xa4sets\x90\xa8packages\x81\xa1x\x05"])
def test_kept_names_that_are_nonsense_are_read_from_the_manifests_again(folder: Path, nonsense: bytes) -> None:
    root = folder.parents[1]
    (root / ".nearcast-names").write_bytes(nonsense)
    assert scan(root, 0).shelves[f"title/{folder.name}"].names is None
    assert FileKey("title", folder.name, "v360.mp4") in scan(root, 0).pulled
