"""The key that steering makes sessions' access tokens with, read from the file that the appliances verify by."""

from __future__ import annotations

from config.errors import ConfigError, Problem
from config.steering import SteeringSettings
from oca.tokens.keys import parse_keys
from steering.sessions.access import Access


def read_access(settings: SteeringSettings) -> Access | None:
    """None where no keys are configured: content is for everybody. Raises ConfigError."""
    if settings.token_keys is None:
        return None
    where = str(settings.token_keys)
    try:
        data = settings.token_keys.read_bytes()
    except OSError as error:
        found = (error.strerror or type(error).__name__).lower()
        raise ConfigError([Problem(where, "keys", found, "a JWK Set that can be read")]) from error
    key = next((key for key in parse_keys(data, where) if key.can_sign), None)
    if key is None:
        raise ConfigError([Problem(where, "keys", "none that can sign", "a secret or a private key, for sessions")])
    return Access(key, settings.token_life, settings.token_issuer, settings.token_audience)
