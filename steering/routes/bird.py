"""Asks a BIRD for its routes, over its control socket."""

from __future__ import annotations

import asyncio
from pathlib import Path

from steering.errors import DumpError
from steering.routes.bird_text import is_end, plain_lines, read_routes
from steering.routes.route import Attributes, Key

# 100,000 routes take BIRD 0.15 s.
_LIMIT_S = 30.0
# For 1.25 million routes it is 100 MB.
_LARGEST_ANSWER = 1024 * 1024 * 1024


async def ask(socket: Path, protocol: str = "") -> dict[Key, Attributes]:
    """Its whole table. Raises DumpError."""
    try:
        lines = await asyncio.wait_for(_ask(socket), _LIMIT_S)
    except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError) as error:
        raise DumpError(f"{socket} could not be asked: {error or 'it took too long'}") from error
    return await asyncio.to_thread(lambda: read_routes(plain_lines(lines), protocol))


async def _ask(socket: Path) -> list[str]:
    reader, writer = await asyncio.open_unix_connection(socket)
    try:
        await reader.readuntil(b"\n")  # its welcome
        writer.write(b"show route all\n")
        lines: list[str] = []
        size = 0
        while True:
            line = (await reader.readuntil(b"\n")).decode(errors="replace")
            if is_end(line):
                return [*lines, line]
            lines.append(line)
            size += len(line)
            if size > _LARGEST_ANSWER:
                raise EOFError(f"more than {_LARGEST_ANSWER} bytes were answered")
    finally:
        writer.close()
