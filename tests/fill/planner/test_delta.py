from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fill.errors import PlanError
from fill.planner.delta import Delta, apply_delta, make_delta, settled
from fill.planner.form import FORMAT, Line, Plan, encode_plan

LINES = st.lists(
    st.builds(
        lambda number, value: Line(
            title=f"t{number}", package="a" * 32, file="v.mp4", size=number, value=value, reason="x"
        ),
        st.integers(0, 12),
        st.sampled_from([1.0, 2.0]),
    ),
    max_size=12,
).map(tuple)


def plan_of(version: int, fetches: tuple[Line, ...], keeps: tuple[Line, ...], drops: tuple[Line, ...]) -> Plan:
    return Plan(
        format=FORMAT,
        appliance="x",
        site="s",
        version=version,
        made_at=float(version),
        fetches=fetches,
        keeps=keeps,
        drops=drops,
        share=0.5,
        gap=0.0,
        bound=1.0,
    )


@given(st.tuples(LINES, LINES, LINES), st.tuples(LINES, LINES, LINES))
def test_a_delta_leads_from_any_plan_to_any_other(
    before_lines: tuple[tuple[Line, ...], ...], after_lines: tuple[tuple[Line, ...], ...]
) -> None:
    before, after = plan_of(1, *before_lines), plan_of(2, *after_lines)
    sent = msgspec.json.encode(make_delta(before, after))
    assert apply_delta(before, msgspec.json.decode(sent, type=Delta)) == after


def test_a_delta_is_small_when_little_changed() -> None:
    def line(number: int) -> Line:
        return Line(title=f"t{number}", package="a" * 32, file="v.mp4", size=1, value=number, reason="watched")

    before = plan_of(1, (), tuple(line(number) for number in range(1000)), ())
    after = plan_of(2, (line(5000),), before.keeps[:500] + before.keeps[501:], (before.keeps[500],))
    assert len(msgspec.json.encode(make_delta(before, after))) < len(encode_plan(after)) / 50


def test_a_delta_of_another_plan_or_beyond_its_lines_is_refused() -> None:
    before, after = plan_of(1, (), (), ()), plan_of(2, (), (), ())
    delta = make_delta(before, after)
    with pytest.raises(PlanError, match="from version 1, not 7"):
        apply_delta(msgspec.structs.replace(before, version=7), delta)
    for piece in ((0, 1), (-1, 1), (0, 0), (0, 10**12)):
        with pytest.raises(PlanError, match="repeats lines"):
            apply_delta(before, msgspec.structs.replace(delta, keeps=(piece,)))


def test_a_kept_line_is_told_anew_only_when_its_value_changed_by_a_quarter() -> None:
    line = Line(title="t", package="a" * 32, file="v.mp4", size=1, value=100.0, reason="100 plays")
    before = plan_of(1, (line,), (), ())
    for value, reason in ((120.0, "100 plays"), (130.0, "130 plays")):
        now = msgspec.structs.replace(line, value=value, reason=f"{value:.0f} plays")
        assert settled(before, plan_of(2, (), (now,), ())).keeps[0].reason == reason
