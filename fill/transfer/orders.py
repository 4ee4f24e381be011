"""Urgent orders: what is to be held or dropped now, out of turn, and how far each is.

    orders/head                       the latest orders, oldest first; the one object that agents look at
    orders/{id}/{appliance}.json      what became of an order at one appliance

The head is an envelope (fill.planner.signed) like that of plans: an agent with keys carries out only orders that are
signed. An order stays in the head for a day, and is carried out once by each appliance that hears of it in that time:
one that was away catches up, and one that is new fetches nothing that was asked for last week.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

from encoder.package import FILE_PATTERN, PACKAGE_PATTERN, TITLE_PATTERN
from fill.errors import OrderError

FORMAT = 1
HEAD = "orders/head"
PURPOSE = "orders"
KEPT_FOR_S = 24 * 3600.0
# So that the head, read by each agent every other second, stays small.
MOST_ORDERS = 256
MOST_TARGETS = 10_000

Kind: TypeAlias = Literal["preposition", "purge"]
# RFC 8007 5.2.3; "active" is one that some appliances have carried out and others have not.
State: TypeAlias = Literal["pending", "active", "complete", "failed"]


class Target(msgspec.Struct, frozen=True, omit_defaults=True):
    """One file, or in a purge all files of a package, or all packages of a title."""

    title: str
    package: str = ""
    file: str = ""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """`appliances` are to carry it out: named when the order is made, so that it is known when all have."""

    id: str
    kind: Kind
    made_at: float  # seconds since the epoch
    targets: tuple[Target, ...]
    appliances: tuple[str, ...]


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    format: int = FORMAT
    orders: tuple[Order, ...] = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an order at one appliance; `done` and `of` count its files."""

    appliance: str
    state: State
    as_of: float
    done: int = 0
    of: int = 0
    reasons: tuple[str, ...] = ()


def answer_key(order: str, appliance: str) -> str:
    return f"orders/{order}/{appliance}.json"


def decode_orders(payload: bytes) -> Orders:
    """Raises OrderError that says what is wrong with the head."""
    try:
        orders = msgspec.json.decode(payload, type=Orders)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise OrderError(f"{HEAD} has no orders: {error}") from error
    if orders.format != FORMAT:
        raise OrderError(f"{HEAD} has format {orders.format}, this version reads {FORMAT}")
    for order in orders.orders:
        check(order)
    return orders


def check(order: Order) -> None:
    """Names become paths and keys: they are checked like a plan's. Raises OrderError."""
    if not order.id.isalnum() or len(order.id) > 64:
        raise OrderError(f"an order cannot be called {order.id!r}")
    if not order.targets or len(order.targets) > MOST_TARGETS:
        raise OrderError(f"order {order.id} has {len(order.targets)} targets, expected 1 to {MOST_TARGETS}")
    for target in order.targets:
        names = (
            TITLE_PATTERN.fullmatch(target.title)
            and (not target.package or PACKAGE_PATTERN.fullmatch(target.package))
            and (not target.file or FILE_PATTERN.fullmatch(target.file))
        )
        if not names or (target.file and not target.package):
            raise OrderError(f"order {order.id} names {show(target)}, which cannot be")
        if order.kind == "preposition" and not target.file:
            raise OrderError(f"order {order.id} is to hold {show(target)}, expected single files")


def show(target: Target) -> str:
    return "/".join(name for name in (target.title, target.package, target.file) if name)


def with_order(known: Orders, order: Order) -> Orders:
    """The orders with one more, without those that are too old. Raises OrderError."""
    check(order)
    kept = [one for one in known.orders if order.made_at - one.made_at < KEPT_FOR_S]
    return Orders(orders=(*kept, order)[-MOST_ORDERS:])


def open_orders(known: Orders, appliance: str, done: Iterable[str], now: float) -> list[Order]:
    """Those that the appliance still has to carry out, oldest first."""
    over = set(done)
    return [
        order
        for order in known.orders
        if appliance in order.appliances and order.id not in over and now - order.made_at < KEPT_FOR_S
    ]


def state_of(order: Order, answers: Mapping[str, Answer]) -> State:
    """Of the whole order, from what each appliance answered so far."""
    states = [answers[name].state if name in answers else "pending" for name in order.appliances]
    if all(state == "pending" for state in states) and states:
        return "pending"
    if any(state in ("pending", "active") for state in states):
        return "active"
    return "failed" if "failed" in states else "complete"


def held_of(target: Target, held: Mapping[str, Sequence[str]]) -> list[tuple[str, str, str]]:
    """(title, package, file) of what a purge drops of what is held ("title/package" -> files, "*" for all of them)."""
    found = []
    for key, files in held.items():
        title, _, package = key.partition("/")
        if title == target.title and target.package in ("", package):
            names = files if not target.file else [target.file] if {target.file, "*"} & set(files) else []
            found += [(title, package, name) for name in names]
    return found
