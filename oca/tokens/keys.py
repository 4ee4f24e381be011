"""The keys that tokens are verified and renewed with: a JWK Set (RFC 7517) in a file.

Every key is declared with its `kid` and its `alg`, and is used with that algorithm only: a token cannot talk a public
key into being an HMAC secret. Keys are rotated by having several in the file: first the new one everywhere, then tokens
that name it, then without the old one. Nothing here ever shows key material: not in errors, not in `repr`.
"""

from __future__ import annotations

import hashlib
import hmac
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from config.errors import ConfigError, Problem
from oca.tokens import base64url

# RFC 7518 3.5 and NIST SP 800-131A; the upper bound keeps one verification below a millisecond.
_RSA_BITS = range(2048, 4097)


class Algorithm(NamedTuple):
    label: int  # in COSE: RFC 9053 2.1, 2.2 and 3.1, RFC 8230 2
    kty: str
    hash_name: str
    size: int  # bytes: of the MAC, or of one coordinate


# By the name in a JWK (RFC 7518 3.1, RFC 8037 3.1). "HS256/64" is COSE's own: the MAC cut to 8 bytes.
ALGORITHMS: dict[str, Algorithm] = {
    "HS256": Algorithm(5, "oct", "sha256", 32),
    "HS256/64": Algorithm(4, "oct", "sha256", 8),
    "HS384": Algorithm(6, "oct", "sha384", 48),
    "HS512": Algorithm(7, "oct", "sha512", 64),
    "ES256": Algorithm(-7, "EC", "sha256", 32),
    "ES384": Algorithm(-35, "EC", "sha384", 48),
    "EdDSA": Algorithm(-8, "OKP", "", 0),
    "PS256": Algorithm(-37, "RSA", "sha256", 0),
}
_CURVES: dict[str, tuple[str, ec.EllipticCurve, hashes.HashAlgorithm]] = {
    "ES256": ("P-256", ec.SECP256R1(), hashes.SHA256()),
    "ES384": ("P-384", ec.SECP384R1(), hashes.SHA384()),
}
_PSS = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size)  # RFC 8230 2: salt as long as the hash


class Key(ABC):
    """One key with the one algorithm it is declared for (a label of COSE)."""

    __slots__ = ("algorithm", "kid")
    is_mac = False

    def __init__(self, kid: bytes, algorithm: int) -> None:
        self.kid = kid
        self.algorithm = algorithm

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of algorithm {self.algorithm}>"

    @property
    @abstractmethod
    def can_sign(self) -> bool: ...

    @abstractmethod
    def verify(self, message: bytes, signature: bytes) -> bool: ...

    @abstractmethod
    def sign(self, message: bytes) -> bytes:
        """Only where `can_sign`."""


class Keys:
    """Finds the key that a token asks for."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._by_kid = {key.kid: key for key in keys}

    def __len__(self) -> int:
        return len(self._by_kid)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._by_kid.values())

    def __repr__(self) -> str:
        return f"<{len(self)} keys>"

    def named(self, kid: bytes) -> Key | None:
        return self._by_kid.get(kid)

    def sole(self, algorithm: int) -> Key | None:
        """The key for a token that names none: only if there is exactly one for its algorithm."""
        fitting = [key for key in self._by_kid.values() if key.algorithm == algorithm]
        return fitting[0] if len(fitting) == 1 else None


def parse_keys(data: bytes, where: str) -> Keys:
    """A JWK Set in JSON. Raises ConfigError with every problem there is; `where` names the file in it."""
    try:
        document = msgspec.json.decode(data)
    except msgspec.DecodeError:  # its text may quote what it read
        raise ConfigError([Problem(where, "(file)", "something else", "JSON")]) from None
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ConfigError([Problem(where, "keys", "no list", 'a JWK Set: {"keys": [...]}')])
    found: dict[bytes, Key] = {}
    problems: list[Problem] = []
    for index, entry in enumerate(entries):
        try:
            key = _read_key(entry)
            if key.kid in found:
                raise _MemberError("kid", f"{entry['kid']!r} a second time", "a name of its own for each key")
            found[key.kid] = key
        except _MemberError as error:
            problems.append(Problem(where, f"keys[{index}].{error.member}", error.found, error.expected))
    if problems:
        raise ConfigError(problems)
    return Keys(found.values())


class _MemberError(Exception):
    """One member of a JWK. `found` describes the value where it may be secret."""

    def __init__(self, member: str, found: str, expected: str) -> None:
        super().__init__(member, found, expected)
        self.member, self.found, self.expected = member, found, expected


def _read_key(entry: object) -> Key:
    if not isinstance(entry, dict):
        raise _MemberError("kty", "no object", "a JWK")
    kid = _text(entry, "kid", "the name that tokens call the key by")
    name = _text(entry, "alg", f"one of {', '.join(ALGORITHMS)}")
    if name not in ALGORITHMS:
        raise _MemberError("alg", repr(name[:40]), f"one of {', '.join(ALGORITHMS)}")
    algorithm = ALGORITHMS[name]
    kty = _text(entry, "kty", f"{algorithm.kty!r}, as {name} needs")
    if kty != algorithm.kty:
        raise _MemberError("kty", repr(kty[:40]), f"{algorithm.kty!r}, as {name} needs")
    if entry.get("use", "sig") != "sig":
        raise _MemberError("use", repr(entry["use"])[:40], "'sig', or nothing")
    return _READERS[kty](kid.encode(), name, algorithm, entry)


_INNER, _OUTER = bytes(byte ^ 0x36 for byte in range(256)), bytes(byte ^ 0x5C for byte in range(256))


class _MacKey(Key):
    """HMAC (RFC 2104), whose two hashes begin with the same block for each message.

    They are prepared once and copied: `hmac.digest` makes them anew each time, which takes longer than all the rest.
    """

    __slots__ = ("_inner", "_outer", "_size")
    is_mac = True
    can_sign = True

    def __init__(self, kid: bytes, algorithm: Algorithm, secret: bytes) -> None:
        super().__init__(kid, algorithm.label)
        self._size = algorithm.size
        start = hashlib.new(algorithm.hash_name)
        if len(secret) > start.block_size:
            secret = hashlib.new(algorithm.hash_name, secret).digest()
        block = secret.ljust(start.block_size, b"\0")
        self._inner = hashlib.new(algorithm.hash_name, block.translate(_INNER))
        self._outer = hashlib.new(algorithm.hash_name, block.translate(_OUTER))

    def sign(self, message: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()[: self._size]

    def verify(self, message: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(self.sign(message), signature)


def _read_oct(kid: bytes, name: str, algorithm: Algorithm, entry: Mapping[str, Any]) -> Key:
    secret = _bytes(entry, "k")
    needed = max(32, algorithm.size)  # RFC 7518 3.2: a key is as long as the hash, at least
    if len(secret) < needed:
        raise _MemberError("k", f"{len(secret)} bytes", f"{needed} bytes or more, as {name} needs")
    return _MacKey(kid, algorithm, secret)


class _EcKey(Key):
    __slots__ = ("_hash", "_private", "_public", "_size")

    def __init__(
        self, kid: bytes, name: str, public: ec.EllipticCurvePublicKey, private: ec.EllipticCurvePrivateKey | None
    ) -> None:
        super().__init__(kid, ALGORITHMS[name].label)
        self._public, self._private = public, private
        self._hash, self._size = ec.ECDSA(_CURVES[name][2]), ALGORITHMS[name].size

    @property
    def can_sign(self) -> bool:
        return self._private is not None

    def sign(self, message: bytes) -> bytes:
        assert self._private is not None
        r, s = decode_dss_signature(self._private.sign(message, self._hash))
        return r.to_bytes(self._size) + s.to_bytes(self._size)

    def verify(self, message: bytes, signature: bytes) -> bool:
        if len(signature) != 2 * self._size:
            return False
        r, s = int.from_bytes(signature[: self._size]), int.from_bytes(signature[self._size :])
        return _holds(lambda: self._public.verify(encode_dss_signature(r, s), message, self._hash))


def _read_ec(kid: bytes, name: str, algorithm: Algorithm, entry: Mapping[str, Any]) -> Key:
    crv, curve, _ = _CURVES[name]
    if entry.get("crv") != crv:
        raise _MemberError("crv", repr(entry.get("crv"))[:40], f"{crv!r}, as {name} needs")
    x, y = (int.from_bytes(_bytes(entry, member, algorithm.size)) for member in ("x", "y"))
    try:
        public = ec.EllipticCurvePublicNumbers(x, y, curve).public_key()
    except ValueError:
        raise _MemberError("x", "a point beside the curve", f"x and y of a point on {crv}") from None
    if "d" not in entry:
        return _EcKey(kid, name, public, None)
    try:
        private = ec.derive_private_key(int.from_bytes(_bytes(entry, "d", algorithm.size)), curve)
    except ValueError:
        raise _MemberError("d", "a number outside the curve's order", f"a private key of {crv}") from None
    if private.public_key() != public:
        raise _MemberError("d", "the private key of another public key", "the one that x and y belong to")
    return _EcKey(kid, name, public, private)


class _EdKey(Key):
    __slots__ = ("_private", "_public")

    def __init__(
        self,
        kid: bytes,
        public: ed25519.Ed25519PublicKey | ed448.Ed448PublicKey,
        private: ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey | None,
    ) -> None:
        super().__init__(kid, ALGORITHMS["EdDSA"].label)
        self._public, self._private = public, private

    @property
    def can_sign(self) -> bool:
        return self._private is not None

    def sign(self, message: bytes) -> bytes:
        assert self._private is not None
        return self._private.sign(message)

    def verify(self, message: bytes, signature: bytes) -> bool:
        return _holds(lambda: self._public.verify(signature, message))


def _read_okp(kid: bytes, name: str, algorithm: Algorithm, entry: Mapping[str, Any]) -> Key:
    crv = entry.get("crv")
    if crv not in ("Ed25519", "Ed448"):
        raise _MemberError("crv", repr(crv)[:40], "'Ed25519' or 'Ed448'")
    size = 32 if crv == "Ed25519" else 57  # RFC 8032
    x, d = _bytes(entry, "x", size), _bytes(entry, "d", size) if "d" in entry else None
    public: ed25519.Ed25519PublicKey | ed448.Ed448PublicKey
    private: ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey | None = None
    try:
        if crv == "Ed25519":
            public = ed25519.Ed25519PublicKey.from_public_bytes(x)
            private = ed25519.Ed25519PrivateKey.from_private_bytes(d) if d else None
        else:
            public = ed448.Ed448PublicKey.from_public_bytes(x)
            private = ed448.Ed448PrivateKey.from_private_bytes(d) if d else None
    except ValueError:
        raise _MemberError("x", "no key of the curve", f"a public key of {crv}") from None
    if private is not None and private.public_key() != public:
        raise _MemberError("d", "the private key of another public key", "the one that x belongs to")
    return _EdKey(kid, public, private)


class _RsaKey(Key):
    __slots__ = ("_private", "_public")

    def __init__(self, kid: bytes, public: rsa.RSAPublicKey, private: rsa.RSAPrivateKey | None) -> None:
        super().__init__(kid, ALGORITHMS["PS256"].label)
        self._public, self._private = public, private

    @property
    def can_sign(self) -> bool:
        return self._private is not None

    def sign(self, message: bytes) -> bytes:
        assert self._private is not None
        return self._private.sign(message, _PSS, hashes.SHA256())

    def verify(self, message: bytes, signature: bytes) -> bool:
        return _holds(lambda: self._public.verify(signature, message, _PSS, hashes.SHA256()))


def _read_rsa(kid: bytes, name: str, algorithm: Algorithm, entry: Mapping[str, Any]) -> Key:
    n, e = (int.from_bytes(_bytes(entry, member)) for member in ("n", "e"))
    if n.bit_length() not in _RSA_BITS:
        raise _MemberError("n", f"{n.bit_length()} bits", f"{_RSA_BITS[0]} to {_RSA_BITS[-1]} bits")
    try:
        public = rsa.RSAPublicNumbers(e, n).public_key()
    except ValueError:
        raise _MemberError("e", "no exponent of an RSA key", "an odd number such as 65537") from None
    if "d" not in entry:
        return _RsaKey(kid, public, None)
    p, q, d, dp, dq, qi = (int.from_bytes(_bytes(entry, member)) for member in ("p", "q", "d", "dp", "dq", "qi"))
    try:
        private = rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, public.public_numbers()).private_key()
    except ValueError:
        raise _MemberError("d", "numbers that do not fit together", "d, p, q, dp, dq and qi of one key") from None
    return _RsaKey(kid, public, private)


_READERS: dict[str, Callable[[bytes, str, Algorithm, Mapping[str, Any]], Key]] = {
    "oct": _read_oct,
    "EC": _read_ec,
    "OKP": _read_okp,
    "RSA": _read_rsa,
}


def _holds(verify: Callable[[], None]) -> bool:
    try:
        verify()
    except (InvalidSignature, ValueError):
        return False
    return True


def _text(entry: Mapping[str, Any], member: str, expected: str) -> str:
    value = entry.get(member)
    if not isinstance(value, str) or not value:
        raise _MemberError(member, "nothing" if value is None else "no text", expected)
    return value


def _bytes(entry: Mapping[str, Any], member: str, size: int | None = None) -> bytes:
    expected = "base64url" if size is None else f"{size} bytes in base64url"
    try:
        value = base64url.decode(_text(entry, member, expected))
    except ValueError:
        raise _MemberError(member, "something else", expected) from None
    if size is not None and len(value) != size:
        raise _MemberError(member, f"{len(value)} bytes", expected)
    return value
