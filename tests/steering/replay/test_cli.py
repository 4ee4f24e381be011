"""`nearcast steering replay` and `explain --at`, over a journal and a log of some minutes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from steering.cli import steering as command
from tests.steering.replay.days import IN_NORTH, Day


@pytest.fixture
async def day(tmp_path: Path) -> AsyncIterator[Day]:
    day = Day(tmp_path)
    await day.begin()
    await day.later(60, plays=1)
    await day.follower.close()
    yield day


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def replayed(day: Day, *arguments: str) -> Result:
    return run("replay", "--journal", str(day.journal), str(day.log), *arguments)


def explained(day: Day, *arguments: str, at: str = "2027-01-15T08:00:20Z") -> Result:
    return run(
        "explain", "--client", IN_NORTH, "--title", "film", "--journal", str(day.journal), "--at", at, *arguments
    )


def test_a_replay_prints_what_is_different(day: Day) -> None:
    result = replayed(day, "--site-down", "north")
    assert result.exit_code == 0, result.exception
    assert "changed: site north is down" in result.stdout
    assert "60 sessions (100.0%) are sent to another appliance first" in result.stdout


def test_a_replay_as_json_is_the_whole_outcome(day: Day) -> None:
    result = replayed(day, "--policy", "pathways=1", "--json", "--from", "2027-01-15T08:00:30Z")
    outcome = json.loads(result.stdout)
    assert outcome["change"] == ["pathways=1"]
    assert outcome["was"]["sessions"] == 41
    assert outcome["becomes"]["offload"] == 1


def test_sites_of_a_file_are_tried(day: Day, tmp_path: Path) -> None:
    sites = tmp_path / "sites.toml"
    sites.write_text('[[steering.sites]]\nname = "south"\nprefixes = ["127.0.0.0/8"]\n')
    outcome = json.loads(replayed(day, "--sites", str(sites), "--json").stdout)
    assert [(mover["was"], mover["becomes"]) for mover in outcome["movers"]] == [("north", "south")]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--site-down", "nort"), "--site-down nort: found no such site in the journal, expected one of north, south"),
        (("--policy", "speed=9"), "--policy speed=9: found the key 'speed'"),
        (("--from", "2027-01-16T08:00:00Z"), "found no session in the logs of decisions after 2027-01-16T08:00:00Z"),
    ],
)
def test_what_cannot_be_replayed_is_a_sentence(day: Day, arguments: tuple[str, ...], sentence: str) -> None:
    assert sentence in str(replayed(day, *arguments).exception)


def test_a_replay_needs_a_log(day: Day) -> None:
    assert "expected at least one log" in str(run("replay", "--journal", str(day.journal)).exception)


def test_a_time_that_is_none_is_refused(day: Day) -> None:
    result = explained(day, at="yesterday")
    assert result.exit_code == 2
    assert "found 'yesterday', expected a time such as" in result.output


def test_the_past_is_explained_without_a_service(day: Day) -> None:
    result = explained(day)
    assert result.exit_code == 0, result.exception
    assert result.stdout.startswith("film for 127.0.0.9: ask n")
    assert "as of 2027-01-15T08:00:20Z, by what was known " in result.stdout
    assert json.loads(explained(day, "--json").stdout)["at"] == "2027-01-15T08:00:20Z"


def test_the_past_needs_a_journal_and_an_address(day: Day) -> None:
    at = ("--at", "2027-01-15T08:00:20Z")
    assert "expected --journal DIR" in run("explain", "--client", IN_NORTH, "--title", "film", *at).output
    nobody = run("explain", "--client", "nobody", "--title", "film", "--journal", str(day.journal), *at)
    assert "--client: found 'nobody', expected an IP address" in str(nobody.exception)
