from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def nearcast(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "config", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_help_names_every_command_and_loads_none_of_them() -> None:
    code = "import sys; from config.cli import nearcast; nearcast.main(['--help'], standalone_mode=False); " + (
        "sys.exit(any(name in sys.modules for name in ('aiohttp', 'uvloop', 'ffmpeg', 'sqlalchemy')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    for command in ("demo", "encode", "origin", "oca", "steering", "fill", "config"):
        assert f"\n  {command}" in done.stdout


@pytest.mark.parametrize("command", ["encode", "origin", "oca", "steering", "fill", "config", "demo"])
def test_every_command_has_help(command: str) -> None:
    assert nearcast(command, "--help").returncode == 0


def test_a_good_file_is_said_to_be_good(tmp_path: Path) -> None:
    path = tmp_path / "nearcast.toml"
    path.write_text('[origin]\nstorage = "s3://bucket/prefix"\n[[steering.sites]]\nname = "north"\n')
    done = nearcast("config", "check", str(path))
    assert (done.returncode, done.stdout) == (0, f"{path}: good (origin, steering)\n")


def test_a_bad_file_is_exit_code_2_and_every_problem(tmp_path: Path) -> None:
    path = tmp_path / "nearcast.toml"
    path.write_text('[origin]\nstorage = "ftp://x"\n[orign]\n')
    done = nearcast("config", "check", str(path))
    assert done.returncode == 2
    assert "orign: found an unknown section" in done.stderr
    assert "storage: found 'ftp://x', expected a URL of file://, s3://" in done.stderr
    assert "Traceback" not in done.stderr


def test_effective_settings_are_shown_for_machines_too(tmp_path: Path) -> None:
    path = tmp_path / "nearcast.toml"
    path.write_text('[origin]\nlisten = "127.0.0.1:9"\n')
    done = nearcast("config", "show", str(path), "--effective", "--json")
    assert json.loads(done.stdout)["origin"]["listen"] == "127.0.0.1:9"


def test_an_unknown_command_and_an_unknown_flag_are_usage_errors() -> None:
    assert nearcast("nonsense").returncode == 2
    assert nearcast("oca", "serve", "--nonsense").returncode == 2


def test_a_missing_setting_is_a_configuration_error() -> None:
    done = nearcast("oca", "serve")
    assert done.returncode == 2
    assert "name: found nothing, expected a name" in done.stderr and "site: found nothing" in done.stderr
