"""A token that holds, as a value that judges requests: verified once, kept for the connection, cheap to ask.

    Verifier.verify(token, now) -> Grant        signature, times, issuer, audience: what no request can change
    Grant.allow(asked, now)                     the times again, and what the request must be

CWT says that a claim that is not understood is ignored (RFC 8392 section 3). CTA-5007 is stricter, and so are we where
it is safer: a claim that restricts, and that cannot be judged here (a region, a proof of possession, a probability, a
composite), denies, and the error names it. `catif` and `catifdata` only say how a refusal should be answered; ours are
answered the same for all.

A token that is wrong is 401: another one may do. A token that holds and does not allow this is 403.

Pure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any

from cbor2 import CBORTag

from oca.errors import TokenError
from oca.tokens.claims import CATALPN, CATH, CATM, CATNIP, CATU, Asked, conditions
from oca.tokens.envelope import Claims, open_token
from oca.tokens.keys import Key, Keys
from oca.tokens.renewal import Terms, read_terms

ISS, SUB, AUD, EXP, NBF, IAT, CTI = 1, 2, 3, 4, 5, 6, 7
CATREPLAY, CATV, CATIFDATA, CATIF, CATR = 308, 310, 320, 322, 323
# How far the issuer's clock may be ahead of ours: more than NTP ever leaves, less than anyone would sell a film for.
# Not applied to `exp`: a clock that is behind makes a token live longer as it is.
LEEWAY_S = 60
_JUDGED = frozenset(
    (ISS, SUB, AUD, EXP, NBF, IAT, CTI, CATREPLAY, CATV, CATNIP, CATU, CATM, CATALPN, CATH, CATIFDATA, CATIF, CATR)
)
# What restricts and cannot be judged here. 8 and 40: RFC 8747 and 9200; 41 to 45 are the composite claims.
_UNJUDGED: Mapping[int | str, str] = {
    8: "cnf", 40: "exi", 41: "or", 42: "nor", 43: "and", 44: "enc", 45: "crit", 282: "geohash", 309: "catpor",
    316: "catgeoiso3166", 317: "catgeocoord", 318: "catgeoalt", 319: "cattpk", 321: "catdpop", 324: "cattprint",
    "or": "or", "nor": "nor", "and": "and", "enc": "enc", "crit": "crit", "geohash": "geohash",
}  # fmt: skip
_CLAIM_NAME = re.compile(r"[A-Za-z0-9_.-]{1,40}")
# Registered for CTA-5007, or likely to be next.
_CAT_LABELS = range(300, 331)


class Replay(IntEnum):
    """What `catreplay` says of a token that comes again. The caller keeps the memory: see replays.Replays."""

    ALLOW = 0
    FORBID = 1
    DETECT = 2  # to be counted and reported, not refused


class Grant:
    """A token whose signature and standing hold."""

    __slots__ = (
        "_conditions", "claims", "cti", "expires_at", "issuer", "key", "not_before", "renewal", "replay", "subject",
    )  # fmt: skip

    def __init__(self, key: Key, claims: Claims) -> None:
        """Raises TokenError for claims that are malformed or cannot be judged."""
        _refuse_unjudged(claims)
        if CATV in claims and not (type(claims[CATV]) is int and claims[CATV] == 1):
            raise TokenError("catv", "an access token of version 1 was expected", status=403)
        self.key = key
        self.claims = claims
        self.issuer = _text(claims, ISS, "iss")
        self.subject = _text(claims, SUB, "sub")
        self.expires_at = _time(claims, EXP, "exp", math.inf)
        self.not_before = _time(claims, NBF, "nbf", -math.inf)
        self.cti: bytes | None = _of(claims, CTI, "cti", bytes, "a byte string")
        self.replay = _replay(claims, self.cti)
        self.renewal: Terms | None = read_terms(claims[CATR]) if CATR in claims else None
        self._conditions = conditions(claims)

    @property
    def has_conditions(self) -> bool:
        """Whether it asks more of requests than that they come in time."""
        return bool(self._conditions)

    def allow(self, asked: Asked, now: float) -> None:
        """Raises TokenError. Everything was made ready: what is left is to compare."""
        self.check_times(now)
        for claim, expected, holds in self._conditions:
            if not holds(asked):
                raise TokenError(claim, f"{claim} of the access token expects {expected}", status=403)

    def check_times(self, now: float) -> None:
        if now >= self.expires_at:
            raise TokenError("exp", "the access token has expired")
        if now + LEEWAY_S < self.not_before:
            raise TokenError("nbf", "the access token is not valid yet")


class Verifier:
    """Judges tokens by the keys, the issuers and the audiences that an operator configured.

    With `issuers`, a token must have one of them as `iss`. With `audiences`, it must have one of them in `aud`;
    without, a token that names an audience is not for us (RFC 7519 4.1.3). Whoever reads the keys anew makes a new
    Verifier, and drops the grants of the old one: a key that was taken out must not go on opening doors.
    """

    def __init__(self, keys: Keys, issuers: Iterable[str] = (), audiences: Iterable[str] = ()) -> None:
        self._keys = keys
        self._issuers = frozenset(issuers)
        self._audiences = frozenset(audiences)

    def verify(self, token: str, now: float) -> Grant:
        """Raises TokenError. `now` is in seconds since 1970."""
        opened = open_token(token, self._keys)
        grant = Grant(*opened)
        grant.check_times(now)
        if now + LEEWAY_S < _time(opened.claims, IAT, "iat", -math.inf):
            raise TokenError("iat", "the access token was issued in the future")
        if self._issuers and grant.issuer not in self._issuers:
            raise TokenError("iss", "the access token is of another issuer than those expected", status=403)
        audience = _audience(opened.claims)
        if (audience or self._audiences) and self._audiences.isdisjoint(audience):
            raise TokenError("aud", "the access token is for another audience", status=403)
        return grant


def _refuse_unjudged(claims: Claims) -> None:
    for label in claims:
        if label in _JUDGED:
            continue
        name = _UNJUDGED.get(label)
        if name is None and (label in _CAT_LABELS or (isinstance(label, str) and label.startswith("cat"))):
            # It goes into a header: what whoever signs calls a claim must not end one.
            name = str(label) if _CLAIM_NAME.fullmatch(str(label)) else "unknown"
        if name is not None:
            raise TokenError(name, f"claim {name} of the access token cannot be judged here", status=403)


def _audience(claims: Claims) -> frozenset[str]:
    value = claims.get(AUD, ())
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise TokenError("aud", "aud of an access token is text, or an array of text")
    if AUD in claims and not names:
        raise TokenError("aud", "aud of an access token names somebody")
    return frozenset(names)


def _replay(claims: Claims, cti: bytes | None) -> Replay:
    value = claims.get(CATREPLAY, 0)
    if type(value) is not int or value not in (0, 1, 2):
        raise TokenError("catreplay", "catreplay of an access token is 0, 1 or 2", status=403)
    if value and not cti:
        raise TokenError("catreplay", "an access token with catreplay has a cti to be known by", status=403)
    return Replay(value)


def _time(claims: Claims, label: int, name: str, default: float) -> float:
    """A NumericDate: an integer or a finite float. RFC 8392 section 2 leaves tag 1 out; some issuers do not."""
    if label not in claims:
        return default
    value = claims[label]
    if isinstance(value, CBORTag) and value.tag == 1:
        value = value.value
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return value
    raise TokenError(name, f"{name} of an access token is a number of seconds")


def _text(claims: Claims, label: int, name: str) -> str | None:
    value: str | None = _of(claims, label, name, str, "text")
    return value


def _of(claims: Claims, label: int, name: str, kind: type, what: str) -> Any:
    value = claims.get(label)
    if label in claims and not isinstance(value, kind):
        raise TokenError(name, f"{name} of an access token is {what}")
    return value
