"""The command: results of what can be measured, notes on what cannot."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from bench.encode import cli
from bench.encode.measure import APPLE, APPLE_SAME, Cases, Clip
from bench.encode.result import EncodeResult
from bench.rows import OURS
from config.encoder import EncoderSettings
from config.progress import Reporter
from encoder.errors import SourceError
from tests.bench.encode.test_measure import ladder


def measured(clip: Path, folder: Path, settings: EncoderSettings, cases: Cases, reporter: Reporter) -> Clip:
    if clip.name == "bad.mp4":
        raise SourceError("bad.mp4 is no film")
    ladders = [ladder(OURS, 0.7), ladder(APPLE, 1.0), ladder(APPLE_SAME, 0.9)]
    return Clip(clip.name, {one.made.subject: one for one in ladders}, notes=("a note",))


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> tuple[int, str]:
    monkeypatch.setattr(cli, "measure_clip", measured)
    for name in names:
        (tmp_path / name).write_bytes(b"film")
    found = CliRunner().invoke(
        cli.encode, ["--quick", "--quiet", "--json", "-", *(str(tmp_path / name) for name in names)]
    )
    return found.exit_code, found.output


def test_a_clip_that_is_none_does_not_cost_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, output = run(tmp_path, monkeypatch, "bad.mp4", "good.mp4")
    result = json.loads(output)
    assert code == 0
    assert result["notes"] == ["bad.mp4 is left out: bad.mp4 is no film", "a note"]
    assert {row["case"] for row in result["results"]} == {"all clips", "good.mp4"}
    assert msgspec.json.decode(output, type=EncodeResult).preset == "veryfast"


def test_without_a_clip_that_can_be_encoded_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(tmp_path, monkeypatch, "bad.mp4")[0] == 1
