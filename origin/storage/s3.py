"""Objects in a bucket of S3 or of a server that speaks its API.

Every PUT is atomic by the API's own promise. There is no lock: `lock` holds nobody off, and of two writers of one key
the later wins. Conditional PUT (`if_absent`) is asked for, but some servers ignore it and overwrite silently (s3rver
3.7), so nothing may rely on it: whoever publishes to a bucket takes care that one title has one publisher at a time.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiofiles
import aiohttp

from origin.errors import AlreadyThere, NotFound, SpaceError, StorageError
from origin.storage import PIECE, Moved, Stored, check_key, check_prefix
from origin.together import for_each

try:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError as error:
    raise StorageError("s3:// needs a library that is not installed: pip install 'nearcast[s3]'") from error

# Files beyond this go in parts, so that a broken connection costs a part and several parts travel at once.
MULTIPART_FROM = 64 * 1024 * 1024
PART = 16 * 1024 * 1024
# An upload may have 10,000 parts (Amazon S3, "Multipart upload limits").
MOST_PARTS = 10_000
PARTS_AT_ONCE = 4
# A part of 16 MiB takes 13 s at 10 Mbit/s; without any byte for longer than this, the server is gone.
READ_TIMEOUT_S = 20
CONNECT_TIMEOUT_S = 3


class S3Storage:
    def __init__(self, bucket: str, prefix: str, endpoint: str) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._endpoint = endpoint or None
        self._stack = AsyncExitStack()
        self._client: Any = None

    def __repr__(self) -> str:
        return f"S3Storage({self._bucket!r}, {self._prefix!r}, {self._endpoint!r})"

    async def __aenter__(self) -> Self:
        session = get_session()
        config = AioConfig(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": 3},
            # The default sends CRC trailers that servers other than Amazon's refuse or store as content.
            request_checksum_calculation="when_required" if self._endpoint else "when_supported",
            # Bucket names as host names need a DNS entry each; servers other than Amazon's rarely have them.
            s3={"addressing_style": "path"} if self._endpoint else None,
        )
        region = session.get_config_variable("region") or "us-east-1"
        with _translated(repr(self)):
            client = session.create_client("s3", region_name=region, endpoint_url=self._endpoint, config=config)
            self._client = await self._stack.enter_async_context(client)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def put_file(self, key: str, path: Path, moved: Moved | None = None) -> None:
        where = self._where(key)
        size = path.stat().st_size
        if size > MULTIPART_FROM:
            with _translated(key):
                await self._put_parts(where, path, size, moved)
            return
        await self._put(key, await _read_at(path, 0, size))
        if moved:
            moved(size)

    async def put_bytes(self, key: str, data: bytes, *, if_absent: bool = False) -> None:
        await self._put(key, data, **({"IfNoneMatch": "*"} if if_absent else {}))

    async def read(self, key: str, offset: int = 0, length: int | None = None) -> AsyncGenerator[bytes, None]:
        where = self._where(key)
        if length == 0:
            return
        end = "" if length is None else offset + length - 1
        asked = {"Range": f"bytes={offset}-{end}"} if offset or length is not None else {}
        with _translated(key):
            try:
                answer = await self._client.get_object(**where, **asked)
            except ClientError as error:
                if _code(error) == "InvalidRange":
                    return  # it begins where the object ends, or later
                raise
            async with answer["Body"] as body:
                async for piece in body.iter_chunks(PIECE):
                    yield piece

    async def read_bytes(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        async with aclosing(self.read(key, offset, length)) as pieces:
            return b"".join([piece async for piece in pieces])

    async def size(self, key: str) -> int:
        with _translated(key):
            answer = await self._client.head_object(**self._where(key))
        return int(answer["ContentLength"])

    async def list(self, prefix: str) -> AsyncIterator[Stored]:
        whole = self._prefix + check_prefix(prefix)
        with _translated(prefix):
            async for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=whole):
                for item in page.get("Contents", ()):
                    yield Stored(item["Key"].removeprefix(self._prefix), item["Size"], item["ETag"])

    async def delete(self, key: str) -> None:
        with _translated(key):
            await self._client.delete_object(**self._where(key))

    @asynccontextmanager
    async def lock(self, name: str) -> AsyncIterator[None]:
        """Holds nobody off; see the module's rule."""
        check_key(name)
        yield

    def _where(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + check_key(key)}

    async def _put(self, key: str, data: bytes, **conditions: str) -> None:
        with _translated(key):
            await self._client.put_object(**self._where(key), Body=data, **conditions)

    async def _put_parts(self, where: dict[str, str], path: Path, size: int, moved: Moved | None) -> None:
        part_size = max(PART, -(-size // MOST_PARTS))
        upload = (await self._client.create_multipart_upload(**where))["UploadId"]
        tags: dict[int, str] = {}

        async def put_part(number: int) -> None:
            data = await _read_at(path, (number - 1) * part_size, part_size)
            answer = await self._client.upload_part(**where, UploadId=upload, PartNumber=number, Body=data)
            tags[number] = answer["ETag"]
            if moved:
                moved(len(data))

        try:
            await for_each(range(1, -(-size // part_size) + 1), put_part, at_once=PARTS_AT_ONCE)
            parts = {"Parts": [{"PartNumber": number, "ETag": tag} for number, tag in sorted(tags.items())]}
            await self._client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload=parts)
        except BaseException:
            # Parts of an upload that is neither completed nor aborted are kept, and paid for, without end.
            await self._client.abort_multipart_upload(**where, UploadId=upload)
            raise


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = _code(error)
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in ("NoSuchKey", "404"):
            raise NotFound(f"{what} is not in storage") from error
        if code == "PreconditionFailed" or status == 412:
            raise AlreadyThere(f"{what} is in storage already") from error
        if status == 507 or code in ("XMinioStorageFull", "QuotaExceeded"):
            raise SpaceError(f"{what} does not fit: storage is full ({code})") from error
        raise StorageError(f"{what}: storage refused: {error}") from error
    except (BotoCoreError, aiohttp.ClientError, TimeoutError, OSError) as error:
        raise StorageError(f"{what}: storage cannot be reached: {error or type(error).__name__}") from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


async def _read_at(path: Path, offset: int, length: int) -> bytes:
    async with aiofiles.open(path, "rb") as file:
        await file.seek(offset)
        return await file.read(length)
