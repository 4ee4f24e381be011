from __future__ import annotations

from pathlib import Path

import pytest

from bench.delivery import wrk
from bench.errors import BenchError

OUTPUT = """Running 1s test @ http://127.0.0.1:1/
  1 threads and 32 connections
Transfer/sec:      3.21GB
{"requests": 10, "bytes": 10485760, "seconds": 1.000100, "failed": 0, "p50_s": 0.001000, "p99_s": 0.002000}
"""


def test_the_summary_is_the_line_of_our_script() -> None:
    assert wrk.parse(OUTPUT) == wrk.Said(10, 10485760, 1.0001, 0, 0.001, 0.002)


@pytest.mark.parametrize("output", ["", "unable to connect to 127.0.0.1:1 Connection refused\n", '{"requests": 1}\n'])
def test_output_without_a_summary_is_an_error_that_shows_its_end(output: str) -> None:
    with pytest.raises(BenchError, match="wrk printed no summary, but ended so: "):
        wrk.parse(output)


def test_whole_files_need_no_request_function() -> None:
    """With one, wrk would call into Lua for every request."""
    assert "request()" not in wrk.script()


def test_ranges_are_aligned_and_inside_the_file() -> None:
    script = wrk.script(range_bytes=2048, file_bytes=10_000)
    assert "math.random(0, 4 - 1) * 2048" in script
    assert "first + 2048 - 1" in script


def test_there_are_never_more_threads_than_connections() -> None:
    words = wrk.command("http://x/", Path("/s.lua"), connections=1, threads=4, seconds=2)
    assert words[:4] == ["wrk", "-t1", "-c1", "-d2s"]
