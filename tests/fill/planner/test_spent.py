from __future__ import annotations

from pathlib import Path

from fill.planner.spent import Spendings
from fill.transfer.outcome import Outcome, encode_outcome, outcome_key
from origin.storage.file import FileStorage
from tests.fill.catalogs import NOW


async def leave(storage: FileStorage, appliance: str, started: float, fetched: dict[str, int], site: str = "s") -> None:
    outcome = Outcome(appliance=appliance, site=site, version=1, started=started, fetched=fetched)
    await storage.put_bytes(outcome_key(outcome), encode_outcome(outcome))


async def test_only_what_came_from_outside_since_then_is_spent(tmp_path: Path) -> None:
    spendings = Spendings()
    async with FileStorage(tmp_path) as storage:
        await leave(storage, "x", NOW - 200, {"origin": 7})
        await leave(storage, "x", NOW - 100, {"origin": 10, "y": 5, "far": 1})
        await leave(storage, "else", NOW - 100, {"origin": 99}, site="other")
        await storage.put_bytes("outcomes/x/1-300.json", b"garbage")
        await storage.put_bytes(f"outcomes/x/1-{int(NOW)}.json", b"garbage")
        await spendings.read(storage, NOW)
        assert spendings.since("s", {"x", "y"}, NOW - 150) == 11
        assert spendings.since("s", {"x", "y"}, NOW - 250) == 18
        await leave(storage, "gone", NOW - 50, {"origin": 1, "x": 3})
        await spendings.read(storage, NOW)
    # Who is not in the fleet any more has spent all the same, and what comes from it is not from outside.
    assert spendings.since("s", {"x", "y"}, NOW - 150) == 12


async def test_an_outcome_is_read_once(tmp_path: Path) -> None:
    spendings = Spendings()
    async with FileStorage(tmp_path) as storage:
        await leave(storage, "x", NOW - 100, {"origin": 10})
        await spendings.read(storage, NOW)
        (tmp_path / "outcomes" / "x").rename(tmp_path / "away")
        (tmp_path / "outcomes" / "x").mkdir()
        (tmp_path / "outcomes" / "x" / f"1-{int(NOW - 100)}.json").write_bytes(b"another")
        await spendings.read(storage, NOW)
        assert spendings.since("s", {"x"}, NOW - 150) == 10
