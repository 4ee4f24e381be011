"""One steering process: a replica that answers on a port.

It is the whole of `nearcast steering serve` with one worker. With several, each is a process of this module, and
steering/workers/parent.py is their parent: what they are to know comes as lines of JSON on standard input, what they
say goes as lines to standard output. Without its parent a worker ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import uvloop
from aiohttp import web

from config.errors import NearcastError
from config.field import show_address
from config.logs import start_logging
from config.steering import SteeringSettings
from steering.errors import ListenError
from steering.replicas.hearsay import Heard
from steering.service import Service
from steering.workers.exposition import merge

# A player's request is answered in milliseconds; what is left after this is a connection that was abandoned.
_SHUTDOWN_S = 2.0
_TOLD_WITHIN = aiohttp.ClientTimeout(total=1)
# A thread that has Python's lock gives it to the loop within so long (Python's own choice: 5 ms). Threads write what
# replicas and the journal are told; players wait for none of that.
_SWITCH_S = 0.0005
# A loop that had no turn for so long hangs, and with it all whom the kernel connects to this worker.
_HANGS_AFTER_S = 30.0
# Settings with a million prefixes in them are 30 MB.
_LARGEST_LINE = 2**28

logger = logging.getLogger(__name__)


class Start(msgspec.Struct, tag=True, frozen=True):
    """The first that a worker is told."""

    settings: SteeringSettings
    number: int
    workers: int
    address: tuple[str, int]
    folder: str  # where workers ask each other
    log_level: str


class Change(msgspec.Struct, tag=True, frozen=True):
    """The settings were read again; what is taken over of them is said by `Service.reload`."""

    settings: SteeringSettings


class Refused(msgspec.Struct, tag=True, frozen=True):
    """The settings were read again and are not taken over by anybody; their reason is the parent's to log."""


class Serving(msgspec.Struct, tag=True, frozen=True):
    """It answers."""


class Taken(msgspec.Struct, tag=True, frozen=True):
    """The change was taken over; or why not, and then the old one stays."""

    refusal: str = ""


class Failed(msgspec.Struct, tag=True, frozen=True):
    """It cannot serve, and ends."""

    reason: str
    exit_code: int


def encode_line(message: Start | Change | Refused | Serving | Taken | Failed) -> bytes:
    return msgspec.json.encode(message, enc_hook=str) + b"\n"


def _decode_order(line: bytes) -> Start | Change | Refused:
    """Raises msgspec.DecodeError."""
    return msgspec.json.decode(line, type=Start | Change | Refused, dec_hook=_decode_path)


def _decode_path(kind: type[Any], value: Any) -> Any:
    return kind(value) if kind is Path else value


class Worker:
    """A service and its port."""

    def __init__(self, settings: SteeringSettings) -> None:
        """Raises SitesError, GeographyError, DatabaseError, LogError."""
        self.service = Service(settings)
        self._runner = web.AppRunner(self.service.application(), access_log=None, shutdown_timeout=_SHUTDOWN_S)

    async def start(self, where: tuple[str, int] | socket.socket) -> tuple[str, int]:
        """Answers at an address, or on a socket that is bound to one; says where. Raises ListenError."""
        await self._runner.setup()
        try:
            await self.service.front(self._runner, where).start()
        except OSError as error:
            asked = where.getsockname()[:2] if isinstance(where, socket.socket) else where
            reason = error.strerror or str(error)
            raise ListenError(f"listen: {show_address(asked)} cannot be used: {reason}") from error
        # Players wait while the collector looks, some 2 us at each object of a large service. What is asked all day
        # leaves nothing to it, so it looks often, at little; at all of fleet and catalog only when much is new.
        gc.collect()
        gc.freeze()
        gc.set_threshold(1_000, 10, 1_000)
        sys.setswitchinterval(_SWITCH_S)
        address: tuple[str, int] = self._runner.addresses[0][:2]
        return address

    async def reload(self, settings: SteeringSettings) -> str:
        """Takes over a valid configuration and keeps the old one otherwise; the reason for that, or nothing."""
        try:
            await self.service.reload(settings)
        except NearcastError as error:
            self.refuse(str(error))
            return str(error)
        self.service.note_reload(True)
        logger.info("sites, geography and proxies were read again")
        return ""

    def refuse(self, reason: str) -> None:
        """A configuration could not be read."""
        self.service.note_reload(False)
        logger.error("the configuration is not taken over, the old one stays", extra={"reason": reason})

    async def close(self) -> None:
        await self._runner.cleanup()


class Siblings:
    """The workers of one parent, which ask each other.

    What they count, for a scrape reaches any one of them; and, where there is no database, what they know of the fleet,
    which may go on reporting to others than the one that was started anew.
    """

    def __init__(self, start: Start, service: Service) -> None:
        self._number, self._folder = start.number, Path(start.folder)
        self._others = [number for number in range(start.workers) if number != start.number]
        self._service = service
        app = web.Application()
        app.router.add_get("/metrics", self._tell_metrics)
        app.router.add_get("/memory", self._tell_memory)
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self) -> None:
        await self._runner.setup()
        path = self._path(self._number)
        path.unlink(missing_ok=True)  # of the one before, if that was killed
        await web.UnixSite(self._runner, str(path)).start()

    async def close(self) -> None:
        await self._runner.cleanup()

    async def gather(self, own: bytes) -> bytes:
        """The metrics of all, those of this one being `own`."""
        answers = await asyncio.gather(*(self._ask(number, "/metrics") for number in self._others))
        return merge({self._number: own, **dict(zip(self._others, answers, strict=True))})

    async def recall(self) -> list[Heard]:
        """What the first of the others that knows anything knows of the fleet."""
        for number in self._others:
            answer = await self._ask(number, "/memory")
            # One that is just being started as well knows nothing yet.
            if answer is not None and (memory := msgspec.msgpack.decode(answer, type=list[Heard])):
                return memory
        return []

    async def _ask(self, number: int, path: str) -> bytes | None:
        try:
            async with (
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self._path(number)))) as session,
                session.get(f"http://worker{path}", timeout=_TOLD_WITHIN) as answer,
            ):
                return await answer.read() if answer.status == 200 else None
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None

    async def _tell_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._service.render_metrics())

    async def _tell_memory(self, _: web.Request) -> web.Response:
        return web.Response(body=msgspec.msgpack.encode(self._service.memory()))

    def _path(self, number: int) -> Path:
        return self._folder / f"worker-{number}.sock"


class _Child:
    """A worker of a parent."""

    def __init__(self) -> None:
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        """Runs until the parent ends, or tells it to. Raises what `Worker` raises."""
        loop = asyncio.get_running_loop()
        orders = asyncio.StreamReader(limit=_LARGEST_LINE)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin.buffer)
        line = await orders.readline()
        if not line:  # the parent was ended before it said anything
            return
        start = _decode_order(line)
        assert isinstance(start, Start)
        start_logging(start.log_level)
        logging.getLogger().handlers[0].addFilter(_Numbered(start.number))
        loop.add_signal_handler(signal.SIGTERM, self._stopped.set)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to understand
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        worker = Worker(start.settings)
        siblings = Siblings(start, worker.service)
        worker.service.gather_metrics = siblings.gather
        worker.service.recall = siblings.recall
        try:
            await siblings.start()
            await worker.start(bind(start.address))
            _say(Serving())
            obeying = asyncio.create_task(self._obey(orders, worker))
            # One that no longer hears its parent must not go on alone.
            obeying.add_done_callback(lambda _: self._stopped.set())
            async with ending_if_it_hangs(_HANGS_AFTER_S):
                await self._stopped.wait()
            if obeying.done():
                obeying.result()
            obeying.cancel()
        finally:
            await siblings.close()
            await worker.close()

    async def _obey(self, orders: asyncio.StreamReader, worker: Worker) -> None:
        while line := await orders.readline():
            order = _decode_order(line)
            if isinstance(order, Change):
                _say(Taken(await worker.reload(order.settings)))
            else:
                worker.service.note_reload(False)


class _Numbered(logging.Filter):
    """Says of each line of the log whose it is."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def filter(self, record: logging.LogRecord) -> bool:
        record.worker = self._number
        return True


@contextlib.asynccontextmanager
async def ending_if_it_hangs(after_s: float) -> AsyncIterator[None]:
    """Ends the process, and says on standard error where it was, if the loop has no turn for so long."""

    async def put_off() -> None:
        while True:
            faulthandler.dump_traceback_later(after_s, exit=True)
            await asyncio.sleep(after_s / 10)

    putting_off = asyncio.create_task(put_off())
    try:
        yield
    finally:
        putting_off.cancel()
        faulthandler.cancel_dump_traceback_later()


def bind(address: tuple[str, int]) -> socket.socket:
    """A socket of its own at an address that several share (SO_REUSEPORT). Raises OSError.

    Only who listens on it is sent connections, so a worker gets none before it is ready, and none once it is dead.
    """
    sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def _say(message: Serving | Taken | Failed) -> None:
    with contextlib.suppress(BrokenPipeError):  # the parent is gone, and standard input will say so
        os.write(sys.stdout.fileno(), encode_line(message))


def main() -> None:
    """Started by the parent: `python -m steering.workers.worker`."""
    try:
        uvloop.run(_Child().run())
    except NearcastError as error:
        _say(Failed(str(error), error.exit_code))
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
