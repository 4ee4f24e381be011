from __future__ import annotations

from bench.delivery.cases import Case
from bench.delivery.result import Observation, Ratio, Summary, best, ratios, summarize

MIB = Case("throughput", "http/1M/32", "1M")
CROWD = Case("crowd", "crowd/1M/32", "1M")
FAMILIES = {
    "nearcast-1": "nearcast", "nearcast-2": "nearcast-2", "nginx-a": "nginx", "nginx-b": "nginx", "ats": "ats",
    "bare-plain": "bare",
}  # fmt: skip


def of(case: Case, metric: str, **values: float) -> list[Summary]:
    return summarize(Observation(name.replace("_", "-"), case.name, metric, value) for name, value in values.items())


def test_a_summary_is_median_lowest_and_highest_of_the_rounds() -> None:
    seen = [Observation("ats", "http/1M/32", "bytes_per_s", value) for value in (3.0, 1.0, 8.0)]
    assert summarize(seen) == [Summary("ats", "http/1M/32", "bytes_per_s", 3.0, 1.0, 8.0)]


def test_the_best_has_most_of_what_is_good_and_least_of_what_is_bad() -> None:
    results = [
        *of(MIB, "bytes_per_s", nginx_a=1.0, nginx_b=2.0),
        *of(MIB, "cpu_s_per_gb", nginx_a=1.0, nginx_b=2.0),
    ]
    names = ["nginx-a", "nginx-b"]
    throughput, cpu = best(results, MIB.name, "bytes_per_s", names), best(results, MIB.name, "cpu_s_per_gb", names)
    assert throughput is not None
    assert cpu is not None
    assert (throughput.subject, cpu.subject) == ("nginx-b", "nginx-a")
    assert best(results, MIB.name, "bytes_per_s", ["caddy"]) is None


def test_ratios_are_of_one_worker_against_nginx_the_best_peer_and_the_limit() -> None:
    results = of(MIB, "bytes_per_s", nearcast_1=6.0, nearcast_2=99.0, nginx_a=2.0, nginx_b=3.0, ats=4.0, bare_plain=8.0)
    assert ratios(results, FAMILIES, [MIB]) == [
        Ratio(MIB.name, "bytes_per_s", "nginx", 2.0),
        Ratio(MIB.name, "bytes_per_s", "peers", 1.5),
        Ratio(MIB.name, "bytes_per_s", "bare", 0.75),
    ]


def test_what_was_not_measured_has_no_ratio() -> None:
    assert ratios(of(MIB, "bytes_per_s", nearcast_1=6.0), FAMILIES, [MIB]) == []
    assert ratios(of(MIB, "bytes_per_s", nginx_a=6.0), FAMILIES, [MIB]) == []


def test_nothing_is_divided_by_zero() -> None:
    assert ratios(of(MIB, "cpu_s_per_gb", nearcast_1=6.0, nginx_a=0.0), FAMILIES, [MIB]) == []


def test_a_crowd_is_also_compared_with_ourselves_alone() -> None:
    results = [*of(CROWD, "bytes_per_s", nearcast_1=3.0), *of(CROWD, "bytes_per_s_alone", nearcast_1=4.0)]
    (ratio,) = ratios(results, FAMILIES, [CROWD])
    assert ratio == Ratio(CROWD.name, "bytes_per_s", "alone", 0.75)
