"""Asks other appliances and the origin for bytes, in order, and gives one that failed a rest.

Peers are asked with `Cache-Control: only-if-cached` (RFC 9111 5.2.1.7), so that a peer which lacks the bytes says so
(504) instead of asking us in turn. The origin, the last of the list, is asked without it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

import aiohttp

from oca.errors import UpstreamError

logger = logging.getLogger(__name__)

# An upstream that failed is asked last for this long: long enough that a dead one costs nearly nothing, short enough
# that one which was restarted is found again within a fill.
REST_S = 10.0
_PIECE_BYTES = 256 * 1024


@dataclass(frozen=True)
class Source:
    """A base URL that serves content URLs, and whether it may fetch what it lacks."""

    url: str
    cached_only: bool


class Upstreams:
    """`stall_s` bounds connecting and each wait for bytes: who is silent for longer counts as failed."""

    def __init__(
        self, session: aiohttp.ClientSession, stall_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._session = session
        self._timeout = aiohttp.ClientTimeout(connect=stall_s, sock_connect=stall_s, sock_read=stall_s)
        self._clock = clock
        self._resting: dict[str, float] = {}
        self.fetched_bytes: dict[str, int] = {}

    def order(self, sources: Sequence[Source]) -> list[Source]:
        """The same sources, those that rest last."""
        now = self._clock()
        return sorted(sources, key=lambda source: self._resting.get(source.url, 0.0) > now)

    async def read(self, source: Source, path: str, first: int, end: int) -> AsyncGenerator[bytes, None]:
        """Bytes [first, end) of a content URL in pieces. Raises UpstreamError, also after some pieces have come."""
        headers = {**_headers(source), "Range": f"bytes={first}-{end - 1}"}
        left = end - first
        try:
            async with self._session.get(source.url + path, headers=headers, timeout=self._timeout) as answer:
                if answer.status != 206:
                    raise self._refused(source, path, answer.status)
                async for piece in answer.content.iter_chunked(_PIECE_BYTES):
                    if len(piece) > left:
                        raise UpstreamError(f"{source.url}{path} sent more than was asked for", status=502)
                    left -= len(piece)
                    self.fetched_bytes[source.url] = self.fetched_bytes.get(source.url, 0) + len(piece)
                    yield piece
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            self.rest(source, type(error).__name__)
            raise UpstreamError(f"{source.url} does not answer ({type(error).__name__})", status=503) from error
        if left:
            self.rest(source, "short answer")
            raise UpstreamError(f"{source.url}{path} ended {left} bytes early", status=502)

    async def read_whole(self, source: Source, path: str, limit: int) -> bytes:
        """A small document. Raises UpstreamError (404 where the source says that there is no such thing)."""
        try:
            async with self._session.get(source.url + path, headers=_headers(source), timeout=self._timeout) as answer:
                if answer.status != 200:
                    raise self._refused(source, path, answer.status)
                pieces = []
                async for piece in answer.content.iter_chunked(_PIECE_BYTES):
                    pieces.append(piece)
                    if sum(map(len, pieces)) > limit:
                        raise UpstreamError(f"{source.url}{path} is larger than {limit} bytes", status=502)
                return b"".join(pieces)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            self.rest(source, type(error).__name__)
            raise UpstreamError(f"{source.url} does not answer ({type(error).__name__})", status=503) from error

    def rest(self, source: Source, why: str) -> None:
        """This source failed: ask it last for a while."""
        if self._resting.get(source.url, 0.0) <= self._clock():
            logger.warning("an upstream failed and rests", extra={"upstream": source.url, "why": why})
        self._resting[source.url] = self._clock() + REST_S

    def _refused(self, source: Source, path: str, status: int) -> UpstreamError:
        """404 and 504 are honest answers about one file; anything else says that the source is not well."""
        if status not in (404, 504):
            self.rest(source, f"status {status}")
        return UpstreamError(f"{source.url}{path} answered {status}", status=404 if status == 404 else 503)


def _headers(source: Source) -> dict[str, str]:
    """We name ourselves so that an access log tells appliances from viewers: fills are not demand."""
    headers = {"User-Agent": "nearcast-oca", "Accept-Encoding": "identity"}
    return {**headers, "Cache-Control": "only-if-cached"} if source.cached_only else headers
