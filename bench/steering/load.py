"""A process that is all the players: `python -m bench.steering.load CORES HOST PORT` and the Size.

To find the peak each connection asks again as soon as it is answered. For latency, requests are due at even moments,
whether or not those before are answered, and time counts from the moment at which one was due: a stall then shows in
all the requests that it held up, not only in the one that met it (the coordinated omission of closed loops).
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import uvloop

from bench.steering import composed, world
from bench.steering.dialogue import answer_questions, stay_on

_DISTINCT = 20_000  # requests of each kind; then they come again, as other sessions
_BEGINNING = 16  # connections that sessions are begun on for later polls
_TICK_S = 0.001
_LENGTH = b"Content-Length: "


class _Connection(asyncio.Protocol):
    """Sends one request after the other; `done` is called with each answer."""

    def __init__(self, done: Callable[[_Connection, bytes], None]) -> None:
        self._done = done
        self._transport: asyncio.Transport | None = None
        self._data = b""
        self._wanted = 0
        self.due_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def send(self, request: bytes, due_at: float) -> None:
        assert self._transport is not None
        self.due_at = due_at
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._data:
            data = self._data + data
        if not self._wanted:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._data = data
                return
            at = data.find(_LENGTH) + len(_LENGTH)
            self._wanted = end + 4 + int(data[at : data.find(b"\r", at)])
        if len(data) < self._wanted:
            self._data = data
            return
        self._data, self._wanted = b"", 0
        self._done(self, data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class Run:
    """One measurement."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self._requests = requests
        self._connections: list[_Connection] = []
        self._free: list[_Connection] = []
        self._due: deque[float] = deque()
        self._is_open = False  # requests are due whether or not others are answered
        self._ends_at = 0.0
        self._took: list[float] = []
        self.answers: list[bytes] | None = None  # kept, if somebody wants to look at them
        self._moved = asyncio.Event()
        self.refused = 0

    async def connect(self, host: str, port: int, connections: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _, connection = await loop.create_connection(lambda: _Connection(self._answered), host, port)
            self._connections.append(connection)

    async def peak(self, seconds: float) -> Mapping[str, Any]:
        began = time.monotonic()
        self._ends_at = began + seconds
        for connection in self._connections:
            connection.send(next(self._requests), time.monotonic())
        await asyncio.sleep(seconds)
        return self._close(seconds)

    async def paced(self, seconds: float, rate: float) -> Mapping[str, Any]:
        self._is_open, self._free = True, list(self._connections)
        began, done = time.monotonic(), 0
        self._ends_at = began + seconds + 1.0
        while (now := time.monotonic()) < began + seconds:
            due = int((now - began) * rate)
            self._due.extend(began + (number + 1) / rate for number in range(done, due))
            done = due
            while self._due and self._free:
                self._free.pop().send(next(self._requests), self._due.popleft())
            await asyncio.sleep(_TICK_S)
        # What is unanswered by now took at least so long.
        now = time.monotonic()
        self._took += [now - due_at for due_at in self._due]
        return self._close(seconds)

    async def collect(self, count: int) -> list[bytes]:
        """The answers to so many requests, in their order: by one connection."""
        self.answers = []
        (connection,) = self._connections
        for _ in range(count):
            connection.send(next(self._requests), 0.0)
            self._moved.clear()
            await self._moved.wait()
        self._close(1.0)
        return self.answers

    def _answered(self, connection: _Connection, data: bytes) -> None:
        now = time.monotonic()
        self.refused += not data.startswith(b"HTTP/1.1 200")
        if self.answers is not None:
            self.answers.append(data.partition(b"\r\n\r\n")[2])
            self._moved.set()
            return
        self._took.append(now - connection.due_at)
        if self._is_open:
            if self._due:
                connection.send(next(self._requests), self._due.popleft())
            else:
                self._free.append(connection)
        elif now < self._ends_at:
            connection.send(next(self._requests), now)

    def _close(self, seconds: float) -> Mapping[str, Any]:
        for connection in self._connections:
            connection.close()
        took = sorted(self._took)

        def share(part: float) -> float:
            return took[min(len(took) - 1, int(part * len(took)))] if took else 0.0

        return {
            "per_s": len(took) / seconds,
            "refused": self.refused,
            "p50_s": share(0.5),
            "p99_s": share(0.99),
            "p999_s": share(0.999),
            "largest_s": took[-1] if took else 0.0,
        }


class Players:
    """Makes requests of each kind; polls are those of sessions that began."""

    def __init__(self, host: str, port: int, size: world.Size) -> None:
        self._where = host, port
        clients = world.clients(size, world.prefixes(size), min(_DISTINCT, size.ipv4))
        titles = world.asked_for(size, len(clients))
        self._requests = {
            form: [composed.start(form, title, client) for title, client in zip(titles, clients, strict=True)]
            for form in ("hls", "dash")
        }
        self._clients = clients
        self._titles = world.titles(size)
        self._next = {form: itertools.cycle(requests) for form, requests in self._requests.items()}

    async def answer(self, question: Mapping[str, Any]) -> object:
        if question["ask"] == "titles":
            return await self._ask_for_each_title()
        if question["ask"] == "sessions":
            return await self._begin_sessions(question["count"])
        run = Run(self._next[question["what"]])
        await run.connect(*self._where, question["connections"])
        if question["rate"]:
            return await run.paced(question["seconds"], question["rate"])
        return await run.peak(question["seconds"])

    async def _ask_for_each_title(self) -> object:
        """One session of each, so that its manifests are made; how long that took."""
        began = time.monotonic()

        async def ask(titles: Sequence[str]) -> None:
            run = Run(iter([composed.start("hls", title, self._clients[0]) for title in titles]))
            await run.connect(*self._where, 1)
            await run.collect(len(titles))

        shares = [self._titles[first::_BEGINNING] for first in range(min(_BEGINNING, len(self._titles)))]
        await asyncio.gather(*map(ask, shares))
        return {"seconds": time.monotonic() - began}

    async def _begin_sessions(self, count: int) -> object:
        """Sessions that polls will be of; the first one's token, pathway and client."""
        count = min(count, len(self._clients))
        shares = [range(first, count, _BEGINNING) for first in range(_BEGINNING)]
        sessions = list(itertools.chain(*await asyncio.gather(*(self._begin(share) for share in shares))))
        self._next["polls"] = itertools.cycle([composed.poll(*session) for session in sessions])
        placed = [session for session in sessions if session[1] != "origin"]
        token, pathway, client = placed[0]
        return {"share_placed": len(placed) / len(sessions), "token": token, "pathway": pathway, "client": client}

    async def _begin(self, numbers: Sequence[int]) -> list[tuple[str, str, str]]:
        """Token, first pathway and client of these sessions, begun one after another."""
        run = Run(iter([self._requests["hls"][number] for number in numbers]))
        await run.connect(*self._where, 1)
        answers = await run.collect(len(numbers))
        return [
            (*composed.steering_of(answer), self._clients[number])
            for answer, number in zip(answers, numbers, strict=True)
        ]


def main(arguments: Sequence[str]) -> None:
    cores, host, port, *numbers = arguments
    stay_on(cores)
    players = Players(host, int(port), world.read_size(numbers))
    uvloop.run(answer_questions(players.answer))


if __name__ == "__main__":
    main(sys.argv[1:])
