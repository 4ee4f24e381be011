"""Packages that no player may be served yet: filled before their release, and kept from players until then.

Kept in STATE/embargoes.json, written before the first byte of a package is fetched: an appliance that is killed in
between knows of the embargo when it is back. Peers are served all the same, for they fill from one another before a
release. They are known by their access token where tokens are asked for (its subject is an appliance's: see
oca.credentials), else by the addresses of the configured peers.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from oca.errors import OcaError

NAME = "embargoes.json"

logger = logging.getLogger(__name__)


class Embargoes:
    """By "title/package", until when (seconds since the epoch)."""

    def __init__(self, state: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = state / NAME, clock
        self._until: dict[str, float] = {}

    def load(self) -> None:
        """Raises OcaError where they cannot be read: to go on without them would be to serve too early."""
        try:
            self._until = msgspec.json.decode(self._path.read_bytes(), type=dict[str, float])
        except FileNotFoundError:
            self._until = {}
        except (OSError, msgspec.DecodeError) as error:
            raise OcaError(f"{self._path} cannot be read: {error}; expected packages and their releases") from error

    def now(self) -> dict[str, float]:
        """Those that are not over."""
        now = self._clock()
        return {package: until for package, until in self._until.items() if until > now}

    def put(self, package_key: str, until: float) -> bool:
        """Whether anything changed; it is on the disk then. Blocks. Raises OcaError."""
        known = self.now()
        is_new = until > self._clock()
        if known.get(package_key, 0.0) == (until if is_new else 0.0):
            return False
        known.pop(package_key, None)
        if is_new:
            known[package_key] = until
        fresh = self._path.with_suffix(".new")
        try:
            with fresh.open("wb") as file:
                file.write(msgspec.json.encode(known))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError as error:
            raise OcaError(f"{self._path} cannot be written: {error.strerror}", status=503) from error
        self._until = known
        return True


def numeric_hosts(urls: Sequence[str]) -> tuple[str, ...]:
    """The addresses among the hosts of URLs; a name may be anybody's by the time it is looked up."""
    hosts = [urlsplit(url).hostname or "" for url in urls]
    found = []
    for host in hosts:
        with suppress(ValueError):
            found.append(str(ipaddress.ip_address(host)))
    return tuple(found)


def holds(embargoes: Mapping[str, float], package_key: str, now: float) -> bool:
    return now < embargoes.get(package_key, 0.0)
