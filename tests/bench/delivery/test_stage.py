from __future__ import annotations

from bench.delivery.stage import fetched_bytes


def test_what_the_origin_sent_is_the_bodies_of_its_successes() -> None:
    log = "206 4194304 bytes=0-4194303 /v1/a\n200 10 - /v1/b\n404 153 - /v1/c\n"
    assert fetched_bytes(log) == 4194314
