from __future__ import annotations

from pathlib import Path

import pytest

from bench.fill.kills import kill_nights


@pytest.mark.slow
async def test_ten_kills_cost_no_byte_no_file_and_no_block_twice(tmp_path: Path) -> None:
    found = await kill_nights(tmp_path / "night", 10)
    assert found.is_well, found.notes
    assert found.kills == 10
