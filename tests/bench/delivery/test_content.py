from __future__ import annotations

from pathlib import Path

from bench.delivery.content import make_content
from encoder.package import BLOCK_SIZE, MANIFEST_NAME, decode, package_name

SIZES = {"small.mp4": 3, "large.mp4": 2 * BLOCK_SIZE + 1}


def test_the_files_are_a_package_whose_name_is_its_digest(tmp_path: Path) -> None:
    content = make_content(tmp_path, SIZES)
    manifest = (content.package / MANIFEST_NAME).read_bytes()
    assert content.package.name == package_name(manifest)
    assert {file.name: file.size for file in decode(manifest).files} == SIZES
    assert (tmp_path / content.path("small.mp4").lstrip("/")).stat().st_size == 3


def test_no_block_is_like_another(tmp_path: Path) -> None:
    content = make_content(tmp_path, SIZES)
    package = decode((content.package / MANIFEST_NAME).read_bytes())
    digests = [digest for file in package.files for digest in file.blocks]
    assert len(set(digests)) == len(digests)


def test_a_volume_of_links_holds_the_same_files(tmp_path: Path) -> None:
    content = make_content(tmp_path / "content", SIZES)
    content.link_volume(tmp_path / "volume")
    folder = tmp_path / "volume" / content.package.parent.name / content.package.name
    for name in (*SIZES, MANIFEST_NAME):
        assert (folder / name).samefile(content.package / name)
