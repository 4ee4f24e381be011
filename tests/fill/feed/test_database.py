from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from fill.errors import FeedError
from fill.feed.database import Rows, create_table, insert, open_database, parquet, past_damage, quoted

KINDS = {"name": "VARCHAR", "bytes": "BIGINT"}


def made(folder: Path, name: str, size: int) -> Path:
    file = folder / f"{name}.parquet"
    with open_database() as connection:
        create_table(connection, "rows", KINDS)
        insert(connection, "rows", KINDS, {"name": [name], "bytes": [size]})
        connection.execute(f"COPY rows TO {quoted(str(file))} (FORMAT parquet)")
    return file


def total(folder: Path, told: list[str]) -> int:
    with open_database() as connection:

        def add(rows: Rows) -> int:
            kept = rows(sorted(folder.glob("*.parquet")), KINDS)
            return int(connection.execute(f"SELECT coalesce(sum(bytes), 0)::BIGINT FROM {kept}").fetchall()[0][0])

        return past_damage(add, told.append)


def test_no_files_are_no_rows() -> None:
    with open_database() as connection:
        assert connection.execute(f"SELECT * FROM {parquet([], KINDS)}").fetchall() == []


def test_damaged_files_are_moved_aside_and_named_and_the_others_used(tmp_path: Path) -> None:
    whole, cut, empty, short = (
        made(tmp_path, name, 10**place) for place, name in enumerate(("whole", "cut", "empty", "short"))
    )
    cut.write_bytes(cut.read_bytes()[:-20])
    empty.write_bytes(b"")
    short.write_bytes(b"PAR1" + short.read_bytes()[60:])  # its end is whole, and says more than there is
    told: list[str] = []
    assert total(tmp_path, told) == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "cut.parquet.damaged",
        "empty.parquet.damaged",
        "short.parquet.damaged",
        whole.name,
    ]
    assert [sentence.split(" (")[0] for sentence in told] == [f"{file} is damaged" for file in (cut, empty, short)]
    assert total(tmp_path, told) == 1
    assert len(told) == 3


def test_a_file_that_goes_while_it_is_read_is_no_damage(tmp_path: Path) -> None:
    files = [made(tmp_path, name, 10**place) for place, name in enumerate(("stays", "goes"))]
    looks: list[Sequence[Path]] = []
    with open_database() as connection:

        def add(rows: Rows) -> int:
            looks.append([file for file in files if file.exists()])
            kept = rows(looks[-1], KINDS)
            files[1].unlink(missing_ok=True)
            return int(connection.execute(f"SELECT sum(bytes)::BIGINT FROM {kept}").fetchall()[0][0])

        assert past_damage(add) == 1
    assert len(looks) == 2


def test_what_is_no_files_fault_is_one_sentence(tmp_path: Path) -> None:
    file = made(tmp_path, "whole", 1)
    with pytest.raises(FeedError, match="what is kept of the logs cannot be used: Binder Error"), open_database() as db:
        past_damage(lambda rows: db.execute(f"SELECT other FROM {rows([file], KINDS)}").fetchall())
    assert file.exists()


def test_a_folder_in_the_place_of_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").mkdir()
    with pytest.raises(FeedError, match=r"a\.parquet cannot be read: Is a directory"):
        total(tmp_path, [])
