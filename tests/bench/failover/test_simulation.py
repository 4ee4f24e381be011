"""A region that is cut off, in virtual time: who is asked, what is shared, and what the command says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from bench.failover.cli import failover
from bench.failover.outcome import Outcome
from bench.failover.scenario import UNDISTURBED, Scenario
from bench.failover.simulation import Simulation, share
from bench.failover.traces import Trace
from bench.failover.world import World, make_world

STEADY = Trace("steady", (0.0, 100.0), (6e6, 6e6), 200.0)


def _world(film_s: int = 120) -> World:
    return make_world([STEADY], sites=8, players=40, film_s=film_s, arrive_s=10.0, seed=1)


def _run(world: World, scenario: Scenario) -> Outcome:
    return Simulation(world, scenario, seed=1).run()


@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=30), st.floats(1, 1e8))
def test_a_server_gives_all_that_it_has_and_nobody_more_than_it_wants(wanted: list[float], capacity: float) -> None:
    given_ = share(wanted, capacity)
    assert all(got <= want + 1e-6 for got, want in zip(given_, wanted, strict=True))
    assert sum(given_) == pytest.approx(min(capacity, sum(wanted)))
    short = [got for got, want in zip(given_, wanted, strict=True) if got < want - 1e-3]
    assert not short or max(given_) == pytest.approx(min(short))


def test_players_on_good_links_see_the_film_without_a_stall_from_their_own_site() -> None:
    outcome = _run(_world(), UNDISTURBED)
    assert len(outcome.viewers) == 40
    assert [(viewer.stalls, viewer.switches, viewer.failed) for viewer in outcome.viewers] == [(0, 0, False)] * 40
    assert outcome.from_origin == 0
    assert max(outcome.peak_load.values()) <= 1.0


def test_players_of_a_region_that_is_cut_off_go_on_elsewhere_and_nobody_fails() -> None:
    outcome = _run(_world(), Scenario("cut", "", cut_region="north", from_s=30.0))
    assert not any(viewer.failed for viewer in outcome.viewers)
    moved = {viewer.watcher.region for viewer in outcome.viewers if viewer.switches}
    assert moved == {"north"}
    # The rest of the network carries them, which no manifest listed.
    assert outcome.from_origin < 0.02
    # Lost after six seconds of silence, told within a TTL of five, and three are left to be asked in vain.
    assert outcome.last_asked_s - 30.0 < 6 + 5 + 3 + 1


def test_a_run_is_the_same_each_time() -> None:
    scenario = Scenario("cut", "", cut_region="north", from_s=30.0)
    first, second = (_run(_world(60), scenario) for _ in range(2))
    assert [viewer.stalled_s for viewer in first.viewers] == [viewer.stalled_s for viewer in second.viewers]
    assert first.peak_load == second.peak_load


def test_the_command_writes_what_it_measured(tmp_path: Path) -> None:
    trace = tmp_path / "steady"
    trace.write_text("0 6\n100 6\n")
    result = CliRunner().invoke(
        failover, ["--traces", str(trace), "--sites", "8", "--players", "24", "--json", "-", "--quiet"]
    )
    document = json.loads(result.stdout)
    assert document["benchmark"] == "failover"
    assert {row["case"] for row in document["results"]} == {"undisturbed", "cut", "cut-and-back", "reports-lost"}
    failed = [row["median"] for row in document["results"] if row["metric"] == "failed sessions"]
    assert failed == [0, 0, 0, 0]
