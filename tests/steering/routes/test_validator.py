from __future__ import annotations

import os
from pathlib import Path

from steering.routes.validator import Validator

DAY_S = 86400.0
GOOD = '{"metadata": {"generated": 1000}, "roas": [{"asn": 1, "prefix": "11.0.0.0/8"}]}'


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_young_file_is_believed_and_read_once(tmp_path: Path) -> None:
    (tmp_path / "vrps").write_text(GOOD)
    validator = Validator(tmp_path / "vrps", DAY_S, Clock())
    first = validator.look()
    assert first is not None
    assert validator.look() is first
    assert validator.trouble == ""


def test_without_a_file_in_the_settings_nothing_is_wrong() -> None:
    validator = Validator(None, DAY_S, Clock())
    assert validator.look() is None
    assert validator.trouble == ""


def test_a_file_that_is_missing_old_or_damaged_rejects_nothing_and_is_said(tmp_path: Path) -> None:
    path, clock = tmp_path / "vrps", Clock()
    validator = Validator(path, DAY_S, clock)
    assert validator.look() is None
    assert "No such file" in validator.trouble
    path.write_text("{")
    assert validator.look() is None
    assert "no VRPs" in validator.trouble
    path.write_text(GOOD)
    assert validator.look() is not None
    assert validator.trouble == ""
    clock.now += DAY_S + 3600
    assert validator.look() is None
    assert "25h 00m old" in validator.trouble
    path.unlink()
    assert validator.look() is None
    path.write_text(GOOD.replace("1000", str(int(clock.now))))
    assert validator.look() is not None


def test_a_file_that_does_not_say_when_is_as_old_as_the_file(tmp_path: Path) -> None:
    path, clock = tmp_path / "vrps", Clock()
    path.write_text('{"roas": []}')
    os.utime(path, (500, 500))
    validator = Validator(path, 600, clock)
    assert validator.look() is not None
    clock.now = 1101.0
    assert validator.look() is None
