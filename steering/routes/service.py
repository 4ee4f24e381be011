"""The routes process: what sessions say goes into the rib, and what follows into the table file that steering maps.

    ExaBGP --lines--> <table>.sock --feed--.
    BIRD's control socket, every 15 s -----+--> rib --changes, five times a second--> table
    imported files ------------------------'      '--all routes, once a minute--> <table>.rib

From <table>.rib it goes on after a restart. No player ever waits for this process; while it is gone, the table is what
it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any

import msgspec
from aiohttp import web

from config.errors import NearcastError
from config.steering import BgpSettings, SteeringSettings
from steering.errors import DumpError, PeersError, SessionUnknown, StoreError, TableError
from steering.prefixes.addresses import BITS, Prefix, parse_address
from steering.prefixes.table_file import TableReader, TableWriter
from steering.routes import bird, dumps, store
from steering.routes.exabgp_process import ExaBgp
from steering.routes.feed import Feed
from steering.routes.filters import Filters
from steering.routes.peer import Peer, declared, parse_keys
from steering.routes.rib import SWEEP_AFTER_S, Rib
from steering.routes.route import parse_prefix, unpack
from steering.routes.status import Collector
from steering.routes.troubles import Troubles
from steering.routes.validator import Validator
from steering.routes.vrps import Vrps

# A change is in the table this long after it was heard, at most; many come together.
_PUBLISH_EVERY_S = 0.2
_TICK_EVERY_S = 1.0
_KEEP_EVERY_S = 60.0
_LOOK_AT_VRPS_EVERY_S = 30.0
# A full table as MRT, not compressed, has some 200 MB of each neighbour.
_LARGEST_IMPORT = 4 * 1024 * 1024 * 1024
_ROWS_AT_ONCE = 1000
# After a kill the table is not replaced by one that has less than this part of its prefixes.
_ENOUGH = 0.9

logger = logging.getLogger(__name__)


class Service:
    """The routes process as an aiohttp application."""

    def __init__(self, settings: SteeringSettings, clock: Callable[[], float] = time.time) -> None:
        """`clock` in seconds since the epoch. Raises PeersError, TableError, ExaBgpError."""
        if settings.routes is None:
            raise PeersError("routes: found nothing, expected the path of the table to write")
        self._settings, self._clock, self._path = settings, clock, settings.routes
        self._peers = _peers(settings)
        self._own = parse_keys(settings.own_prefixes, "own_prefixes")
        self._filters, self._judging = Filters(self._own), asyncio.Lock()
        self.rib = Rib(self._peers.values(), self._filters, always_compare_med=settings.always_compare_med)
        self._validator = Validator(settings.vrps, settings.vrps_max_age, clock)
        self._feed = Feed(self.rib, self._peers.values(), clock)
        listening = [one for one in settings.bgp if one.source == "listen"]
        self._exabgp = ExaBgp(listening, self._path, self._beside(".sock")) if listening else None
        self._troubles = Troubles()
        self._collector = Collector(self.rib.sessions, self._numbers)
        self._saved = -1  # which of the rib's revisions
        # The table of before is better than what is known so far: until there are so many prefixes, or until then.
        self._enough, self._waits_until = 0, 0.0
        self._table = TableWriter(self._path)
        # A thread each: what was begun is done before the next, also when this ends meanwhile.
        self._table_thread, self._store_thread = ThreadPoolExecutor(1), ThreadPoolExecutor(1)

    def application(self) -> web.Application:
        app = web.Application(middlewares=[_problems])
        app.cleanup_ctx.append(self._background)
        app.add_routes(
            [
                web.get("/api/v1/sessions", self.show_sessions),
                web.put("/api/v1/sessions/{session}/routes", self.import_routes),
                web.put("/api/v1/routes", self.import_routes),
                web.get("/api/v1/routes", self.show_routes),
                web.get("/api/v1/dump", self.dump),
                web.get("/healthz", self.show_health),
                web.get("/readyz", self.show_readiness),
                web.get("/metrics", self.show_metrics),
            ]
        )
        return app

    async def reload(self, settings: SteeringSettings) -> None:
        """Takes over what routes are judged by; sessions need a restart. Raises PeersError."""
        _peers(settings)
        own = parse_keys(settings.own_prefixes, "own_prefixes")
        if settings.bgp != self._settings.bgp:
            logger.warning("BGP sessions changed in the configuration; they are taken over at the next start")
        self._own = own
        self._validator = Validator(settings.vrps, settings.vrps_max_age, self._clock)
        await self._judge_by(await asyncio.to_thread(self._validator.look))

    # What operators ask

    async def show_sessions(self, _: web.Request) -> web.Response:
        return _json({"sessions": self.rib.sessions(), "troubles": list(self._troubles)})

    async def show_routes(self, request: web.Request) -> web.Response:
        found = self.rib.find(_asked(request.query.get("prefix", "")))
        return _json({"routes": [{"prefix": prefix, "sites": sites, "seen": seen} for prefix, sites, seen in found]})

    async def dump(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/jsonl", "Cache-Control": "no-store"})
        rows = self.rib.seen(request.query.getall("session", []))
        await answer.prepare(request)
        encoder = msgspec.json.Encoder()
        while batch := [row for _, row in zip(range(_ROWS_AT_ONCE), rows, strict=False)]:
            await answer.write(encoder.encode_lines(batch))
        return answer

    async def import_routes(self, request: web.Request) -> web.Response:
        """Takes a file over, whole or not at all. By PUT, which no page of another origin may send."""
        name, imported = request.match_info.get("session", ""), self._imported()
        if name and name not in imported:
            known = f"session: found {name!r}, expected one whose source is import: {', '.join(imported) or '(none)'}"
            raise SessionUnknown(known)
        with tempfile.NamedTemporaryFile(dir=self._path.parent, prefix="import.", buffering=0) as file:
            size = 0
            async for piece in request.content.iter_chunked(1024 * 1024):
                size += len(piece)
                if size > _LARGEST_IMPORT:
                    raise DumpError(f"it has more than {_LARGEST_IMPORT} bytes")
                await asyncio.to_thread(_write_all, file, piece)
            dump = await asyncio.to_thread(dumps.read_dump, Path(file.name), imported, name)
        counts = {session: len(routes) for session, routes in dump.routes.items()}
        for session, routes in dump.routes.items():
            self.rib.replace(session, routes, self._clock())
        logger.info("routes were imported", extra={"routes": counts})
        return _json({"imported": counts, "notes": dump.notes})

    def _imported(self) -> dict[str, Peer]:
        """Of the other sessions their routers have the word."""
        return {name: peer for name, peer in self._peers.items() if peer.source == "import"}

    async def show_health(self, _: web.Request) -> web.Response:
        return _json({"alive": True})

    async def show_readiness(self, _: web.Request) -> web.Response:
        """Not ready if it cannot do its work; a session that is down is the ISP's, and a note."""
        reasons = list(self._troubles)
        notes = [
            f"session {one.name} is down: {one.why or 'not up yet'}" for one in self.rib.sessions() if not one.is_up
        ]
        status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
        return _json({"ready": not reasons, "reasons": reasons, "notes": notes}, status)

    async def show_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._collector.render(), headers={"Content-Type": "text/plain; version=0.0.4"})

    def _numbers(self) -> dict[str, float]:
        ipv4, ipv6 = self.rib.counts()
        vrps = self._filters.vrps
        return {
            "prefixes_ipv4": ipv4,
            "prefixes_ipv6": ipv6,
            "updates": self.rib.updates,
            "nonsense": self._feed.nonsense,
            "vrps": vrps.count if vrps is not None else 0,
            "troubles": len(self._troubles),
        }

    # What goes on beside

    async def _background(self, _: web.Application) -> AsyncIterator[None]:
        await self._restore()
        async with self._feed.serve(self._beside(".sock")), contextlib.AsyncExitStack() as stack:
            for work in self._works():
                await stack.enter_async_context(_running(work))
            yield
        await self._publish()
        self._saved = -1  # so that it is younger than the table
        await self._keep()
        for thread in (self._table_thread, self._store_thread):
            thread.shutdown()
        self._table.close()

    def _works(self) -> list[Coroutine[Any, Any, None]]:
        works = [
            _every(_PUBLISH_EVERY_S, self._publish),
            _every(_TICK_EVERY_S, self._tick),
            _every(_KEEP_EVERY_S, self._keep),
            _every(_LOOK_AT_VRPS_EVERY_S, self._validate),
        ]
        if self._exabgp is not None:
            works.append(self._exabgp.follow())
        birds = [one for one in self._settings.bgp if one.source == "bird"]
        return works + [_every(one.bird_every, partial(self._ask, one)) for one in birds]

    async def _restore(self) -> None:
        """Goes on where the process before was. The filters are there first, so that nothing is judged twice."""
        await self._validate()
        now, kept, path = self._clock(), dict[str, store.Kept](), self._beside(".rib")
        try:
            kept = await asyncio.to_thread(store.load, path)
        except StoreError as error:
            logger.warning("the routes of before are not known", extra={"why": str(error)})
        if self._table.generation:
            before = TableReader(self._path)
            if not kept or path.stat().st_mtime < before.changed_at:
                # What came after the file was written is not in it: in the first minutes that is nearly everything.
                self._enough, self._waits_until = math.ceil(_ENOUGH * sum(before.counts)), now + SWEEP_AFTER_S
        for name, peer in self._peers.items():
            one = kept.get(name)
            if one is not None and peer.source == "import":
                self.rib.replace(name, dict(one.routes), now)
            elif one is not None:
                # A clock that was ahead would have them stay for as much longer.
                self.rib.restore(name, one.routes, min(one.stale_since, now), one.router_id)
        if self._waits():
            logger.warning(
                "less is known than the table has, which stays until sessions have announced as much again",
                extra={"prefixes": len(self.rib), "expected": self._enough, "at_most_s": SWEEP_AFTER_S},
            )
            return
        entries = self.rib.changes()  # from nothing, so it is all there is
        if entries or self._table.generation:
            await self._write(lambda: self._table.replace(entries))
            logger.info("the routes of before are in the table", extra={"prefixes": len(entries)})

    def _waits(self) -> bool:
        """Whether the table stays what it is, for sessions have not announced as much again."""
        if self._enough and (len(self.rib) >= self._enough or self._clock() >= self._waits_until):
            self._enough = 0
        return self._enough > 0

    async def _publish(self) -> None:
        if self._waits():
            return
        changes = self.rib.changes()
        if changes or "the table" in self._troubles:
            await self._write(lambda: self._table.apply(changes))

    async def _write(self, write: Callable[[], None]) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._table_thread, write)
        except TableError as error:
            self._troubles.say("the table", str(error))
        else:
            self._troubles.say("the table", "")

    async def _tick(self) -> None:
        self.rib.tick(self._clock())
        self._table.beat()
        if self._exabgp is not None:
            self._troubles.say("ExaBGP", self._exabgp.trouble)

    async def _keep(self) -> None:
        if self.rib.revision == self._saved or self._waits():
            return
        self._saved, now = self.rib.revision, self._clock()
        kept = {name: store.Kept(*self.rib.kept(name)) for name in self._peers}
        try:
            save = partial(store.save, self._beside(".rib"), kept, now)
            await asyncio.get_running_loop().run_in_executor(self._store_thread, save)
        except StoreError as error:
            self._saved = -1
            self._troubles.say("what is kept for a restart", str(error))
        else:
            self._troubles.say("what is kept for a restart", "")

    async def _validate(self) -> None:
        vrps = await asyncio.to_thread(self._validator.look)
        if vrps is not self._filters.vrps:
            await self._judge_by(vrps)
        self._troubles.say("the RPKI validator's file", self._validator.trouble)

    async def _judge_by(self, vrps: Vrps | None) -> None:
        async with self._judging:  # of two that ask at once, the later has the last word on every route
            self._filters = Filters(self._own, vrps)
            for _ in self.rib.judge_again(self._filters):
                await asyncio.sleep(0)
        if vrps is not None:
            logger.info("routes are held against VRPs", extra={"vrps": vrps.count})

    async def _ask(self, session: BgpSettings) -> None:
        assert session.bird_socket is not None
        try:
            routes = await bird.ask(session.bird_socket, session.bird_protocol)
        except DumpError as error:
            self._troubles.say(f"session {session.name}", str(error))
            self.rib.down(session.name, self._clock(), str(error))
            return
        self._troubles.say(f"session {session.name}", "")
        if routes is None:
            self.rib.down(session.name, self._clock(), "BIRD's session is not established")
        elif self.rib.is_up(session.name):
            self.rib.replace(session.name, routes, self._clock())
        else:
            self.rib.merge(session.name, routes, self._clock())

    def _beside(self, ending: str) -> Path:
        return self._path.with_name(self._path.name + ending)


def _peers(settings: SteeringSettings) -> dict[str, Peer]:
    """Raises PeersError."""
    peers, sites = declared(settings.bgp), {site.name for site in settings.sites}
    for peer in peers.values():
        if peer.site not in sites:
            raise PeersError(f"bgp ({peer.name}): site: found {peer.site!r}, expected one of [[steering.sites]]")
    return peers


def _asked(text: str) -> Prefix:
    """A prefix, or an address in every form that a player's has. Raises RouteError."""
    address = parse_address(text)
    return (*address, BITS[address[0]]) if address is not None else unpack(parse_prefix(text))


def _write_all(file: IO[bytes], piece: bytes) -> None:
    """Raises DumpError."""
    try:
        while piece:
            piece = piece[file.write(piece) :]
    except OSError as error:
        raise DumpError(f"there is no room to look at it beside the table: {error.strerror}") from error


async def _every(seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Less often if it takes long: while a full table comes in, writing it takes a fifth of the time and no more."""
    clock = asyncio.get_running_loop().time
    while True:
        began = clock()
        try:
            await work()
        except Exception:
            # A fault of ours in one round shall not be the end of all further ones.
            logger.exception("a round failed")
        await asyncio.sleep(max(seconds, 4 * (clock() - began)))


@contextlib.asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@web.middleware
async def _problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refusals as RFC 9457 problem+json."""
    try:
        return await handler(request)
    except NearcastError as error:
        problem = {"type": "about:blank", "title": HTTPStatus(error.status).phrase, "status": error.status}
        answer = _json({**problem, "detail": str(error)}, HTTPStatus(error.status))
        answer.content_type = "application/problem+json"
        return answer


def _json(value: Any, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(
        body=body, status=status, content_type="application/json", headers={"Cache-Control": "no-store"}
    )
