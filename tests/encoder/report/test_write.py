"""From a real encode to its page: it is there, shows the frame that it means, and never costs the package."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from config.encoder import EncoderSettings
from config.progress import Reporter
from encoder.film.probe import film_url, read_film
from encoder.per_title.quality import RungQuality, Scored
from encoder.pipeline import encode
from encoder.report import write
from encoder.report.costs import Metered
from encoder.report.facts import Report
from encoder.report.stills import worst_still
from encoder.report.write import report_path
from encoder.running.process import Tools
from encoder.video.chunks import plan_chunks
from encoder.video.ladder import ladder
from tests.encoder.conftest import GREY_STEP, run_ffmpeg


def test_an_encode_leaves_its_report_beside_the_package(
    grey_film: Path, tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    folder = encode(grey_film, "film", tmp_path / "out", settings, reporter, "A name")
    text = report_path(folder).read_text()
    assert text.startswith("<!doctype html>") and "A name" in text and folder.name in text
    assert "<dt>video</dt>" in text  # processor time of the encodes
    assert {path.name for path in folder.parent.iterdir()} == {folder.name, report_path(folder).name}


def test_a_report_that_cannot_be_made_costs_no_package(
    grey_film: Path, tmp_path: Path, settings: EncoderSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(_: Report) -> str:
        raise ZeroDivisionError("no such luck")

    said: list[str] = []

    class Spoken(Reporter):
        def say(self, text: str) -> None:
            said.append(text)

    monkeypatch.setattr(write, "page", break_down)
    folder = encode(grey_film, "film", tmp_path / "out", settings, Spoken(quiet=True))
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert any("no such luck" in line and "package is whole" in line for line in said)


@pytest.mark.parametrize("frame", [0, 17, 79])
def test_the_worst_moment_is_the_very_frame_in_film_and_encode(grey_film: Path, tools: Tools, frame: int) -> None:
    source = read_film(tools, grey_film)
    plan = plan_chunks(source, 1.0, 1.0)
    rung = ladder(source)[0]
    quality = RungQuality(rung.name, 0, 50, 50, 50, (Scored(frame, 1, 50, 40, frame),))
    still = worst_still(tools, film_url(grey_film), source, plan, rung, quality, grey_film)
    assert still is not None and (still.time_s, still.vmaf) == (frame / 20, 40)
    for number, jpeg in enumerate((still.film, still.encode)):
        path = grey_film.with_name(f"{number}.jpg")
        path.write_bytes(jpeg)
        grey = run_ffmpeg("-i", str(path), "-f", "rawvideo", "pipe:1")[0]
        # Video range became full range.
        assert (grey * 219 / 255 + 16 - 20) / GREY_STEP == pytest.approx(frame % 34, abs=0.4)


def test_a_picture_that_cannot_be_had_is_no_failure(grey_film: Path, tools: Tools) -> None:
    source = read_film(tools, grey_film)
    plan, rung = plan_chunks(source, 1.0, 1.0), ladder(source)[0]
    quality = RungQuality(rung.name, 0, 50, 50, 50, (Scored(0, 1, 50, 40, 0),))
    missing = grey_film.with_name("nothing.mp4")
    assert worst_still(tools, film_url(grey_film), source, plan, rung, quality, missing) is None


def test_costs_of_an_encode_that_was_killed_and_resumed_are_added_up(tmp_path: Path, reporter: Reporter) -> None:
    (tmp_path / "costs.json").write_text(json.dumps({"trials": 100.0}))
    meter = Metered(reporter)
    with meter.bar("digest", 1):
        pass
    meter.keep_in(tmp_path)
    with meter.bar("trials", 1) as bar:
        bar.update(1)
    kept = json.loads((tmp_path / "costs.json").read_text())
    assert kept.keys() == {"digest", "trials"} and kept["trials"] >= 100
    assert {cost.stage for cost in meter.costs()} == kept.keys()


def test_a_broken_record_of_costs_is_begun_again(tmp_path: Path, reporter: Reporter) -> None:
    (tmp_path / "costs.json").write_text('{"trials": ')
    meter = Metered(reporter)
    meter.keep_in(tmp_path)
    assert meter.costs() == ()
