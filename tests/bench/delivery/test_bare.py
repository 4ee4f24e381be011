"""Both bare loops: the one in Python, and the one in C where it can be compiled."""

from __future__ import annotations

import http.client
from pathlib import Path

import pytest

from bench.delivery.compiled import compile_program
from bench.delivery.programs import Program
from bench.fleet import find_port
from tests.bench.delivery.conftest import Plain


def get(port: int, path: str, *ranges: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        for one in ranges or ("",):
            connection.request("GET", path, headers={"Range": one} if one else {})
            answer = connection.getresponse()
            status, body = answer.status, answer.read()
        return status, body
    finally:
        connection.close()


def test_a_file_comes_whole_and_in_ranges_over_one_connection(plain: Plain) -> None:
    assert get(plain.port, "/large") == (200, plain.large)
    assert get(plain.port, "/large", "bytes=5-9", "bytes=100000-2000000") == (206, plain.large[100_000:2_000_001])


def test_the_loop_in_c_does_the_same(plain: Plain, tmp_path: Path) -> None:
    executable = compile_program("bare", tmp_path)
    if executable is None:
        pytest.skip("there is no C compiler")
    port = find_port(["127.0.0.1"])
    program = Program("bare-in-c", tmp_path, [str(executable), str(tmp_path), str(port), "0"])
    program.start()
    try:
        program.await_port(port)
        assert get(port, "/large") == (200, plain.large)
        assert get(port, "/large", "bytes=5-9", "bytes=100000-2000000") == (206, plain.large[100_000:2_000_001])
        assert get(port, "/missing")[0] == 404
    finally:
        program.stop()
