from __future__ import annotations

import msgspec
import pytest

from fill.errors import OrderError
from fill.transfer.orders import (
    KEPT_FOR_S,
    MOST_ORDERS,
    Answer,
    Order,
    Orders,
    Target,
    decode_orders,
    held_of,
    open_orders,
    state_of,
    with_order,
)

PACKAGE = "ab" * 16


def order(id: str = "1", *, made_at: float = 0.0, appliances: tuple[str, ...] = ("a", "b")) -> Order:
    return Order(id=id, kind="purge", made_at=made_at, targets=(Target("film"),), appliances=appliances)


def answer(appliance: str, state: str) -> Answer:
    return Answer(appliance=appliance, state=state, as_of=1.0)  # type: ignore[arg-type]


def test_an_order_is_open_for_those_it_names_until_it_is_done_or_old() -> None:
    known = Orders(orders=(order("1"), order("2"), order("3", appliances=("b",))))
    assert [one.id for one in open_orders(known, "a", ["1"], 10.0)] == ["2"]
    assert open_orders(known, "a", [], KEPT_FOR_S) == []
    assert open_orders(known, "stranger", [], 10.0) == []


def test_old_orders_make_room_for_new_ones() -> None:
    known = Orders(orders=(order("old"), order("new", made_at=KEPT_FOR_S)))
    assert [one.id for one in with_order(known, order("x", made_at=KEPT_FOR_S + 1)).orders] == ["new", "x"]
    full = Orders(orders=tuple(order(str(number)) for number in range(MOST_ORDERS)))
    assert len(with_order(full, order("x")).orders) == MOST_ORDERS


@pytest.mark.parametrize(
    ("states", "state"),
    [
        ({}, "pending"),
        ({"a": "active"}, "active"),
        ({"a": "complete"}, "active"),
        ({"a": "complete", "b": "complete"}, "complete"),
        ({"a": "complete", "b": "failed"}, "failed"),
    ],
)
def test_an_order_is_complete_when_all_have_carried_it_out(states: dict[str, str], state: str) -> None:
    assert state_of(order(), {name: answer(name, known) for name, known in states.items()}) == state


def test_a_purge_drops_what_is_held_of_its_target() -> None:
    held = {f"film/{PACKAGE}": ("*",), f"film/{'cd' * 16}": ("a.mp4",), f"other/{PACKAGE}": ("a.mp4",)}
    assert held_of(Target("film"), held) == [("film", PACKAGE, "*"), ("film", "cd" * 16, "a.mp4")]
    assert held_of(Target("film", PACKAGE), held) == [("film", PACKAGE, "*")]
    assert held_of(Target("film", PACKAGE, "b.mp4"), held) == [("film", PACKAGE, "b.mp4")]
    assert held_of(Target("film", "cd" * 16, "b.mp4"), held) == []


@pytest.mark.parametrize(
    "target",
    [Target("../x"), Target("film", "x"), Target("film", PACKAGE, "../a"), Target("film", "", "a.mp4"), Target("")],
)
def test_names_that_cannot_be_are_refused(target: Target) -> None:
    bad = msgspec.structs.replace(order(), targets=(target,))
    with pytest.raises(OrderError, match="cannot be"):
        with_order(Orders(), bad)
    with pytest.raises(OrderError):
        decode_orders(msgspec.json.encode(Orders(orders=(bad,))))


def test_a_preposition_names_files() -> None:
    whole = Order(id="1", kind="preposition", made_at=0.0, targets=(Target("film", PACKAGE),), appliances=("a",))
    with pytest.raises(OrderError, match="single files"):
        with_order(Orders(), whole)


@pytest.mark.parametrize("payload", [b"", b"nonsense", b'{"format": 9, "orders": []}', b'{"orders": [{"id": "../"}]}'])
def test_nonsense_is_no_head(payload: bytes) -> None:
    with pytest.raises(OrderError):
        decode_orders(payload)
