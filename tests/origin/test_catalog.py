from __future__ import annotations

import msgspec
import pytest

from origin.catalog import Catalog, Entry, decode_entry, encode_entry, entry_key, read_entry
from origin.errors import CatalogError
from origin.storage import Storage

ENTRY = Entry(
    title="film",
    package="ab" * 16,
    name="Film",
    duration=12.5,
    size=1000,
    poster="poster.jpg",
    published_at="2026-11-20T19:00:00Z",
)


def test_an_entry_comes_back() -> None:
    assert decode_entry("catalog/film.json", encode_entry(ENTRY)) == ENTRY


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"\xff", encode_entry(msgspec.structs.replace(ENTRY, package="../../etc"))]
)
def test_nonsense_is_no_entry(data: bytes) -> None:
    with pytest.raises(CatalogError, match=r"catalog/film\.json"):
        decode_entry("catalog/film.json", data)


def test_an_entry_under_another_titles_key_is_refused() -> None:
    with pytest.raises(CatalogError, match="another title"):
        decode_entry("catalog/other.json", encode_entry(ENTRY))


async def test_refresh_follows_what_is_stored(storage: Storage) -> None:
    catalog = Catalog()
    await catalog.refresh(storage)
    assert dict(catalog.entries) == {}
    await storage.put_bytes(entry_key("film"), encode_entry(ENTRY))
    await catalog.refresh(storage)
    assert dict(catalog.entries) == {"film": ENTRY}
    changed = msgspec.structs.replace(ENTRY, name="Another name")
    await storage.put_bytes(entry_key("film"), encode_entry(changed))
    await catalog.refresh(storage)
    assert dict(catalog.entries) == {"film": changed}
    await storage.delete(entry_key("film"))
    await catalog.refresh(storage)
    assert dict(catalog.entries) == {}
    assert await read_entry(storage, "film") is None


async def test_one_bad_entry_does_not_hide_the_others(storage: Storage, caplog: pytest.LogCaptureFixture) -> None:
    await storage.put_bytes(entry_key("bad"), b"nonsense")
    await storage.put_bytes(entry_key("film"), encode_entry(ENTRY))
    catalog = Catalog()
    await catalog.refresh(storage)
    await catalog.refresh(storage)
    assert dict(catalog.entries) == {"film": ENTRY}
    assert list(catalog.damaged) == ["catalog/bad.json"]
    assert len(caplog.records) == 1  # said once, not with every look
