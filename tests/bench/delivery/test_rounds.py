"""The real thing, for a second: our appliance, and whatever peers are installed, under wrk."""

from __future__ import annotations

import msgspec
import pytest

from bench.delivery import wrk
from bench.delivery.cases import all_cases, chosen
from bench.delivery.plan import Plan
from bench.delivery.result import Delivery
from bench.delivery.rounds import measure
from bench.errors import BenchError
from config.progress import Reporter

MIB = 1024 * 1024


@pytest.mark.slow
def test_a_small_run_measures_us_and_the_limit_in_every_kind_of_case() -> None:
    if not wrk.is_installed():
        pytest.skip("wrk is not here; on Debian: make bench-peers")
    cases = chosen(all_cases(), ["http/1M/32", "http/ranges/1", "latency/1M/32", "crowd/*", "stampede/far", "pull/*"])
    plan = Plan(
        cases, ["nearcast-1", "nearcast-pull", "bare-plain", "nginx-plain", "nginx-slice-4m"], seconds=1, rounds=1,
        big_bytes=16 * MIB, idle=50, slow=10, stampede_players=20, stampede_bytes=5 * MIB, pulled_bytes=4 * MIB,
    )  # fmt: skip
    result = measure(plan, Reporter(quiet=True))
    found = {(one.subject, one.case, one.metric): one.median for one in result.results}
    assert not [note for note in result.notes if "nearcast" in note], result.notes
    for subject in ("nearcast-1", "bare-plain"):
        assert found[subject, "http/1M/32", "bytes_per_s"] > 0
        assert found[subject, "http/ranges/1", "bytes_per_s"] > 0
    assert found["nearcast-1", "crowd/1M/32", "connections_kept"] == 1.0
    assert found["nearcast-pull", "stampede/far", "first_byte_one_s"] >= 0.05
    assert found["nearcast-pull", "pull/32", "bytes_per_s"] > 0
    if ("nearcast-pull", "stampede/far", "origin_share") in found:  # the origin is nginx, and tells
        assert found["nearcast-pull", "stampede/far", "origin_share"] == 1.0
    assert msgspec.json.decode(msgspec.json.encode(result), type=Delivery) == result


@pytest.mark.skipif(not wrk.is_installed(), reason="wrk is not installed (on Debian: make bench-peers)")
def test_subjects_that_there_are_not_are_said_before_any_file_is_made() -> None:
    with pytest.raises(BenchError, match=r"nobody is called nobody; there are nearcast-1, .*nearcast-pull"):
        measure(Plan(chosen(all_cases(), ["http/16K/1"]), ["nobody"], seconds=1, rounds=1), Reporter(quiet=True))
