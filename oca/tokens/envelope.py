"""The text of a token <-> its claims: base64url, CBOR, and the COSE message around them.

    base64url( [61(] 17|18( [ protected: bstr, unprotected: {}, payload: bstr, tag or signature: bstr ] ) [)] )

Tag 61 says CWT (RFC 8392 section 6) and may be absent; 17 is COSE_Mac0, 18 COSE_Sign1 (RFC 9052 section 2). What is
signed is not the message but a structure made from it (4.4, 6.3), so that one kind never passes for the other. The
algorithm must be in the protected header. The `kid` may be in either: it only chooses the key, and a wrong key fails.

All of this is read before the signature was checked, so the CBOR is taken strictly: definite lengths, bounded depth, no
key twice, nothing after the end, and no tag that a decoder would make an object of (a pattern, a decimal, a cycle).

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import cbor2
from cbor2 import CBORTag, frozendict

from oca.errors import TokenError
from oca.tokens import base64url
from oca.tokens.keys import Key, Keys

# A path segment, a header or a cookie of a client holds about this much; real tokens have 100 to 600 characters.
LARGEST_TOKEN = 4096
# `catif` with claims inside nests deepest, at about ten.
_LARGEST_DEPTH = 16
_CWT, _MAC0, _SIGN1 = 61, 17, 18
_ALG, _CRIT, _KID = 1, 2, 4
# RFC 9052 3.1 and RFC 9596: alg, crit, content type, kid, typ. We act on the first two and the fourth; the others say
# nothing that could change what a token means.
_UNDERSTOOD_HEADERS = frozenset({1, 2, 3, 4, 16})
# cbor2 unpacks this one to no object of its own: JavaScript's Map, which cbor-x writes where it encodes one.
_MAP_TAG = 259
_MAPS = (dict, frozendict)  # what the decoder makes; a check for Mapping takes five times as long
_KEPT_TAGS = (1, 52, 54)  # times and addresses are for the claims to judge
_REFUSED_TAGS = (0, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 100, 256, 258, 260, 261, 1004, 43000, 55799)

Claims = Mapping[int | str, Any]


class Opened(NamedTuple):
    """A token whose signature holds."""

    key: Key
    claims: Claims


def open_token(token: str, keys: Keys) -> Opened:
    """Raises TokenError."""
    if len(token) > LARGEST_TOKEN:
        raise TokenError("format", f"an access token has {LARGEST_TOKEN} characters at most")
    try:
        message = base64url.decode(token)
    except ValueError:
        raise TokenError("format", "an access token is written in base64url") from None
    key, payload = open_message(message, keys)
    claims = as_map(_decode(payload))
    if claims is None or not all(type(label) is int or type(label) is str for label in claims):
        raise TokenError("format", "the payload of an access token is a map of claims")
    return Opened(key, claims)


def open_message(message: bytes, keys: Keys) -> tuple[Key, bytes]:
    """A COSE message -> the key that verified it, and its payload. Raises TokenError."""
    tag = _decode(message)
    if not _is_cut_short(message[:-1]):
        raise TokenError("format", "an access token has nothing after its end")
    if isinstance(tag, CBORTag) and tag.tag == _CWT:
        tag = tag.value
    if not isinstance(tag, CBORTag) or tag.tag not in (_MAC0, _SIGN1):
        raise TokenError("format", "an access token is a COSE_Mac0 or a COSE_Sign1 message")
    match tag.value:
        case [bytes(protected), unprotected, bytes(payload), bytes(signature)]:
            headers, others = as_map(_decode(protected)) if protected else {}, as_map(unprotected)
        case _:
            raise TokenError("format", "a COSE message has two headers, a payload and a signature")
    if headers is None or others is None:
        raise TokenError("format", "the headers of a COSE message are maps")
    _check_critical(headers, others)
    key = _choose(keys, headers, others)
    if key.is_mac != (tag.tag == _MAC0):
        raise TokenError("alg", "the algorithm of an access token is one of its kind of message")
    if not key.verify(_signed(tag.tag, protected, payload), signature):
        raise TokenError("signature", "the signature of the access token does not hold")
    return key, payload


def seal(claims: Mapping[Any, Any], key: Key) -> str:
    """A token with these claims; the other direction of open_token. `key` must be one that can sign."""
    protected, payload = cbor2.dumps({_ALG: key.algorithm}), cbor2.dumps(dict(claims))
    kind = _MAC0 if key.is_mac else _SIGN1
    signature = key.sign(_signed(kind, protected, payload))
    message = [protected, {_KID: key.kid}, payload, signature]
    return base64url.encode(cbor2.dumps(CBORTag(_CWT, CBORTag(kind, message))))


def as_map(value: object) -> Mapping[Any, Any] | None:
    """Maps as they are, and those in tag 259."""
    if isinstance(value, CBORTag) and value.tag == _MAP_TAG:
        value = value.value
    return value if isinstance(value, _MAPS) else None


def _signed(kind: int, protected: bytes, payload: bytes) -> bytes:
    """Sig_structure and MAC_structure are alike where nothing is supplied from outside."""
    return cbor2.dumps(["MAC0" if kind == _MAC0 else "Signature1", protected, b"", payload])


def _check_critical(headers: Mapping[Any, Any], others: Mapping[Any, Any]) -> None:
    """RFC 9052 3.1: in the protected header, not empty, and every label in it is there and understood."""
    if _CRIT in others:
        raise TokenError("crit", "crit is a protected header")
    if _CRIT not in headers:
        return
    critical = headers[_CRIT]
    if not isinstance(critical, list | tuple) or not critical:
        raise TokenError("crit", "crit lists the headers that must be understood")
    for label in critical:
        if type(label) is not int or label not in _UNDERSTOOD_HEADERS or not (label in headers or label in others):
            raise TokenError("crit", "a header that must be understood is missing, or not known here")


def _choose(keys: Keys, headers: Mapping[Any, Any], others: Mapping[Any, Any]) -> Key:
    algorithm = headers.get(_ALG)
    if type(algorithm) is not int:
        raise TokenError("alg", "the algorithm of an access token is a number in its protected header")
    kid = headers.get(_KID, others.get(_KID))
    if kid is None:
        key = keys.sole(algorithm)
    else:
        if isinstance(kid, str):  # RFC 9052 says bytes; some issuers write text
            kid = kid.encode()
        key = keys.named(kid) if isinstance(kid, bytes) else None
    if key is None:
        raise TokenError("kid", "no key that is known here has signed this access token")
    if key.algorithm != algorithm:
        raise TokenError("alg", "the access token was not signed with the algorithm that its key is for")
    return key


def _refuse(value: object, immutable: bool) -> object:
    raise ValueError("a tag that tokens do not have")


def _keep(tag: int) -> Callable[[object, bool], object]:
    return lambda value, immutable: CBORTag(tag, value)


_DECODERS = dict.fromkeys(_REFUSED_TAGS, _refuse) | {tag: _keep(tag) for tag in _KEPT_TAGS}


def _decode(data: bytes) -> object:
    try:
        return _load(data)
    except cbor2.CBORDecodeError:
        raise TokenError("format", "an access token is CBOR of definite length, without a key twice") from None


def _is_cut_short(data: bytes) -> bool:
    """The decoder passes over what comes after an item: an item ends where data does if one byte fewer is too few."""
    try:
        _load(data)
    except cbor2.CBORDecodeEOF:
        return True
    return False


def _load(data: bytes) -> object:
    value: object = cbor2.loads(
        data,
        max_depth=_LARGEST_DEPTH,
        allow_indefinite=False,
        allow_duplicate_keys=False,
        semantic_decoders=_DECODERS,
    )
    return value
