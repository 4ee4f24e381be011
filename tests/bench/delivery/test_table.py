from __future__ import annotations

import pytest
from rich.console import Console

from bench.delivery.result import Delivery, Measured, Ratio, Summary
from bench.delivery.table import grids, headline, show, to_markdown, to_rich

SUBJECTS = [
    Measured("nearcast-1", "nearcast", "", ""), Measured("nginx-plain", "nginx", "", "1.22.1"),
    Measured("nginx-log", "nginx", "", "1.22.1"), Measured("varnish", "varnish", "", "7.1.1"),
]  # fmt: skip


MACHINE: dict[str, str | int] = {
    "cpu": "A CPU", "cores": 2, "memory_bytes": 2**34, "kernel": "6.1", "python": "3.11.2",
}  # fmt: skip


def delivery(*results: Summary) -> Delivery:
    return Delivery(
        machine=MACHINE, commit="", seconds=1, rounds=1, subjects=SUBJECTS, results=list(results),
        ratios=[Ratio("http/1M/32", "bytes_per_s", "nginx", 2.0)], notes=[],
    )  # fmt: skip


RESULT = delivery(
    Summary("nearcast-1", "http/1M/32", "bytes_per_s", 6e9, 5e9, 7e9),
    Summary("nearcast-1", "http/1M/32", "requests_per_s", 6e3, 6e3, 6e3),
    Summary("nginx-plain", "http/1M/32", "bytes_per_s", 2e9, 2e9, 2e9),
    Summary("nginx-log", "http/1M/32", "bytes_per_s", 3e9, 3e9, 3e9),
    Summary("nginx-log", "http/1M/32", "cpu_s_per_gb", 0.2, 0.2, 0.2),
)


def test_a_row_shows_medians_spread_and_which_configuration_was_best() -> None:
    throughput = grids(RESULT)[0]
    assert throughput.header == ["case", "metric", "nearcast", "nginx"]
    assert throughput.rows == [["http/1M/32", "bytes_per_s", "6 GB/s (5 GB/s to 7 GB/s)", "3 GB/s log"]]


def test_who_has_no_value_has_a_dash() -> None:
    cpu = grids(RESULT)[1]
    assert cpu.header == ["case", "metric", "nginx"]
    with_both = grids(
        delivery(
            Summary("nearcast-1", "http/1M/1", "bytes_per_s", 1e9, 1e9, 1e9),
            Summary("varnish", "http/1M/32", "bytes_per_s", 1e9, 1e9, 1e9),
        )
    )[0]
    assert [row[2:] for row in with_both.rows] == [["1 GB/s", "-"], ["-", "1 GB/s"]]


def test_ratios_say_which_way_is_better() -> None:
    assert grids(RESULT)[-2].rows == [["http/1M/32", "bytes_per_s", "nginx", "2.00", "more"]]


def test_markdown_and_terminal_show_the_same_cells() -> None:
    grid = grids(RESULT)[0]
    assert "| http/1M/32 | bytes_per_s | 6 GB/s (5 GB/s to 7 GB/s) | 3 GB/s log |" in to_markdown(grid)
    console = Console(width=120)
    with console.capture() as capture:
        console.print(to_rich(grid))
    assert "6 GB/s (5 GB/s to 7 GB/s)" in capture.get()


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("bytes_per_s", 4.4567e9, "4.46 GB/s"), ("requests_per_s", 95_000, "95k/s"), ("requests_per_s", 12.0, "12/s"),
        ("p99_s", 0.0123, "12.3 ms"), ("p99_s", 0.000456, "456 us"), ("cpu_s_per_gb", 0.2, "0.2"),
        ("idle_connection_bytes", 3072, "3 KiB"), ("idle_connection_bytes", -5, "0 B"), ("origin_share", 1.0, "1"),
    ],
)  # fmt: skip
def test_values_are_shown_in_units_that_people_read(metric: str, value: float, text: str) -> None:
    assert show(metric, value) == text


def test_the_headline_says_what_it_ran_on() -> None:
    assert headline(RESULT) == ("A CPU, 2 cores, 16 GiB, Linux 6.1, Python 3.11.2, commit unknown; 1 rounds of 1 s")


def test_subjects_are_listed_with_their_versions() -> None:
    assert ["nginx-log", "1.22.1", "-"] in grids(RESULT)[-1].rows
