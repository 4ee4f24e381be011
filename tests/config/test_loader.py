from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from config.errors import ConfigError
from config.field import ADDRESS, BYTES, DURATION, FLAG, INTEGER, NAME, TEXT, listing, setting, tables
from config.loader import load, show
from config.sections import SECTIONS


@dataclass(frozen=True)
class Place:
    name: str = setting(kind=NAME, help="Its name.")
    near: tuple[str, ...] = setting("", kind=listing(NAME), help="Neighbours.")


@dataclass(frozen=True)
class Sample:
    name: str = setting(kind=NAME, help="Its name.")
    listen: tuple[str, int] = setting("127.0.0.1:80", kind=ADDRESS, help="Where it listens.")
    disk: int = setting("4 MiB", kind=BYTES, help="What it may hold.")
    wait: float = setting("10s", kind=DURATION, help="How long it waits.")
    count: int = setting("3", kind=INTEGER, help="How many.")
    bold: bool = setting("false", kind=FLAG, help="Whether.")
    note: str = setting("", kind=TEXT, help="Anything.")
    places: tuple[Place, ...] = setting((), kind=tables(Place), help="Places.", of=Place)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "nearcast.toml"
    path.write_text(
        '[sample]\nname = "a"\ncount = 5\nwait = "1m"\n'
        '[[sample.places]]\nname = "x"\nnear = ["y", "z"]\n[[sample.places]]\nname = "y"\n'
    )
    return path


def test_flags_beat_the_environment_and_that_beats_the_file(file: Path) -> None:
    environ = {"NEARCAST_SAMPLE_COUNT": "6", "NEARCAST_SAMPLE_DISK": "1 GiB"}
    loaded = load(Sample, "sample", file=file, environ=environ, flags={"disk": "2 GiB", "note": None})
    assert (loaded.name, loaded.wait, loaded.count, loaded.disk, loaded.note) == ("a", 60.0, 6, 2 * 2**30, "")
    assert loaded.places == (Place(name="x", near=("y", "z")), Place(name="y"))


def test_every_problem_is_told_at_once_with_place_and_expectation(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text('[sample]\nlisten = "nowhere"\ndisk = 5\ncolour = "red"\n[[sample.places]]\nnear = "a b"\n')
    with pytest.raises(ConfigError) as caught:
        load(Sample, "sample", file=path, environ={"NEARCAST_SAMPLE_WAIT": "soon"})
    told = str(caught.value).splitlines()
    assert caught.value.exit_code == 2
    for line in (
        f"{path} [sample]: listen: found 'nowhere', expected an address such as \"127.0.0.1:8080\"",
        f'{path} [sample]: disk: found 5, expected a size such as "4 MiB" or "120 TB"',
        'environment: wait: found \'soon\', expected a duration such as "10s" or "12h"',
    ):
        assert line in told
    assert any("colour: found an unknown key, expected one of" in line for line in told)
    assert any("places[0]: name: found nothing" in line for line in told)
    assert any("places[0]: near" in line for line in told)
    assert any(": name: found nothing" in line and "places" not in line for line in told)


@pytest.mark.parametrize("content", [b"[sample", b"\xff\xfe", b"sample = 3\n"])
def test_a_file_that_is_not_toml_or_not_a_table_is_told_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"bad\.toml"):
        load(Sample, "sample", file=path)


def test_a_missing_file_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(Sample, "sample", file=tmp_path / "none.toml")


def test_what_is_shown_can_be_loaded_again(file: Path) -> None:
    loaded = load(Sample, "sample", file=file)
    shown = {key: value for key, value in show(loaded).items() if key != "places"}
    assert load(Sample, "sample", environ={}, flags=shown).wait == loaded.wait


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_of_every_section_has_help_and_a_default_that_parses(section: str) -> None:
    required = {"name": "a", "site": "b"}
    cls = SECTIONS[section]
    names = set(cls.__dataclass_fields__)
    load(cls, section, environ={}, flags={key: value for key, value in required.items() if key in names})
    assert all(field.metadata["help"].endswith(".") for field in cls.__dataclass_fields__.values())
