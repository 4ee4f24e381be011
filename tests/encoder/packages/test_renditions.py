from __future__ import annotations

from pathlib import Path

import pytest

from encoder.errors import CheckError
from encoder.packages.renditions import only_first, read_codecs, read_index
from tests.encoder.packages.test_boxes import box, moof, sidx

MEDIA = moof(0x20, bytes(4), 0x201, bytes.fromhex("0000006400000005"), 1)


def packaged(path: Path, *pieces: bytes) -> Path:
    path.write_bytes(b"".join(pieces))
    return path


def test_index_is_read_from_the_file_itself(tmp_path: Path) -> None:
    segment = MEDIA + box("mdat", bytes(5))
    head = box("ftyp", b"cmfc") + box("moov", box("trak", box("edts")))
    index = sidx([(10, len(segment)), (20, len(segment))])
    found = read_index(packaged(tmp_path / "v1.mp4", head, index, segment, segment))
    assert (found.init_size, found.media_offset) == (len(head), len(head) + len(index))
    assert found.durations == (10, 20) and found.sizes == (len(segment),) * 2
    assert found.has_edit_list
    assert [iframe.offset for iframe in found.iframes] == [found.media_offset, found.media_offset + len(segment)]
    assert all(iframe.length == found.fragments[0].first_end for iframe in found.iframes)


@pytest.mark.parametrize(
    "content", [b"", b"no mp4 at all, just text", box("ftyp"), box("ftyp") + box("mdat", bytes(9))]
)
def test_file_without_an_index_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(CheckError, match=r"v1\.mp4: "):
        read_index(packaged(tmp_path / "v1.mp4", content))


def test_segment_that_is_not_where_the_index_says_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckError, match="where a header box was expected"):
        read_index(packaged(tmp_path / "v1.mp4", box("ftyp"), sidx([(10, 900)]), bytes(5), MEDIA))


def test_codecs_are_found_by_file() -> None:
    mpd = (
        b'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet>'
        b'<Representation codecs="avc1.64001f"><BaseURL>v720.mp4</BaseURL></Representation>'
        b"</AdaptationSet></Period></MPD>"
    )
    assert read_codecs(mpd) == {"v720.mp4": "avc1.64001f"}


def test_one_of_a_group_is_the_default() -> None:
    assert only_first([False, True, True], at_least_one=True) == [False, True, False]
    assert only_first([False, False], at_least_one=True) == [True, False]
    assert only_first([False, False], at_least_one=False) == [False, False]
    assert only_first([], at_least_one=True) == []
