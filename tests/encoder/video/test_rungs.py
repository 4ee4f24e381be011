"""Ladders of a film's own, whole: the quality that was asked for is had, or the package is refused."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path

import pytest

from config.encoder import EncoderSettings
from config.progress import Reporter
from encoder import package
from encoder.errors import CheckError, ToolError
from encoder.package import Rendition
from encoder.per_title import scoring
from encoder.per_title.quality import RungQuality, how_many
from encoder.per_title.scoring import Scoring, demand_vmaf
from encoder.pipeline import encode
from encoder.running.process import Tools
from encoder.video.rungs import make_video, read_quality
from tests.encoder.conftest import CLIP, Film


@pytest.fixture(scope="module")
def clip(film: Film) -> Path:
    """Two shots."""
    cut = ["-ss", "10", "-i", str(CLIP), "-t", "4", "-map", "0:v", "-vf", "scale=480:270"]
    return film("two-shots-of-film.mkv", *cut, "-c:v", "libx264", "-qp", "10")


@pytest.fixture
def own(settings: EncoderSettings) -> EncoderSettings:
    return dataclasses.replace(
        settings, ladder="per-title", preset="veryfast", segment_duration=4.0, chunk_duration=8.0
    )


def rungs_of(folder: Path) -> tuple[Rendition, ...]:
    return package.decode((folder / "package.json").read_bytes()).of_kind("video")


def test_a_ladder_of_its_own_has_what_was_asked_at_even_steps_and_the_same_bytes_each_time(
    clip: Path, tmp_path: Path, own: EncoderSettings, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[tuple[RungQuality, ...]] = []

    def watched(*arguments: object) -> Path:
        folder = make_video(*arguments)  # type: ignore[arg-type]
        found.append(read_quality(folder))
        return folder

    monkeypatch.setattr("encoder.pipeline.make_video", watched)
    folder = encode(clip, "film", tmp_path / "out", own, reporter)
    rungs, qualities = rungs_of(folder), found[0]
    assert 80 < rungs[0].vmaf <= 95  # or what the highest bitrate of its size carries
    steps = [above.vmaf - below.vmaf for above, below in pairwise(rungs)]
    assert len(rungs) >= 2 and max(steps) - min(steps) < 0.1
    assert [one.average_bandwidth for one in rungs] == sorted((one.average_bandwidth for one in rungs), reverse=True)
    assert len({one.name for one in rungs}) == len(rungs)
    assert len({one.durations for one in rungs}) == 1
    assert [(one.rung, one.asked) for one in qualities] == [(rung.name, rung.vmaf) for rung in rungs]
    assert max(abs(one.mean - one.asked) for one in qualities) <= 0.3
    again = encode(clip, "film", tmp_path / "again", dataclasses.replace(own, work=tmp_path / "work-2"), reporter)
    assert again.name == folder.name


def test_waves_give_the_same_bytes_whatever_the_number_of_workers(
    clip: Path, tmp_path: Path, own: EncoderSettings, reporter: Reporter
) -> None:
    # Four parts: the third follows from the first while the second is being encoded.
    own = dataclasses.replace(own, preset="ultrafast", segment_duration=1.0)
    made = [
        encode(clip, "film", tmp_path / f"out {workers}", one, reporter).name
        for workers in ("1", "4")
        for one in [dataclasses.replace(own, workers=workers, work=tmp_path / f"work {workers}")]
    ]
    assert made[0] == made[1]


def test_an_encode_that_is_far_from_what_its_trials_showed_is_refused(
    clip: Path, tmp_path: Path, own: EncoderSettings, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Scoring.run

    def wrong_pictures(self: Scoring, tools: Tools, film: str, folder: Path) -> list[list[float]]:
        if self.files[0].endswith(".mp4"):
            return [[30.0] * how_many(self.chunk.frames)] * len(self.files)
        return run(self, tools, film, folder)

    monkeypatch.setattr(scoring.Scoring, "run", wrong_pictures)
    with pytest.raises(CheckError, match=r"v\d+ has VMAF 30.0 from .* to .* of the film, expected at least \d"):
        encode(clip, "film", tmp_path / "out", own, reporter)
    assert not list((tmp_path / "out" / "film").iterdir())


def test_an_ffmpeg_without_vmaf_is_told_with_what_to_do(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    demand_vmaf(tools)
    monkeypatch.setattr(tools, "ffmpeg_bytes", lambda arguments, cwd: b" .. scale V->V Scale the input video")
    with pytest.raises(ToolError, match=r"no filter libvmaf.*--ladder fixed"):
        demand_vmaf(tools)
