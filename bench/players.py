"""A simulated player: plays a title over HLS or DASH, obeys steering, moves on when a pathway fails, checks each byte.

    manifest -> Presentation -> next track -> next segment, from the pathway that `Pathways` chooses -> Screen
                                  ^ steering manifest, every TTL      ^ any failure: penalty, the next pathway

What it decides is in playback.py, what it reads in presentation.py; here are its requests.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import aiohttp
import yarl

from bench.errors import ManifestError, PlayError
from bench.playback import (
    GIVE_UP_AFTER_S,
    SILENCE_LIMIT_S,
    Choice,
    Pace,
    Pathways,
    Screen,
    Throughput,
    choose_offer,
    next_track,
)
from bench.presentation import (
    DEFAULT_TTL_S,
    Presentation,
    Protocol,
    Segment,
    Stream,
    read_mpd,
    read_multivariant,
    read_playlist,
    read_steering,
)
from bench.reference import Reference
from bench.result import Played, Served, Switch

CONNECT_LIMIT_S = 3.0
# Between two rounds through pathways that all failed.
_RETRY_AFTER_S = 0.5


@dataclass(frozen=True)
class Viewer:
    """Who watches: `address` is a loopback address, and decides the site that steering places the viewer at."""

    name: str
    site: str
    address: str = "127.0.0.1"


class _RequestFailed(Exception):
    """An answer did not come whole; the player goes elsewhere."""


class Player:
    """One play of one title.

    `reference` is compared with every byte. `on_segment` is awaited after each segment: whoever breaks something at a
    certain point of the film does it there.
    """

    def __init__(
        self,
        viewer: Viewer,
        protocol: Protocol,
        *,
        pace: Pace | None = None,
        choice: Choice = "highest",
        reference: Reference | None = None,
        on_segment: Callable[[Player], Awaitable[None]] | None = None,
    ) -> None:
        self.viewer, self.protocol = viewer, protocol
        self.pathway = ""  # the one in use
        self._choice, self._reference, self._on_segment = choice, reference, on_segment
        self._throughput = Throughput()
        self._screen = Screen(pace or Pace())
        self._streams: dict[tuple[str, str], Stream] = {}  # (pathway, rendition)
        self._inits: set[str] = set()

    async def play(self, steering: str, title: str) -> Played:
        """Plays `title`, asking the steering service at this URL for its manifest. What went wrong is in the result."""
        self.played = Played(
            player=f"{self.protocol} {self.viewer.name}", protocol=self.protocol, site=self.viewer.site, title=title
        )
        connector = aiohttp.TCPConnector(local_addr=(self.viewer.address, 0))
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_LIMIT_S, sock_read=SILENCE_LIMIT_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as self._session:
            try:
                await self._play(await self._open(steering.rstrip("/"), title))
            except (PlayError, ManifestError, _RequestFailed) as error:
                self.played.given_up = str(error)
        self.played.stalls, self.played.stalled_s = self._screen.stalls, round(self._screen.stalled_s, 3)
        return self.played

    async def _open(self, steering: str, title: str) -> Presentation:
        name, read = ("master.m3u8", read_multivariant) if self.protocol == "HLS" else ("manifest.mpd", read_mpd)
        url = f"{steering}/play/{title}/{name}"
        return read((await self._get(url)).decode(), url)

    async def _play(self, presentation: Presentation) -> None:
        self._pathways = Pathways(presentation.pathways)
        steering = asyncio.create_task(self._follow_steering(presentation))
        try:
            await self._fetch_tracks(presentation)
        finally:
            steering.cancel()
            with suppress(asyncio.CancelledError):
                await steering

    # The film

    async def _fetch_tracks(self, presentation: Presentation) -> None:
        """Every segment of every track, in the order in which a viewer needs them."""
        tracks = presentation.tracks
        positions = [0.0] * len(tracks)
        ends = [float("inf")] * len(tracks)  # until the track's first stream is known
        while (track := next_track(positions, ends)) is not None:
            await asyncio.sleep(self._screen.wait_s(time.monotonic()))
            offer = choose_offer(tracks[track].offers, self._choice, self._throughput.bps)
            stream, segment = await self._fetch(presentation, offer.rendition, positions[track])
            positions[track], ends[track] = segment.end, stream.end
            going = next_track(positions, ends)
            self.played.duration_s = round(positions[going] if going is not None else max(ends), 3)
            self._screen.fetched(self.played.duration_s, time.monotonic())
            if self._on_segment is not None:
                await self._on_segment(self)

    async def _fetch(self, presentation: Presentation, rendition: str, position: float) -> tuple[Stream, Segment]:
        """The segment that begins at `position`, from the first pathway that gives it. Raises PlayError."""
        give_up_at = time.monotonic() + GIVE_UP_AFTER_S
        reason = "steering"
        while True:
            now = time.monotonic()
            pathway = self._pathways.choose(now)
            if self._pathways.is_penalised(pathway, now):
                await asyncio.sleep(_RETRY_AFTER_S)
            self._use(pathway, position, reason)
            try:
                return await self._fetch_from(presentation, pathway, rendition, position)
            except _RequestFailed as error:
                reason = str(error)
                self.played.failures.append(f"{pathway}: {reason}")
                self._pathways.penalise(pathway, time.monotonic())
                if time.monotonic() > give_up_at:
                    raise PlayError(
                        f"{rendition} at {position:.1f} s: no pathway gave it for {GIVE_UP_AFTER_S:.0f} s, "
                        f"the last failure was {pathway}: {reason}"
                    ) from error

    async def _fetch_from(
        self, presentation: Presentation, pathway: str, rendition: str, position: float
    ) -> tuple[Stream, Segment]:
        stream = await self._stream(presentation, pathway, rendition)
        number = stream.number_at(position)
        segment = stream.segments[number]
        if stream.init_url and rendition not in self._inits:
            init = await self._get_from(pathway, stream.init_url)
            self._inits.add(rendition)
            if self._reference is not None:
                self.played.wrong_bytes += self._reference.wrong_in_init(rendition, init)
        data = await self._get_from(pathway, segment.url)
        self.played.segments += 1
        if self._reference is not None:
            self.played.wrong_bytes += self._reference.wrong_in_segment(rendition, number, data)
        return stream, segment

    async def _stream(self, presentation: Presentation, pathway: str, rendition: str) -> Stream:
        """The rendition on this pathway; HLS reads its playlist there first (RFC 8216bis 7.4)."""
        key = (pathway, rendition)
        if key not in self._streams:
            url = presentation.playlist_url(pathway, rendition)
            if url:
                stream = read_playlist((await self._get_from(pathway, url)).decode(), url)
            else:
                stream = presentation.stream(pathway, rendition)
            if self._reference is not None and len(stream.segments) != self._reference.segments(rendition):
                raise PlayError(
                    f"{rendition}: the manifest has {len(stream.segments)} segments, "
                    f"the package {self._reference.segments(rendition)}"
                )
            self._streams[key] = stream
        return self._streams[key]

    def _use(self, pathway: str, position: float, reason: str) -> None:
        if self.pathway and pathway != self.pathway:
            self.played.switches.append(Switch(round(position, 3), self.pathway, pathway, reason))
        self.pathway = pathway

    # Steering

    async def _follow_steering(self, presentation: Presentation) -> None:
        """Asks again and again, as often as it is told to. A failure changes nothing (RFC 8216bis 7.3)."""
        url, ttl_s = presentation.steering_url, DEFAULT_TTL_S
        while url:
            query = yarl.URL(url, encoded=True).update_query(self._steering_query())
            try:
                steering = read_steering(await self._get(str(query)), url)
            except (_RequestFailed, ManifestError) as error:
                self.played.failures.append(f"steering: {error}")
            else:
                self.played.steering_answers += 1
                self._pathways.follow(steering.priority)
                url, ttl_s = steering.reload_url, steering.ttl_s
            await asyncio.sleep(ttl_s)

    def _steering_query(self) -> dict[str, str]:
        """Both formats quote the pathway in their texts; before the first segment there is nothing to say."""
        if not self.pathway:
            return {}
        prefix = f"_{self.protocol}_"
        return {f"{prefix}pathway": f'"{self.pathway}"', f"{prefix}throughput": str(round(self._throughput.bps))}

    # Requests

    async def _get_from(self, pathway: str, url: str) -> bytes:
        """The body at a URL of a pathway, counted as served by it. Raises _RequestFailed."""
        started = time.monotonic()
        data, cache_status = await self._request(url)
        self._throughput.measured(len(data), time.monotonic() - started)
        served = self.played.served.setdefault(pathway, Served())
        served.requests += 1
        served.bytes += len(data)
        if "fwd=" in cache_status:
            served.pulled_bytes += len(data)
        return data

    async def _get(self, url: str) -> bytes:
        return (await self._request(url))[0]

    async def _request(self, url: str) -> tuple[bytes, str]:
        """Body and Cache-Status. Raises _RequestFailed for anything but a whole 200."""
        try:
            async with self._session.get(yarl.URL(url, encoded=True)) as answer:
                if answer.status != 200:
                    raise _RequestFailed(f"{answer.status} {answer.reason}")
                return await answer.read(), answer.headers.get("Cache-Status", "")
        except TimeoutError as error:
            raise _RequestFailed(f"nothing came for {SILENCE_LIMIT_S:.0f} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise _RequestFailed(_why(error)) from error


def _why(error: Exception) -> str:
    """A failed request in a few words: aiohttp's own repeat the address, and some are empty."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
