"""What every storage promises, asked of both."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

import pytest

from config.errors import ConfigError
from origin.errors import AlreadyThere, NotFound, StorageError
from origin.storage import PIECE, Storage, open_storage


async def test_bytes_come_back(storage: Storage) -> None:
    await storage.put_bytes("a/b.json", b"hello")
    assert await storage.read_bytes("a/b.json") == b"hello"
    assert await storage.size("a/b.json") == 5


async def test_a_file_comes_back_in_pieces_and_ranges(storage: Storage, tmp_path: Path) -> None:
    data = bytes(range(256)) * (3 * PIECE // 256) + b"tail"
    (tmp_path / "film").write_bytes(data)
    moved: list[int] = []
    await storage.put_file("films/film.mp4", tmp_path / "film", moved.append)
    assert sum(moved) == len(data)
    async with aclosing(storage.read("films/film.mp4")) as pieces:
        sizes = [len(piece) async for piece in pieces]
    assert sum(sizes) == len(data)
    assert max(sizes) <= PIECE
    assert await storage.read_bytes("films/film.mp4", PIECE - 1, 3) == data[PIECE - 1 : PIECE + 2]
    assert await storage.read_bytes("films/film.mp4", len(data) - 2) == b"il"


async def test_a_range_past_the_end_gives_what_there_is(storage: Storage) -> None:
    await storage.put_bytes("k", b"12345")
    assert await storage.read_bytes("k", 3, 100) == b"45"
    assert await storage.read_bytes("k", 5, 1) == b""
    assert await storage.read_bytes("k", 9) == b""
    assert await storage.read_bytes("k", 2, 0) == b""


async def test_putting_again_replaces(storage: Storage) -> None:
    await storage.put_bytes("k", b"old")
    await storage.put_bytes("k", b"new")
    assert await storage.read_bytes("k") == b"new"


async def test_if_absent_keeps_what_is_there(storage: Storage) -> None:
    await storage.put_bytes("k", b"first", if_absent=True)
    with pytest.raises(AlreadyThere):
        await storage.put_bytes("k", b"second", if_absent=True)
    assert await storage.read_bytes("k") == b"first"


async def test_missing_objects_are_not_found(storage: Storage) -> None:
    with pytest.raises(NotFound):
        await storage.read_bytes("no/such")
    with pytest.raises(NotFound):
        await storage.size("no/such")


async def test_a_directory_is_not_an_object(storage: Storage) -> None:
    await storage.put_bytes("a/b", b"x")
    with pytest.raises(NotFound):
        await storage.read_bytes("a")


async def test_listing_goes_by_prefix(storage: Storage) -> None:
    for key in ("catalog/a.json", "catalog/b.json", "packages/a/x/f", "catalogue"):
        await storage.put_bytes(key, b"x")
    assert {stored.key async for stored in storage.list("catalog/")} == {"catalog/a.json", "catalog/b.json"}
    assert {stored.key async for stored in storage.list("catalog")} == {"catalog/a.json", "catalog/b.json", "catalogue"}
    assert {stored.size async for stored in storage.list("packages/a/")} == {1}
    assert [stored async for stored in storage.list("nothing/")] == []


async def test_a_change_changes_the_version(storage: Storage) -> None:
    async def version() -> str:
        return next(iter([stored.version async for stored in storage.list("k")]))

    await storage.put_bytes("k", b"one")
    before = await version()
    assert await version() == before
    await storage.put_bytes("k", b"two")
    assert await version() != before


async def test_deleting_twice_is_no_error(storage: Storage) -> None:
    await storage.put_bytes("a/b/c", b"x")
    await storage.delete("a/b/c")
    await storage.delete("a/b/c")
    assert [stored async for stored in storage.list("a/")] == []


@pytest.mark.parametrize(
    "key", ["../x", "a/../../x", "/etc/passwd", "", "a//b", "a/", ".hidden", "a/.b", "a\0b", "a\n"]
)
async def test_keys_never_leave_the_root(storage: Storage, key: str) -> None:
    with pytest.raises(StorageError):
        await storage.put_bytes(key, b"x")
    with pytest.raises(StorageError):
        await storage.read_bytes(key)
    with pytest.raises(StorageError):
        await storage.delete(key)


@pytest.mark.parametrize("url", ["file://relative/path", "ftp://x/y", "s3://", "nonsense", ""])
def test_a_url_of_no_storage_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigError, match="expected file:///DIRECTORY"):
        open_storage(url)
