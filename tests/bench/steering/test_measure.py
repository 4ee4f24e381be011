"""The benchmark of steering at a size that a test can wait for: every row is there, and nothing was refused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from bench.steering import world
from bench.steering.cli import steering
from bench.steering.measure import Plan, measure
from bench.steering.result import GOALS
from config.progress import Reporter

TINY = world.Size(sites=6, per_site=2, titles=4, ipv4=400, ipv6=100)


@pytest.mark.slow
async def test_every_case_has_its_rows(tmp_path: Path) -> None:
    rows, notes = await measure(Plan(TINY, 0.3, 1, 12.0), tmp_path, Reporter(quiet=True))
    found = {(row.case, row.metric): row for row in rows}
    assert set(GOALS) <= set(found)
    for case in ("session starts, HLS", "session starts, DASH", "polls"):
        assert found[case, "per second"].median > 0
        assert not found[case, "per second"].note, "an answer was no 200"
    assert found["a lost report", "to the first answer elsewhere, s"].median < 60
    assert any("0 were refused" in note for note in notes)


def test_a_result_that_could_not_be_written_is_refused_before_anything_runs(tmp_path: Path) -> None:
    result = CliRunner().invoke(steering, ["--quick", "--json", str(tmp_path / "none" / "result.json")])
    assert "expected a file that can be written" in str(result.exception)


def test_the_world_is_the_same_wherever_it_is_made() -> None:
    assert world.places(TINY) == world.places(TINY)
    assert world.prefixes(TINY) == world.prefixes(TINY)
    assert world.offer("title-00003") == world.offer("title-00003")


def test_the_world_has_the_size_that_was_asked_for() -> None:
    table = world.prefixes(TINY)
    assert [sum(version == of for version, _, _ in table) for of in (4, 6)] == [TINY.ipv4, TINY.ipv6]
    packages = {title: str(world.offer(title).entry["package"]) for title in world.titles(TINY)}
    reports = list(world.reports(TINY, packages))
    assert len({one.name for one in reports}) == TINY.appliances
    assert all(one.held and set(one.held) <= {f"{title}/{name}" for title, name in packages.items()} for one in reports)


def test_an_offer_is_a_package_that_steering_takes() -> None:
    from steering.catalog import Entry, read_title

    offer = world.offer("title-00003")
    title = read_title(msgspec.convert(offer.entry, Entry), offer.manifest)
    assert 1200 <= title.entry.duration <= 7200
    assert title.nominal_bps > 10_000_000
