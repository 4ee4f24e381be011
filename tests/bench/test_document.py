from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from bench.document import demand_writable, write
from bench.errors import BenchError


class Result(msgspec.Struct):
    benchmark: str = "a test"


def test_a_result_is_where_it_was_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "result.json"
    demand_writable(str(file))
    assert not write(Result(), str(file))
    assert json.loads(file.read_text()) == {"benchmark": "a test"}
    assert write(Result(), "-")
    assert json.loads(capsys.readouterr().out) == {"benchmark": "a test"}
    assert not write(Result(), None)


@pytest.mark.parametrize("name", ["", "none/result.json"])
def test_what_cannot_be_written_is_said_before_and_after(tmp_path: Path, name: str) -> None:
    with pytest.raises(BenchError, match="--json"):
        demand_writable(str(tmp_path / name))
    with pytest.raises(BenchError, match="--json"):
        write(Result(), str(tmp_path / name))
