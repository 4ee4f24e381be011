"""A process that is all the appliances: `python -m bench.steering.reporters CORES HOST PORT SITES PER_SITE TITLES ...`.

Each appliance reports in turn, evenly over time, at a rate for all of them together.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import uvloop

from bench.steering import composed, world
from bench.steering.dialogue import answer_questions, stay_on

_CONNECTIONS = 8
# Unanswered ones of a connection; with more the service is behind, and what is due is left out and counted.
_MOST_WAITING, _MOST_WAITING_FIRST = 2000, 16
_TICK_S = 0.005
# All later sequences have as many digits, so that a report is put together from three pieces.
_FIRST_SEQUENCE = 1_000_000


class _Connection(asyncio.Protocol):
    def __init__(self, reporters: Reporters) -> None:
        self._reporters = reporters
        self.transport: asyncio.Transport | None = None
        self.waiting = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        answers = data.count(b"HTTP/1.1 ")
        self.waiting -= answers
        self._reporters.answered += answers
        self._reporters.refused += answers - data.count(b"HTTP/1.1 200 ")
        self._reporters.moved.set()

    def send(self, data: bytes) -> None:
        assert self.transport is not None
        self.waiting += 1
        self.transport.write(data)


class Reporters:
    def __init__(self, size: world.Size) -> None:
        packages = {title: str(world.offer(title).entry["package"]) for title in world.titles(size)}
        self._first = list(world.reports(size, packages))
        self._later = [_pieces(composed.report(one, _FIRST_SEQUENCE, with_held=False)) for one in self._first]
        self._silent: set[int] = set()
        self._sent_at = [0.0] * len(self._first)
        self._connections: list[_Connection] = []
        self.answered = self.refused = self.left_out = 0
        self.moved = asyncio.Event()  # answers came

    async def connect(self, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(_CONNECTIONS):
            _, connection = await loop.create_connection(lambda: _Connection(self), host, port)
            self._connections.append(connection)

    async def answer(self, question: Mapping[str, Any]) -> object:
        match question["ask"]:
            case "introduce":
                return await self._introduce()
            case "silence":
                return self._silence(question["appliance"])
            case _:
                told = {"answered": self.answered, "refused": self.refused, "left_out": self.left_out}
                self.answered = self.refused = self.left_out = 0
                return told

    async def report(self, rate: float) -> None:
        """For ever."""
        started, done = time.monotonic(), 0
        while True:
            await asyncio.sleep(_TICK_S)
            due = int((time.monotonic() - started) * rate)
            for number in range(done, due):
                self._report(number % len(self._later), _FIRST_SEQUENCE + number // len(self._later))
            done = due

    async def _introduce(self) -> object:
        """Everybody's first report, with what it holds."""
        began = time.monotonic()
        for number, first in enumerate(self._first):
            connection = self._connections[number % _CONNECTIONS]
            await self._until(partial(_has_room, connection))
            connection.send(composed.report(first, 1, with_held=True))
        await self._until(lambda: not any(connection.waiting for connection in self._connections))
        return {"seconds": time.monotonic() - began, "answered": self.answered, "refused": self.refused}

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.moved.clear()
            await self.moved.wait()

    def _report(self, appliance: int, sequence: int) -> None:
        if appliance in self._silent:
            return
        connection = self._connections[appliance % _CONNECTIONS]
        if connection.waiting >= _MOST_WAITING:
            self.left_out += 1
            return
        before, after = self._later[appliance]
        connection.send(b"%b%d%b" % (before, sequence, after))
        self._sent_at[appliance] = time.monotonic()

    def _silence(self, name: str) -> object:
        """That one says nothing any more; when it last did, on the clock that all processes of a machine share."""
        number = next(number for number, one in enumerate(self._first) if one.name == name)
        self._silent.add(number)
        return {"last_at": self._sent_at[number]}


def _has_room(connection: _Connection) -> bool:
    return connection.waiting < _MOST_WAITING_FIRST


def _pieces(report: bytes) -> tuple[bytes, bytes]:
    before, _, after = report.partition(str(_FIRST_SEQUENCE).encode())
    return before, after


async def _run(host: str, port: int, size: world.Size, rate: float) -> None:
    reporters = Reporters(size)
    await reporters.connect(host, port)
    reporting: list[asyncio.Task[None]] = []

    async def answer(question: Mapping[str, Any]) -> object:
        told = await reporters.answer(question)
        if question["ask"] == "introduce":
            reporting.append(asyncio.create_task(reporters.report(rate)))
        return told

    await answer_questions(answer)
    for task in reporting:
        task.cancel()


def main(arguments: Sequence[str]) -> None:
    cores, host, port, rate, *numbers = arguments
    stay_on(cores)
    uvloop.run(_run(host, int(port), world.read_size(numbers), float(rate)))


if __name__ == "__main__":
    main(sys.argv[1:])
