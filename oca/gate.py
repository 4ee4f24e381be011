"""Lets requests through that carry a token for what they ask (oca.tokens); without keys everybody may have everything.

A token is verified once and then known by its text, in the process and on the connection that brought it. What is left
for each request is to compare times and whatever the token says about requests.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from oca.errors import TokenError
from oca.http.connection import Connection
from oca.http.request import Request
from oca.tokens.carriage import Carrier, find_token
from oca.tokens.claims import Asked
from oca.tokens.grants import Grant, Replay, Verifier
from oca.tokens.keys import Keys
from oca.tokens.renewal import Renewal, renew
from oca.tokens.replays import Replays

# What the tokens that appliances make for one another are about (oca.credentials).
PEER_SUBJECT = "appliance "

# Some 2 KiB each. A viewer has one for hours; at the limit the oldest half has to be verified again.
_MOST_GRANTS = 8192


class Pass(NamedTuple):
    """A token that this connection brought, and the prefix of its path by which it is known again."""

    prefix: bytes  # "/t/TOKEN", what follows is the path of the content
    line: bytes  # "GET /t/TOKEN", how a request line begins with it
    expires_at: float
    is_plain: bool  # asks nothing of requests but that they come in time


class Gate:
    def __init__(self, keys: Keys, issuers: tuple[str, ...], audiences: tuple[str, ...]) -> None:
        self._keys = keys
        self._verifier = Verifier(keys, issuers, audiences)
        self._grants: dict[str, Grant] = {}
        self._replays = Replays()
        self.refused = 0
        self.replayed = 0  # tokens that came again and are only to be noticed (catreplay 2)

    def admit(self, connection: Connection, request: Request) -> Renewal | None:
        """What the answer has to carry besides, if anything. Raises TokenError."""
        known = connection.token
        if known is not None and known.is_plain and request.target.startswith(known.prefix + b"/v1/"):
            if time.time() < known.expires_at:
                return None
            connection.token = None
        try:
            return self._admit(connection, request)
        except TokenError:
            self.refused += 1
            raise

    def is_peer(self, request: Request) -> bool:
        """Whether the token of a request that was admitted is an appliance's."""
        carried = find_token(request.target, request.headers)
        grant = self._grants.get(carried.token) if carried is not None else None
        return grant is not None and (grant.subject or "").startswith(PEER_SUBJECT)

    def _admit(self, connection: Connection, request: Request) -> Renewal | None:
        carried = find_token(request.target, request.headers)
        if carried is None:
            raise TokenError("token", "content is for holders of an access token here, and there is none")
        now = time.time()
        grant = self._grants.get(carried.token)
        if grant is None:
            grant = self._verifier.verify(carried.token, now)
            self._keep(carried.token, grant)
        host, port = _authority(request.headers.get("host", ""), connection.scheme)
        asked = Asked(
            method=request.method,
            scheme=connection.scheme,
            host=host,
            port=port,
            path=carried.path,
            query=carried.query,
            client=connection.client,
            alpn="http/1.1" if connection.scheme == "https" else "",
            headers=request.headers,
        )
        grant.allow(asked, now)
        if grant.replay and grant.cti is not None and self._replays.seen(grant.cti, grant.expires_at, now):
            if grant.replay == Replay.FORBID:
                raise TokenError("catreplay", "the access token was used before", status=403)
            self.replayed += 1
        if carried.carrier == Carrier.PATH:
            is_plain = not (grant.has_conditions or grant.replay or grant.renewal)
            prefix = b"/t/%s" % carried.token.encode()
            connection.token = Pass(prefix, b"GET " + prefix, grant.expires_at, is_plain)
        return renew(grant, self._keys, carried.carrier, asked, now)

    def _keep(self, token: str, grant: Grant) -> None:
        if len(self._grants) >= _MOST_GRANTS:
            for old in list(self._grants)[: _MOST_GRANTS // 2]:
                del self._grants[old]
        self._grants[token] = grant


def _authority(text: str, scheme: str) -> tuple[str, int]:
    """Host and port of a Host field; the port is the scheme's where there is none."""
    host, _, port = text[1:].partition("]") if text.startswith("[") else text.partition(":")
    digits = port.removeprefix(":")
    return host, int(digits) if digits.isdecimal() and len(digits) <= 5 else {"http": 80, "https": 443}[scheme]
