"""A fleet that the journal made stands as it stood, and stays so until the journal says otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from config.steering import SteeringSettings
from steering.journal.past import Past
from steering.journal.records import Begins, Decides, Gone, Record, Standing, Title, Whole
from steering.replay.change import Change
from steering.replay.world import World
from tests.steering.values import GIGABIT, NORTH, SOUTH

DAY_S = 86400.0


def standing(name: str = "n1", time: float = 1.0, **changes: Any) -> Standing:
    fields: dict[str, Any] = {
        "site": "north", "url": f"http://{name}.localhost:8080", "capacity_bps": 10 * GIGABIT, "serving_bps": 0,
        "held_version": "", "health": "healthy",
    }  # fmt: skip
    return Standing(name=name, time=time, **{**fields, **changes})


class Told:
    """A past that is told lines, and a world that follows it."""

    def __init__(self, *standings: Standing, change: Change | None = None) -> None:
        self.past = Past()
        settings = SteeringSettings(sites=(NORTH, SOUTH))
        film = Title(time=0.0, title="film", package="0" * 32, files=0, nominal_bps=GIGABIT, duration_s=60.0)
        beginning: list[Record] = [Begins(time=0.0), Decides(time=0.0, settings=settings), film]
        for record in (*beginning, *standings, Whole(time=1.0)):
            list(self.past.take(record))
        self.world = World(self.past, change or Change())

    def tell(self, *records: Record) -> None:
        for record in records:
            for news in self.past.take(record):
                self.world.take(news)

    def pathways(self, client: str = "127.0.0.9") -> dict[str, dict[str, Any]]:
        steps = self.world.explain(self.past.titles["film"], client, "s").steps
        return {
            one.candidate.name: {"health": one.health and one.health.value, "share": one.share, "spare": one.spare_bps}
            for one in steps
        }


def test_who_is_silent_for_days_stands_as_the_journal_says() -> None:
    told = Told(standing("n1"), standing("n2", health="lost"))
    told.world.pass_time(2 * DAY_S)
    assert told.pathways()["n1"]["health"] == "healthy"
    assert told.pathways()["n2"]["health"] == "lost"


def test_who_returns_takes_the_share_that_the_journal_says() -> None:
    told = Told(standing(health="lost"))
    told.tell(standing(time=9.0, share=1 / 16, verdict="it returns after it was lost"))
    assert told.pathways()["n1"] == {"health": "healthy", "share": 1 / 16, "spare": 10 * GIGABIT}
    told.tell(standing(time=19.0))
    assert told.pathways()["n1"]["share"] == 1


@pytest.mark.parametrize(
    ("health", "load", "seen"),
    [("full", 8.5, "full"), ("healthy", 8.5, "healthy"), ("full", 7.9, "healthy"), ("healthy", 9.1, "full")],
)
def test_full_has_the_hysteresis_that_it_had(health: str, load: float, seen: str) -> None:
    told = Told(standing(health=health, serving_bps=round(load * GIGABIT)))
    assert told.pathways()["n1"]["health"] == seen


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"health": "stalling", "is_stalling": True, "verdict": "its players wait"}, "stalling"),
        ({"health": "draining", "state": "draining"}, "draining"),
        ({"health": "unhealthy", "problems": ("a volume failed",)}, "unhealthy"),
    ],
)
def test_what_is_wrong_with_an_appliance_is_as_it_was(changes: dict[str, Any], seen: str) -> None:
    assert Told(standing(**changes)).pathways()["n1"]["health"] == seen


def test_who_is_gone_is_lost() -> None:
    told = Told(standing("n1"), standing("n2"))
    told.tell(Gone(time=5.0, name="n2"))
    assert told.pathways()["n2"]["health"] == "lost"


def test_settings_that_were_read_again_hold_from_then_on() -> None:
    told = Told(standing("n1"), standing("s1", site="south"))
    assert next(iter(told.pathways())) == "n1"
    swapped = (replace(NORTH, prefixes=SOUTH.prefixes), replace(SOUTH, prefixes=NORTH.prefixes))
    told.tell(Decides(time=5.0, settings=SteeringSettings(sites=swapped)))
    assert next(iter(told.pathways())) == "s1"


def test_what_moves_shows_in_the_reports_after_a_while_and_no_longer_than_the_session() -> None:
    told = Told(standing("n1", serving_bps=5 * GIGABIT), standing("n2"))
    world = told.world
    world.move(GIGABIT, was="n1", to="n2", lasts_s=60.0)

    def spare(now: float) -> list[int]:
        world.pass_time(now)
        pathways = told.pathways()
        return [pathways[name]["spare"] // GIGABIT for name in ("n1", "n2")]

    assert spare(5.0) == [5, 10]
    assert spare(10.0) == [6, 9]
    assert spare(70.0) == [5, 10]


def test_who_is_down_stays_down_whatever_the_journal_says() -> None:
    told = Told(standing("n1"), standing("n2"), change=Change(appliances_down=frozenset({"n1"}), words=("n1",)))
    told.tell(standing("n1", time=5.0, serving_bps=GIGABIT))
    assert told.pathways()["n1"]["health"] == "lost"
    world = told.world
    world.loads.end(10.0)
    assert world.loads.of_appliances()["n1"].peak_bps == 0
