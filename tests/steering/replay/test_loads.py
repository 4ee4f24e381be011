from __future__ import annotations

from steering.replay.loads import Load, Loads
from tests.steering.values import GIGABIT


def test_loads_are_averaged_over_time_and_their_peaks_kept() -> None:
    loads = Loads(100.0)
    loads.set("a1", "north", 2 * GIGABIT, 10 * GIGABIT, 100.0)
    loads.set("a2", "north", 1 * GIGABIT, 10 * GIGABIT, 100.0)
    loads.set("a1", "north", 10 * GIGABIT, 10 * GIGABIT, 130.0, is_full=True)
    loads.end(140.0)
    assert loads.of_appliances()["a1"] == Load(4 * GIGABIT, 10 * GIGABIT, 10.0)
    assert loads.of_sites() == {"north": Load(5 * GIGABIT, 11 * GIGABIT, 0.0)}
    assert loads.served_bits == 5 * GIGABIT * 40


def test_an_appliance_may_be_full_before_it_serves_so_much() -> None:
    loads = Loads(0.0)
    loads.set("a1", "north", GIGABIT, 10 * GIGABIT, 0.0)
    loads.fill("a1", 10.0)
    loads.fill("unheard-of", 10.0)
    loads.set("a1", "north", GIGABIT, 10 * GIGABIT, 15.0)
    loads.end(20.0)
    assert loads.of_appliances()["a1"].full_s == 5


def test_what_was_before_the_time_does_not_count() -> None:
    loads = Loads(100.0)
    loads.set("a1", "north", 8 * GIGABIT, 10 * GIGABIT, 10.0)
    loads.set("a1", "north", 2 * GIGABIT, 10 * GIGABIT, 90.0)
    loads.end(110.0)
    assert loads.of_appliances()["a1"] == Load(2 * GIGABIT, 2 * GIGABIT, 0.0)


def test_an_appliance_that_moves_takes_its_load_along() -> None:
    loads = Loads(0.0)
    loads.set("a1", "north", GIGABIT, 10 * GIGABIT, 0.0)
    loads.set("a1", "south", GIGABIT, 10 * GIGABIT, 10.0)
    loads.end(20.0)
    assert {site: load.mean_bps for site, load in loads.of_sites().items()} == {
        "north": GIGABIT / 2,
        "south": GIGABIT / 2,
    }


def test_of_no_time_there_is_no_load() -> None:
    loads = Loads(0.0)
    loads.set("a1", "north", GIGABIT, 10 * GIGABIT, 0.0)
    loads.end(0.0)
    assert loads.of_sites() == {"north": Load(0.0, 0, 0.0)}
