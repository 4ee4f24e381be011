"""`catr`: a token that may be renewed, and the header that carries the new one.

Close to its end (`deadline` seconds before) a token is made anew with the same key: it expires `expadd` seconds from
now, and gets an `iat` and a `cti` of its own if it had them. The new `cti` is made from the old one, so that answers to
requests at the same moment carry the same token. A token that may be used once is not renewed: it would be used twice.

Names and parameters come from the token, and go into headers: they are bounded to what cannot end a header, and the
header may not be one that frames the message.

Pure.
"""

from __future__ import annotations

import hashlib
import re
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from oca.errors import TokenError
from oca.tokens.carriage import NAME, QUERY_NAME, Carrier
from oca.tokens.envelope import as_map, seal

if TYPE_CHECKING:
    from oca.tokens.claims import Asked
    from oca.tokens.grants import Grant
    from oca.tokens.keys import Keys

_EXP, _IAT, _CTI = 4, 6, 7
# CTA-5007 leaves it to the server; node-cat and the edges that it was tested with take a minute.
_DEADLINE_S = 60
_LARGEST_EXPADD_S = 366 * 24 * 3600  # a token that lives longer needs no renewal
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")  # a token of RFC 9110 5.6.2
_PARAMETER = re.compile(r"[\x20-\x3a\x3c-\x7e]{1,256}")  # printable, and one: no semicolon
_FRAMING = frozenset(
    {"connection", "content-length", "content-range", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
_REDIRECTS = (301, 302, 303, 307, 308)


class Way(IntEnum):
    AUTOMATIC = 0  # the way it came
    COOKIE = 1
    HEADER = 2
    REDIRECT = 3


class Terms(NamedTuple):
    way: Way
    expadd_s: float
    deadline_s: float
    cookie_name: str
    header_name: str
    cookie_parameters: tuple[str, ...]
    header_parameters: tuple[str, ...]
    status: int


class Renewal(NamedTuple):
    header: tuple[str, str]
    redirect: int | None  # the status of the answer, where it is to be a redirect instead of the content


def read_terms(value: object) -> Terms:
    """Raises TokenError."""
    members = as_map(value)
    try:
        if members is None or not all(type(label) is int for label in members):
            raise ValueError("it is a map")
        way, status = members.get(0), members.get(7, 302)
        if type(way) is not int or way not in set(Way):
            raise ValueError("its type is 0, 1, 2 or 3")
        if type(status) is not int or status not in _REDIRECTS:
            raise ValueError("its code is that of a redirect")
        header_name = _name(members.get(4, NAME))
        if header_name.lower() in _FRAMING:
            raise ValueError("its header is none that frames the message")
        return Terms(
            Way(way),
            _seconds(members.get(1)),
            _seconds(members.get(2, _DEADLINE_S)),
            _name(members.get(3, NAME)),
            header_name,
            _parameters(members.get(5, ())),
            _parameters(members.get(6, ())),
            status,
        )
    except ValueError as error:
        raise TokenError("catr", f"catr of the access token cannot be judged: {error}", status=403) from None


def renew(grant: Grant, keys: Keys, carrier: Carrier, asked: Asked, now: float) -> Renewal | None:
    """None where nothing is due, or the key may not sign, or is no longer among the keys."""
    terms = grant.renewal
    if terms is None or grant.replay == 1 or not grant.expires_at - terms.deadline_s <= now < grant.expires_at:
        return None
    key = keys.named(grant.key.kid)
    if key is not grant.key or not key.can_sign:
        return None
    way = _WAYS.get(carrier) if terms.way == Way.AUTOMATIC else terms.way
    if way is None:
        return None
    expires_at = int(now + terms.expadd_s)
    if expires_at <= grant.expires_at or (way == Way.REDIRECT and expires_at - terms.deadline_s <= now):
        return None  # nothing gained; or a redirect to what is due again, and again
    token = _renewed(grant, terms, now)
    if way == Way.COOKIE:
        return Renewal(("Set-Cookie", "; ".join((f"{terms.cookie_name}={token}", *terms.cookie_parameters))), None)
    if way == Way.HEADER:
        return Renewal((terms.header_name, ";".join((token, *terms.header_parameters))), None)
    return Renewal(("Location", _location(asked, carrier, token)), terms.status)


# From the path there is no automatic way: the manifest that the player holds goes on naming the old token.
_WAYS = {Carrier.HEADER: Way.HEADER, Carrier.COOKIE: Way.COOKIE, Carrier.QUERY: Way.REDIRECT}


def _renewed(grant: Grant, terms: Terms, now: float) -> str:
    expires_at = int(now + terms.expadd_s)
    claims = {**grant.claims, _EXP: expires_at}
    if _IAT in claims:
        claims[_IAT] = int(now)
    if grant.cti is not None:
        claims[_CTI] = hashlib.sha256(grant.cti + expires_at.to_bytes(8)).digest()[:16]
    return seal(claims, grant.key)


def _location(asked: Asked, carrier: Carrier, token: str) -> str:
    if carrier == Carrier.PATH:
        return f"/t/{token}{asked.path}" + (f"?{asked.query}" if asked.query else "")
    return f"{asked.path}?{asked.query}{'&' if asked.query else ''}{QUERY_NAME}={token}"


def _seconds(value: object) -> float:
    if (type(value) is int or type(value) is float) and 0 < value <= _LARGEST_EXPADD_S:
        return value
    raise ValueError("expadd and deadline are seconds, up to a year")


def _name(value: object) -> str:
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise ValueError("the names of a cookie and of a header are tokens")


def _parameters(value: object) -> tuple[str, ...]:
    if isinstance(value, list | tuple):
        texts = tuple(one for one in value if isinstance(one, str) and _PARAMETER.fullmatch(one))
        if len(texts) == len(value) <= 16:
            return texts
    raise ValueError("parameters are an array of text")
