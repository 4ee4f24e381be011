"""Thin clients: the fleet as steering knows it, the catalog and the manifests as the origin has them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Self, TypeVar

import aiohttp
import msgspec

from encoder.errors import PackageError
from encoder.package import MANIFEST_NAME, Package, decode, package_name
from fill.appliances import Fleet, Seen
from fill.errors import FleetError
from fill.names import Offer
from origin.catalog import Entry
from origin.openapi import Titles

# The fleet of a large network, held files and all, is some tens of MB.
TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 3.0
MANIFESTS_AT_ONCE = 8
# Titles whose manifest cannot be read are left alone; more of them are an origin that is ill.
_FEW_UNREADABLE, _UNREADABLE_SHARE = 3, 0.05

Answer = TypeVar("Answer")


class FleetClient:
    """Asks steering and the origin (base URLs); an async context manager. Every method raises FleetError."""

    def __init__(self, steering: str, origin: str) -> None:
        self._steering, self._origin = steering.rstrip("/"), origin.rstrip("/")
        self._packages: dict[tuple[str, str], Package] = {}  # by title and name, which never is another's
        self.unreadable: dict[str, FleetError] = {}  # titles that the last `offers` left out

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        self._session = aiohttp.ClientSession(timeout=timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def fleet(self) -> tuple[Seen, ...]:
        """Every appliance that steering knows."""
        url = f"{self._steering}/api/v1/fleet"
        return _decoded(url, await self._get(url), Fleet).appliances

    async def offers(self) -> list[Offer]:
        """The catalog with each title's package; what cannot be read of it is left out, and named in `unreadable`."""
        url = f"{self._origin}/api/v1/titles"
        entries = _decoded(url, await self._get(url), Titles).titles
        free = asyncio.Semaphore(MANIFESTS_AT_ONCE)
        unreadable: dict[str, FleetError] = {}

        async def offer(entry: Entry) -> Offer | None:
            async with free:
                try:
                    found = await self._offer(entry)
                except FleetError as error:
                    unreadable[entry.title] = error
                    return None
            if found is None:
                unreadable[entry.title] = FleetError(f"{entry.title}: the origin has no manifest of {entry.package}")
            return found

        found = [one for one in await asyncio.gather(*map(offer, entries)) if one is not None]
        if len(unreadable) > max(_FEW_UNREADABLE, _UNREADABLE_SHARE * len(entries)):
            raise next(iter(unreadable.values()))  # that is no matter of some titles
        self._packages = {(one.package.title, one.package_name): one.package for one in found}
        self.unreadable = unreadable
        return found

    async def offer(self, title: str) -> Offer | None:
        """The package that the catalog offers of one title; None if there is no such title."""
        url = f"{self._origin}/api/v1/titles/{title}"
        try:
            entry = _decoded(url, await self._get(url), Entry)
        except FleetError as error:
            if error.status == 404:
                return None
            raise
        return await self._offer(entry)

    async def held_files(self, appliance_url: str, title: str, package: str) -> list[str]:
        """Every file of a package, from the manifest that an appliance holds: of a withdrawn one nobody else has it."""
        url = f"{appliance_url.rstrip('/')}/v1/{title}/{package}/{MANIFEST_NAME}"
        # RFC 9111 5.2.1.7: it shall answer from what it holds, and not fetch what is to be dropped.
        manifest = await self._get(url, {"Cache-Control": "only-if-cached"})
        return [file.name for file in _checked(url, package, manifest).files]

    async def _offer(self, entry: Entry) -> Offer | None:
        package = self._packages.get((entry.title, entry.package)) or await self._package(entry)
        if package is None:
            return None
        return Offer(
            entry.package,
            package,
            self._moment(entry, "published_at"),
            self._moment(entry, "available_from") if entry.available_from else 0.0,
            self._moment(entry, "available_until") if entry.available_until else math.inf,
            entry.superseded,
        )

    async def _package(self, entry: Entry) -> Package | None:
        url = f"{self._origin}/v1/{entry.title}/{entry.package}/{MANIFEST_NAME}"
        try:
            manifest = await self._get(url)
        except FleetError as error:
            if error.status == 404:
                return None
            raise
        return _checked(url, entry.package, manifest)

    def _moment(self, entry: Entry, key: str) -> float:
        found = getattr(entry, key)
        try:
            return datetime.fromisoformat(found).timestamp()
        except ValueError as error:
            raise FleetError(f"{self._origin}: {entry.title}: {key} {found!r} is no time") from error

    async def _get(self, url: str, headers: Mapping[str, str] | None = None) -> bytes:
        try:
            async with self._session.get(url, headers=headers) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise FleetError(f"{url} cannot be asked: {error or type(error).__name__}") from error
        if answer.status != 200:
            failure = FleetError(f"{url} answered {answer.status}, expected 200")
            failure.status = answer.status
            raise failure
        return body


def _checked(url: str, name: str, manifest: bytes) -> Package:
    """The package of this name: whoever sent the manifest, its digest is the name."""
    if package_name(manifest) != name:
        raise FleetError(f"{url} is not the manifest of this package: its digest is another")
    try:
        return decode(manifest)
    except PackageError as error:
        raise FleetError(f"{url}: {error}") from error


def _decoded(url: str, body: bytes, expected: type[Answer]) -> Answer:
    try:
        return msgspec.json.decode(body, type=expected)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FleetError(f"{url} answered nonsense: {error}") from error
