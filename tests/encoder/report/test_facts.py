"""What follows from an encode before anything is drawn."""

from __future__ import annotations

import dataclasses

import pytest

from encoder.report.facts import Cost, Report, Stretch, pooled
from encoder.video.codec import AV1, H264


def test_few_stretches_stay_as_they_are() -> None:
    stretches = [Stretch(0, 4, 90), Stretch(4, 2, 80)]
    assert pooled(stretches, 60) == [(stretches[0], 90), (stretches[1], 80)]
    assert pooled([], 60) == []


def test_many_stretches_keep_their_mean_and_their_worst() -> None:
    """Two hours in segments of four seconds, one of them bad."""
    stretches = [Stretch(at * 4, 4, 90 if at != 1000 else 30) for at in range(1800)]
    found = pooled(stretches, 60)
    assert len(found) == 60
    assert sum(one.duration_s for one, _ in found) == 7200
    assert min(lowest for _, lowest in found) == 30
    assert sum(one.value * one.duration_s for one, _ in found) / 7200 == pytest.approx((1799 * 90 + 30) / 1800)


def test_curves_go_through_their_trials_and_reach_every_rung(report: Report) -> None:
    (search,) = report.searches
    curves = {curve.height: curve for curve in report.curves(search)}
    assert list(curves) == [360, 180, 90]
    for made in report.rungs:
        factors = [point.factor for point in curves[made.rung.height].points]
        assert min(factors) <= made.rung.crf <= max(factors)
    assert [trial.factor for trial in curves[360].tried] == list(H264.trial_crfs)


def test_bitrates_are_those_of_the_segments(report: Report) -> None:
    made = report.rungs[0]
    rates = made.bitrates
    assert [one.start_s for one in rates] == [0, 4, 8, 10, 14]
    assert sum(one.value * one.duration_s for one in rates) / 8 == pytest.approx(sum(made.rendition.sizes))


def test_search_is_compared_with_the_final_encodes(report: Report) -> None:
    assert report.search_share() == pytest.approx((1.5 + 8) / 20)
    costs = (*report.costs, Cost("corrections", 5.0))
    assert dataclasses.replace(report, costs=costs).search_share() == pytest.approx(14.5 / 20)
    assert dataclasses.replace(report, costs=()).search_share() is None
    assert dataclasses.replace(report, searches=()).search_share() is None


def test_what_is_saved_is_told_of_codecs_that_were_made(report: Report) -> None:
    assert report.saved(H264) is not None
    assert report.saved(AV1) is None
    assert len(report.fixed_estimate()) == 2
