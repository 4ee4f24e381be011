from __future__ import annotations

import re
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console, RenderableType

from fill.simulate import show
from fill.simulate.fleet import Box, Fleet
from fill.simulate.outcome import Outcome
from fill.simulate.replay import POLICIES, Plan, simulate
from fill.simulate.sizing import size
from fill.simulate.whatif import change
from tests.fill.simulate.fleets import GBIT, site, source


def text(shown: RenderableType) -> str:
    console = Console(width=80, file=StringIO(), color_system=None)
    console.print(shown)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    """Of more than anybody has, so that numbers are long."""
    large = site("a-site-with-quite-a-long-name", viewers=900 * GBIT, capacity=100 * GBIT)
    short_of_time = replace(large, window_h=0.1, rate=10**6, count=1000)
    return (short_of_time, replace(site("b"), boxes=(Box(10**10, 10**9),)))


@pytest.fixture(scope="module")
def outcomes(fleet: Fleet) -> tuple[Outcome, Outcome]:
    demand, plan = source(4), Plan(POLICIES, 2)
    sentence = "site a-site-with-quite-a-long-name-7 fails"
    return simulate("base", fleet, demand, plan), simulate(sentence, change(fleet, sentence).fleet, demand, plan)


def test_no_cell_is_cut_at_eighty_columns(outcomes: tuple[Outcome, Outcome]) -> None:
    base, variant = outcomes
    shown = [
        show.by_day(base),
        *(show.each_day(base.of(policy)) for policy in POLICIES),
        show.totals(base),
        show.busiest(base, "ours"),
        show.differences(base, variant),
    ]
    for one in shown:
        found = text(one)
        assert "…" not in found
        assert re.search(r"\d%", found) is None
        assert max(len(line) for line in found.splitlines()) <= 80


def test_every_policy_has_its_own_row_and_its_name_is_whole(outcomes: tuple[Outcome, Outcome]) -> None:
    found = text(show.totals(outcomes[0]))
    assert [line.split()[0] for line in found.splitlines()[-len(POLICIES) :]] == list(POLICIES)


def test_a_what_if_shows_ours_and_the_best_other_side_by_side(outcomes: tuple[Outcome, Outcome]) -> None:
    found = text(show.differences(*outcomes))
    base = outcomes[0]
    others = ("lru", "s3-fifo", "sieve", "yesterday", "title-level", "no-fill")
    best = max(others, key=lambda policy: base.of(policy).total.offload_after_fill)
    assert "ours" in found
    assert best in found
    assert sum(policy in found for policy in others) == 1


def test_a_single_policy_is_shown_alone() -> None:
    found = simulate("base", (site(),), source(3), Plan(("no-fill",), 1))
    assert "no" in text(show.by_day(found))
    assert "before" in text(show.differences(found, found))


def test_sizes_that_are_as_many_are_shown_once() -> None:
    found = size(source(3), site(viewers=3 * GBIT), 1)
    shown = text(show.sizes(found))
    assert "…" not in shown
    assert len([line for line in shown.splitlines() if line.split()[:1] in (["1"], ["*"])]) == 5
