"""Replicas over one database: real ones, SQLite and PostgreSQL, that come and go."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import msgspec
import pytest

from oca.errors import NameInUse
from oca.report import Held, Report, held_version
from steering.appliances.fleet import Fleet
from steering.appliances.roll import Health
from steering.catalog import Catalog
from steering.replicas import exchange
from steering.replicas.database import Database, Kept, Outgoing
from steering.replicas.exchange import SLOW_AFTER_S, Exchange
from steering.replicas.hearsay import Heard
from tests.postgres import Postgres
from tests.steering.conftest import Clock, Origin
from tests.steering.values import report
from tests.waiting import until

HELD: Held = {"film/0": ("*",), "other/1": ("v.mp4", "a.mp4")}


class Replica:
    """A fleet, a catalog and their part in the exchange; beats when the test says so."""

    def __init__(self, url: str, clock: Clock, origin: str = "http://127.0.0.1:1") -> None:
        self.clock = clock
        self.fleet, self.catalog, self.database = Fleet(6), Catalog(origin), Database(url)
        self.exchange = Exchange(
            self.fleet, self.catalog, self.database, clock, hear=lambda stored: self.fleet.hear(stored, clock())
        )

    def take(self, *reports: Report) -> None:
        for one in reports:
            self.fleet.take(one, self.clock())
            self.exchange.note(one.name)

    def health(self, name: str) -> Health | None:
        seen = self.fleet.seen(self.clock()).get(name)
        return seen.health if seen is not None else None


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/fleet.sqlite"
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.new_database()


@pytest.fixture
async def make(clock: Clock) -> AsyncIterator[Callable[..., Awaitable[Replica]]]:
    async with AsyncExitStack() as stack:

        async def start(url: str, own_clock: Clock | None = None, origin: str = "http://127.0.0.1:1") -> Replica:
            replica = Replica(url, own_clock or clock, origin)
            stack.push_async_callback(replica.exchange.close)
            await replica.exchange.start()
            return replica

        yield start


Make = Callable[..., Awaitable[Replica]]


async def beat(*replicas: Replica) -> None:
    for one in replicas:
        await one.exchange.beat()


async def test_a_report_to_one_is_known_to_the_other_with_what_is_held(url: str, make: Make) -> None:
    a, b = await make(url), await make(url)
    a.take(report("a1", held=HELD))
    await beat(a, b)
    seen = b.fleet.seen(b.clock())["a1"]
    assert (seen.health, seen.held) == (Health.HEALTHY, HELD)
    assert (a.exchange.replicas, b.exchange.replicas) == (2, 2)


async def test_what_an_appliance_holds_travels_when_it_changes(make: Make, tmp_path: Path) -> None:
    a, b = await make(f"sqlite:///{tmp_path}/fleet.sqlite"), await make(f"sqlite:///{tmp_path}/fleet.sqlite")
    a.take(report("a1", held=HELD))
    await beat(a, b)
    with sqlite3.connect(tmp_path / "fleet.sqlite") as direct:
        direct.execute("delete from held")
    direct.close()
    a.take(report("a1", sequence=2, held=None, held_version=held_version(HELD), serving_bps=10**9))
    await beat(a, b)
    seen = b.fleet.seen(b.clock())["a1"]
    assert (seen.load_bps, seen.held) == (10**9, HELD)
    a.clock.now += 30
    a.take(report("a1", sequence=3, held={}))
    await beat(a, b)
    assert b.fleet.seen(b.clock())["a1"].held == {}


async def test_clocks_that_differ_by_a_day_make_no_difference(url: str, make: Make) -> None:
    a, b = await make(url, Clock()), await make(url, Clock())
    b.clock.now += 86400
    a.take(report("a1"))
    await beat(a, b)
    assert b.health("a1") is Health.HEALTHY
    for now in (4.0, 7.0):
        b.clock.now = 87400.0 + now
        assert (b.health("a1") is Health.LOST) is (now > 6)


async def test_a_second_appliance_of_a_name_is_refused_wherever_it_reports(url: str, make: Make) -> None:
    a, b = await make(url), await make(url)
    a.take(report("a1"))
    await beat(a)
    a.clock.now += 0.5  # the clock of both: b was told later
    second = report("a1", instance="second", url="http://second:8080")
    b.take(second)
    await beat(b, a, b, a)
    assert {one.fleet.seen(one.clock())["a1"].url for one in (a, b)} == {"http://a1.localhost:8080"}
    with pytest.raises(NameInUse):
        b.take(msgspec.structs.replace(second, sequence=2))
    a.take(report("a1", sequence=2))  # the first goes on
    b.take(report("a1", sequence=3))  # and may go over to the other


async def test_an_appliance_that_moves_or_restarts_is_never_refused(url: str, make: Make) -> None:
    a, b = await make(url), await make(url)
    sequence = 0
    for instance in ("first", "second", "third"):
        for one in (a, b, a):
            sequence += 1
            one.take(report("a1", instance=instance, sequence=sequence))
            await beat(a, b)
            a.clock.now += 2
    assert {one.fleet.seen(one.clock())["a1"].health for one in (a, b)} == {Health.HEALTHY}


async def test_word_of_an_earlier_instance_that_comes_late_does_no_harm(url: str, make: Make) -> None:
    a, b = await make(url), await make(url)
    a.take(report("a1", instance="first", sequence=50))
    a.clock.now += 0.3
    b.take(report("a1", instance="second", sequence=1))
    await beat(a, b, a)
    assert b.fleet.known()["a1"].report.instance == "second"
    a.clock.now += 2
    b.take(report("a1", instance="second", sequence=2))  # refused, it would end
    await beat(b, a)
    assert {one.fleet.known()["a1"].report.instance for one in (a, b)} == {"second"}


async def test_appliances_of_a_replica_that_died_are_believed_until_they_are_heard_or_asked(
    url: str, make: Make
) -> None:
    a, b = await make(url), await make(url)
    a.take(report("stays"))
    b.take(report("moves"), report("dies"))
    await beat(a, b, a)
    listening = asyncio.create_task(a.exchange.listen())
    for sequence in range(2, 6):  # b is gone
        a.clock.now += 2
        a.take(report("stays", sequence=sequence))
        if sequence > 2:
            a.take(report("moves", sequence=sequence))
        await beat(a)
        await asyncio.sleep(0)
        await listened(a)
    assert [a.health(name) for name in ("stays", "moves", "dies")] == [Health.HEALTHY] * 3
    assert a.fleet.silent(a.clock()) == ["dies"]
    a.fleet.probe_failed("dies", a.clock())
    assert a.health("dies") is Health.LOST
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def listened(replica: Replica) -> None:
    """One round of its listening; the task's own rounds come too seldom for a test."""
    task = asyncio.create_task(replica.exchange.listen())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_when_the_database_is_gone_what_others_heard_is_believed(
    postgres: Postgres, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    url = postgres.new_database()
    a, b = await make(url), await make(url)
    a.take(report("a1"))
    b.take(report("b1"))
    await beat(a, b, a)
    postgres.kill()
    try:
        for sequence in range(2, 8):
            a.clock.now += 2
            a.take(report("a1", sequence=sequence))
            await beat(a)
            await listened(a)
            assert "database: " in a.exchange.trouble
        assert [a.health(name) for name in ("a1", "b1")] == [Health.HEALTHY] * 2
        assert a.fleet.seen(a.clock())["b1"].stale
    finally:
        postgres.start()
    b.take(report("b1", sequence=2))
    await beat(b, a)
    await listened(a)
    assert a.exchange.trouble == ""
    assert a.fleet.silent(a.clock()) == []
    said = [record.message for record in caplog.records if record.name == "steering.replicas.exchange"]
    assert len([one for one in said if "goes on from memory" in one]) == 1
    await beat(b)
    assert b.fleet.known()["a1"].report.sequence == 7  # what was not told is told again


async def test_a_database_that_comes_back_empty_is_filled_again(make: Make, tmp_path: Path, origin: Origin) -> None:
    url = f"sqlite:///{tmp_path}/fleet.sqlite"
    origin.publish("film")
    a = await make(url, None, origin.url)
    a.take(report("a1", held=HELD))
    await refresh(a.catalog)
    await beat(a)
    for path in tmp_path.glob("fleet.sqlite*"):
        path.unlink()
    a.clock.now += 2
    a.take(report("a1", sequence=2, held=None, held_version=held_version(HELD)))
    for _ in range(2):
        a.exchange.note("a1")
        await beat(a)
    kept = Database(url)
    assert [(one.report.name, one.held) for one in kept.load()] == [("a1", HELD)]
    assert set(kept.load_titles()) == {"film"}
    kept.close()


async def refresh(catalog: Catalog) -> None:
    async with aiohttp.ClientSession() as session:
        await catalog.refresh(session)


async def test_a_database_that_was_away_at_the_start_is_read_when_it_is_there(
    make: Make, tmp_path: Path, origin: Origin, clock: Clock
) -> None:
    url = f"sqlite:///{tmp_path}/fleet.sqlite"
    origin.publish("film")
    first = Replica(url, clock, origin.url)
    first.take(report("a1", held=HELD))
    await refresh(first.catalog)
    await beat(first)
    await first.exchange.close()
    good = await asyncio.to_thread((tmp_path / "fleet.sqlite").rename, tmp_path / "elsewhere")
    (tmp_path / "fleet.sqlite").write_bytes(b"this is no database" * 100)
    second = await make(url)
    assert "not a database" in second.exchange.trouble
    assert second.health("a1") is None
    good.rename(tmp_path / "fleet.sqlite")
    await beat(second)
    assert second.exchange.trouble == ""
    assert second.health("a1") is Health.HEALTHY
    assert set(second.catalog.titles) == {"film"}


async def test_what_another_remembers_is_believed_where_there_is_no_database(make: Make, tmp_path: Path) -> None:
    (tmp_path / "broken.sqlite").write_bytes(b"this is no database" * 100)
    a, b = await make(f"sqlite:///{tmp_path}/fleet.sqlite"), await make(f"sqlite:///{tmp_path}/broken.sqlite")
    a.take(report("a1", held=HELD), report("a2"))
    b.take(report("a2", sequence=7))

    async def recall() -> list[Heard]:
        return a.exchange.memory()

    await a.exchange.remember(recall)  # who has a database need not ask
    await b.exchange.remember(recall)
    assert b.health("a1") is Health.HEALTHY
    assert b.fleet.known()["a2"].report.sequence == 7
    b.clock.now += 60
    await listened(b)
    assert b.health("a1") is Health.HEALTHY
    assert b.fleet.seen(b.clock())["a1"].stale


async def test_a_server_that_never_answers_holds_up_neither_start_nor_end(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "_RESTORED_WITHIN_S", 0.05)
    answers = threading.Event()

    def hang(_: Database) -> list[Kept]:
        assert answers.wait(20)
        return []

    monkeypatch.setattr(Database, "load", hang)
    replica = Replica(f"sqlite:///{tmp_path}/fleet.sqlite", clock)
    await replica.exchange.start()
    replica.take(report("a1"))
    async with asyncio.timeout(5):
        await replica.exchange.close()
    answers.set()


async def test_what_the_database_kept_is_read_once_however_long_that_takes(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/fleet.sqlite"
    first = Replica(url, clock)
    first.take(report("a1"))
    await beat(first)
    await first.exchange.close()
    monkeypatch.setattr(exchange, "_RESTORED_WITHIN_S", 0.05)
    answers, asked, load = threading.Event(), [], Database.load

    def dawdle(database: Database) -> list[Kept]:
        asked.append(database)
        assert answers.wait(20)
        return load(database)

    monkeypatch.setattr(Database, "load", dawdle)
    second = Replica(url, clock)
    await second.exchange.start()
    assert second.health("a1") is None
    answers.set()
    following = asyncio.create_task(second.exchange.follow())
    await until(lambda: second.health("a1") is Health.HEALTHY)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await second.exchange.close()
    assert len(asked) == 1


async def test_players_have_their_turn_while_a_fleet_is_restored(make: Make, tmp_path: Path, clock: Clock) -> None:
    a = await make(f"sqlite:///{tmp_path}/fleet.sqlite")
    a.take(*(report(f"a{n}") for n in range(200)))
    await beat(a)
    late = Replica(f"sqlite:///{tmp_path}/fleet.sqlite", clock)
    sizes = set()

    async def play() -> None:
        while True:
            sizes.add(len(late.fleet.known()))
            await asyncio.sleep(0)

    playing = asyncio.create_task(play())
    await beat(late)
    playing.cancel()
    await asyncio.gather(playing, return_exceptions=True)
    await late.exchange.close()
    assert len(late.fleet.known()) == 200
    assert any(0 < size < 100 for size in sizes)


async def test_a_server_that_answers_nothing_is_trouble_too(make: Make, tmp_path: Path, clock: Clock) -> None:
    a = await make(f"sqlite:///{tmp_path}/fleet.sqlite")
    assert a.exchange.trouble == ""
    clock.now += SLOW_AFTER_S + 1
    assert a.exchange.trouble == "database: no answer for 6.0s"


async def test_what_a_replica_of_another_version_tells_is_passed_over(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"sqlite:///{tmp_path}/fleet.sqlite"
    a, b, foreign = await make(url), await make(url), Database(url)
    foreign.exchange(Outgoing("foreign", 1, time.monotonic(), b"what is this"), {})
    foreign.close()
    a.take(report("a1"))
    await beat(a, b)
    assert b.health("a1") is Health.HEALTHY
    assert any("cannot be read" in record.message for record in caplog.records)


async def test_a_newcomer_knows_the_fleet_at_once(url: str, make: Make) -> None:
    a = await make(url)
    a.take(*(report(f"a{n}", held=HELD) for n in range(100)))
    await beat(a)
    b = await make(url)
    assert {b.health(f"a{n}") for n in range(100)} == {Health.HEALTHY}
    assert b.fleet.seen(b.clock())["a7"].held == HELD
