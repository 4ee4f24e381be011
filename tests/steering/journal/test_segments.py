from __future__ import annotations

import errno
import gzip
import os
from pathlib import Path

import pytest

from steering.errors import JournalError
from steering.journal.records import Beat, Begins, Record, Whole
from steering.journal.segments import SEGMENT_S, Journal, SegmentWriter

START = 1.8e9  # seconds since the epoch
DAY_S = 86400.0


def beats(*times: float) -> list[Record]:
    return [Beat(time=START + time) for time in times]


def segment(writer: SegmentWriter, at: float, *times: float, is_whole: bool = True) -> None:
    writer.begin(START + at)
    writer.write([Begins(time=START + at), *([Whole(time=START + at)] if is_whole else [])])
    writer.write(beats(*times))


@pytest.fixture
def writer(tmp_path: Path) -> SegmentWriter:
    return SegmentWriter(tmp_path / "journal", DAY_S)


def read(folder: Path, since: float = 0.0) -> tuple[list[float], list[str]]:
    journal = Journal(folder)
    records = list(journal.records(START + since))
    return [record.time - START for record in records if isinstance(record, Beat)], journal.damage


def only_segment(folder: Path) -> Path:
    (path,) = folder.glob("*.jsonl.gz")
    return path


def test_what_was_written_is_read_and_is_gzip(writer: SegmentWriter, tmp_path: Path) -> None:
    assert writer.is_ours()
    segment(writer, 0, 1, 2)
    writer.close()
    folder = tmp_path / "journal"
    assert read(folder) == ([1, 2], [])
    assert gzip.decompress(only_segment(folder).read_bytes()).count(b"\n") == 4


def test_a_segment_that_is_being_written_is_read_as_far_as_it_is(writer: SegmentWriter, tmp_path: Path) -> None:
    assert writer.is_ours()
    segment(writer, 0, 1)
    writer.write(beats(2))
    assert read(tmp_path / "journal") == ([1, 2], [])


def test_a_clock_that_is_set_back_begins_another_segment(writer: SegmentWriter, tmp_path: Path) -> None:
    assert writer.is_ours()
    segment(writer, DAY_S, DAY_S + 1)
    assert not writer.wants_segment(START + DAY_S + 1)
    assert writer.wants_segment(START)
    segment(writer, 0, 1)
    assert not writer.wants_segment(START + 1)
    assert read(tmp_path / "journal")[0] == [1, DAY_S + 1]


def test_a_clock_that_is_set_back_does_not_put_off_the_next_attempt(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    writer = SegmentWriter(tmp_path / "file", DAY_S)
    writer.begin(START + DAY_S)
    assert not writer.wants_segment(START + DAY_S + 1)
    assert writer.wants_segment(START)


@pytest.mark.parametrize("cut", range(1, 40, 6))
def test_of_a_torn_segment_what_is_before_the_tear_is_read(writer: SegmentWriter, tmp_path: Path, cut: int) -> None:
    assert writer.is_ours()
    segment(writer, 0)
    folder = tmp_path / "journal"
    path = only_segment(folder)
    for number in range(1, 4):
        writer.write(beats(number))
        size = path.stat().st_size
    writer.close()
    path.write_bytes(path.read_bytes()[: size - cut])
    times, damage = read(folder)
    assert times == [1, 2, 3][: len(times)]
    assert not damage


def test_a_damaged_segment_is_read_up_to_the_damage_and_the_next_goes_on(writer: SegmentWriter, tmp_path: Path) -> None:
    assert writer.is_ours()
    segment(writer, 0, 1)
    folder = tmp_path / "journal"
    path = only_segment(folder)
    sound = path.stat().st_size
    writer.write(beats(*range(2, 500)))
    segment(writer, SEGMENT_S, SEGMENT_S + 1)
    writer.close()
    data = bytearray(path.read_bytes())
    data[sound : sound + 40] = b"\xff" * 40
    path.write_bytes(data)
    times, (damage,) = read(folder)
    assert times[0] == 1
    assert times[-1] == SEGMENT_S + 1
    assert damage.startswith(f"{path} is damaged after 2027-01-15T08:00:01Z: ")


@pytest.mark.parametrize(
    "data",
    [b"", b"nonsense", gzip.compress(b'{"is":"beat","time":1}\n', mtime=0), gzip.compress(b"{\n", mtime=0)],
)
def test_nonsense_by_the_name_of_a_segment_is_no_segment(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "20270115T080000.000Z.jsonl.gz").write_bytes(data)
    (tmp_path / "20279915T080000.000Z.jsonl.gz").write_bytes(data)
    with pytest.raises(JournalError, match="no segment before 2027-01-15T08:00:01Z has a whole beginning"):
        read(tmp_path, 1)


def test_reading_begins_with_the_last_segment_that_says_everything(writer: SegmentWriter, tmp_path: Path) -> None:
    assert writer.is_ours()
    segment(writer, 0, 1)
    segment(writer, 100, 101)
    segment(writer, 200, is_whole=False)  # killed while it began
    writer.close()
    assert read(tmp_path / "journal", 250)[0] == [101]


def test_before_the_first_segment_nothing_is_known(writer: SegmentWriter, tmp_path: Path) -> None:
    assert writer.is_ours()
    segment(writer, 0)
    with pytest.raises(JournalError, match=r"found nothing before 2027-01-15T08:00:00Z, expected what was known at"):
        read(tmp_path / "journal", -1)


@pytest.mark.parametrize("make", [True, False])
def test_a_folder_without_segments_is_no_journal(tmp_path: Path, make: bool) -> None:
    folder = tmp_path / "journal"
    if make:
        folder.mkdir()
    with pytest.raises(JournalError, match=r"journal .*: found no segment|cannot be read: No such file"):
        Journal(folder)


def test_segments_that_are_too_old_go(writer: SegmentWriter, tmp_path: Path) -> None:
    assert writer.is_ours()
    for hours in range(27):
        segment(writer, hours * SEGMENT_S)
    writer.close()
    assert Journal(tmp_path / "journal").begins_at == START + SEGMENT_S


def test_a_full_disk_is_counted_and_a_new_segment_says_everything(
    writer: SegmentWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert writer.is_ours()
    segment(writer, 0, 1)

    def fails(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr("steering.journal.segments.os.write", fails)
        writer.write(beats(2, 3))
    assert (writer.lost, writer.trouble) == (2, "No space left on device")
    writer.write(beats(4))
    assert writer.lost == 3
    assert not writer.wants_segment(START + 10)
    assert writer.wants_segment(START + 61)
    segment(writer, 61, 62)
    assert not writer.trouble
    assert read(tmp_path / "journal") == ([1, 62], [])


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    writer = SegmentWriter(tmp_path / "file" / "journal", DAY_S)
    assert not writer.is_ours()
    assert writer.trouble


def test_one_of_several_processes_writes_and_another_follows_it(writer: SegmentWriter, tmp_path: Path) -> None:
    other = SegmentWriter(tmp_path / "journal", DAY_S)
    assert writer.is_ours()
    assert not other.is_ours()
    writer.close()
    assert other.is_ours()
    other.close()
