from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigError
from fill.planning import find_logs, read_pins


def test_logs_are_found_by_pattern_once_each(tmp_path: Path) -> None:
    for name in ("a/access.log", "b/access.log", "b/other.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    patterns = [f"{tmp_path}/*/access.log", f"{tmp_path}/a/*", f"{tmp_path}/none/*"]
    assert find_logs(patterns) == [tmp_path / "a/access.log", tmp_path / "b/access.log"]


def test_pins_that_cannot_be_read_are_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"pins\.toml"):
        read_pins(tmp_path / "pins.toml")
    (tmp_path / "pins.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"pins\.toml"):
        read_pins(tmp_path / "pins.toml")
