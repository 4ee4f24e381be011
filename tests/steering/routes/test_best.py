from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from steering.routes.best import Path, order, sites
from steering.routes.route import Attributes, hops, neighbour, parse_path


def path(name: str, as_path: str = "3356", **more: Any) -> Path:
    of_peer: dict[str, Any] = {
        field: more.pop(field) for field in ("is_external", "router_id", "address") if field in more
    }
    usual: dict[str, Any] = {"is_external": True, "router_id": 1, "address": (4, 1)}
    return Path(Attributes(parse_path(as_path), **more), name, name=name, **(usual | of_peer))


# Each is better than the plain one for one step of RFC 4271 9.1.2.2, and worse for every later one.
STEPS = [
    (path("a", "3356 1299", local_preference=200, origin=2, med=9, router_id=9), "local preference"),
    (path("a", "3356", origin=2, med=9, router_id=9), "AS path"),
    (path("a", "3356 1299", origin=0, med=9, router_id=9), "origin"),
    (path("a", "3356 1299", origin=1, med=1, is_external=False, router_id=9), "MED"),
    (path("a", "3356 1299", origin=1, med=5, router_id=9, address=(4, 9)), "external"),
    (path("a", "3356 1299", origin=1, med=5, is_external=False, router_id=4, address=(4, 9)), "router ID"),
    (path("a", "3356 1299", origin=1, med=5, is_external=False, router_id=5, address=(4, 4)), "peer address"),
]


@pytest.mark.parametrize(("better", "step"), STEPS, ids=[step for _, step in STEPS])
def test_each_step_decides_when_those_before_are_equal(better: Path, step: str) -> None:
    plain = path("b", "3356 1299", origin=1, med=5, is_external=False, router_id=5, address=(4, 5))
    assert sites([plain, better]) == sites([better, plain]) == ("a", "b")


def test_med_does_not_compare_different_neighbours() -> None:
    low, high = path("low", "3356", med=1, router_id=2), path("high", "1299", med=100, router_id=1)
    assert sites([low, high]) == ("high", "low")
    assert sites([low, high], always_compare_med=True) == ("low", "high")


def test_a_missing_med_is_the_lowest() -> None:
    assert sites([path("some", med=1, router_id=1), path("none", router_id=2)]) == ("none", "some")


def test_med_that_would_go_round_in_pairs_gives_one_order() -> None:
    # Pairwise: a beats b (router ID), b beats c (router ID), c beats a (MED, same neighbour).
    a = path("a", "3356", med=10, router_id=1)
    b = path("b", "1299", med=0, router_id=2)
    c = path("c", "3356", med=0, router_id=3)
    assert {sites(arrangement) for arrangement in itertools.permutations([a, b, c])} == {("b", "c", "a")}


def test_a_site_is_named_once_at_its_best_path() -> None:
    worse = path("x", "3356 1299")._replace(site="north", name="worse")
    assert sites([worse, path("south", "3356", router_id=2), path("north", "3356", router_id=1)]) == ("north", "south")


PATHS = some.builds(
    Path,
    some.builds(
        Attributes,
        some.sampled_from([parse_path(text) for text in ("", "1", "2", "1 3", "2 3", "{1 2}", "(9) 1", "1 {3 4}")]),
        some.integers(100, 101),
        some.integers(0, 2),
        some.one_of(some.none(), some.integers(0, 2)),
    ),
    some.sampled_from(["north", "south", "east"]),
    some.booleans(),
    some.integers(0, 2),
    some.tuples(some.just(4), some.integers(0, 2)),
)
SESSIONS = some.lists(PATHS, max_size=6).map(
    lambda paths: [path._replace(name=str(number)) for number, path in enumerate(paths)]
)


@given(SESSIONS, some.booleans(), some.randoms())
def test_the_order_does_not_depend_on_who_came_first(paths: list[Path], always: bool, random: Any) -> None:
    ordered = order(paths, always_compare_med=always)
    shuffled = [*paths]
    random.shuffle(shuffled)
    assert order(shuffled, always_compare_med=always) == ordered
    assert sorted(path.name for path in ordered) == sorted(path.name for path in paths)


@given(SESSIONS)
def test_the_best_is_what_the_standards_elimination_leaves(paths: list[Path]) -> None:
    """RFC 4271 9.1.2.2 step by step, on the set of all paths; and so on for the second, without the first."""
    ordered = order(paths)
    left = [*paths]
    for best in ordered:
        assert best == _eliminate(left)
        left.remove(best)


def _eliminate(paths: list[Path]) -> Path:
    most = max(path.attributes.local_preference for path in paths)
    paths = [path for path in paths if path.attributes.local_preference == most]
    for measure in (lambda path: hops(path.attributes.as_path), lambda path: path.attributes.origin):
        least = min(map(measure, paths))
        paths = [path for path in paths if measure(path) == least]
    paths = [path for path in paths if not any(_has_lower_med(other, path) for other in paths)]
    if any(path.is_external for path in paths):
        paths = [path for path in paths if path.is_external]
    return min(paths, key=lambda path: (path.router_id, path.address, path.name))


def _has_lower_med(one: Path, other: Path) -> bool:
    same = neighbour(one.attributes.as_path) == neighbour(other.attributes.as_path)
    return same and (one.attributes.med or 0) < (other.attributes.med or 0)
