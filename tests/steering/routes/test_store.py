from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from steering.errors import StoreError
from steering.routes.route import Attributes, Key, Kind, pack
from steering.routes.store import Kept, load, save
from tests.steering.routes.test_route import PREFIXES
from tests.steering.routes.values import attributes, key

KEPT = {"isp1": Kept([(key("11.0.0.0/16"), attributes()), (key("2a00::/32"), attributes("1299", med=3))], 7.0)}

SEGMENTS = some.tuples(some.sampled_from(list(map(int, Kind))), some.tuples(some.integers(0, 2**32 - 1)))
ATTRIBUTES = some.builds(
    Attributes,
    some.lists(SEGMENTS, max_size=3).map(tuple),
    some.integers(0, 2**32 - 1),
    some.integers(0, 2),
    some.none() | some.just(0),
)
ROUTES = some.dictionaries(PREFIXES.map(lambda prefix: pack(*prefix)), ATTRIBUTES, max_size=9)


@settings(max_examples=30)  # each is written to the disk, synced
@given(some.dictionaries(some.text(max_size=9), ROUTES, max_size=3))
def test_what_is_saved_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, sessions: dict[str, dict[Key, Attributes]]
) -> None:
    path = tmp_path_factory.mktemp("store") / "routes.rib"
    save(path, {name: Kept(list(routes.items()), 7.0) for name, routes in sessions.items()}, 9.0)
    loaded = load(path)
    assert {name: dict(kept.routes) for name, kept in loaded.items()} == sessions
    assert all(kept.stale_since == 7.0 for kept in loaded.values())


def test_routes_of_a_session_that_was_up_are_stale_since_they_were_saved(tmp_path: Path) -> None:
    save(tmp_path / "rib", {"isp1": Kept([], 0.0)}, 9.0)
    assert load(tmp_path / "rib")["isp1"].stale_since == 9.0


def test_attributes_that_were_one_are_one_again(tmp_path: Path) -> None:
    one = attributes()
    save(tmp_path / "rib", {"isp1": Kept([(key("11.0.0.0/16"), one), (key("11.1.0.0/16"), one)], 0.0)}, 9.0)
    (_, first), (_, second) = load(tmp_path / "rib")["isp1"].routes
    assert first is second


def test_without_a_file_nothing_is_known(tmp_path: Path) -> None:
    assert load(tmp_path / "rib") == {}


def test_a_save_that_was_killed_leaves_the_one_before(tmp_path: Path) -> None:
    save(tmp_path / "rib", KEPT, 9.0)
    (tmp_path / "rib.new").write_bytes((tmp_path / "rib").read_bytes()[:50])
    assert load(tmp_path / "rib") == KEPT
    save(tmp_path / "rib", {}, 10.0)
    assert load(tmp_path / "rib") == {}


def test_damage_of_any_byte_is_noticed(tmp_path: Path) -> None:
    save(tmp_path / "rib", KEPT, 9.0)
    good = (tmp_path / "rib").read_bytes()
    for place in range(len(good)):
        (tmp_path / "rib").write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(StoreError):
            load(tmp_path / "rib")
        (tmp_path / "rib").write_bytes(good[:place])
        with pytest.raises(StoreError):
            load(tmp_path / "rib")


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        save(tmp_path / "none" / "rib", KEPT, 9.0)
