from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from origin.errors import StorageError
from origin.storage import open_storage, s3


async def test_large_files_go_in_parts(
    s3_url: str, s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 5 MiB is the least that S3 takes for any part but the last.
    monkeypatch.setattr(s3, "PART", 5 * 1024 * 1024)
    monkeypatch.setattr(s3, "MULTIPART_FROM", 5 * 1024 * 1024)
    data = bytes(range(256)) * 4 * 1024 * 11 + b"end"
    (tmp_path / "film").write_bytes(data)
    moved: list[int] = []
    async with open_storage(s3_url, s3_endpoint=s3_endpoint) as storage:
        await storage.put_file("film.mp4", tmp_path / "film", moved.append)
        assert len(moved) == 3
        assert sum(moved) == len(data)
        assert await storage.read_bytes("film.mp4") == data


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiobotocore.config", None)
    monkeypatch.delitem(sys.modules, "origin.storage.s3")
    with pytest.raises(StorageError, match=r"pip install 'nearcast\[s3\]'"):
        open_storage("s3://bucket")


async def test_a_bucket_that_is_not_there_is_a_storage_error(s3_endpoint: str) -> None:
    async with open_storage("s3://no-such-bucket", s3_endpoint=s3_endpoint) as storage:
        with pytest.raises(StorageError, match="NoSuchBucket"):
            await storage.put_bytes("k", b"x")


async def test_a_server_that_is_not_there_is_a_storage_error(s3_url: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: refuses, and nobody else can have the port
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        async with open_storage(s3_url, s3_endpoint=endpoint) as storage:
            with pytest.raises(StorageError, match="cannot be reached"):
                await storage.read_bytes("k")
