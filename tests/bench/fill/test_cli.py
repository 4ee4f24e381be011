from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from bench.fill.cli import fill
from bench.fill.sample import HALVES_HEADER, halves
from tests.bench.fill.files import to_csv


def test_json_is_the_whole_result(tmp_path: Path) -> None:
    path = tmp_path / "halves.csv"
    path.write_text(to_csv(HALVES_HEADER, halves(titles=200)))
    done = CliRunner().invoke(fill, [str(path), "--quick", "--only", "halves", "--json", "-", "--quiet"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["benchmark"] == "fill"
    assert {"machine", "commit", "results", "ratios", "notes"} <= found.keys()
    assert {"subject", "case", "metric", "median", "min", "max"} <= found["results"][0].keys()


def test_tables_are_what_a_person_gets(tmp_path: Path) -> None:
    path = tmp_path / "halves.csv"
    path.write_text(to_csv(HALVES_HEADER, halves(titles=200)))
    done = CliRunner().invoke(fill, [str(path), "--quick", "--only", "halves", "--quiet"])
    assert done.exit_code == 0, done.output
    assert "halves/2026Jan-Jun/5%" in done.stdout
    assert "0.82 / 0.86 / 1" in done.stdout


def test_an_unknown_case_is_a_usage_error() -> None:
    done = CliRunner().invoke(fill, ["--only", "weekly"])
    assert done.exit_code == 2
    assert "no case is called weekly; there are daily" in done.output
