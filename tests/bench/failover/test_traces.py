"""Bandwidth traces: what they say at a moment, and what is refused."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from bench.errors import TraceError
from bench.failover.trace_files import read_traces
from bench.failover.traces import made_up_traces, parse_trace

TEXT = "10.0\t1.5\n12.0 3\n14.0 0\n"


def test_a_value_holds_until_the_next_and_the_trace_begins_again() -> None:
    trace = parse_trace(TEXT, "t")
    assert [trace.at(moment) for moment in (0.0, 1.9, 2.0, 4.5, 5.9, 6.0, 8.1)] == [1.5e6, 1.5e6, 3e6, 0, 0, 1.5e6, 3e6]
    assert trace.length_s == 6.0
    assert trace.mean_bps == pytest.approx(1.5e6)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("0 1\nx 2\n", "t, line 2: found 'x 2', expected seconds and Mbit/s"),
        ("0 1\n0 2\n", "t, line 2: found '0 2', expected rising seconds"),
        ("0 1\n1 -2\n", "t, line 2: found '1 -2', expected rising seconds"),
        ("0 nan\n", "t, line 1: found '0 nan', expected rising seconds"),
        ("0 1\n", "t: found 1 lines, expected at least two"),
        ("0 0\n1 0\n", "expected at least two and not all of them 0 Mbit/s"),
    ],
)
def test_what_is_no_trace_is_refused_with_its_line(text: str, complaint: str) -> None:
    with pytest.raises(TraceError, match=complaint):
        parse_trace(text, "t")


def test_traces_are_read_from_a_folder_and_from_an_archive(tmp_path: Path) -> None:
    folder = tmp_path / "traces"
    folder.mkdir()
    (folder / "b").write_text(TEXT)
    (folder / "a").write_text(TEXT)
    archive = tmp_path / "traces.tgz"
    with tarfile.open(archive, "w:gz") as members:
        for name in ("a", "b"):
            member = tarfile.TarInfo(name)
            member.size = len(TEXT)
            members.addfile(member, io.BytesIO(TEXT.encode()))
    assert [trace.name for trace in read_traces(folder)] == ["a", "b"]
    assert read_traces(archive) == read_traces(folder)


def test_a_folder_without_traces_and_a_file_that_is_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="found no traces"):
        read_traces(tmp_path)
    (tmp_path / "noise").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TraceError, match="is no text"):
        read_traces(tmp_path)


def test_made_up_links_are_the_same_for_a_seed_and_between_slow_and_fast() -> None:
    traces = made_up_traces(seed=3)
    assert traces == made_up_traces(seed=3) != made_up_traces(seed=4)
    assert all(0.3e6 < trace.mean_bps < 9e6 for trace in traces)
