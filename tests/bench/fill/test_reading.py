from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.fill.reading import Halves, Lists, merged, read, read_lists
from bench.fill.sample import HALVES_HEADER, LISTS_HEADER

LINE = "2026-01-02,DE,abc,2026-01-01 10:00:00+00:00,10,False,200,hd,1000,50"


def lists_of(folder: Path, *lines: str) -> Lists:
    path = folder / "lists.csv"
    path.write_text("\n".join([",".join(LISTS_HEADER), *lines]) + "\n")
    found = read(path)
    assert isinstance(found, Lists)
    return found


def halves_of(folder: Path, *lines: str, name: str = "halves.csv") -> Halves:
    path = folder / name
    path.write_text("\n".join([",".join(HALVES_HEADER), *lines]) + "\n")
    found = read(path)
    assert isinstance(found, Halves)
    return found


def test_lists_are_told_by_their_header_and_may_be_gzipped(tmp_path: Path) -> None:
    path = tmp_path / "lists.csv.gz"
    path.write_bytes(gzip.compress(f"{','.join(LISTS_HEADER)}\n{LINE}\n".encode()))
    found = read(path)
    assert isinstance(found, Lists)
    assert found.countries == ["DE"]
    assert found.views.tolist() == [1000]
    assert found.published[0] == pytest.approx(-14 / 24)


def test_a_cut_file_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "lists.csv.gz"
    lines = [LINE.replace("abc", f"v{number}") for number in range(20_000)]
    whole = gzip.compress("\n".join([",".join(LISTS_HEADER), *lines]).encode(), compresslevel=0)
    path.write_bytes(whole[: len(whole) // 2])
    found = read(path)
    assert isinstance(found, Lists)
    assert 5000 < len(found.item) < 15_000


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (LINE, "there twice"),
        ("2026-01-02,DE", "not as many fields as the header"),
        (LINE.replace("2026-01-02", "yesterday"), "no date, country, video or views"),
        (LINE.replace("1000", "many"), "no date, country, video or views"),
        (LINE.replace("1000", "-3"), "no date, country, video or views"),
        (LINE.replace("1000", "nan"), "no date, country, video or views"),
        (LINE.replace("DE", ""), "no date, country, video or views"),
    ],
)
def test_lines_that_say_nothing_are_counted_and_left_out(tmp_path: Path, line: str, reason: str) -> None:
    found = lists_of(tmp_path, LINE, line)
    assert found.refused == {reason: 1}
    assert len(found.item) == 1


def test_fields_that_are_not_needed_may_be_empty(tmp_path: Path) -> None:
    assert len(lists_of(tmp_path, "2026-01-02,DE,abc,,,,,,1000,").item) == 1


def test_positions_are_the_order_in_the_file(tmp_path: Path) -> None:
    found = lists_of(tmp_path, LINE.replace("abc", "b"), LINE.replace("DE", "AT"), LINE.replace("abc", "a"))
    assert found.countries == ["AT", "DE"]
    assert found.position.tolist() == [0, 0, 1]


def test_a_day_that_is_missing_counts_as_a_day(tmp_path: Path) -> None:
    found = lists_of(tmp_path, LINE, LINE.replace("2026-01-02,", "2026-01-05,"))
    assert found.days == 4
    assert found.day.tolist() == [0, 3]


def test_half_years_are_read_in_order_of_time(tmp_path: Path) -> None:
    found = halves_of(
        tmp_path,
        "2025Jan-Jun,show,A: Season 1,Yes,2025-02-01,1000,300,200",
        "2024Jul-Dec,any,B,No,,500,,",
        "2025Jan-Jun,show,A: Season 1,Yes,2025-02-01,1000,300,200",
        "spring,show,C,Yes,2025-02-01,1000,300,200",
    )
    assert [half.name for half in found.halves] == ["2024Jul-Dec", "2025Jan-Jun"]
    assert found.refused == {"there twice": 1, "no report such as 2024Jul-Dec, title or hours": 1}
    assert found.halves[1].end - found.halves[1].start == 181


def test_reports_of_several_files_are_put_together(tmp_path: Path) -> None:
    first = halves_of(tmp_path, "2025Jan-Jun,show,A,Yes,,1000,300,200")
    second = halves_of(tmp_path, "2025Jan-Jun,show,A,Yes,,9,300,200", "2024Jul-Dec,film,A,Yes,,5,300,2", name="b.csv")
    both = merged([first, second])
    assert [half.hours.tolist() for half in both.halves] == [[5.0], [1000.0]]


def test_another_file_says_what_was_expected(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(BenchError, match="expected a header with date, country, video_id"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08garbage", b"\xff\xfe\x00\x01"])
def test_garbage_is_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(BenchError, match=r"x\.csv"):
        read(path)


def test_a_file_without_a_usable_line_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no line of it is a list's; refused: 1"):
        lists_of(tmp_path, "garbage")


@given(st.lists(st.lists(st.text(max_size=12), max_size=12), max_size=8))
def test_rows_of_anything_are_left_out_or_read(rows: list[list[str]]) -> None:
    good = LINE.split(",")
    found = read_lists("x", LISTS_HEADER, iter([good, *rows]))
    assert len(found.item) + sum(found.refused.values()) == 1 + sum(bool(row) for row in rows)
