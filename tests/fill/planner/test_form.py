from __future__ import annotations

import msgspec
import pytest

from fill.errors import PlanError
from fill.planner.form import decode_plan, encode_plan
from tests.fill.catalogs import make_offer, make_seen
from tests.fill.planner.fleets import make

LINE = {"title": "a", "package": "a" * 32, "file": "v.mp4", "size": 1, "value": 1.0, "reason": "x"}


def changed(**change: object) -> bytes:
    made = make([make_offer("a")], {"a": 1}, make_seen("x"))["x"]
    return msgspec.json.encode({**msgspec.to_builtins(made), **change})


def test_a_plan_comes_back_from_its_bytes() -> None:
    made = make([make_offer("a")], {"a": 1}, make_seen("x"))["x"]
    assert decode_plan(encode_plan(made), "x") == made


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "no plan"),
        (b"{}", "no plan"),
        (b"\xff", "no plan"),
        (changed(format=1), "format 1"),
        (changed(appliance="other"), "that of 'other'"),
        (changed(version=-1), "negative version"),
        (changed(budget_bytes=-1), "negative version, rate or budget"),
        (changed(fetches=[{**LINE, "file": "../../etc/passwd"}]), "cannot be"),
        (changed(fetches=[{**LINE, "file": "*"}]), "cannot be"),
        (changed(drops=[{**LINE, "title": "/"}]), "cannot be"),
        (changed(keeps=[{**LINE, "package": "x"}]), "cannot be"),
        (changed(fetches=[{**LINE, "size": -1}]), "cannot be"),
    ],
)
def test_bad_plans_are_refused_with_the_reason(data: bytes, complaint: str) -> None:
    with pytest.raises(PlanError, match=complaint):
        decode_plan(data, "x")


def test_a_drop_may_name_a_whole_package() -> None:
    assert decode_plan(changed(drops=[{**LINE, "file": "*"}]), "x").drops[0].file == "*"
