from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fill.errors import LogError
from fill.feed.logs import find_logs, identify, longest, read_lines
from fill.feed.records import LONGEST_LINE
from tests.fill.feed.values import line, write_log


def lines_of(path: Path, start: int = 0) -> list[bytes]:
    return [piece.line for piece in read_lines(path, start)]


def test_a_log_is_known_when_it_was_moved_copied_grown_or_compressed(tmp_path: Path) -> None:
    log = write_log(tmp_path / "access.log", [line(3), line(2)])
    first = identify(log)
    assert first is not None
    moved = log.rename(tmp_path / "access.log.1")
    write_log(moved, [line(1)], mode="ab")
    packed = tmp_path / "access.log.2.gz"
    packed.write_bytes(gzip.compress(moved.read_bytes()))
    found = [known for known in map(identify, (moved, packed)) if known is not None]
    assert {known.mark for known in found} == {first.mark}
    assert {known.size for known in found} == {moved.stat().st_size}
    assert lines_of(moved) == lines_of(packed) == [line(3), line(2), line(1)]
    assert lines_of(packed, first.size) == [line(1)]
    new = identify(write_log(tmp_path / "access.log", [line(0)]))
    assert new is not None
    assert new.mark != first.mark


def test_of_a_logs_copies_the_longest_is_read(tmp_path: Path) -> None:
    short = write_log(tmp_path / "short", [line(3)])
    whole = write_log(tmp_path / "whole", [line(3), line(2)])
    other = write_log(tmp_path / "other", [line(1)])
    logs = [known for known in map(identify, (short, whole, other)) if known is not None]
    assert {log.path for log in longest(logs)} == {whole, other}


def test_logs_that_begin_with_the_same_garbage_are_two(tmp_path: Path) -> None:
    logs = [identify(write_log(tmp_path / name, [b"\0\0", b"", line(age)])) for name, age in (("a", 1), ("b", 2))]
    assert len({log.mark for log in logs if log is not None}) == 2


def test_a_log_without_a_whole_line_is_none_yet(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "begun").write_bytes(line()[:20])
    assert identify(tmp_path / "empty") is identify(tmp_path / "begun") is identify(tmp_path / "none") is None


def test_a_line_that_is_still_written_is_left_for_later(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", [line(2)])
    with log.open("ab") as data:
        data.write(line(1)[:30])
    (piece,) = read_lines(log)
    assert piece.end == len(line(2)) + 1
    with log.open("ab") as data:
        data.write(line(1)[30:] + b"\n")
    assert lines_of(log, piece.end) == [line(1)]
    log.write_bytes(line(1))
    assert lines_of(log) == []
    assert [piece.line for piece in read_lines(log, with_open_end=True)] == [line(1)]


def test_a_log_that_lost_its_line_ends_is_one_line_cut_and_the_next_is_read(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", [line(3), b"x" * (5 * LONGEST_LINE), line(2)])
    first, cut, last = read_lines(log)
    assert (first.line, last.line) == (line(3), line(2))
    assert LONGEST_LINE < len(cut.line) < 2 * LONGEST_LINE
    assert last.end == log.stat().st_size


def test_a_log_that_was_replaced_by_another_is_not_read_from_where_the_first_was_left(tmp_path: Path) -> None:
    log = identify(write_log(tmp_path / "log", [line(3)]))
    assert log is not None
    write_log(log.path, [line(2), line(1)])
    assert list(read_lines(log.path, log.size, mark=log.mark)) == []


def test_a_log_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="cannot be read: Is a directory"):
        list(read_lines(tmp_path))
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"\n".join([line()] * 99))[:-20])
    with pytest.raises(LogError, match=r"cut\.gz cannot be read: "):
        list(read_lines(tmp_path / "cut.gz"))


def test_patterns_name_each_file_once(tmp_path: Path) -> None:
    log = write_log(tmp_path / "access.log", [line()])
    assert find_logs([f"{tmp_path}/*", f"{tmp_path}/**/access*", f"{tmp_path}/none*"]) == [log]


@given(st.lists(st.binary(max_size=40).filter(lambda data: b"\n" not in data and not data.endswith(b"\r")), max_size=9))
def test_reading_on_from_any_line_gives_the_rest(lines: list[bytes]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        log = write_log(Path(folder) / "log", lines)
        pieces = list(read_lines(log))
        assert [piece.line for piece in pieces] == lines
        for number, piece in enumerate(pieces, start=1):
            assert lines_of(log, piece.end) == lines[number:]
