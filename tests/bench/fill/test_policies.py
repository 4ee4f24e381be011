from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from bench.fill.evening import expectations
from bench.fill.policies import measure_policies
from bench.fill.reading import Lists, read_lists
from bench.fill.reveal import evenings
from bench.fill.sample import LISTS_HEADER
from bench.rows import OURS
from config.progress import Reporter

QUIET = Reporter(quiet=True)
LISTED = 40
DAYS = 44
# Of an offload: what chance does to the mean of some days.
CHANCE = 0.005


def unchanging(zipf: float) -> Lists:
    """The same items every day, of Zipf's popularity; 0 is flat."""
    random = np.random.default_rng(1)
    daily = 1e7 * (np.arange(LISTED) + 1.0) ** -zipf
    views = np.zeros(LISTED)
    rows = []
    for day in range(DAYS):
        views += random.poisson(daily)
        when = (date(2026, 1, 1) + timedelta(days=day)).isoformat()
        rows += [
            [when, "AA", f"v{item}", "2025-12-01 12:00:00", "1", "False", "100", "hd", str(int(views[item])), "1"]
            for item in range(LISTED)
        ]
    return read_lists("unchanging", LISTS_HEADER, iter(rows))


@pytest.mark.parametrize("zipf", [0.0, 1.0])
def test_where_nothing_changes_ours_is_no_worse_than_a_cache_or_yesterday_s_ranking(zipf: float) -> None:
    lists = unchanging(zipf)
    found = expectations(lists, list(evenings(lists)), QUIET, quick=True)
    rows = {row.subject: row for row in measure_policies(found, [10], QUIET, quick=True)}
    ours = rows[OURS]
    assert ours.must is not None
    assert ours.median > ours.must - CHANCE
    assert ours.must == max(rows[rival].median for rival in ("lru", "s3-fifo", "yesterday"))
