"""Asks a BIRD for its routes, over its control socket."""

from __future__ import annotations

import asyncio
from pathlib import Path

from steering.errors import DumpError
from steering.routes.bird_text import is_end, is_established, plain_lines, read_routes
from steering.routes.route import Attributes, Key

# 100,000 routes take BIRD 0.15 s.
_LIMIT_S = 30.0
# For 1.25 million routes it is 100 MB.
_LARGEST_ANSWER = 1024 * 1024 * 1024


async def ask(socket: Path, protocol: str = "") -> dict[Key, Attributes] | None:
    """Its whole table; None while its BGP sessions are down, for then it has forgotten what they announced.

    Raises DumpError.
    """
    try:
        protocols, lines = await asyncio.wait_for(_ask(socket), _LIMIT_S)
    except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError) as error:
        raise DumpError(f"{socket} could not be asked: {error or 'it took too long'}") from error
    if not is_established(plain_lines(protocols), protocol):
        return None
    return await asyncio.to_thread(lambda: read_routes(plain_lines(lines), protocol))


async def _ask(socket: Path) -> tuple[list[str], list[str]]:
    """What it says of its protocols, and its routes."""
    reader, writer = await asyncio.open_unix_connection(socket)
    try:
        await reader.readuntil(b"\n")  # its welcome
        writer.write(b"show protocols\n")
        protocols = await _answer(reader)
        writer.write(b"show route all\n")
        return protocols, await _answer(reader)
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> list[str]:
    lines: list[str] = []
    size = 0
    while True:
        line = (await reader.readuntil(b"\n")).decode(errors="replace")
        lines.append(line)
        if is_end(line):
            return lines
        size += len(line)
        if size > _LARGEST_ANSWER:
            raise EOFError(f"more than {_LARGEST_ANSWER} bytes were answered")
