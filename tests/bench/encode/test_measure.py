"""What ladders say together: which goals they reach, and which numbers are not to be believed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.encode import measure as measuring
from bench.encode.chunking import Chunking
from bench.encode.kills import Kills
from bench.encode.measure import (
    APPLE,
    APPLE_SAME,
    AV1,
    CLOSER,
    ONE_FACTOR,
    Cases,
    Clip,
    Ladder,
    measure_clip,
    mixed_rows,
    rows,
)
from bench.encode.quality import Quality
from bench.encode.shaka import SUBJECT as SHAKA
from bench.encode.subjects import Made, Rung
from bench.rows import OURS, Row
from config.encoder import EncoderSettings
from config.progress import Reporter
from encoder.running.process import Tools

VMAF = (94.0, 86.0, 78.0, 70.0, 62.0, 54.0)
BPS = (2e6, 1e6, 5e5, 3e5, 2e5, 1e5)


def ladder(subject: str, factor: float, scores: Sequence[float] = VMAF, *, neg: float = 1.0) -> Ladder:
    """Two shots of ten frames: the second is two points worse. NEG sees `neg` of the bits saved."""
    rungs = tuple(
        Rung(f"r{at}", Path("none.mp4"), 640, 360, bps * factor, score)
        for at, (bps, score) in enumerate(zip(BPS, scores, strict=False))
    )
    qualities = tuple(
        Quality((score + 1,) * 10 + (score - 1,) * 10, tuple([score * neg] * 20)) for score in scores[: len(rungs)]
    )
    return Ladder(Made(subject, rungs, 10.0, 3.0, "so", 4.0, (0, 10), 2**28, 8.0, 2.0, 0.1, 16.0), qualities)


def clip(*others: Ladder, mine: float = 0.7) -> Clip:
    ladders = [ladder(OURS, mine), ladder(APPLE, 1.0), ladder(APPLE_SAME, 0.9), *others]
    return Clip("film", {one.made.subject: one for one in ladders}, Chunking(4, 0.02, 0.005), Kills(20, True, 0))


def by_metric(found: Sequence[Row], case: str = "all clips") -> dict[str, Row]:
    return {row.metric: row for row in found if row.case == case and row.subject == OURS}


def test_a_ladder_that_takes_three_tenths_less_says_so_in_every_metric() -> None:
    found = by_metric(rows([clip(ladder(SHAKA, 0.8), ladder(AV1, 0.4), ladder(ONE_FACTOR, 0.69))]))
    assert found["BD-rate, Apple's rungs"].median == pytest.approx(-0.3)
    assert found["BD-rate, same keyframes"].median == pytest.approx(0.7 / 0.9 - 1)
    assert found["BD-rate, shaka-streamer"].median == pytest.approx(0.7 / 0.8 - 1)
    assert found["BD-rate, AV1 by Apple's H.264"].median == pytest.approx(-0.6)
    assert found["BD-rate lost to the exhaustive hull"].median == pytest.approx(0.7 / 0.69 - 1)
    assert found["storage, by Apple's"].median == pytest.approx(-0.3)
    assert found["search, by final encodes (CPU)"].median == pytest.approx(0.3)
    assert found["wall, by CPU on 2 cores"].median == pytest.approx(0.9)  # others took a tenth of the time
    assert "by the clock up to 1.00" in found["wall, by CPU on 2 cores"].note
    assert found["VMAF missed, worst rung"].median == pytest.approx(0.0)
    reached = {metric: row.verdict for metric, row in found.items() if row.verdict}
    assert reached["BD-rate, Apple's rungs"] == "must" and reached["BD-rate, AV1 by Apple's H.264"] == "aim"
    assert reached["chunking, CPU"] == "must" and reached["killed, and the same package"] == "aim"
    assert "20 kills, 0 processes left" in found["killed, and the same package"].note


def test_subjects_that_were_not_measured_have_no_rows() -> None:
    found = by_metric(rows([clip()]))
    assert not [metric for metric in found if "shaka" in metric or "AV1" in metric or "exhaustive" in metric]


def test_the_worst_clip_counts_beside_the_mean() -> None:
    found = by_metric(rows([clip(mine=0.6), clip(mine=1.1)]))
    assert found["BD-rate, Apple's rungs"].median == pytest.approx(-0.15)
    worst = found["BD-rate, worst clip"]
    assert worst.median == pytest.approx(0.1) and worst.verdict == "short"


def test_too_few_rungs_are_said_and_reach_no_goal() -> None:
    few = [ladder(name, factor, VMAF[:1]) for name, factor in ((OURS, 1.0), (APPLE, 1.0), (APPLE_SAME, 1.0))]
    found = by_metric(rows([Clip("film", {one.made.subject: one for one in few})]))
    assert found["BD-rate, Apple's rungs"].verdict == ""
    assert found["BD-rate, Apple's rungs"].note == "0 of 1 sound"


def test_a_gain_that_neg_does_not_see_is_not_to_be_believed() -> None:
    bought = clip()
    mine = ladder(OURS, 0.7, neg=0.8)
    found = rows([Clip("film", bought.ladders | {OURS: mine})])
    assert "NEG HAS THE OTHER SIGN" in by_metric(found, "film")["BD-rate, apple"].note
    assert "NEG" not in by_metric(rows([bought]), "film")["BD-rate, apple"].note


def test_a_real_clip_is_encoded_scored_and_compared(
    small_film: Path, tmp_path: Path, settings: EncoderSettings
) -> None:
    """The stages of the encoder that costs are read from have the names that they are looked for by."""
    own = dataclasses.replace(settings, ladder="per-title", preset="veryfast")
    found = measure_clip(small_film, tmp_path, own, Cases(), Reporter(quiet=True))
    mine = found.mine
    assert mine.made.cpu_s > 0 and mine.made.search_cpu_s > 0 and mine.made.scoring_cpu_s > 0
    assert mine.made.whole_cpu_s > mine.made.cpu_s and mine.made.memory > 0
    assert all(len(quality.vmaf) == 75 for ladder in found.ladders.values() for quality in ladder.qualities)
    assert by_metric(rows([found]))["VMAF missed, worst rung"].median < 3


def test_all_are_scored_at_the_films_size_and_a_curve_has_rungs_enough(
    small_film: Path, tmp_path: Path, settings: EncoderSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where our best rung is smaller than the film. Of AV1 the film needs three rungs only."""

    def encoded(path: Path, folder: Path, settings: EncoderSettings, *, quiet: bool) -> list[Made]:
        rungs = max(3, settings.least_rungs)
        return [ladder(OURS, 0.7).made, ladder(AV1, 0.4, VMAF[:rungs]).made][: len(settings.codecs)]

    def scored(tools: Tools, file: Path, clip: Path, size: tuple[int, int], *others: object) -> Quality:
        sizes.add(size)
        return Quality((90.0,), (90.0,))

    sizes: set[tuple[int, int]] = set()
    monkeypatch.setattr(measuring, "ours", encoded)
    monkeypatch.setattr(measuring, "fixed", lambda *_, keyframes=(): ladder(APPLE_SAME if keyframes else APPLE, 1).made)
    monkeypatch.setattr(measuring, "measure", scored)
    found = measure_clip(small_film, tmp_path, settings, Cases(av1=True), Reporter(quiet=True))
    assert sizes == {(320, 180)}
    assert found.curve(OURS) is found.mine and OURS + CLOSER not in found.ladders
    assert len(found.ladders[AV1].points) == 3 and len(found.curve(AV1).points) == 5


def test_a_curve_of_closer_rungs_counts_for_bd_rate_and_not_for_storage() -> None:
    few, closer = ladder(OURS, 0.7, VMAF[:3]), ladder(OURS + CLOSER, 0.8)
    found = by_metric(rows([Clip("film", clip().ladders | {OURS: few, OURS + CLOSER: closer})]))
    assert found["BD-rate, Apple's rungs"].median == pytest.approx(-0.2) and found["BD-rate, Apple's rungs"].note == ""
    assert found["storage, by Apple's"].median == pytest.approx(0.7 * 3.5e6 / 4.1e6 - 1)


def test_a_programme_is_compared_with_the_best_of_one_factor_for_all() -> None:
    """Of what one factor offers, that which costs more and looks no better does not count."""
    even = ladder(ONE_FACTOR, 1.0)
    dear = even.made.rungs[0]._replace(bps=3e6)
    made = even.made._replace(rungs=(*even.made.rungs, dear))
    offered = Ladder(made, (*even.qualities, even.qualities[1]))
    found = list(mixed_rows(clip(offered, mine=0.85)))
    assert [row.median for row in found] == pytest.approx([-0.15] * 3)
    assert [row.verdict for row in found] == ["", "aim", "aim"]
