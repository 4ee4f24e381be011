"""The fleet database: what is kept in it, and what one replica finds there of another; on SQLite and on PostgreSQL."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest

from oca.report import Held, held_version
from steering.errors import DatabaseError
from steering.replicas.database import Database, HeldRow, Outgoing, Row, decode_held
from tests.postgres import Postgres
from tests.steering.values import report

HELD: Held = {"film/0": ("*",), "other/1": ("v.mp4", "a.mp4")}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/deep/down/fleet.sqlite"
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.new_database()


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


def row(name: str, age_s: float = 0.0) -> Row:
    kept = msgspec.structs.replace(report(name, held=HELD), held=None)
    return Row(name, age_s, 1000.0, msgspec.msgpack.encode(kept))


def held(name: str, files: Held = HELD) -> HeldRow:
    return HeldRow(name, held_version(files), msgspec.msgpack.encode(files))


def test_what_was_written_is_kept(database: Database, url: str) -> None:
    for number in (1, 2):  # written twice is kept once
        database.exchange(Outgoing("a", number, time.monotonic(), b"", [row("a1", 10), row("a2", 7)], [held("a1")]), {})
    again = Database(url)
    kept = {one.report.name: one for one in again.load()}
    again.close()
    assert {name: round(one.age_s) for name, one in kept.items()} == {"a1": 10, "a2": 7}
    assert kept["a1"].held == HELD
    assert kept["a1"].held_version == held_version(HELD)
    assert kept["a1"].since == 1000.0
    assert kept["a1"].report.url == "http://a1.localhost:8080"
    assert kept["a2"].held == {}


def test_each_batch_is_read_once_by_the_others_and_never_by_its_writer(database: Database) -> None:
    assert not database.exchange(Outgoing("a", 1, time.monotonic(), b"a1"), {}).batches
    heard = database.exchange(Outgoing("b", 1, time.monotonic(), b"b1"), {}).batches
    assert [(one.replica, one.number, one.heard) for one in heard] == [("a", 1, b"a1")]
    assert 0 <= heard[0].age_s < 60
    database.exchange(Outgoing("a", 2, time.monotonic(), b"a2"), {"b": 1})
    database.exchange(Outgoing("a", 3, time.monotonic(), b"a3"), {"b": 1})
    assert [one.heard for one in database.exchange(Outgoing("b", 2, time.monotonic(), b"b2"), {"a": 1}).batches] == [
        b"a2",
        b"a3",
    ]
    assert [one.heard for one in database.exchange(Outgoing("b", 3, time.monotonic(), b"b3"), {"a": 3}).batches] == []


def test_old_batches_are_not_kept(database: Database) -> None:
    for number in range(1, 101):
        database.exchange(Outgoing("a", number, time.monotonic(), b""), {})
    assert len(database.exchange(Outgoing("b", 1, time.monotonic(), b""), {}).batches) == 20


def test_of_replicas_beyond_number_that_came_and_went_is_read_what_is_new(database: Database) -> None:
    for number in range(250):
        database.exchange(Outgoing(f"r{number}", 1, time.monotonic(), b""), {})
    seen = {f"r{number}": 1 for number in range(100)} | {f"gone{number}": 1 for number in range(2000)}
    read = database.exchange(Outgoing("b", 1, time.monotonic(), b""), seen).batches
    assert {one.replica for one in read} == {f"r{number}" for number in range(100, 250)}


def test_only_the_wanted_version_of_what_is_held_is_read(database: Database) -> None:
    database.exchange(Outgoing("a", 1, time.monotonic(), b"", [], [held("a1"), held("a2", {})]), {})
    wanted = {"a1": held_version(HELD), "a2": held_version(HELD), "a3": held_version(HELD)}
    assert {name: decode_held(files) for name, files in database.held(wanted).items()} == {"a1": HELD}


def test_a_database_says_which_it_is(database: Database, url: str) -> None:
    again = Database(url)
    assert (
        database.exchange(Outgoing("a", 1, time.monotonic(), b""), {}).identity
        == again.exchange(Outgoing("b", 1, time.monotonic(), b""), {}).identity
    )
    again.close()


def test_titles_are_kept_until_they_are_gone(database: Database) -> None:
    database.save_titles({"film": b"1", "other": b"2"}, [])
    database.save_titles({"film": b"3"}, ["other"])
    assert database.load_titles() == {"film": b"3"}


def test_a_damaged_title_is_left_out(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/fleet.sqlite")
    database.save_titles({"film": b"1", "other": b"2"}, [])
    damage(tmp_path, "update titles set data = x'00' where title = 'film'")
    assert database.load_titles() == {"other": b"2"}
    database.close()


def test_a_row_that_cannot_be_read_takes_no_other_with_it(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/fleet.sqlite")
    database.exchange(Outgoing("a", 1, time.monotonic(), b"", [row("a1"), row("a2")]), {})
    damage(tmp_path, "update appliances set report = x'00' where name = 'a1'")
    assert [one.report.name for one in database.load()] == ["a2"]
    database.close()


def damage(tmp_path: Path, statement: str) -> None:
    with sqlite3.connect(tmp_path / "fleet.sqlite") as direct:
        direct.execute(statement)
    direct.close()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello " * 100)
    database = Database(f"sqlite:///{tmp_path}/text")
    with pytest.raises(DatabaseError, match="not a database"):
        database.load()
    database.close()


def test_a_server_that_is_not_there_is_named() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/nowhere")
    with pytest.raises(DatabaseError, match=r"127\.0\.0\.1.*port 1"):
        database.load()
    database.close()


def test_a_driver_that_is_not_installed_is_named() -> None:
    with pytest.raises(DatabaseError, match=r"postgresql\+pg8000:// has no driver here .*pg8000.*nearcast\[postgres\]"):
        Database("postgresql+pg8000://nobody@127.0.0.1:1/nowhere")


def test_what_is_wrong_is_said_in_one_line(postgres: Postgres) -> None:
    url = postgres.new_database()
    database = Database(url)
    database.load()
    with psycopg.connect(url) as other:
        other.execute("drop table batches")
    with pytest.raises(DatabaseError, match=r'^database: relation "batches" does not exist$'):
        database.exchange(Outgoing("a", 1, time.monotonic(), b""), {})
    database.close()


def test_a_table_that_somebody_locks_holds_nobody_for_long(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    url = postgres.new_database()
    database = Database(url)
    database.exchange(Outgoing("a", 1, time.monotonic(), b""), {})
    monkeypatch.setattr("steering.replicas.database._PATIENCE_S", 0.2)
    with psycopg.connect(url) as other:
        other.execute("set idle_in_transaction_session_timeout = '10s'")  # the test ends also where it fails
        other.execute("lock table batches")
        for number in (2, 3):  # the second time over a new connection
            with pytest.raises(DatabaseError, match="timeout"):
                database.exchange(Outgoing("a", number, time.monotonic(), b""), {})
    assert database.exchange(Outgoing("b", 1, time.monotonic(), b""), {}).batches
    database.close()
