"""The fleet database: a real one on disk."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from oca.report import held_version
from steering.database import Database, Keeper
from steering.errors import DatabaseError
from steering.fleet import Fleet
from tests.steering.values import report

HELD = {"film/0": ("*",), "other/1": ("v.mp4", "a.mp4")}


def known_fleet() -> Fleet:
    fleet = Fleet(6)
    fleet.take(report("a1", held=HELD), 100)
    fleet.take(report("a2"), 103)
    return fleet


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/deep/down/fleet.sqlite"
    for _ in range(2):  # saved twice is kept once
        database = Database(url)
        database.save([(known.heard_at, known) for known in known_fleet().known().values()])
        database.close()
    database = Database(url)
    stored = {one.report.name: one for one in database.load(110)}
    database.close()
    assert {name: one.age_s for name, one in stored.items()} == {"a1": 10, "a2": 7}
    assert stored["a1"].held == HELD
    assert stored["a1"].held_version == held_version(HELD)
    assert stored["a1"].report.url == "http://a1.localhost:8080"


def test_held_files_are_written_only_when_they_change(tmp_path: Path) -> None:
    fleet, database = known_fleet(), Database(f"sqlite:///{tmp_path}/fleet.sqlite")
    database.save([(known.heard_at, known) for known in fleet.known().values()])
    with sqlite3.connect(tmp_path / "fleet.sqlite") as direct:
        direct.execute("update held set version = 'untouched'")
    direct.close()
    database.save([(known.heard_at, known) for known in fleet.known().values()])
    assert {one.held_version for one in database.load(110)} == {"untouched"}
    fleet.take(report("a1", sequence=2, held={}), 101)
    database.save([(known.heard_at, known) for known in fleet.known().values()])
    assert {one.report.name: one.held_version for one in database.load(110)}["a1"] == held_version({})
    database.close()


def test_a_row_that_cannot_be_read_takes_no_other_with_it(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/fleet.sqlite")
    database.save([(known.heard_at, known) for known in known_fleet().known().values()])
    with sqlite3.connect(tmp_path / "fleet.sqlite") as direct:
        direct.execute("update reports set report = x'00' where name = 'a1'")
    direct.close()
    assert [one.report.name for one in database.load(110)] == ["a2"]
    database.close()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello " * 100)
    database = Database(f"sqlite:///{tmp_path}/text")
    with pytest.raises(DatabaseError, match="not a database"):
        database.load(0)
    database.close()


def test_a_driver_that_is_not_installed_is_named() -> None:
    with pytest.raises(DatabaseError, match=r"postgresql://"):
        Database("postgresql://nobody@127.0.0.1:1/nowhere")


async def test_a_database_that_comes_back_gets_everything_and_troubles_are_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "fleet.sqlite"
    path.write_text("hello " * 100)
    database, fleet = Database(f"sqlite:///{path}"), known_fleet()
    keeper = Keeper(fleet, database)
    await keeper.restore(100)
    for name in ("a1", "a2"):
        keeper.note(name)
        await keeper.flush(0)
    assert "not a database" in keeper.trouble
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    await asyncio.to_thread(path.unlink)
    await keeper.flush(0)
    assert keeper.trouble == ""
    assert {one.report.name for one in database.load(110)} == {"a1", "a2"}
    database.close()
