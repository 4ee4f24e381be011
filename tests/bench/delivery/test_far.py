from __future__ import annotations

import sys
from pathlib import Path

from bench.delivery.downloads import Job, Piece, download
from bench.delivery.programs import Program
from bench.fleet import find_port
from tests.bench.delivery.conftest import LARGE_BYTES, Plain

DELAY_S = 0.1


def test_what_is_asked_of_a_far_origin_comes_whole_and_later(plain: Plain, tmp_path: Path) -> None:
    port = find_port(["127.0.0.1"])
    words = [str(port), str(plain.port), str(DELAY_S)]
    relay = Program("far", tmp_path, [sys.executable, "-m", "bench.delivery.far", *words])
    relay.start()
    try:
        relay.await_port(port)
        report = download(Job(port, [[Piece("/large", 0, LARGE_BYTES)]] * 2, limit_s=20.0), frozenset())
    finally:
        relay.stop()
    assert (report.failed, report.bytes) == (0, 2 * LARGE_BYTES)
    assert report.first_bytes_s[0] >= DELAY_S
