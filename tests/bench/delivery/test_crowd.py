from __future__ import annotations

import pytest

from bench.delivery.crowd import Crowd, Job
from bench.errors import BenchError
from tests.bench.delivery.conftest import Plain


def test_a_crowd_opens_its_connections_keeps_them_and_counts_those_that_last(plain: Plain) -> None:
    with Crowd(Job(plain.port, "/small", "/large", idle=20, slow=5), frozenset()) as crowd:
        crowd.await_idle()
        crowd.become_slow()
        kept = crowd.end()
    assert kept.kept == 25


def test_connections_that_the_server_closed_are_not_kept(plain: Plain) -> None:
    with Crowd(Job(plain.port, "/small", "/large", idle=3, slow=2), frozenset()) as crowd:
        crowd.await_idle()
        crowd.become_slow()
        plain.program.stop()
        kept = crowd.end()
    # A slow reader may still have bytes to read from a connection that is closed.
    assert kept.kept <= 2


def test_a_crowd_that_is_not_served_says_so(plain: Plain) -> None:
    with (
        Crowd(Job(plain.port, "/missing", "/large", idle=1, slow=1), frozenset()) as crowd,
        pytest.raises(BenchError, match="the crowd of idle and slow connections failed: "),
    ):
        crowd.await_idle()
