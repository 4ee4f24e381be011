"""What players ask of steering (a session's manifest, the steering manifest, to be heard), and what they are answered.

Nothing of a connection is in here: the front and aiohttp both come with the request's parts and take the answer's. A
session that begins can be refused (no such title); a poll cannot, whatever it looks like, and neither can what players
tell of themselves: players stop steering for good, or repeat themselves, at an error.
"""

from __future__ import annotations

import json
import logging
import random
import re
import time
from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from urllib.parse import quote

from config.errors import NearcastError
from config.field import show_address
from config.steering import SteeringSettings
from config.structs import Frozen
from encoder.package import MEDIA_TYPES
from steering.appliances.fleet import ORIGIN
from steering.decisions import DecisionLog
from steering.director import Director, Poll
from steering.errors import RequestError
from steering.metrics import Metrics
from steering.sessions.clones import describe
from steering.sessions.pathways import Format, given_ttl, is_dash_js, read_query, steering_manifest
from steering.sessions.session import ID_PATTERN, LARGEST_TOKEN

# Events of a player come in batches of some hundred bytes each (CTA-5004-B section 2.2).
LARGEST_EVENTS = 64 * 1024
# Host is what the player itself said; it goes back to it in manifests, so it has to look like one.
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
# To look a member up in its enum, or hash one, takes as long as to make an answer.
_OK, _NO_CONTENT = HTTPStatus.OK.value, HTTPStatus.NO_CONTENT.value
_HLS, _DASH = MEDIA_TYPES[".m3u8"], MEDIA_TYPES[".mpd"]
_ANY_PAGE = ("Access-Control-Allow-Origin", "*")
# Retry-After is for players that read it of a page's other origin (RFC 8216bis section 7.4).
_UNCACHED = (("Cache-Control", "no-store"), _ANY_PAGE, ("Access-Control-Expose-Headers", "Retry-After"))
_VARYING = (*_UNCACHED, ("Vary", "Accept-Encoding"))
_GZIPPED = (*_VARYING, ("Content-Encoding", "gzip"))
# CTA-5004 section 4.2: a player that sends CMCD in headers does so with manifests and polls, too.
_CMCD_HEADERS = "CMCD-Request, CMCD-Object, CMCD-Status, CMCD-Session"
_PREFLIGHT = (
    _ANY_PAGE,
    ("Access-Control-Allow-Headers", f"Content-Type, {_CMCD_HEADERS}"),
    ("Access-Control-Max-Age", "86400"),
)

_READABLE = frozenset({"ours", "foreign"})  # such a token is base64url

logger = logging.getLogger(__name__)


class Asker(Frozen, frozen=True):
    """Who asks, and how it got here."""

    address: str
    host: str  # as the request's Host says
    takes_gzip: bool


class Answer(Frozen, frozen=True):
    status: int
    media_type: str  # empty where there is no content
    body: bytes
    headers: tuple[tuple[str, str], ...] = _UNCACHED


class Players:
    """`lag_s` is how late the event loop runs; whoever measures it sets it."""

    def __init__(
        self, director: Director, settings: SteeringSettings, decisions: DecisionLog | None, metrics: Metrics
    ) -> None:
        self._director = director
        self._settings = settings
        self._decisions = decisions
        self._metrics = metrics
        # There are few names that players know us by, and each takes 2 us to find.
        self._base = lru_cache(1024)(self._find_base)
        self.lag_s = 0.0

    def play(self, title: str, form: Format, query: Mapping[str, str], asker: Asker) -> Answer:
        """The manifest of a session that begins. Raises RequestError, TitleUnknown, NotReady."""
        session = session_name(query)
        now = time.time()
        play = self._director.play(title, asker.address, session, int(now))
        self._metrics.decided(play.decision)
        if self._decisions is not None:
            self._decisions.began(play.decision, form, self._director.network.sites, now)
        uri = f"{self._base(asker.host)}/steer/{form}?s={play.token}"
        manifests = play.title.manifests
        if form == "hls":
            return Answer(_OK, _HLS, manifests.multivariant(play.pathways, uri))
        if asker.takes_gzip:
            return Answer(_OK, _DASH, manifests.gzipped_mpd(play.pathways, uri), _GZIPPED)
        return Answer(_OK, _DASH, manifests.mpd(play.pathways, uri), _VARYING)

    def steer(self, form: Format, query: Mapping[str, str], asker: Asker) -> Answer:
        """The steering manifest of a session under way. Never fails."""
        token = query.get("s", "")
        try:
            poll = self._poll(form, query, token, asker.address)
        except Exception:
            # hls.js and dash.js stop steering for good at an error, so a fault of ours would outlive its repair in
            # every player that met it.
            logger.exception("a poll could not be decided; the origin was answered")
            poll = Poll((ORIGIN,), self._settings.ttl, "failed")
        self._metrics.polled(form, poll.session, poll.decision)
        shown = poll.token or (token if poll.session in _READABLE else quote(token[:LARGEST_TOKEN], safe=""))
        uri = f"{self._base(asker.host)}/steer/{form}?s={shown}"
        ttl = given_ttl(poll.ttl, self.lag_s, random.random())
        clones = describe(poll.clones, poll.bases, with_port=is_dash_js(query)) if poll.clones else ()
        return Answer(_OK, "application/json", steering_manifest(poll.priority, ttl, uri, clones))

    def hear(self, body: bytes, query: Mapping[str, str], asker: Asker) -> Answer:
        """CMCD events. Never fails: a player repeats what is answered with an error."""
        try:
            self._director.take_events(body, asker.address, query.get("s", ""))
        except Exception:
            logger.exception("a player's events were not taken in")
        return Answer(_NO_CONTENT, "", b"", (_ANY_PAGE,))

    def _poll(self, form: Format, query: Mapping[str, str], token: str, address: str) -> Poll:
        measured = read_query(query, form)
        poll = self._director.poll(token, address, tuple(one.pathway for one in measured))
        if measured:
            self._director.take_throughputs(measured, address)
            for one in measured:
                if one.throughput_bps is not None:
                    self._metrics.measured(one.throughput_bps, poll.decision)
        if self._decisions is not None and poll.decision is not None:
            self._decisions.polled(poll.decision, form, self._director.network.sites, time.time(), poll.ttl)
        return poll

    def _find_base(self, host: str) -> str:
        """This service's URL as the player can reach it: as configured, else as it just did."""
        if self._settings.url:
            return self._settings.url.rstrip("/")
        if _HOST.fullmatch(host):
            return f"http://{host}"
        return f"http://{show_address(self._settings.listen)}"


def preflight(methods: str) -> Answer:
    """What a browser asks before its page may use a method or a field that is not everybody's."""
    return Answer(_NO_CONTENT, "", b"", (*_PREFLIGHT, ("Access-Control-Allow-Methods", methods)))


def refusal(error: NearcastError) -> Answer:
    """RFC 9457."""
    return problem(error.status, str(error))


def problem(status: int, detail: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    told = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    fields = (("Cache-Control", "no-store"), _ANY_PAGE, *headers)
    return Answer(status, "application/problem+json", json.dumps(told).encode(), fields)


def session_name(query: Mapping[str, str]) -> str:
    """The name that a play was given, or one that is made up. Raises RequestError."""
    session = query.get("session", "")
    if not session:
        return f"{random.getrandbits(64):016x}"
    if not ID_PATTERN.fullmatch(session):
        raise RequestError(f"session: found {session!r}, expected 1 to 64 letters, digits . _ -")
    return session
