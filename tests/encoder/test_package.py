from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder import package as packages
from encoder.errors import PackageError
from encoder.package import BLOCK_SIZE, MANIFEST_NAME, PackageIndex
from tests.media import make_package

NAME = "a" * 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_package(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="module")
def index(folder: Path) -> PackageIndex:
    return PackageIndex(packages.decode((folder / MANIFEST_NAME).read_bytes()))


def test_a_manifest_survives_a_round_trip_to_the_byte(folder: Path) -> None:
    data = (folder / MANIFEST_NAME).read_bytes()
    assert packages.encode(packages.decode(data)) == data
    assert packages.package_name(data) == folder.name


def test_init_and_segments_cover_the_file_but_for_the_sidx(index: PackageIndex) -> None:
    rendition = index.package.renditions[0]
    init = index.locate("v360/init.mp4")
    segments = [index.locate(f"v360/{n}.m4s") for n in range(1, 8)]
    assert (init.offset, init.length, init.media_type) == (0, rendition.init_size, "video/mp4")
    assert segments[0].offset == rendition.media_offset
    for before, after in itertools.pairwise(segments):
        assert before.offset + before.length == after.offset
    assert segments[-1].offset + segments[-1].length == segments[-1].file.size


@pytest.mark.parametrize(
    "path",
    ["v360/0.m4s", "v360/8.m4s", "v360/01.m4s", "v360/1.mp4", "v360/", "v999/1.m4s", "nothing.mp4", "v360/-1.m4s"],
)
def test_unknown_files_and_segments_are_404(index: PackageIndex, path: str) -> None:
    with pytest.raises(PackageError) as caught:
        index.locate(path)
    assert caught.value.status == 404


@pytest.mark.parametrize(
    ("path", "token", "rest"),
    [
        (f"/v1/t/{NAME}/v360.mp4", "", "v360.mp4"),
        (f"/v1/t/{NAME}/v360/12.m4s", "", "v360/12.m4s"),
        (f"/t/to.k-en_/v1/t/{NAME}/v360/init.mp4", "to.k-en_", "v360/init.mp4"),
    ],
)
def test_a_content_url_is_taken_apart(path: str, token: str, rest: str) -> None:
    parsed = packages.parse_content_path(path)
    assert (parsed.token, parsed.title, parsed.package, parsed.path) == (token, "t", NAME, rest)


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "v1/t/x", f"/v1/t/{NAME}", f"/v1/t/{NAME}/", f"/v1/../{NAME}/x", f"/v1/t/{NAME}/../x",
        f"/v1/t/{NAME}/a/b/c", f"/v1/T/{NAME}/x", f"/v2/t/{NAME}/x", "/v1/t/short/x", f"/t/v1/t/{NAME}/x",
        f"/v1/t/{NAME}/.hidden", f"//v1/t/{NAME}/x",
    ],
)  # fmt: skip
def test_anything_else_is_not_a_content_url(path: str) -> None:
    with pytest.raises(PackageError) as caught:
        packages.parse_content_path(path)
    assert caught.value.status == 404


@given(st.text(max_size=200))
def test_no_path_leads_out_of_the_store(path: str) -> None:
    try:
        parsed = packages.parse_content_path(path)
    except PackageError:
        return
    assert ".." not in Path(parsed.title, parsed.package, parsed.path).parts
    assert not parsed.path.startswith("/")


@given(st.lists(st.binary(max_size=3000), max_size=20), st.integers(1, 4))
def test_digests_do_not_depend_on_how_the_bytes_arrive(pieces: list[bytes], times: int) -> None:
    data = b"".join(pieces) * times
    size, digest, blocks = packages.digest_blocks(iter(pieces * times))
    assert (size, digest) == (len(data), hashlib.sha256(data).hexdigest())
    assert len(blocks) == -(-len(data) // BLOCK_SIZE)


def test_each_block_has_its_own_digest() -> None:
    data = bytes(BLOCK_SIZE) + b"x" * 10
    _, _, blocks = packages.digest_blocks(iter([data[:7], data[7:]]))
    assert blocks == (hashlib.sha256(bytes(BLOCK_SIZE)).hexdigest(), hashlib.sha256(b"x" * 10).hexdigest())


def told(**more: str) -> dict[str, object]:
    return {"protection": {"scheme": "cbcs", "signals": [{"system": "own", "key_id": NAME, **more}]}}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"format": 99}, "format 99"),
        ({"title": "No Such Title!"}, "a title is"),
        ({"poster": "gone.jpg"}, "poster"),
        ({"files": []}, "is not in the package"),
        ({"duration": "long"}, "duration"),
        (told(hls="a\n#EXT-X-ENDLIST"), "what DRM system 'own' is told: a line end"),
        (told(hls_session="a\u2028"), "a line end"),
        (told(key_id="film"), "key ID 'film'"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused_with_the_place(
    folder: Path, change: dict[str, object], complaint: str
) -> None:
    document = msgspec.json.decode((folder / MANIFEST_NAME).read_bytes())
    with pytest.raises(PackageError, match=complaint):
        packages.decode(msgspec.json.encode({**document, **change}))


@given(st.binary(max_size=300))
def test_nonsense_is_not_a_manifest(data: bytes) -> None:
    with pytest.raises(PackageError):
        packages.decode(data)


@given(st.integers(0, 10**10), st.integers(0, 10**8))
def test_the_blocks_of_a_piece_cover_it_and_no_more(offset: int, length: int) -> None:
    blocks = packages.blocks_of(offset, length)
    if not length:
        assert not blocks
        return
    size = offset + length
    assert packages.block_range(blocks[0], size)[0] <= offset < packages.block_range(blocks[0], size)[1]
    assert packages.block_range(blocks[-1], size)[1] == size
