"""A process that is asked with a line of JSON and answers with one; it ends when nobody asks any more."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from bench.errors import ProcessFailed

_LONGEST_LINE = 16 * 1024 * 1024


class Dialogue:
    """`python -m MODULE ARGUMENTS` on some cores of its own."""

    def __init__(self, module: str, arguments: Sequence[str], cores: Sequence[int]) -> None:
        self._module, self._arguments, self._cores = module, arguments, cores
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", self._module, ",".join(map(str, self._cores)), *self._arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_LONGEST_LINE,
        )  # fmt: skip

    async def ask(self, limit_s: float, **question: object) -> Mapping[str, Any]:
        """Raises ProcessFailed."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode(question) + b"\n")
        try:
            line = await asyncio.wait_for(process.stdout.readline(), limit_s)
        except TimeoutError:
            raise ProcessFailed(f"{self._module} had no answer to {question} within {limit_s:.0f} s") from None
        if not line:
            raise ProcessFailed(f"{self._module} ended when it was asked {question}; its output says why")
        answer: Mapping[str, Any] = msgspec.json.decode(line)
        return answer

    async def close(self) -> None:
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 5.0)
        except TimeoutError:
            process.kill()
            await process.wait()


def stay_on(cores: str) -> None:
    """This process runs on these cores only, "0,1", where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})


async def answer_questions(answer: Callable[[Mapping[str, Any]], Awaitable[object]]) -> None:
    """Answers what is asked on standard input, one after another, until its end."""
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        told = msgspec.json.encode(await answer(msgspec.json.decode(line)))
        sys.stdout.buffer.write(told + b"\n")
        sys.stdout.buffer.flush()
    transport.close()
