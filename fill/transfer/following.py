"""Takes urgent orders from storage and carries them out, beside whatever plan is under way; and makes new ones."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from functools import partial

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from encoder.package import TITLE_PATTERN
from fill.errors import FillError, FleetError, OrderError
from fill.fleet import FleetClient
from fill.planner.signed import sign, verify
from fill.transfer import sources
from fill.transfer.orders import (
    HEAD,
    PURPOSE,
    Answer,
    Kind,
    Order,
    Orders,
    Target,
    answer_key,
    decode_orders,
    held_of,
    open_orders,
    show,
    with_order,
)
from fill.transfer.parent import Parent
from oca import messages
from oca.errors import OcaError
from oca.report import EVERY_FILE
from origin.errors import NotFound, StorageError
from origin.storage import Storage

# An order reaches every agent within this, and a storage of 10,000 agents answers 5,000 small questions a second.
LOOK_EVERY_S = 2.0
_MOST_REASONS = 20
_LOCK = "orders"

logger = logging.getLogger(__name__)


class Orderly:
    """Carries out the orders that are one appliance's."""

    def __init__(
        self,
        appliance: str,
        parent: Callable[[], Parent],
        storage: Storage,
        fleet: FleetClient,
        *,
        origin: str,
        keys: Sequence[Ed25519PublicKey] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._appliance, self._parent, self._storage = appliance, parent, storage
        self._fleet, self._origin, self._keys, self._clock = fleet, origin, tuple(keys), clock
        self._done: set[str] = set()
        self._trouble = ""

    async def run(self, look_every_s: float = LOOK_EVERY_S) -> None:
        """Until it is cancelled. Troubles are logged, each once until it changes."""
        while True:
            try:
                await self.look()
                self._trouble = ""
            except (FillError, StorageError, OcaError) as error:
                if str(error) != self._trouble:
                    logger.warning("orders cannot be carried out", extra={"reason": str(error)})
                self._trouble = str(error)
            await asyncio.sleep(look_every_s)

    async def look(self) -> None:
        """Carries out what is new. Raises OrderError, ForgedError, ApplianceGone, StorageError, OcaError."""
        known = await read_orders(self._storage, self._keys)
        for order in open_orders(known, self._appliance, self._done, self._clock()):
            if await self._was_carried_out(order):
                self._done.add(order.id)
                continue
            logger.info("an order is carried out", extra={"order": order.id, "kind": order.kind})
            await self._answer(order, "active")
            async with self._parent() as parent:
                done, reasons = await (self._purge if order.kind == "purge" else self._preposition)(parent, order)
            await self._answer(order, "failed" if reasons else "complete", done, reasons)
            self._done.add(order.id)

    async def _was_carried_out(self, order: Order) -> bool:
        """By an earlier run of this agent."""
        answer = await read_answer(self._storage, order.id, self._appliance)
        return answer is not None and answer.state in ("complete", "failed")

    async def _answer(self, order: Order, state: str, done: int = 0, reasons: Sequence[str] = ()) -> None:
        answer = Answer(
            appliance=self._appliance,
            state=state,  # type: ignore[arg-type]
            as_of=self._clock(),
            done=done,
            of=done + len(reasons),
            reasons=tuple(reasons[:_MOST_REASONS]),
        )
        await self._storage.put_bytes(answer_key(order.id, self._appliance), msgspec.json.encode(answer))

    async def _purge(self, parent: Parent, order: Order) -> tuple[int, list[str]]:
        """Drops what is held of the targets: none of it is served a moment later."""
        status = await parent.ask(partial(messages.Ask, what="status"))
        told = status.told if isinstance(status, messages.Told) else {}
        held = {key: tuple(files) for key, files in (told.get("held") or {}).items()}
        done, reasons = 0, []
        for target in order.targets:
            for title, package, file in held_of(target, held):
                try:
                    names = [file]
                    if (file,) == EVERY_FILE:
                        names = await self._fleet.held_files(str(told.get("url", "")), title, package)
                    for name in names:
                        await parent.ask(partial(messages.Drop, title=title, package=package, file=name))
                        done += 1
                except (OcaError, FleetError) as error:
                    reasons.append(f"{show(target)}: {error}")
        return done, reasons

    async def _preposition(self, parent: Parent, order: Order) -> tuple[int, list[str]]:
        try:
            seen = await self._fleet.fleet()
        except FleetError:
            seen = ()  # the appliance asks its own sources
        site = next((one.report.site for one in seen if one.report.name == self._appliance), "")
        done, reasons = 0, []
        for target in order.targets:
            ranked = sources.rank(
                *(target.title, target.package, target.file),
                appliance=self._appliance,
                site=site,
                fleet=seen,
                origin=self._origin if seen else "",
            )
            fill = partial(
                messages.Fill,
                title=target.title,
                package=target.package,
                file=target.file,
                sources=tuple(source.url for source in ranked),
                equals=sources.equals(ranked),
            )
            try:
                await parent.ask(fill)
                done += 1
            except OcaError as error:
                reasons.append(f"{show(target)}: {error}")
        return done, reasons


async def read_orders(storage: Storage, keys: Sequence[Ed25519PublicKey]) -> Orders:
    """Raises OrderError, ForgedError, StorageError."""
    try:
        envelope = await storage.read_bytes(HEAD)
    except NotFound:
        return Orders()
    return decode_orders(verify(envelope, keys, PURPOSE))


async def read_answer(storage: Storage, order: str, appliance: str) -> Answer | None:
    """Raises StorageError. What cannot be read is as if it were not there: the order is then carried out again."""
    try:
        return msgspec.json.decode(await storage.read_bytes(answer_key(order, appliance)), type=Answer)
    except (NotFound, msgspec.DecodeError):
        return None


async def give_order(
    storage: Storage,
    kind: Kind,
    targets: Sequence[Target],
    appliances: Sequence[str],
    key: Ed25519PrivateKey | None,
    now: float,
) -> Order:
    """Leaves an order where agents find it. Raises OrderError, ForgedError, StorageError."""
    if not appliances:
        raise OrderError("an order for no appliance: steering knows none, or none of those named")
    order = Order(
        id=secrets.token_hex(8), kind=kind, made_at=now, targets=tuple(targets), appliances=tuple(sorted(appliances))
    )
    async with storage.lock(_LOCK):
        known = await read_orders(storage, [key.public_key()] if key else [])
        fresh = msgspec.json.encode(with_order(known, order))
        await storage.put_bytes(HEAD, sign(fresh, key, PURPOSE))
    return order


async def answers_to(storage: Storage, order: Order) -> dict[str, Answer]:
    """By appliance, of those that answered. Raises StorageError."""
    found = await asyncio.gather(*(read_answer(storage, order.id, name) for name in order.appliances))
    return {answer.appliance: answer for answer in found if answer is not None}


async def resolve(fleet: FleetClient, title: str, file: str) -> list[Target]:
    """The files of the title that the catalog offers, or the one. Raises OrderError, FleetError."""
    offer = await fleet.offer(title) if TITLE_PATTERN.fullmatch(title) else None
    if offer is None:
        raise OrderError(f"the catalog has no title {title!r}")
    names = [one.name for one in offer.package.files if file in ("", one.name)]
    if not names:
        raise OrderError(f"the catalog has no file {title}/{file}")
    return [Target(title, offer.package_name, name) for name in names]
