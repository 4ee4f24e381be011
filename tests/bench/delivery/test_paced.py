"""paced.c, where it can be compiled."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bench.delivery.compiled import compile_program
from bench.delivery.programs import run_client
from bench.delivery.rounds import Paced
from bench.errors import BenchError
from tests.bench.delivery.conftest import Plain


@pytest.fixture
def paced(tmp_path: Path) -> Path:
    executable = compile_program("paced", tmp_path)
    if executable is None:
        pytest.skip("there is no C compiler")
    return executable


@pytest.fixture
def silence() -> Iterator[int]:
    """A port where the system takes connections and nobody ever answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def run(paced: Path, port: int, path: str, rate: float, seconds: float) -> Paced:
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    words = [str(paced), "127.0.0.1", str(port), str(rate), "2", str(seconds)]
    return msgspec.json.decode(run_client(words, frozenset(), limit_s=20.0, stdin=request), type=Paced)


def test_it_asks_as_often_as_it_is_told(paced: Path, plain: Plain) -> None:
    told = run(paced, plain.port, "/small", rate=100.0, seconds=0.5)
    assert told.asked == 50
    assert told.failed == 0
    assert 0 < told.p50_s <= told.p99_s <= told.max_s


def test_answers_that_never_come_are_charged_to_every_request_that_was_due(paced: Path, silence: int) -> None:
    """Two connections wait; the other 18 requests were due too, one after the other, and count as late as they are."""
    told = run(paced, silence, "/", rate=100.0, seconds=0.2)
    assert (told.asked, told.unfinished) == (20, 20)
    assert told.max_s == pytest.approx(0.2, abs=0.1)
    assert 0.0 < told.p50_s < told.max_s


def test_an_answer_that_is_no_success_is_a_failure(paced: Path, plain: Plain) -> None:
    assert run(paced, plain.port, "/missing", rate=50.0, seconds=0.1).failed > 0


def test_nonsense_is_refused(paced: Path) -> None:
    with pytest.raises(BenchError, match="expected 1 to 4096 connections"):
        run(paced, 1, "/", rate=0.0, seconds=1.0)
