"""Keys and tokens for the tests of oca.tokens: some are published examples, some are made here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from oca.tokens import base64url
from oca.tokens.envelope import seal
from oca.tokens.keys import Key, Keys, parse_keys

NOW = 1_700_000_000


def octets(text: str) -> str:
    """Hex -> base64url."""
    return base64url.encode(bytes.fromhex(text))


# RFC 8392 A.2.2, and the key of the tests of github.com/Eyevinn/node-cat (src/index.test.ts).
SECRET = octets("403697de87af64611c1d32a05dab0fe1fcb715a86ab435f1ec99192d79569388")
MAC = {"kty": "oct", "kid": "Symmetric256", "alg": "HS256", "k": SECRET}
# RFC 8392 A.2.3.
SIGNER = {
    "kty": "EC",
    "kid": "AsymmetricECDSA256",
    "alg": "ES256",
    "crv": "P-256",
    "x": octets("143329cce7868e416927599cf65a34f3ce2ffda55a7eca69ed8919a394d42f0f"),
    "y": octets("60f7f1a780d8a783bfb7a2dd6b2796e8128dbbcef9d3d168db9529971a36e7b9"),
    "d": octets("6c1382765aec5358f117733d281c1c7bdc39884d04a45a1e6c67c858bc206c19"),
}
# cose-wg/Examples, ecdsa-examples/ecdsa-sig-02.json.
P384 = {
    "kty": "EC",
    "kid": "P384",
    "alg": "ES384",
    "crv": "P-384",
    "x": "kTJyP2KSsBBhnb4kjWmMF7WHVsY55xUPgb7k64rDcjatChoZ1nvjKmYmPh5STRKc",
    "y": "mM0weMVU2DKsYDxDJkEP9hZiRZtB8fPfXbzINZj_fF7YQRynNWedHEyzAJOX2e8s",
    "d": "ok3Nq97AXlpEusO7jIy1FZATlBP9PNReMU7DWbkLQ5dU90snHuuHVDjEPmtV0fTo",
}
# RFC 8032 7.1, TEST 1; RFC 8037 A.1 has the same as a JWK.
ED25519 = {
    "kty": "OKP",
    "kid": "ed",
    "alg": "EdDSA",
    "crv": "Ed25519",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
}


def rsa_jwk() -> dict[str, Any]:
    numbers = rsa.generate_private_key(65537, 2048).private_numbers()
    values = {
        "n": numbers.public_numbers.n, "e": numbers.public_numbers.e, "d": numbers.d, "p": numbers.p, "q": numbers.q,
        "dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp,
    }  # fmt: skip
    texts = {name: base64url.encode(value.to_bytes((value.bit_length() + 7) // 8)) for name, value in values.items()}
    return {"kty": "RSA", "kid": "rsa", "alg": "PS256", **texts}


def keyring(*jwks: Mapping[str, Any]) -> Keys:
    return parse_keys(json.dumps({"keys": jwks}).encode(), "keys.json")


def key(jwk: Mapping[str, Any]) -> Key:
    found = keyring(jwk).named(jwk["kid"].encode())
    assert found is not None
    return found


def token(claims: Mapping[Any, Any], jwk: Mapping[str, Any] = MAC) -> str:
    return seal(claims, key(jwk))
