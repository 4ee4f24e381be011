from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.errors import BenchError
from bench.fill import planning
from bench.fill.clusters import moved_by_loss
from bench.fill.network import make_feed, write_night, yesterday_of
from config.progress import Reporter
from fill.planner.bulk_files import decode_held, encode_held
from fill.planner.kernels import NOTHING


def test_a_network_is_the_same_for_the_same_seed_and_drifts_overnight() -> None:
    feed, again = make_feed(3, 500, 7), make_feed(3, 500, 7)
    assert np.array_equal(feed.density, again.density)
    assert feed.fleet == again.fleet
    before = yesterday_of(feed, 8)
    changed = (before.density - feed.density)[before.density != NOTHING]
    assert 10 < np.std(changed) < 60


def test_planning_in_bulk_is_run_and_checked() -> None:
    rows = planning.bulk(3, 3000, Reporter(quiet=True), is_cold=False)
    found = {row.metric: row for row in rows}
    assert found["gap to the bound"].median < 1e-2
    assert found["peak memory, MB"].median < 1000
    assert found["seconds, cold"].median > 0


def test_a_disk_that_is_overfilled_is_an_error_and_not_a_figure(tmp_path: Path) -> None:
    feed = write_night(tmp_path, 1, 2000, 1)
    (tmp_path / "first").rename(tmp_path / "cold")  # fetches on top of all that is held
    with pytest.raises(BenchError, match="fetches what is held"):
        planning._check(tmp_path, feed, 0)
    for appliance in feed.fleet.clusters[0].appliances:
        path = tmp_path / "held" / f"{appliance.name}.held"
        kept = decode_held(path.read_bytes(), 2000, str(path))
        path.write_bytes(encode_held(kept[:0]))
        if appliance == feed.fleet.clusters[0].appliances[0]:
            path.write_bytes(encode_held(np.setdiff1d(np.arange(2000), kept).astype(np.int32)))
    with pytest.raises(BenchError, match="more than the disk holds"):
        planning._check(tmp_path, feed, 0)


def test_losing_one_of_twenty_moves_little_more_than_its_share() -> None:
    assert moved_by_loss(1, appliances=20) <= 1.1


def test_nights_rewrite_little_for_nearly_all_of_the_value() -> None:
    written, share = planning._nights(1, None)
    assert written < 0.0045
    assert share > 0.99
