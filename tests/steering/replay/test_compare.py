"""Sessions decided again: as they were, and with one thing changed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from config.steering import SiteSettings
from steering.errors import JournalError, ReplayError
from steering.replay.change import Change, read_policy
from steering.replay.outcome import Outcome
from tests.steering.replay.days import FILM, IN_SOUTH, NOWHERE, START, Day
from tests.steering.values import NORTH, SOUTH


@pytest.fixture
async def day(tmp_path: Path) -> Day:
    day = Day(tmp_path)
    await day.begin()
    return day


def agreement(outcome: Outcome) -> float:
    return outcome.agreement.agree / outcome.agreement.sessions


async def test_as_it_was_decides_as_was_logged(day: Day) -> None:
    await day.later(20, plays=5)
    await day.later(20, plays=5, client=IN_SOUTH)
    outcome = await day.replay()
    assert outcome.agreement.sessions == 200
    assert agreement(outcome) >= 0.98  # loads are journalled by the twentieth, and draws go by them
    assert outcome.was.offload == 1
    assert outcome.becomes is None
    assert not outcome.remarks


async def test_it_decides_as_was_logged_through_a_loss_and_a_return(day: Day) -> None:
    await day.later(10, plays=5)
    day.silent.add("n1")
    await day.later(20, plays=5)
    day.silent.clear()
    await day.later(30, plays=5)
    outcome = await day.replay()
    assert agreement(outcome) > 0.97  # what changes within a second is journalled at its end
    assert sum(outcome.agreement.others.values()) == outcome.agreement.sessions - outcome.agreement.agree


async def test_a_site_that_is_down_sends_its_sessions_elsewhere(day: Day) -> None:
    await day.later(60, plays=2)
    await day.later(60, plays=2, client=IN_SOUTH)
    change = Change(sites_down=frozenset({"north"}), words=("site north is down",))
    outcome = await day.replay(change)
    assert outcome.becomes is not None
    assert (outcome.was.offload, outcome.becomes.offload) == pytest.approx((1, 0.5))
    assert outcome.becomes.away == {"health": pytest.approx(0.5)}
    assert outcome.becomes.way.p90_km == pytest.approx(1313, abs=1)
    assert outcome.moved == 120
    (mover,) = outcome.movers
    assert (mover.was, mover.becomes, mover.sessions) == ("north", "south", 120)


async def test_what_a_site_that_is_down_served_is_served_elsewhere(day: Day) -> None:
    await day.later(400, plays=2)
    outcome = await day.replay(Change(sites_down=frozenset({"north"}), words=("site north is down",)))
    served = {site.name: site for site in outcome.sites}
    assert served["north"].becomes.mean_bps == 0
    assert served["south"].was.mean_bps == 0
    assert served["south"].becomes.mean_bps == pytest.approx(served["north"].was.mean_bps, rel=0.2)


async def test_an_appliance_that_is_down_leaves_its_sessions_to_its_neighbour(day: Day) -> None:
    await day.later(60, plays=2)
    outcome = await day.replay(Change(appliances_down=frozenset({"n1"}), words=("n1 is down",)))
    assert outcome.becomes is not None
    assert outcome.becomes.offload == 1
    assert 0 < outcome.moved < 120
    assert {(mover.was, mover.becomes) for mover in outcome.movers} == {("north", "north")}
    served = {one.name: one for one in outcome.appliances}
    assert served["n2"].becomes.mean_bps > served["n2"].was.mean_bps


async def test_who_takes_over_becomes_full_and_the_next_one_is_asked(tmp_path: Path) -> None:
    """What moves counts where it goes, beyond the moment in which it is reserved."""
    day = Day(tmp_path, capacity_bps=60 * FILM.nominal_bps)
    await day.begin()
    await day.later(300, plays=1)
    outcome = await day.replay(Change(appliances_down=frozenset({"n1"}), words=("n1 is down",)))
    served = {one.name: one for one in outcome.appliances}
    assert not served["n2"].was.full_s
    assert served["n2"].becomes.full_s > 10
    assert outcome.becomes is not None
    assert outcome.becomes.away.keys() == {"capacity"}


async def test_a_client_of_no_site_is_away_by_route(day: Day) -> None:
    await day.later(10, plays=1, client=NOWHERE)
    outcome = await day.replay()
    assert outcome.was.away == {"route": 1.0}
    assert agreement(outcome) == 1


async def test_sites_of_another_file_place_clients_anew(day: Day) -> None:
    await day.later(30, plays=1)
    everything = dataclasses.replace(SOUTH, prefixes=("127.0.0.0/8",))
    change = Change(sites=(dataclasses.replace(NORTH, prefixes=()), everything), words=("sites of FILE",))
    outcome = await day.replay(change)
    assert outcome.becomes is not None
    assert outcome.becomes.offload == 1
    assert [(mover.was, mover.becomes) for mover in outcome.movers] == [("north", "south")]


async def test_a_route_s_other_sites_are_asked_before_nearer_ones(tmp_path: Path) -> None:
    """The log knows who else announced the client's prefix, whatever has become of the routes since."""
    west = SiteSettings(name="west", latitude=60.4, longitude=5.3)
    day = Day(tmp_path, sites=(NORTH, SOUTH, west))
    day.appliances["w1"] = "west"
    await day.begin()
    await day.later(10, plays=1)
    change = Change(sites_down=frozenset({"north"}), words=("site north is down",))
    assert {mover.becomes for mover in (await day.replay(change)).movers} == {"west"}
    log = day.log.read_bytes().replace(b'"by":"prefix"', b'"by":"route"')
    day.write(log.replace(b'"alternates":[]', b'"alternates":["south"]'))
    assert {mover.becomes for mover in (await day.replay(change)).movers} == {"south"}


async def test_another_policy_changes_nothing_but_what_it_says(day: Day) -> None:
    await day.later(30, plays=2)
    settings, experiment = read_policy(["weigh=capacity"])
    outcome = await day.replay(Change(settings=settings, experiment=experiment, words=("weigh=capacity",)))
    assert outcome.becomes is not None
    assert outcome.becomes.offload == outcome.was.offload == 1


async def test_only_the_time_that_is_asked_for_is_replayed(day: Day) -> None:
    await day.later(60, plays=1)
    outcome = await day.replay(since=START + 30, until=START + 49)
    assert outcome.was.sessions == 20
    assert (outcome.begins_at, outcome.ends_at) == (START + 30, START + 49)


async def test_what_was_served_tells_how_long_sessions_last(tmp_path: Path) -> None:
    """All last as long as their film; but for the first minute, in which nobody is at its end yet."""
    day = Day(tmp_path, capacity_bps=60 * FILM.nominal_bps)
    await day.begin()
    await day.later(600, plays=1)
    assert (await day.replay()).watched == pytest.approx(1 - 30 / 600, abs=0.05)


async def test_a_title_that_the_journal_does_not_know_is_counted(day: Day) -> None:
    await day.later(5, plays=1)
    day.write(day.log.read_bytes().replace(b'"film"', b'"gone"', 1))
    outcome = await day.replay()
    assert outcome.agreement.others == {"the journal does not know the title": 1}
    assert outcome.was.sessions == 4


async def test_without_sessions_there_is_nothing_to_replay(day: Day) -> None:
    with pytest.raises(ReplayError, match="found no session in the logs of decisions after 2027-01-15T08:00:01Z"):
        await day.replay()


async def test_sessions_before_the_journal_are_left_out(day: Day) -> None:
    await day.later(5, plays=1)
    early = day.log.read_bytes().splitlines(keepends=True)[0].replace(b'"time":18', b'"time":17')
    day.write(early + day.log.read_bytes())
    assert (await day.replay()).was.sessions == 5


async def test_a_journal_that_is_gone_is_said(day: Day, tmp_path: Path) -> None:
    await day.later(5, plays=1)
    day.journal = tmp_path / "none"
    with pytest.raises(JournalError, match=r"journal .*none cannot be read"):
        await day.replay()
