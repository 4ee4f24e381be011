from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fill.errors import TraceError
from fill.simulate.lists import Half, Listed
from fill.simulate.reading import read
from fill.simulate.source import Model
from fill.simulate.traces import Asked, Trace, from_requests

DAY = 86400
LISTS = "date,country,video_id,published_at,category_id,is_live,duration,definition,views,likes\n"
HALVES = "report,kind,title,available_globally,release_date,hours_viewed,runtime_min,views\n"


def trace(path: Path, days: int = 10) -> Trace:
    source = read([path], {"default"}, days, 0).source
    assert isinstance(source, Trace)
    return source


def model(path: Path, days: int, regions: set[str] | None = None) -> Model:
    source = read([path], regions or {"default"}, days, 0).source
    assert isinstance(source, Model)
    return source


def test_requests_are_read_with_sites_sizes_and_days(tmp_path: Path) -> None:
    path = tmp_path / "requests.csv"
    path.write_text(
        "time,object,size,site\n"
        f"{2 * DAY + 3600},film/v720,1000,north\n{DAY + 5},other,10,south\n{2 * DAY + 60},film/v720,1000,north\n"
    )
    found = trace(path)
    assert (found.days, found.sites) == (2, ["north", "south"])
    assert [(name.title, name.file) for name in found.catalogue.names] == [("film", "v720"), ("other", "")]
    assert found.catalogue.size.tolist() == [1000, 10]
    assert found.catalogue.released.tolist() == [1, 0]
    north = found.by_site["north"]
    assert [len(day.files) for day in north] == [0, 2]
    assert north[1].hours.tolist() == [0, 1]
    assert north[1].amounts.tolist() == [1, 1]


def test_only_the_last_days_count(tmp_path: Path) -> None:
    path = tmp_path / "requests.csv"
    path.write_text("time,object,size\n" + "".join(f"{day * DAY},o{day},5\n" for day in range(9)))
    found = trace(path, 3)
    assert found.days == 3
    assert [name.title for name in found.catalogue.names] == ["o6", "o7", "o8"]


def test_rows_that_cannot_be_are_counted_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "requests.csv.gz"
    path.write_bytes(gzip.compress(b"time,object,size\nx,a,1\n1,a,\n1,a,0\n-1,a,5\nnan,a,5\n1,,5\n9,a,5\n\xff\xff\n"))
    loaded = read([path], {"default"}, 3, 0)
    assert len(loaded.source.catalogue.size) == 1
    assert sum(int(note.split()[0]) for note in loaded.notes) == 7


def answer(second: float, part: str, size: int, client: str = "10.0.0.0", **more: object) -> bytes:
    record = {"time": second, "appliance": "a", "client": client, "method": "GET", "title": "film", "package": "0" * 32}
    record |= {"file": "v720.mp4", "part": part, "status": 200, "bytes": size, "whole": True, "hit": True}
    return json.dumps(record | {"seconds": 0.1, "agent": "x", "cmcd": None} | more).encode() + b"\n"


def test_an_access_log_is_plays_of_files_and_segments_of_one_viewer_are_one_request(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    lines = [answer(10 + n, f"v720/{n}.m4s", 100) for n in range(4)]  # half of the file
    lines += [answer(20 + n, f"v720/{n}.m4s", 100, "10.0.1.0") for n in range(8)]
    path.write_bytes(b"".join(lines) + b"garbage\n" + answer(30, "v720/1.m4s", 100, agent="nearcast"))
    loaded = read([path], {"default"}, 3, 0)
    assert isinstance(loaded.source, Trace)
    assert loaded.source.catalogue.size.tolist() == [800]
    assert loaded.source.by_site[""][0].amounts.tolist() == [0.5, 1.0]
    assert len(loaded.notes) == 2


def test_daily_lists_are_the_increments_of_each_country(tmp_path: Path) -> None:
    path = tmp_path / "lists.csv"
    path.write_text(
        LISTS
        + "2026-01-01,DE,a,2025-12-01 00:00:00+00:00,1,False,600,hd,1000,1\n"
        + "2026-01-02,DE,a,2025-12-01 00:00:00+00:00,1,False,600,hd,1500,1\n"
        + "2026-01-02,US,b,2026-01-01 12:00:00+00:00,1,False,600,hd,90,1\n"
        + "2026-01-03,DE,b,2026-01-01 12:00:00+00:00,1,False,600,hd,100,1\nbroken,DE,c\n"
    )
    found = model(path, 3, {"DE"})
    rungs = len(found.catalogue.size) // 2
    video = found.plays["DE"].reshape(3, 2, rungs)[:, :, :5].sum(axis=2)
    assert video[1, 0] == pytest.approx(500)
    assert video[2, 1] == pytest.approx(10)  # counted in the US the day before
    assert found.catalogue.announced[rungs] == 3


def test_a_region_that_is_no_country_of_the_lists_is_told(tmp_path: Path) -> None:
    path = tmp_path / "lists.csv"
    path.write_text(LISTS + "2026-01-01,DE,a,,1,False,600,hd,1000,1\n")
    with pytest.raises(TraceError, match="regions FR in the fleet, expected countries of the lists: DE"):
        read([path], {"FR"}, 3, 0)


def test_half_years_are_spread_over_their_days_and_from_releases_on(tmp_path: Path) -> None:
    path = tmp_path / "halves.csv"
    path.write_text(
        HALVES
        + "2023Jul-Dec,film,Old,Yes,2020-01-01,1840000,100,1\n"
        + "2024Jan-Jun,film,Old,Yes,2020-01-01,182000,100,1\n"
        + "2024Jan-Jun,film,New,Yes,2024-01-03,1000000,100,1\n2024Foo,film,X,,,1,,\n"
    )
    found = model(path, 8)
    rungs = len(found.catalogue.size) // 2
    video = found.plays[""].reshape(8, 2, rungs)[:, :, :5].sum(axis=2)
    assert video[:, 0] == pytest.approx([10_000 * 0.6] * 4 + [1_000 * 0.6] * 4)
    assert video[:6, 1].tolist() == [0] * 6
    assert video[6, 1] > video[7, 1] > 0
    assert found.catalogue.released[rungs] == 6
    assert found.catalogue.announced[rungs] == 0


def test_unknown_formats_mixed_kinds_and_nothing_are_told(tmp_path: Path) -> None:
    odd, lists, empty = tmp_path / "odd.txt", tmp_path / "lists.csv", tmp_path / "requests.csv"
    odd.write_text("hello\n")
    lists.write_text(LISTS)
    empty.write_text("time,object,size\n")
    for paths, told in (
        ([odd], "odd.txt: found 'hello', expected JSON lines"),
        ([lists, empty], "files of one kind are expected"),
        ([empty], "no request that can be used"),
        ([tmp_path / "none.csv"], "none.csv cannot be read"),
    ):
        with pytest.raises(TraceError, match=told):
            read(paths, {"default"}, 3, 0)


def test_too_many_requests_are_refused_before_memory_is_full() -> None:
    with pytest.raises(TraceError, match="more than 5 requests"):
        from_requests((Asked(float(n), "a", 1.0) for n in range(9)), 3, 5)


@given(
    st.lists(st.tuples(st.floats(0, 9e5), st.sampled_from("abcd"), st.integers(1, 99)), min_size=1), st.integers(1, 9)
)
def test_every_request_of_the_last_days_is_there_once(rows: list[tuple[float, str, int]], days: int) -> None:
    found = from_requests((Asked(*row) for row in rows), days, 10**6)
    last = max(row[0] for row in rows) // DAY
    assert sum(len(day.files) for day in found.by_site[""]) == sum(row[0] // DAY > last - days for row in rows)
    assert found.days <= days
    assert all((np.diff(day.hours) >= 0).all() for day in found.by_site[""])


@given(st.dictionaries(st.sampled_from([*LISTS.strip().split(","), *HALVES.strip().split(",")]), st.text(max_size=12)))
def test_any_row_is_read_or_refused(row: dict[str, str]) -> None:
    assert Listed.of(row) is None or row["video_id"]
    assert Half.of(row) is None or row["title"]


def test_garbage_before_the_first_line_of_a_log_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text('garbage\n{"time": 5}\n')
    with pytest.raises(TraceError, match="no request that can be used"):
        read([path], {"default"}, 3, 0)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "found nothing in it, expected JSON lines of an access log, or CSV with time,object,size"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "found something that is no text, expected"),
        (b"a,b\n1,2\n", "found 'a,b', expected"),
        (gzip.compress(b"time,object,size\n" * 100, mtime=0)[:-20], "is cut off or damaged"),
    ],
)
def test_another_kind_of_file_is_told(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "trace.csv"
    path.write_bytes(content)
    with pytest.raises(TraceError, match=told):
        read([path], {"default"}, 3, 0)


def test_a_compressed_file_is_read_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "requests.csv"
    path.write_bytes(gzip.compress(b"time,object,size\n9,a,5\n"))
    assert len(trace(path).catalogue.size) == 1


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"nothing\.csv cannot be read: No such file or directory"):
        read([tmp_path / "nothing.csv"], {"default"}, 3, 0)
