from __future__ import annotations

from fill.planner.shrunk import lost_titles

HUNDRED = {f"t{number}" for number in range(100)}


def test_a_few_titles_are_withdrawn() -> None:
    assert not lost_titles(HUNDRED, HUNDRED - {"t1", "t2", "t3"})
    assert not lost_titles(HUNDRED, {*HUNDRED, "new"})


def test_many_are_lost() -> None:
    assert lost_titles(HUNDRED, set(sorted(HUNDRED)[:90])) == set(sorted(HUNDRED)[90:])


def test_an_empty_catalog_is_never_believed_at_once() -> None:
    assert lost_titles({"film"}, set()) == {"film"}
    assert not lost_titles(set(), set())
