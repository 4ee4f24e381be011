"""An upstream that serves a package folder and misbehaves on request."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from aiohttp import web

from encoder.package import BLOCK_SIZE


class Upstream:
    """Serves ROOT/TITLE/PACKAGE/FILE under /v1/. `asked` counts block starts, so that fetching twice shows."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: Counter[tuple[str, int]] = Counter()
        self.status = 0  # answer with this instead
        self.corrupt = False  # flip a byte of what is sent
        self.cut_after = 0  # break the connection after so many bytes
        self.silent_after = -1  # stop sending after so many bytes, and say nothing
        self.gate: asyncio.Event | None = None  # the second half of each block waits for it
        self.gated: int | None = None  # only of this one
        self.arrived = asyncio.Semaphore(0)  # one for each block asked for
        self.second_half_only = False  # ... and then all of it does
        self.cached_only: list[bool] = []

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/{path:.*}", self.serve)
        return app

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.cached_only.append(request.headers.get("Cache-Control") == "only-if-cached")
        path = self.root / request.match_info["path"]
        if self.status or not path.is_file():
            return web.Response(status=self.status or 404)
        data = path.read_bytes()
        start, stop, status = 0, len(data), 200
        if "Range" in request.headers:
            asked = request.http_range
            start, stop, status = asked.start or 0, asked.stop or len(data), 206
            self.asked[path.name, start // BLOCK_SIZE] += 1
            self.arrived.release()
        body = bytearray(data[start:stop])
        if self.corrupt:
            body[len(body) // 2] ^= 1
        answer = web.StreamResponse(status=status, headers={"Content-Length": str(len(body))})
        await answer.prepare(request)
        half = 0 if self.second_half_only else len(body) // 2
        if self.cut_after:
            await answer.write(bytes(body[: self.cut_after]))
            assert request.transport is not None
            request.transport.abort()
            return answer
        if self.silent_after >= 0:
            await answer.write(bytes(body[: self.silent_after]))
            await asyncio.Event().wait()
        await answer.write(bytes(body[:half]))
        if self.gate is not None and status == 206 and self.gated in (None, start // BLOCK_SIZE):
            await self.gate.wait()
        await answer.write(bytes(body[half:]))
        return answer
