"""A process that offers packages without media: `python -m bench.steering.origin SITES PER_SITE TITLES IPV4 IPV6`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import uvloop
from aiohttp import web

from bench.steering import world
from config.ready import announce
from encoder.package import MANIFEST_NAME


def main(arguments: Sequence[str]) -> None:
    *numbers, option, ready_file = arguments
    assert option == "--ready-file"
    uvloop.run(_serve(world.read_size(numbers), Path(ready_file)))


async def _serve(size: world.Size, ready_file: Path) -> None:
    catalog = msgspec.json.encode({"titles": [world.offer(title).entry for title in world.titles(size)]})
    etag = f'"{len(catalog)}"'

    async def show_titles(request: web.Request) -> web.Response:
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304)
        return web.Response(body=catalog, headers={"ETag": etag})

    async def show_package(request: web.Request) -> web.Response:
        return web.Response(body=world.offer(request.match_info["title"]).manifest)

    app = web.Application()
    app.router.add_get("/api/v1/titles", show_titles)
    app.router.add_get(f"/v1/{{title}}/{{package}}/{MANIFEST_NAME}", show_package)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    announce(ready_file, host, port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1:])
