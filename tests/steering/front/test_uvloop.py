"""The front on the loop that it runs on: uvloop's transports are not asyncio's."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import uvloop
from aiohttp import web

from config.steering import SteeringSettings
from steering.service import Service

POLL = b"GET /steer/hls?s=x HTTP/1.1\r\nHost: a\r\n\r\n"
FLEET = b"GET /api/v1/fleet HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /api/v1/titles HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def test_players_and_operators_share_a_connection_there_too(tmp_path: Path) -> None:
    settings = SteeringSettings(origin="http://127.0.0.1:1", database=f"sqlite:///{tmp_path}/fleet.sqlite")
    assert keys_of_answers(settings) == ["PATHWAY-PRIORITY", "appliances", "titles"]


def keys_of_answers(settings: SteeringSettings) -> list[str]:
    """The last key of each answer on one connection, of a service that runs on uvloop."""

    async def run() -> bytes:
        service = Service(settings)
        runner = web.AppRunner(service.application(), access_log=None)
        await runner.setup()
        await service.front(runner, ("127.0.0.1", 0)).start()
        reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
        writer.write(POLL + FLEET + LAST)
        answers = await reader.read(-1)
        writer.close()
        await writer.wait_closed()
        await runner.cleanup()
        return answers

    heads_and_bodies = uvloop.run(run()).split(b"\r\n\r\n")
    bodies = [part.partition(b"HTTP/1.1")[0] for part in heads_and_bodies[1:]]
    return [
        next(key for key in ("PATHWAY-PRIORITY", "appliances", "titles") if key in json.loads(body)) for body in bodies
    ]
