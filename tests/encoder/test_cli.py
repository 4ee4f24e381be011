from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from encoder.cli import encode
from tests.encoder.conftest import Film, pattern

FAST = ("--ladder", "fixed", "--preset", "ultrafast", "--segment-duration", "1s", "--min-free-space", "0")


@pytest.fixture
def small_film(film: Film) -> Path:
    return film("small.mp4", "-f", "lavfi", "-i", pattern(seconds=1), "-c:v", "libx264", "-preset", "ultrafast")


def run(*arguments: object) -> str:
    result = CliRunner().invoke(encode, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_json_says_what_a_script_needs(small_film: Path, tmp_path: Path) -> None:
    printed = run(
        small_film, "--title", "small", "--out", tmp_path / "out", "--work", tmp_path, "--json", "--quiet", *FAST
    )
    summary = json.loads(printed)
    assert Path(summary["folder"]) == tmp_path / "out" / "small" / summary["package"]
    assert [rendition["name"] for rendition in summary["renditions"]] == ["v180"]


def test_table_shows_the_ladder_and_where_the_package_is(small_film: Path, tmp_path: Path) -> None:
    printed = run(
        small_film, "--title", "small", "--name", "A film", "--out", tmp_path / "out", "--work", tmp_path, *FAST
    )
    assert "A film" in printed and "320x180" in printed and "avc1." in printed
    assert str(tmp_path / "out" / "small") in printed


def test_published_package_is_in_the_storage(small_film: Path, tmp_path: Path) -> None:
    printed = run(small_film, "--title", "small", "--publish", f"file://{tmp_path}/origin", "--work", tmp_path / "work",
                  "--json", "--quiet", *FAST)  # fmt: skip
    name = json.loads(printed)["package"]
    assert (tmp_path / "origin" / "packages" / "small" / name / "package.json").is_file()
    assert json.loads((tmp_path / "origin" / "catalog" / "small.json").read_bytes())["package"] == name


def test_neither_out_nor_publish_is_a_usage_error(small_film: Path) -> None:
    result = CliRunner().invoke(encode, [str(small_film), "--title", "small"])
    assert result.exit_code == 2
    assert "--out DIR, --publish URL" in result.output


def test_impossible_title_is_told_with_what_is_possible(small_film: Path, tmp_path: Path) -> None:
    arguments = [str(small_film), "--title", "Big Film", "--out", str(tmp_path), "--work", str(tmp_path)]
    result = CliRunner().invoke(encode, arguments)
    assert result.exit_code == 2
    assert "'Big Film', expected 1 to 64 of a-z 0-9" in result.output
