"""Plans in storage, as the planner publishes them and as appliances pull them.

    plans/{appliance}/head              what is newest: version, digests; signed. The one object that is ever replaced
    plans/{appliance}/{version}.plan    the plan, compressed
    plans/{appliance}/{version}.delta   the same plan as what differs from the one before, compressed

A head is written last, in one step, and names objects that are there already; those of the version before stay, for a
reader who has just read the old head. So a planner may be killed at any moment: readers see the old plan or the new
one, whole. Versions are times, so they also grow when storage was emptied. A plan travels unsigned: the signed head has
its digest, and whatever way it came, full or as a delta, its bytes must have that.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from fill.errors import NoPlan, PlanError
from fill.planner.delta import Delta, apply_delta, make_delta, settled
from fill.planner.form import FORMAT, Plan, checked, decode_plan, encode_plan
from fill.planner.signed import sign, verify
from origin.errors import NotFound
from origin.storage import Storage
from origin.together import for_each

FOLDER = "plans"
PURPOSE = "plan"
# A plan of a million files is 200 MB of JSON; what claims to be larger is not a plan.
LARGEST_PLAN = 512 * 1024 * 1024
_LEVEL = 6
_APPLIANCES_AT_ONCE = 8
_LOCK = "planning"
_KEPT_NAME = "plan.json"
_VERSION = re.compile(r"(\d{1,15})\.(?:plan|delta)")

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What is newest of one appliance."""

    format: int
    appliance: str
    version: int
    digest: str  # SHA-256 of the plan's bytes
    size: int  # bytes of the plan, not compressed
    base: int = 0  # version that the delta starts from; 0: there is no delta


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """What was written for one appliance."""

    appliance: str
    version: int
    full_bytes: int
    delta_bytes: int  # 0: no delta


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader keeps between its looks."""

    version: int
    digest: str
    plan: bytes


def head_key(appliance: str) -> str:
    return f"{FOLDER}/{appliance}/head"


def full_key(appliance: str, version: int) -> str:
    return f"{FOLDER}/{appliance}/{version}.plan"


def delta_key(appliance: str, version: int) -> str:
    return f"{FOLDER}/{appliance}/{version}.delta"


async def publish(storage: Storage, plans: Mapping[str, Plan], key: Ed25519PrivateKey | None) -> list[Published]:
    """Writes each plan as the next version of its appliance, with the delta from the last one.

    Raises StorageError.
    """
    published: list[Published] = []

    async def publish_one(plan: Plan) -> None:
        published.append(await _publish(storage, plan, key))

    async with storage.lock(_LOCK):
        await for_each([plans[name] for name in sorted(plans)], publish_one, at_once=_APPLIANCES_AT_ONCE)
    return sorted(published, key=lambda one: one.appliance)


async def _publish(storage: Storage, plan: Plan, key: Ed25519PrivateKey | None) -> Published:
    before = await _newest(storage, plan.appliance, [key.public_key()] if key else [])
    version = max(int(plan.made_at), await _highest(storage, plan.appliance) + 1)
    plan = msgspec.structs.replace(plan, version=version)
    if before is not None:
        plan = settled(before, plan)
    data = encode_plan(plan)
    full = await asyncio.to_thread(zlib.compress, data, _LEVEL)
    delta = b""
    if before is not None:
        delta = await asyncio.to_thread(zlib.compress, msgspec.json.encode(make_delta(before, plan)), _LEVEL)
        if len(delta) >= len(full):
            delta = b""
    await storage.put_bytes(full_key(plan.appliance, version), full)
    if delta:
        await storage.put_bytes(delta_key(plan.appliance, version), delta)
    head = Head(
        format=FORMAT,
        appliance=plan.appliance,
        version=version,
        digest=hashlib.sha256(data).hexdigest(),
        size=len(data),
        base=before.version if before and delta else 0,
    )
    await storage.put_bytes(head_key(plan.appliance), sign(msgspec.json.encode(head), key, PURPOSE))
    await _clean(storage, plan.appliance, {version, before.version if before else 0})
    return Published(appliance=plan.appliance, version=version, full_bytes=len(full), delta_bytes=len(delta))


async def _newest(storage: Storage, appliance: str, keys: Sequence[Ed25519PublicKey]) -> Plan | None:
    """The last published plan, if the planner wrote it itself: what cannot be read is published over."""
    try:
        return await read_published(storage, appliance, keys)
    except (NoPlan, NotFound, PlanError) as error:
        if not isinstance(error, NoPlan):
            logger.warning("the last plan cannot be read", extra={"appliance": appliance, "reason": str(error)})
        return None


async def _highest(storage: Storage, appliance: str) -> int:
    """The highest version that is there, also of plans that cannot be read, or that a killed planner did not name."""
    names = [stored.key.rpartition("/")[2] async for stored in storage.list(f"{FOLDER}/{appliance}/")]
    return max((int(match[1]) for name in names if (match := _VERSION.fullmatch(name))), default=0)


async def _clean(storage: Storage, appliance: str, kept: set[int]) -> None:
    names = {key(appliance, version) for key in (full_key, delta_key) for version in kept}
    stale = [
        stored.key
        async for stored in storage.list(f"{FOLDER}/{appliance}/")
        if stored.key.endswith((".plan", ".delta")) and stored.key not in names
    ]
    for key in stale:
        await storage.delete(key)


async def read_published(storage: Storage, appliance: str, keys: Sequence[Ed25519PublicKey] = ()) -> Plan:
    """The newest plan of an appliance. Raises NoPlan, PlanError, StorageError."""
    head = await _read_head(storage, appliance, keys)
    return decode_plan(await _read_full(storage, head), appliance)


async def newest_version(storage: Storage, appliance: str, keys: Sequence[Ed25519PublicKey] = ()) -> int:
    """Of an appliance's plans; 0 where there is none. Raises PlanError, StorageError."""
    try:
        return (await _read_head(storage, appliance, keys)).version
    except NoPlan:
        return 0


async def planned_appliances(storage: Storage) -> list[str]:
    """Who has a plan. Raises StorageError."""
    keys = [stored.key async for stored in storage.list(f"{FOLDER}/")]
    return sorted(key.split("/")[1] for key in keys if key.endswith("/head") and key.count("/") == 2)


class PlanReader:
    """Pulls one appliance's plans: a head each time, and what is new as a delta where it can be.

    Its last plan is kept in `state`, so that an older one is refused even after a restart. What is refused leaves the
    last plan as it was.
    """

    def __init__(self, storage: Storage, appliance: str, state: Path, keys: Sequence[Ed25519PublicKey] = ()) -> None:
        self._storage, self._appliance, self._keys = storage, appliance, tuple(keys)
        self._path = state / _KEPT_NAME
        self._last: Plan | None = None
        self._kept: _Kept | None = None
        self._is_loaded = False
        self._has_said_unsigned = False

    async def last(self) -> Plan | None:
        """The plan that was read last, without a look at storage."""
        if not self._is_loaded:
            await asyncio.to_thread(self._load)
            self._is_loaded = True
        return self._last

    async def read(self) -> Plan:
        """The newest plan. Raises NoPlan, PlanError, StorageError."""
        last = await self.last()
        if not self._keys and not self._has_said_unsigned:
            self._has_said_unsigned = True
            logger.warning("plans are accepted unsigned: no plan_keys are set", extra={"appliance": self._appliance})
        head = await _read_head(self._storage, self._appliance, self._keys)
        if last is not None and self._kept is not None:
            if head.version < last.version:
                raise PlanError(
                    f"the plan for {self._appliance} has version {head.version}, which is older than {last.version}: "
                    "an old one was put in its place"
                )
            if head.version == last.version:
                if head.digest != self._kept.digest:
                    raise PlanError(f"the plan for {self._appliance} is another of the same version {head.version}")
                return last
        data = await self._pull(head, last)
        plan = await asyncio.to_thread(decode_plan, data, self._appliance)
        if plan.version != head.version:
            raise PlanError(f"the plan for {self._appliance} has version {plan.version}, its head {head.version}")
        self._kept = _Kept(version=head.version, digest=head.digest, plan=data)
        await asyncio.to_thread(self._save, self._kept)
        self._last = plan
        return plan

    async def _pull(self, head: Head, last: Plan | None) -> bytes:
        """The plan's bytes, of the head's digest; a delta that cannot be used costs only the full plan."""
        if last is not None and head.base == last.version:
            try:
                delta = await _read_object(self._storage, delta_key(self._appliance, head.version), head)
                plan = apply_delta(last, _decoded(delta, Delta, f"the delta for {self._appliance}"))
                data = encode_plan(checked(plan, self._appliance))
                if hashlib.sha256(data).hexdigest() == head.digest:
                    return data
                reason = "it leads to another plan"
            except (NotFound, PlanError) as error:
                reason = str(error)
            logger.warning("a delta cannot be used", extra={"appliance": self._appliance, "reason": reason})
        return await _read_full(self._storage, head)

    def _load(self) -> None:
        """What cannot be read any more is read anew from storage."""
        try:
            kept = _decoded(self._path.read_bytes(), _Kept, str(self._path))
            self._last, self._kept = decode_plan(kept.plan, self._appliance), kept
        except FileNotFoundError:
            pass
        except (OSError, PlanError) as error:
            logger.warning("the kept plan cannot be read", extra={"file": str(self._path), "reason": str(error)})

    def _save(self, kept: _Kept) -> None:
        """Raises PlanError; the file has the old plan or the new one, whole."""
        partial = self._path.with_suffix(".partial")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                file.write(msgspec.json.encode(kept))
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self._path)
        except OSError as error:
            raise PlanError(
                f"the plan for {self._appliance} cannot be kept in {self._path}: {error.strerror}"
            ) from error


async def _read_head(storage: Storage, appliance: str, keys: Sequence[Ed25519PublicKey]) -> Head:
    try:
        envelope = await storage.read_bytes(head_key(appliance))
    except NotFound as error:
        raise NoPlan(f"there is no plan for {appliance}; `nearcast fill plan` makes them") from error
    head = _decoded(verify(envelope, keys, PURPOSE), Head, f"the head of the plan for {appliance}")
    if head.format != FORMAT:
        raise PlanError(f"the plan for {appliance} has format {head.format}, this version reads {FORMAT}")
    if head.appliance != appliance:
        raise PlanError(f"the plan for {appliance} is that of {head.appliance!r}")
    if head.version < 1 or not 0 <= head.size <= LARGEST_PLAN:
        raise PlanError(f"the plan for {appliance} has version {head.version} and {head.size} bytes, which cannot be")
    return head


async def _read_full(storage: Storage, head: Head) -> bytes:
    key = full_key(head.appliance, head.version)
    try:
        data = await _read_object(storage, key, head)
    except NotFound as error:
        raise PlanError(f"the plan for {head.appliance}: its head names {key}, which is not there") from error
    if hashlib.sha256(data).hexdigest() != head.digest:
        raise PlanError(f"the plan for {head.appliance}: {key} is not what its head says: the digest is another")
    return data


async def _read_object(storage: Storage, key: str, head: Head) -> bytes:
    """Decompressed, and never more than a plan of the head's size could need: it may be anything that is there."""
    packed = await storage.read_bytes(key)

    def unpack() -> bytes:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(packed, 2 * head.size + 4096)
        if unpacker.unconsumed_tail or not unpacker.eof:
            raise PlanError(f"the plan for {head.appliance}: {key} is cut, or longer than its head says")
        return data

    try:
        return await asyncio.to_thread(unpack)
    except zlib.error as error:
        raise PlanError(f"the plan for {head.appliance}: {key} cannot be unpacked: {error}") from error


def _decoded(data: bytes, expected: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(data, type=expected)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise PlanError(f"{what} is none: {error}") from error
