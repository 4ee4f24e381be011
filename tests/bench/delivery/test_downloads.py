from __future__ import annotations

from bench.delivery.downloads import Job, Piece, download
from tests.bench.delivery.conftest import LARGE_BYTES, Plain

HALF = LARGE_BYTES // 2


def test_every_player_gets_all_of_its_pieces(plain: Plain) -> None:
    pieces = [Piece("/large", 0, HALF), Piece("/large", HALF, LARGE_BYTES)]
    report = download(Job(plain.port, [pieces] * 8, limit_s=20.0), frozenset())
    assert report.bytes == 8 * LARGE_BYTES
    assert report.failed == 0
    assert len(report.first_bytes_s) == 8
    assert report.first_bytes_s == sorted(report.first_bytes_s)
    assert 0 < report.first_bytes_s[-1] < report.seconds


def test_a_piece_that_is_not_there_fails_with_those_after_it(plain: Plain) -> None:
    missing = [Piece("/missing", 0, 10), Piece("/large", 0, 10)]
    report = download(Job(plain.port, [missing, [Piece("/large", 0, 10)]], limit_s=20.0), frozenset())
    assert (report.failed, report.bytes) == (2, 10)


def test_what_takes_too_long_has_failed(plain: Plain) -> None:
    report = download(Job(plain.port, [[Piece("/large", 0, 10)]], limit_s=0.0), frozenset())
    assert report.failed == 1
