"""What an appliance has to know and nobody else: keys of access tokens, keys of session tickets, its own token.

Read by the parent at start and at each reload, before anything changes: what is wrong with a file is a sentence, and
everything goes on as it was.
"""

from __future__ import annotations

import secrets
import time
from typing import NamedTuple

from config.errors import ConfigError, Problem
from config.oca import OcaSettings
from oca.errors import CertificateError
from oca.gate import PEER_SUBJECT
from oca.http.openssl import TICKET_KEYS_BYTES
from oca.http.tls import load_certificates
from oca.tokens.carriage import NAME
from oca.tokens.envelope import seal
from oca.tokens.keys import Key, parse_keys

# Peers' clocks agree within seconds; a token that somebody steals on the way is of no use the next morning.
_PEER_TOKEN_S = 300.0
_ISS, _SUB, _AUD, _EXP, _CATM = 1, 2, 3, 4, 313


class Credentials(NamedTuple):
    """`ticket_keys` are new with each reading, so no session outlives two generations of workers."""

    token_keys: bytes  # a JWK Set; empty: content is for everybody
    ticket_keys: bytes
    peer_token: PeerToken | None  # None where none is needed, or no key of ours can sign


class PeerToken:
    """The token with which an appliance asks its peers for what it lacks: they hold the same keys."""

    def __init__(self, key: Key, name: str, issuers: tuple[str, ...], audiences: tuple[str, ...]) -> None:
        self._key = key
        self._claims: dict[int, object] = {_SUB: f"{PEER_SUBJECT}{name}", _CATM: ["GET", "HEAD"]}
        if issuers:
            self._claims[_ISS] = issuers[0]
        if audiences:
            self._claims[_AUD] = audiences[0]
        self._header: dict[str, str] = {}
        self._renew_at = 0.0

    def header(self) -> dict[str, str]:
        now = time.time()
        if now >= self._renew_at:
            token = seal({**self._claims, _EXP: int(now + _PEER_TOKEN_S)}, self._key)
            self._header, self._renew_at = {NAME: token}, now + _PEER_TOKEN_S / 2
        return self._header


def read_credentials(settings: OcaSettings) -> Credentials:
    """Raises ConfigError, CertificateError."""
    data, peer_token = b"", None
    if settings.token_keys is not None:
        where = str(settings.token_keys)
        try:
            data = settings.token_keys.read_bytes()
        except OSError as error:
            found = (error.strerror or type(error).__name__).lower()
            raise ConfigError([Problem(where, "keys", found, "a JWK Set that can be read")]) from error
        keys = parse_keys(data, where)
        if not len(keys):
            raise ConfigError([Problem(where, "keys", "an empty list", "one key at least")])
        signing = next((key for key in keys if key.can_sign), None)
        if signing is not None:
            peer_token = PeerToken(signing, settings.name, settings.token_issuers, settings.token_audiences)
    if settings.tls_listen is not None:
        if settings.certificates is None:
            raise CertificateError("certificates: found nothing, expected a directory, as tls_listen is set")
        load_certificates(settings.certificates)
    return Credentials(data, secrets.token_bytes(TICKET_KEYS_BYTES), peer_token)
