from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import shutil
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from encoder.package import BLOCK_SIZE, MANIFEST_NAME
from oca.access_log import AccessLog, Record
from origin.errors import StorageError
from origin.publish import publish_folder
from origin.service import CatalogView, OriginService
from origin.storage import open_storage
from origin.storage.file import FileStorage
from tests.origin.folders import INIT_SIZE, make_folder

Client = TestClient[web.Request, web.Application]
Connect = Callable[[Any], Awaitable[Client]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "out")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"file://{tmp_path}/storage"


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Starts a service on a storage and gives a client of it."""
    clients = []

    async def start(storage: Any) -> Client:
        client = TestClient(TestServer(OriginService(storage).application))
        await client.start_server()
        clients.append(client)
        return client

    yield start
    for client in clients:
        await client.close()


@pytest.fixture
async def client(folder: Path, url: str, connect: Connect) -> AsyncIterator[Client]:
    await publish_folder(folder, url)
    async with open_storage(url) as storage:
        yield await connect(storage)


def base(folder: Path) -> str:
    return f"/v1/film/{folder.name}"


async def test_the_catalog_lists_what_was_published(client: Client, folder: Path) -> None:
    answer = await client.get("/api/v1/titles")
    (entry,) = (await answer.json())["titles"]
    assert (entry["title"], entry["package"]) == ("film", folder.name)
    assert set(entry) == {"title", "package", "name", "duration", "size", "poster", "published_at"}
    one = await client.get("/api/v1/titles/film")
    assert await one.json() == entry


async def test_the_catalog_is_conditional(client: Client) -> None:
    etag = (await client.get("/api/v1/titles")).headers["ETag"]
    answer = await client.get("/api/v1/titles", headers={"If-None-Match": etag})
    assert (answer.status, await answer.read()) == (304, b"")


async def test_an_unknown_title_is_404(client: Client) -> None:
    answer = await client.get("/api/v1/titles/nothing")
    assert answer.status == 404
    assert answer.content_type == "application/problem+json"
    assert (await answer.json())["status"] == 404


async def test_whole_files_segments_and_the_manifest_are_served(client: Client, folder: Path) -> None:
    video = (folder / "v720.mp4").read_bytes()
    whole = await client.get(f"{base(folder)}/v720.mp4")
    assert await whole.read() == video
    assert whole.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert whole.headers["Access-Control-Allow-Origin"] == "*"
    assert whole.headers["Server"] == "nearcast"
    assert whole.headers["Cache-Status"] == "origin; hit"
    assert whole.headers["ETag"] == f'"{hashlib.sha256(video).hexdigest()[:32]}"'
    init = await client.get(f"{base(folder)}/v720/init.mp4")
    assert (init.content_type, await init.read()) == ("video/mp4", video[:INIT_SIZE])
    segments = [await (await client.get(f"{base(folder)}/v720/{number}.m4s")).read() for number in (1, 2, 3)]
    assert b"".join(segments) == video[INIT_SIZE:]
    manifest = await client.get(f"{base(folder)}/{MANIFEST_NAME}")
    assert await manifest.read() == (folder / MANIFEST_NAME).read_bytes()
    assert manifest.content_type == "application/json"


async def test_a_token_in_the_path_changes_nothing(client: Client, folder: Path) -> None:
    answer = await client.get(f"/t/abc{base(folder)}/master.m3u8")
    assert await answer.read() == (folder / "master.m3u8").read_bytes()


async def test_ranges_are_of_the_piece_that_is_asked_for(client: Client, folder: Path) -> None:
    video = (folder / "v720.mp4").read_bytes()
    answer = await client.get(f"{base(folder)}/v720.mp4", headers={"Range": f"bytes={BLOCK_SIZE - 2}-{BLOCK_SIZE + 1}"})
    assert (answer.status, await answer.read()) == (206, video[BLOCK_SIZE - 2 : BLOCK_SIZE + 2])
    assert answer.headers["Content-Range"] == f"bytes {BLOCK_SIZE - 2}-{BLOCK_SIZE + 1}/{len(video)}"
    suffix = await client.get(f"{base(folder)}/v720.mp4", headers={"Range": "bytes=-5"})
    assert await suffix.read() == video[-5:]
    init = await client.get(f"{base(folder)}/v720/init.mp4", headers={"Range": "bytes=600-"})
    assert (init.headers["Content-Range"], await init.read()) == ("bytes 600-699/700", video[600:700])


async def test_a_range_past_the_end_is_416(client: Client, folder: Path) -> None:
    answer = await client.get(f"{base(folder)}/poster.jpg", headers={"Range": "bytes=64-"})
    assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */64")
    assert answer.content_type == "application/problem+json"


async def test_if_range_of_another_tag_sends_the_whole(client: Client, folder: Path) -> None:
    answer = await client.get(f"{base(folder)}/poster.jpg", headers={"Range": "bytes=0-1", "If-Range": '"other"'})
    assert (answer.status, len(await answer.read())) == (200, 64)


async def test_a_known_tag_is_304(client: Client, folder: Path) -> None:
    etag = (await client.get(f"{base(folder)}/v720/2.m4s")).headers["ETag"]
    answer = await client.get(f"{base(folder)}/v720/2.m4s", headers={"If-None-Match": etag})
    assert (answer.status, await answer.read()) == (304, b"")
    # A cache updates what it stored with a 304's headers (RFC 9111 3.2), so a wrong type would stick.
    assert "Content-Type" not in answer.headers


async def test_head_has_the_same_head_and_no_body(client: Client, folder: Path) -> None:
    answer = await client.head(f"{base(folder)}/poster.jpg")
    assert (answer.status, answer.headers["Content-Length"], await answer.read()) == (200, "64", b"")


async def test_the_digest_of_a_whole_file_is_told_when_asked(client: Client, folder: Path) -> None:
    wants = {"Want-Repr-Digest": "sha-256=1"}
    expected = base64.b64encode(hashlib.sha256((folder / "poster.jpg").read_bytes()).digest()).decode()
    told = await client.get(f"{base(folder)}/poster.jpg", headers={**wants, "Range": "bytes=0-3"})
    assert told.headers["Repr-Digest"] == f"sha-256=:{expected}:"
    assert "Repr-Digest" not in (await client.get(f"{base(folder)}/poster.jpg")).headers
    assert "Repr-Digest" not in (await client.get(f"{base(folder)}/v720/1.m4s", headers=wants)).headers


@pytest.mark.parametrize(
    "path",
    [
        "{base}/nothing.mp4",
        "{base}/v720/0.m4s",
        "{base}/v720/4.m4s",
        "{base}/v720/x.m4s",
        "{base}/nothing/init.mp4",
        "{base}/../../../../etc/passwd",
        "{base}/%2e%2e/%2e%2e/secret",
        "{base}/..%2f..%2fsecret",
        "{base}/",
        "/v1/film/00000000000000000000000000000000/v720.mp4",
        "/v1/other/00000000000000000000000000000000/v720.mp4",
        "/v1/film",
        "/catalog/film.json",
        "/nothing",
        "/",
    ],
)
async def test_what_is_not_there_is_404(client: Client, folder: Path, path: str) -> None:
    """Sent raw: a client library would tidy the path up."""
    target = path.format(base=base(folder))
    assert client.port is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: origin\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert head.startswith(b"HTTP/1.1 404 ")
    assert json.loads(body)["status"] == 404


async def test_other_methods_are_405(client: Client, folder: Path) -> None:
    answer = await client.post(f"{base(folder)}/v720.mp4")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD,OPTIONS")
    assert answer.content_type == "application/problem+json"


async def test_a_preflight_allows_what_players_send(client: Client, folder: Path) -> None:
    answer = await client.options(f"{base(folder)}/v720.mp4")
    assert answer.status == 204
    for name in ("CMCD-Request", "CMCD-Session", "Range", "Want-Repr-Digest"):
        assert name in answer.headers["Access-Control-Allow-Headers"]


async def test_a_package_that_was_replaced_is_still_served(client: Client, folder: Path, url: str) -> None:
    await publish_folder(make_folder(folder.parent.parent, seed=2), url, replace=True)
    assert (await client.get(f"{base(folder)}/poster.jpg")).status == 200


async def test_a_package_without_an_entry_is_not_served(client: Client, folder: Path, tmp_path: Path) -> None:
    """Half published, or half withdrawn: the files are there, and nobody may see them."""
    other = make_folder(folder.parent.parent, seed=2)
    shutil.copytree(other, tmp_path / "storage" / "packages" / "film" / other.name)
    assert (await client.get(f"{base(other)}/poster.jpg")).status == 404


async def test_a_title_is_visible_after_it_was_published_elsewhere(url: str, folder: Path) -> None:
    now = 0.0
    async with open_storage(url) as storage:
        view = CatalogView(storage, clock=lambda: now)
        assert dict(await view.entries()) == {}
        await publish_folder(folder, url)
        assert dict(await view.entries()) == {}
        now = 1.0
        assert list(await view.entries()) == ["film"]
        await view.close()


async def test_one_look_at_the_catalog_is_shared_by_all_who_ask(url: str) -> None:
    class Counting(FileStorage):
        looks = 0

        def list(self, prefix: str) -> Any:
            self.looks += 1
            return super().list(prefix)

    async with Counting(Path(url.removeprefix("file://"))) as storage:
        view = CatalogView(storage)
        await asyncio.gather(*(view.entries() for _ in range(20)))
        assert storage.looks == 1
        await view.close()


class Failing(FileStorage):
    """Storage that can be told to fail."""

    is_down = False
    fails_after: int | None = None

    def list(self, prefix: str) -> Any:
        if self.is_down:
            raise StorageError("secret-host:9000 refused the connection")
        return super().list(prefix)

    async def read(self, key: str, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        if self.is_down:
            raise StorageError("secret-host:9000 refused the connection")
        sent = 0
        async for piece in super().read(key, offset, length):
            if self.fails_after is not None and sent >= self.fails_after:
                raise StorageError("secret-host:9000 went away")
            sent += len(piece)
            yield piece


async def test_storage_that_is_down_is_503_without_internals(folder: Path, url: str, connect: Connect) -> None:
    await publish_folder(folder, url)
    async with Failing(Path(url.removeprefix("file://"))) as storage:
        client = await connect(storage)
        assert (await client.get(f"{base(folder)}/v720/1.m4s")).status == 200
        assert (await client.get("/readyz")).status == 200
        storage.is_down = True
        answer = await client.get(f"{base(folder)}/v720/1.m4s")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert "secret" not in await answer.text()
        # What was known is served on.
        assert (await client.get("/api/v1/titles")).status == 200


async def test_a_service_that_never_read_the_catalog_is_not_ready(url: str, connect: Connect) -> None:
    async with Failing(Path(url.removeprefix("file://"))) as storage:
        storage.is_down = True
        client = await connect(storage)
        ready = await client.get("/readyz")
        assert (ready.status, (await ready.json())["ready"]) == (503, False)
        assert (await client.get("/api/v1/titles")).status == 503
        assert (await client.get("/healthz")).status == 200


async def test_a_failure_in_the_middle_cuts_the_connection(folder: Path, url: str, connect: Connect) -> None:
    await publish_folder(folder, url)
    async with Failing(Path(url.removeprefix("file://"))) as storage:
        client = await connect(storage)
        storage.fails_after = 2 * 1024 * 1024
        with pytest.raises(aiohttp.ClientError):
            await (await client.get(f"{base(folder)}/v720.mp4")).read()


async def test_a_stored_file_that_is_too_short_never_looks_complete(
    folder: Path, url: str, connect: Connect, tmp_path: Path
) -> None:
    await publish_folder(folder, url)
    with (tmp_path / "storage" / "packages" / "film" / folder.name / "v720.mp4").open("r+b") as file:
        file.truncate(2 * 1024 * 1024 + 1)
    async with open_storage(url) as storage:
        client = await connect(storage)
        with pytest.raises(aiohttp.ClientError):
            await (await client.get(f"{base(folder)}/v720.mp4")).read()
        assert (await client.get(f"{base(folder)}/v720/3.m4s")).status == 503


async def test_a_damaged_manifest_is_500_without_internals(client: Client, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "storage" / "packages" / "film" / folder.name / MANIFEST_NAME).write_bytes(b"{}")
    answer = await client.get(f"{base(folder)}/v720.mp4")
    assert answer.status == 500
    assert "packages/" not in await answer.text()


async def test_a_client_that_vanishes_is_no_error(
    client: Client, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert client.port is not None
    _, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(f"GET {base(folder)}/v720.mp4 HTTP/1.1\r\nHost: origin\r\n\r\n".encode())
    await writer.drain()
    writer.transport.abort()
    assert (await client.get("/healthz")).status == 200
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


async def test_metrics_count_what_was_sent(client: Client, folder: Path) -> None:
    await (await client.get(f"{base(folder)}/poster.jpg")).read()
    text = await (await client.get("/metrics")).text()
    assert "nearcast_origin_sent_bytes_total 64.0" in text
    assert "nearcast_origin_titles 1.0" in text


async def test_the_description_names_every_route(client: Client) -> None:
    described = await (await client.get("/openapi.json")).json()
    assert described["openapi"] == "3.1.0"
    assert {
        "/api/v1/titles",
        "/api/v1/titles/{title}",
        "/v1/{title}/{package}/{file}",
        "/healthz",
        "/readyz",
        "/metrics",
    } <= set(described["paths"])
    entry = described["components"]["schemas"]["Entry"]
    assert "published_at" in entry["properties"]


async def test_content_is_served_from_s3_alike(folder: Path, s3_url: str, s3_endpoint: str, connect: Connect) -> None:
    await publish_folder(folder, s3_url, s3_endpoint=s3_endpoint)
    async with open_storage(s3_url, s3_endpoint=s3_endpoint) as storage:
        client = await connect(storage)
        answer = await client.get(f"{base(folder)}/v720/2.m4s")
        start = INIT_SIZE + int(answer.headers["Content-Length"])
        assert await answer.read() == (folder / "v720.mp4").read_bytes()[start : 2 * start - INIT_SIZE]


async def test_an_s3_server_that_is_not_there_is_503(connect: Connect, s3_url: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        async with open_storage(s3_url, s3_endpoint=endpoint) as storage:
            answer = await (await connect(storage)).get("/api/v1/titles")
            assert answer.status == 503


async def test_the_access_log_has_the_fields_of_an_appliances(folder: Path, url: str, tmp_path: Path) -> None:
    await publish_folder(folder, url)
    title, package = folder.parts[-2:]
    path = f"/v1/{title}/{package}/v720/1.m4s"
    log = AccessLog(tmp_path / "access.log")
    async with open_storage(url) as storage, TestClient(TestServer(OriginService(storage, log).application)) as client:
        said = {"User-Agent": "Player/1", "CMCD-Session": 'sid="s1"'}
        async with client.get(path, headers={**said, "Range": "bytes=0-9"}) as answer:
            assert answer.status == 206
        async with client.head(path) as answer:
            assert answer.status == 200
        async with client.get(f"/v1/{title}/{package}/none.mp4") as answer:
            assert answer.status == 404
    first, second = [
        msgspec.json.decode(line, type=Record) for line in (tmp_path / "access.log").read_bytes().splitlines()
    ]
    assert (first.appliance, first.client, first.method) == ("origin", "127.0.0.0", "GET")
    assert (first.title, first.package, first.file, first.part) == (title, package, "v720.mp4", "v720/1.m4s")
    assert (first.status, first.bytes, first.whole, first.hit, first.agent) == (206, 10, True, True, "Player/1")
    assert first.cmcd == {"sid": "s1"}
    assert (second.method, second.bytes) == ("HEAD", 0)
