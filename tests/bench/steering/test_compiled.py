"""Steering as a C compiler has it: the same tests, and every case of the benchmark."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.steering import compiled
from bench.steering.measure import Plan, measure
from config.progress import Reporter
from tests.bench.steering.test_measure import TINY

ROOT = Path(__file__).parents[3]
LIMIT_S = 300.0
# What asks the compiled modules most, in seconds.
TESTS = ("appliances", "choice", "front", "placement", "sessions", "test_service.py", "test_decisions.py")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    reason = compiled.why_not()
    if reason:
        assert not os.environ.get("CI"), reason
        pytest.skip(f"{reason} (on Debian: sudo apt install gcc libc6-dev python3-dev)")
    environment = compiled.install(tmp_path_factory.mktemp("compiled"), level=0)
    where = [sys.executable, "-c", "import steering.director as module; print(module.__file__)"]
    told = subprocess.run(where, env={**os.environ, **environment}, capture_output=True, text=True, check=True)
    assert told.stdout.strip().endswith(".so")
    return environment


@pytest.mark.slow
def test_what_is_compiled_passes_the_tests_of_what_is_not(environment: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "setup.cfg", tmp_path)
    paths = [f"tests/steering/{name}" for name in TESTS]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not interpreted", *paths]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


@pytest.mark.slow
async def test_every_request_of_the_benchmark_is_answered(environment: dict[str, str], tmp_path: Path) -> None:
    """As in `test_measure`, which has it interpreted."""
    plan = Plan(TINY, 0.3, 1, 12.0)
    rows, notes = await measure(plan, tmp_path, Reporter(quiet=True), environment)
    rates = {row.case: row for row in rows if row.metric == "per second"}
    assert len(rates) == 3
    assert all(row.median > 0 and not row.note for row in rates.values())
    assert any("0 were refused" in note for note in notes)
