"""What stands between ExaBGP's pipe and the routes process, as a process of its own."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

LIMIT_S = 20.0
AGAIN = b"announce route-refresh ipv4 unicast\nannounce route-refresh ipv6 unicast\n"


@asynccontextmanager
async def forwarder(path: Path) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "steering.routes.forward", str(path), stdin=PIPE, stdout=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class Listener:
    """Stands in for the routes process: what arrives, and an end to each connection when asked."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[bytes] = asyncio.Queue()
        self.connections: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.connections.put(writer)
        async for line in reader:
            await self.lines.put(line)
        writer.close()


async def asked(process: Process) -> bytes:
    assert process.stdout is not None
    return await asyncio.wait_for(process.stdout.readexactly(len(AGAIN)), LIMIT_S)


def say(process: Process, text: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(text)


async def test_lines_arrive_in_order_and_the_end_of_the_pipe_is_the_end(tmp_path: Path) -> None:
    heard = Listener()
    async with await asyncio.start_unix_server(heard, tmp_path / "sock"), forwarder(tmp_path / "sock") as process:
        assert await asked(process) == AGAIN
        lines = [b"%d " % number + b"x" * 1000 + b"\n" for number in range(1000)]
        say(process, b"".join(lines))
        assert [await asyncio.wait_for(heard.lines.get(), LIMIT_S) for _ in lines] == lines
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), LIMIT_S) == 0


async def test_while_nobody_listens_exabgp_is_not_held_up_and_later_all_is_asked_for_again(tmp_path: Path) -> None:
    async with forwarder(tmp_path / "sock") as process:
        assert process.stdin is not None
        for _ in range(40):  # much more than a pipe holds
            process.stdin.write(b"old\n" * 25_000)
            await asyncio.wait_for(process.stdin.drain(), LIMIT_S)
        heard = Listener()
        async with await asyncio.start_unix_server(heard, tmp_path / "sock"):
            assert await asked(process) == AGAIN
            say(process, b"first\n")
            while (line := await asyncio.wait_for(heard.lines.get(), LIMIT_S)) != b"first\n":
                assert line == b"old\n"  # what was in the pipe still
            (await heard.connections.get()).close()
            assert await asked(process) == AGAIN  # it connected again
            say(process, b"second\n")
            assert await asyncio.wait_for(heard.lines.get(), LIMIT_S) == b"second\n"


async def test_a_line_whose_beginning_was_thrown_away_is_not_passed_on(tmp_path: Path) -> None:
    async with forwarder(tmp_path / "sock") as process:
        assert process.stdin is not None
        process.stdin.write(b"the beginning of a line, " * 20_000)
        await asyncio.wait_for(process.stdin.drain(), LIMIT_S)
        heard = Listener()
        async with await asyncio.start_unix_server(heard, tmp_path / "sock"):
            assert await asked(process) == AGAIN
            say(process, b"and its end\nwhole\n")
            assert await asyncio.wait_for(heard.lines.get(), LIMIT_S) == b"whole\n"
