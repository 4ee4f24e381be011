from __future__ import annotations

from bench.delivery.cases import METRICS, QUICK, all_cases, chosen, main_metric, peak_name

CASES = all_cases()


def test_every_case_has_a_name_of_its_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


def test_throughput_is_every_content_over_both_schemes_with_each_number_of_connections() -> None:
    assert sum(case.kind == "throughput" for case in CASES) == 5 * 2 * 3


def test_patterns_choose_cases_in_the_order_they_run() -> None:
    assert [case.name for case in chosen(CASES, ["crowd/*", "http/1M/*"])] == [
        "http/1M/1", "http/1M/32", "http/1M/500", "crowd/1M/32",
    ]  # fmt: skip


def test_a_latency_brings_the_peak_that_it_is_a_share_of() -> None:
    assert [case.name for case in chosen(CASES, ["latency/16K/32"])] == ["http/16K/32", "latency/16K/32"]


def test_every_peak_is_a_case_that_runs_before() -> None:
    names = [case.name for case in CASES]
    for case in CASES:
        if case.kind == "latency":
            assert names.index(peak_name(case)) < names.index(case.name)


def test_every_pattern_of_a_quick_run_finds_cases() -> None:
    assert all(chosen(CASES, [pattern]) for pattern in QUICK)


def test_small_answers_are_judged_by_their_number_and_large_ones_by_their_bytes() -> None:
    judged = {case.content: main_metric(case) for case in CASES if case.kind == "throughput"}
    assert judged == {
        "16K": "requests_per_s", "256K": "bytes_per_s", "1M": "bytes_per_s", "4M": "bytes_per_s",
        "ranges": "bytes_per_s",
    }  # fmt: skip
    assert set(judged.values()) <= set(METRICS)
