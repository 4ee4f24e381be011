from __future__ import annotations

import resource
from typing import NamedTuple

import pytest

from bench.delivery import plan as plans
from bench.delivery.cases import all_cases, chosen
from bench.delivery.plan import Plan, scaled
from bench.errors import BenchError

GIB = 1024**3


class Disk(NamedTuple):
    free: int


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that can bear everything."""
    monkeypatch.setattr(plans, "memory_available_bytes", lambda: 64 * GIB)
    monkeypatch.setattr(plans, "disk_usage", lambda path: Disk(1000 * GIB))
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, 100_000))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: None)


PLAN = Plan(all_cases())


def test_a_large_machine_bears_the_whole_plan() -> None:
    assert scaled(PLAN) == (PLAN, [])


def test_little_memory_means_a_smaller_file_of_ranges_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "memory_available_bytes", lambda: 2 * GIB)
    plan, notes = scaled(PLAN)
    assert plan.big_bytes == GIB // 2
    assert notes == ["the file of random ranges has 512 MiB: 2 GiB of memory are available"]


def test_few_descriptors_mean_a_smaller_crowd_in_the_same_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, 8448 + 1100))
    plan, notes = scaled(PLAN)
    assert (plan.idle, plan.slow) == (1000, 100)
    assert notes == ["1000 idle and 100 slow connections: a process may have 9548 descriptors"]


def test_a_full_disk_is_said_before_anything_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "disk_usage", lambda path: Disk(GIB))
    with pytest.raises(BenchError, match=r"has 1 GiB free, expected \S+ GiB for the files"):
        scaled(PLAN)


def test_only_files_that_the_cases_need_are_made() -> None:
    assert list(Plan(chosen(all_cases(), ["http/1M/32"])).sizes()) == ["16K.mp4", "256K.mp4", "1M.mp4", "4M.mp4"]
    assert sum(name.startswith("film") for name in PLAN.sizes()) == 32
