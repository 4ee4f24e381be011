from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from encoder.errors import CheckError
from encoder.running import storage as storages
from origin.errors import NotFound, StorageError


class BreaksOff:
    """A storage whose every answer ends early: by an error, or as if that were all."""

    def __init__(self, *failures: StorageError | None) -> None:
        self._failures = list(failures)
        self.asked: list[int] = []

    async def read(self, key: str, offset: int) -> AsyncGenerator[bytes, None]:
        self.asked.append(offset)
        yield b"0123456789"[offset : offset + 4]
        if self._failures and (failure := self._failures.pop(0)):
            raise failure


async def download(storage: BreaksOff, path: Path, size: int = 10) -> None:
    await storages.download(storage, "key", path, size)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storages, "RETRY_AFTER_S", 0)


async def test_download_goes_on_where_it_broke_off(at_once: None, tmp_path: Path) -> None:
    storage = BreaksOff(StorageError("broken off"), None)
    await download(storage, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"0123456789"
    assert storage.asked == [0, 4, 8]


async def test_download_that_breaks_off_every_time_fails(at_once: None, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="broken off"):
        await download(BreaksOff(*[StorageError("broken off")] * storages.ATTEMPTS), tmp_path / "file", size=100)


async def test_object_that_ends_early_every_time_is_not_taken_for_whole(at_once: None, tmp_path: Path) -> None:
    with pytest.raises(CheckError, match="key ends after 10 bytes, expected 100"):
        await download(BreaksOff(), tmp_path / "file", size=100)


async def test_object_that_is_not_there_is_not_asked_for_again(at_once: None, tmp_path: Path) -> None:
    storage = BreaksOff(NotFound("none"))
    with pytest.raises(NotFound):
        await download(storage, tmp_path / "file")
    assert storage.asked == [0]
