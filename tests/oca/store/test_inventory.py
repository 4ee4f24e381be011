from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from encoder.package import MANIFEST_NAME
from oca.report import held_version
from oca.store.inventory import Entry, FileKey, Inventory, Shelf

PACKAGE = "0" * 32
KEY = FileKey("title", PACKAGE, "a.mp4")


def entry(volume: int = 0, size: int = 10, *, whole: bool = True, planned: bool = False) -> Entry:
    return Entry(volume, size, whole, planned)


def test_a_package_without_its_manifest_is_not_told_of() -> None:
    inventory = Inventory()
    inventory.put(KEY, entry())
    assert inventory.held == {} and inventory.holds(KEY)
    inventory.put_manifest(KEY.package_key, 0, 100)
    assert inventory.held == {KEY.package_key: ("a.mp4",)}
    inventory.remove_manifest(KEY.package_key, 0)
    assert inventory.held == {}


def test_a_package_is_held_whole_once_its_names_are_known() -> None:
    inventory = Inventory()
    inventory.put(KEY, entry())
    inventory.put_manifest(KEY.package_key, 0, 100)
    assert inventory.unlearned() == [KEY.package_key]
    inventory.learn(KEY.package_key, ["a.mp4"])
    assert inventory.held == {KEY.package_key: ("*",)}
    assert inventory.unlearned() == []


def test_a_file_that_is_not_whole_takes_room_and_is_not_held() -> None:
    inventory = Inventory()
    inventory.put(KEY, entry(whole=False))
    assert (inventory.used_bytes(0), inventory.count(0), inventory.holds(KEY)) == (10, 0, False)


def test_the_same_file_on_two_volumes_is_kept_once_and_rather_the_whole_one() -> None:
    inventory = Inventory()
    first = Shelf(files={"a.mp4": entry(0, whole=False), "b.mp4": entry(0)}, manifests={0: 100})
    second = Shelf(files={"a.mp4": entry(1), "b.mp4": entry(1)}, manifests={1: 100})
    assert inventory.add(KEY.package_key, first) == []
    copies = inventory.add(KEY.package_key, second)
    assert copies == [(KEY, 0), (FileKey("title", PACKAGE, "b.mp4"), 1)]
    assert (inventory.used_bytes(0), inventory.used_bytes(1)) == (110, 110)
    assert set(inventory.manifests(KEY.package_key)) == {0, 1}


def test_what_came_while_a_scan_was_under_way_is_no_copy() -> None:
    inventory = Inventory()
    inventory.put(KEY, entry())
    assert inventory.add(KEY.package_key, Shelf(files={"a.mp4": entry(whole=False)})) == []
    assert inventory.holds(KEY)


def test_what_was_pulled_goes_oldest_first_and_what_was_planned_does_not() -> None:
    inventory = Inventory()
    keys = [FileKey("title", PACKAGE, name) for name in ("a.mp4", "b.mp4", "c.mp4")]
    for key in keys:
        inventory.put(key, entry())
    inventory.put(keys[1], entry(planned=True))
    inventory.put(keys[0], entry(size=20))  # it has grown young again
    assert list(inventory.pulled(0)) == [(keys[2], 10), (keys[0], 20)]
    assert inventory.sheddable_bytes(0) == 30


FILES = st.builds(FileKey, st.sampled_from(["x", "y"]), st.just(PACKAGE), st.sampled_from(["a", "b", MANIFEST_NAME]))
CHANGES = st.tuples(FILES, st.sampled_from(["put", "plan", "part", "remove"]), st.integers(0, 2), st.integers(0, 99))


@given(st.lists(CHANGES, max_size=40))
def test_sums_and_version_are_those_of_what_is_there(changes: list[tuple[FileKey, str, int, int]]) -> None:
    inventory = Inventory()
    for key, change, volume, size in changes:
        if key.file == MANIFEST_NAME:
            if change == "remove":
                inventory.remove_manifest(key.package_key, volume)
            elif change == "plan":
                inventory.forget(key.package_key, volume)
            else:
                inventory.put_manifest(key.package_key, volume, size)
                inventory.learn(key.package_key, ["a", "b"])
        elif change == "remove":
            inventory.remove(key)
        else:
            inventory.put(key, entry(volume, size, whole=change != "part", planned=change == "plan"))
    there = [one for package in inventory.packages() for one in inventory.files(package).values()]
    for volume in range(3):
        own = [one for one in there if one.volume == volume]
        manifests = sum(inventory._shelves[key].manifests.get(volume, 0) for key in inventory.packages())
        assert inventory.used_bytes(volume) == sum(one.size for one in own) + manifests
        assert inventory.count(volume) == sum(one.is_whole for one in own)
        assert inventory.sheddable_bytes(volume) == sum(one.size for one in own if not one.is_planned)
        assert len(list(inventory.pulled(volume))) == sum(not one.is_planned for one in own)
    assert inventory.version == held_version(inventory.held)
