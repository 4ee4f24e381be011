from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bench.delivery.programs import Program, on_cores, run_client
from bench.errors import BenchError, ProcessFailed
from tests.bench.delivery.conftest import Plain


def test_what_a_program_uses_is_counted(plain: Plain) -> None:
    usage = plain.program.usage()
    assert usage.memory_bytes > 1024 * 1024
    assert usage.cpu_s >= 0.0


def test_a_program_that_ends_at_once_is_told_of_with_its_output(tmp_path: Path) -> None:
    program = Program("broken", tmp_path, [sys.executable, "-c", "raise SystemExit('no such configuration')"])
    program.start()
    with pytest.raises(ProcessFailed, match=r"broken does not listen on port 1: [\s\S]*no such configuration"):
        program.await_port(1)
    program.stop()


def test_what_is_started_on_cores_runs_there_and_we_go_on_where_we_were() -> None:
    before = os.sched_getaffinity(0)
    one = frozenset({min(before)})
    code = "import os; print(sorted(os.sched_getaffinity(0)))"
    assert run_client([sys.executable, "-c", code], one, limit_s=20.0) == f"{sorted(one)}\n"
    assert os.sched_getaffinity(0) == before
    with on_cores(frozenset()):
        assert os.sched_getaffinity(0) == before


def test_a_client_that_fails_or_hangs_is_a_sentence() -> None:
    with pytest.raises(BenchError, match="ended with code 3: what was wrong"):
        run_client(
            [sys.executable, "-c", "import sys; print('what was wrong'); sys.exit(3)"], frozenset(), limit_s=20.0
        )
    with pytest.raises(BenchError, match="did not end within 0 s"):
        run_client([sys.executable, "-c", "import time; time.sleep(60)"], frozenset(), limit_s=0.1)
