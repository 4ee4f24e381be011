"""A database named by a URL, on SQLite and on PostgreSQL."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sql

from config.databases import make_tables, open_engine, reason_of
from tests.postgres import Postgres

PATIENCE_S = 10
METADATA = sql.MetaData()
FILMS = sql.Table("films", METADATA, sql.Column("name", sql.String(64), primary_key=True, index=True))
PLACES = sql.Table("places", METADATA, sql.Column("film", sql.ForeignKey(FILMS.c.name), primary_key=True))


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/deep/down/films.db"
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.new_database()


@pytest.fixture
def engine(url: str) -> Iterator[sql.Engine]:
    engine = open_engine(url, PATIENCE_S, is_durable=True)
    yield engine
    engine.dispose()


def test_tables_that_many_make_at_once_are_made_once(url: str) -> None:
    everybody = threading.Barrier(6)

    def begin() -> None:
        engine = open_engine(url, PATIENCE_S, is_durable=False)
        everybody.wait(20)
        with engine.begin() as connection:
            make_tables(connection, METADATA)
        engine.dispose()

    with ThreadPoolExecutor(6) as pool:
        for one in [pool.submit(begin) for _ in range(6)]:
            one.result(20)


def test_tables_are_made_whole_and_left_alone_when_they_are_there(engine: sql.Engine) -> None:
    with engine.begin() as connection:
        make_tables(connection, METADATA)
        found = sql.inspect(connection)
        assert set(found.get_table_names()) == {"films", "places"}
        assert [index["column_names"] for index in found.get_indexes("films")] == [["name"]]
        connection.execute(sql.insert(FILMS), {"name": "kept"})
    with engine.begin() as connection:
        make_tables(connection, METADATA)
        assert connection.execute(sql.select(FILMS.c.name)).scalars().all() == ["kept"]


def test_who_may_not_make_tables_may_use_those_that_are_there(postgres: Postgres) -> None:
    url = postgres.new_database()
    owner = open_engine(url, PATIENCE_S, is_durable=True)
    with owner.begin() as connection:
        make_tables(connection, METADATA)
        connection.execute(sql.text("create role guest login"))
        connection.execute(sql.text("grant select on films to guest"))
        connection.execute(sql.text("revoke create on schema public from public"))
    owner.dispose()
    guest = open_engine(url.replace("nearcast@", "guest@"), PATIENCE_S, is_durable=True)
    with guest.begin() as connection:
        make_tables(connection, METADATA)
        assert connection.execute(sql.select(FILMS)).all() == []
    guest.dispose()


@pytest.mark.parametrize(("is_durable", "synchronous"), [(True, 2), (False, 1)])
def test_file_is_written_ahead_and_as_durably_as_was_asked(tmp_path: Path, is_durable: bool, synchronous: int) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/films.db", PATIENCE_S, is_durable=is_durable)
    with engine.connect() as connection:
        assert connection.execute(sql.text("pragma journal_mode")).scalar_one() == "wal"
        assert connection.execute(sql.text("pragma synchronous")).scalar_one() == synchronous
    engine.dispose()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("postgresql+pg8000://nobody@127.0.0.1:1/nowhere", r"^postgresql\+pg8000:// has no driver here .*pg8000"),
        ("nonsense://", "nonsense"),
        ("", "URL"),
    ],
)
def test_url_that_names_no_database_here_is_refused(wrong: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        open_engine(wrong, PATIENCE_S, is_durable=True)


def test_reason_is_the_drivers_own_and_one_line(engine: sql.Engine) -> None:
    with pytest.raises(sql.exc.DBAPIError) as caught, engine.connect() as connection:
        connection.execute(sql.text("select * from missing"))
    assert reason_of(caught.value) in ("no such table: missing", 'relation "missing" does not exist')
    assert reason_of(sqlite3.OperationalError("one\ntwo")) == "one"
