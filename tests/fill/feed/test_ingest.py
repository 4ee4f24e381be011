from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from config.progress import Reporter
from fill.errors import FeedError
from fill.feed import ingest as ingesting
from fill.feed import store as storing
from fill.feed.ingest import Ingested, ingest
from fill.feed.lines import Places
from fill.feed.reading import history_of_logs, read_history
from fill.feed.records import Refusal
from fill.feed.store import Store
from tests.fill.feed.values import DAY, NOW, line, write_log
from tests.fill.ledger.values import decided

HOUR = 3600.0
HERE = Places({}, {}, "here")


class Killed(BaseException):
    """What no handler of ours catches, as it is with kill -9."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(f"file://{tmp_path}/events")


def take_in(
    store: Store,
    *patterns: Path | str,
    now: float = NOW,
    places: Places = HERE,
    decisions: Path | None = None,
    **keep: float,
) -> Ingested:
    kept = {"keep_lines_s": 7 * DAY, "keep_hours_s": 400 * DAY} | keep
    logs = [str(decisions)] if decisions else []
    quiet = Reporter(quiet=True)
    return ingest(store, map(str, patterns), places, lambda: now, reporter=quiet, decision_logs=logs, **kept)


def served(store: Store, region: str = "here", now: float = NOW) -> float:
    return float(read_history(f"file://{store.folder}", region, now).served.sum())


def watched(ages: range, **more: Any) -> list[bytes]:
    return [line(age, 1 + age, part=f"v720/{age}.m4s", cmcd={"sid": f"s{age % 5}"}, **more) for age in ages]


def test_what_is_kept_is_what_the_logs_say(store: Store, tmp_path: Path) -> None:
    lines = [*watched(range(0, 2 * 86400, 4000)), b"nonsense", line(agent="nearcast-oca"), line(status=404)]
    log = write_log(tmp_path / "access.log", lines)
    done = take_in(store, log)
    assert (done.logs, done.lines) == (1, len(lines))
    kept, told = read_history(f"file://{store.folder}", "here", NOW), history_of_logs([log], "here", NOW)
    assert np.array_equal(kept.served, told.served)
    assert np.array_equal(kept.rhythm, told.rhythm)
    assert (kept.files, kept.records, kept.days_known) == (told.files, told.records, told.days_known)
    assert kept.refused == told.refused == {Refusal.BROKEN: 1, Refusal.OWN: 1, Refusal.NOT_SENT: 1}


def test_each_pass_takes_in_what_is_new_whatever_the_log_is_called_by_then(store: Store, tmp_path: Path) -> None:
    log = write_log(tmp_path / "access.log", [line(900, 1)])
    pattern = f"{tmp_path}/access.log*"
    assert take_in(store, pattern).lines == 1
    assert take_in(store, pattern) == Ingested()
    write_log(log, [line(800, 20)], mode="ab")
    log.rename(tmp_path / "access.log.1")
    write_log(log, [line(700, 300)])
    assert take_in(store, pattern).lines == 2
    (tmp_path / "access.log.1.gz").write_bytes(gzip.compress((tmp_path / "access.log.1").read_bytes()))
    write_log(tmp_path / "access.log.shipped", [line(900, 1), line(800, 20), line(600, 4000)])
    assert take_in(store, pattern).lines == 1
    assert served(store) == 4321
    assert [path.name for path in store.folder.rglob(".*")] == [".lock"]


def test_a_session_that_goes_on_is_counted_in_the_hour_in_which_it_began(store: Store, tmp_path: Path) -> None:
    def film(sid: str, ages: range) -> list[bytes]:
        return [line(age, part=f"v720/{age}.m4s", cmcd={"sid": sid}) for age in ages]

    log = write_log(
        tmp_path / "log", [*film("long", range(600, 7 * 3600, 1200)), *film("short", range(9000, 9100, 20))]
    )
    take_in(store, log)
    kept, told = read_history(f"file://{store.folder}", "here", NOW), history_of_logs([log], "here", NOW)
    assert kept.sessions.sum() == told.sessions.sum() == 2
    write_log(log, film("long", range(0, 60, 20)), mode="ab")
    take_in(store, log)
    assert read_history(f"file://{store.folder}", "here", NOW).sessions.sum() == 2


def test_a_line_that_is_still_written_counts_when_it_is_whole(store: Store, tmp_path: Path) -> None:
    log = write_log(tmp_path / "access.log", [line(9, 1)])
    with log.open("ab") as data:
        data.write(line(8, 20)[:40])
    take_in(store, log)
    with log.open("ab") as data:
        data.write(line(8, 20)[40:] + b"\n")
    take_in(store, log)
    history = read_history(f"file://{store.folder}", "here", NOW)
    assert (history.served.sum(), history.refused) == (21, {})


def test_a_line_that_comes_late_or_from_another_log_counts_in_its_hour_once(store: Store, tmp_path: Path) -> None:
    take_in(store, write_log(tmp_path / "a", [line(1.3 * DAY, 10), line(0.5 * DAY, 5)]))
    take_in(store, write_log(tmp_path / "b", [line(1.3 * DAY + 60, 200), line(1.3 * DAY, 10)]))
    history = read_history(f"file://{store.folder}", "here", NOW)
    assert history.served[0, -3:].tolist() == [0, 210, 5]
    assert history.refused == {Refusal.REPEATED: 1}


def test_a_pass_killed_at_any_step_loses_nothing_and_counts_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each file that appears and each that is deleted; the last round is one that nothing stops."""
    monkeypatch.setattr(ingesting, "LINES_AT_ONCE", 4)
    first, second = watched(range(0, 3600, 900)), watched(range(70, 5000, 1100))
    log = tmp_path / "access.log"
    step = 0
    while True:
        step += 1
        store = Store(f"file://{tmp_path}/events-{step}")
        write_log(log, first)
        take_in(store, log)
        write_log(log, second, mode="ab")
        was_killed = False
        with monkeypatch.context() as patch:
            steps = _count_down(step)
            patch.setattr(ingesting, "appear", _dying(storing.appear, steps))
            patch.setattr(ingesting, "appear_json", _dying(storing.appear_json, steps))
            patch.setattr(Path, "unlink", _dying(Path.unlink, steps))
            try:
                take_in(store, log)
            except Killed:
                was_killed = True
        take_in(store, log)
        assert read_history(f"file://{store.folder}", "here", NOW).records == len(first) + len(second)
        assert served(store) == sum(1 + age for ages in (range(0, 3600, 900), range(70, 5000, 1100)) for age in ages)
        assert not store.arrived()
        if not was_killed:
            break
    assert step > 10


def _count_down(steps: int) -> Iterator[bool]:
    yield from (False for _ in range(steps - 1))
    yield True
    while True:
        yield False


def _dying(function: Callable[..., Any], steps: Iterator[bool]) -> Callable[..., Any]:
    def call(*arguments: Any, **more: Any) -> Any:
        if next(steps):
            raise Killed
        return function(*arguments, **more)

    return call


def test_hours_that_are_over_are_packed_and_still_count_once(store: Store, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    for age in (5 * HOUR, 5 * HOUR - 60, 5 * HOUR - 120):
        write_log(log, [line(age, 10)], mode="ab")
        take_in(store, log)
    (hour,) = store.hours_with_lines()
    assert len(store.lines_of(hour)) == 1
    assert served(store) == 30


def test_what_is_older_than_it_is_kept_is_forgotten_and_not_taken_in_again(store: Store, tmp_path: Path) -> None:
    log = write_log(tmp_path / "access.log", [line(5 * DAY, 10), line(60, 5)])
    take_in(store, log)
    later = NOW + 5 * DAY
    write_log(log, [line(4.9 * DAY, 300)], mode="ab")
    done = take_in(store, log, now=later, keep_lines_s=7 * DAY)
    assert (done.forgotten, done.refused[Refusal.OLD]) == (1, 1)
    assert len(store.hours_with_lines()) == 2
    assert served(store, now=later) == 15
    take_in(store, log, now=later, keep_hours_s=7 * DAY)
    assert served(store, now=later) == 5


def test_regions_are_those_of_the_appliances_sites(store: Store, tmp_path: Path) -> None:
    places = Places({"oca1": "a", "far": "b"}, {"a": "here", "b": "there"}, "default")
    log = write_log(tmp_path / "log", [line(5, 10), line(6, 200, appliance="far"), line(7, 3000, appliance="new")])
    take_in(store, log, places=places)
    assert [served(store, region) for region in ("here", "there", "default", "none")] == [10, 200, 3000, 0]


def test_demand_is_counted_where_the_viewer_is_and_not_where_it_was_served(store: Store, tmp_path: Path) -> None:
    places = Places({"oca1": "a"}, {"a": "here", "b": "there"}, "default")
    far, unplaced = "198.51.100.0", "203.0.113.0"
    log = write_log(tmp_path / "log", [line(5, 10), line(6, 200, client=far), line(7, 3000, client=unplaced)])
    told = [
        decided(site="b", client=far),
        decided(site="b", by="default", client=unplaced),
        decided(site="", by="nothing"),
    ]
    decisions = write_log(tmp_path / "decisions", [b"nonsense", *map(msgspec.json.encode, told)])
    take_in(store, log, places=places, decisions=decisions)
    assert [served(store, region) for region in ("here", "there", "default")] == [3010, 200, 0]
    write_log(log, [line(4, 40000, client=far)], mode="ab")
    take_in(store, log, places=places)
    assert served(store, "there") == 40200


def test_a_history_of_the_past_ends_then_even_within_an_hour(store: Store, tmp_path: Path) -> None:
    take_in(
        store, write_log(tmp_path / "log", [line(3 * HOUR + age, 10**index) for index, age in enumerate((60, 120))])
    )
    past = NOW - 3 * HOUR - 90
    assert served(store, now=past) == 10
    assert served(store, now=past - 60) == 0
    assert served(store) == 11


def test_a_log_that_cannot_be_read_is_named_and_does_not_stop_the_others(store: Store, tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(b"no gzip")
    write_log(tmp_path / "b", [line()])
    done = take_in(store, f"{tmp_path}/*")
    assert done.lines == 1
    assert any("a.gz cannot be read" in one for one in done.unreadable)


def test_only_one_process_ingests_at_a_time(store: Store) -> None:
    with store.locked(), pytest.raises(FeedError, match="in use by another"):
        take_in(store)


def test_a_damaged_note_of_what_was_read_is_one_sentence(store: Store, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", [line()])
    take_in(store, log)
    store.notes.write_text("{")
    with pytest.raises(FeedError, match="delete it to read all logs again"):
        take_in(store, log)
    store.notes.unlink()
    store.notes.mkdir()
    with pytest.raises(FeedError, match=r"logs\.json cannot be read: Is a directory"):
        take_in(store, log)


@pytest.mark.parametrize("damage", [b"", b"PAR1 no longer", b"x" * 5000])
def test_hours_that_are_damaged_are_counted_again_from_their_lines(store: Store, tmp_path: Path, damage: bytes) -> None:
    log = write_log(tmp_path / "log", [line(2 * DAY, 10), line(60, 200)])
    take_in(store, log)
    for hours in store.days().values():
        hours.write_bytes(damage)
    assert served(store) == 210
    assert not store.days()
    write_log(log, [line(30, 3000)], mode="ab")
    done = take_in(store, log)
    assert (done.hours, len(store.days()), served(store)) == (2, 2, 3210)


def test_hours_that_are_damaged_are_named_and_made_again_by_whoever_adds_to_them(store: Store, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", [line(2 * HOUR, 10), line(60, 200)])
    take_in(store, log)
    (hours,) = store.days().values()
    hours.write_bytes(b"damaged")
    write_log(log, [line(30, 3000)], mode="ab")
    (sentence,) = take_in(store, log).unreadable
    assert f"{hours} is damaged" in sentence
    assert f"it is called {hours.name}.damaged now" in sentence
    assert take_in(store, log).unreadable == []
    assert served(store) == 3210


def test_an_hour_whose_lines_are_damaged_is_not_counted_lower_than_it_was(store: Store, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", [line(5 * HOUR, 10_000)])
    take_in(store, log)
    for lines in store.lines.rglob("*.parquet"):
        lines.write_bytes(b"damaged")
    write_log(log, [line(5 * HOUR - 60, 200, part="v720/4.m4s")], mode="ab")
    assert len(take_in(store, log).unreadable) == 1
    assert served(store) == 10_000
    later = NOW + 9 * DAY
    take_in(store, log, now=later)
    assert not list(store.lines.iterdir())


def test_what_arrived_and_was_damaged_is_read_again_from_its_log(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = write_log(tmp_path / "log", [line(60, 10), line(50, 200)])

    def die(*arguments: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(ingesting, "_place", die)
        with pytest.raises(Killed):
            take_in(store, log)
    (arrived,) = store.arrived()
    arrived.write_bytes(b"damaged")
    assert len(take_in(store, log).unreadable) == 1
    assert served(store) == 210


def test_a_file_of_somebody_else_stops_nothing_even_when_its_hour_is_forgotten(store: Store, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", [line(60, 10)])
    take_in(store, log)
    (hour,) = store.lines.iterdir()
    for stray in (store.lines / "lost+found", hour / "README", store.hours / "copy.parquet"):
        stray.mkdir()
    write_log(log, [line(-8 * DAY, 200)], mode="ab")
    assert take_in(store, log, now=NOW + 9 * DAY).forgotten == 1
    assert served(store, now=NOW + 9 * DAY) == 210
    assert (hour / "README").exists()


def test_lines_whose_clock_was_put_right_count_once_when_their_log_is_read_again(store: Store, tmp_path: Path) -> None:
    ahead = [line(second - 7200.0, 10, part=f"v720/{second}.m4s", cmcd={"sid": "a"}) for second in range(30)]
    log = write_log(tmp_path / "access.log", ahead)
    take_in(store, log)
    for later in (1.0, 4.0):  # while they are still of the future, and when they no longer are
        store.notes.unlink()
        write_log(tmp_path / f"shipped-{later}.log", [line(later, 5, client="198.51.100.0"), *ahead])
        take_in(store, f"{tmp_path}/*.log", now=NOW + later * HOUR)
    history = read_history(f"file://{store.folder}", "here", NOW + 5 * HOUR)
    assert (history.records, history.served.sum()) == (32, 310)
    assert served(store) == 310
    take_in(store, now=NOW + 9 * DAY)
    assert store.hours_with_moved() == []


def test_networks_are_written_only_when_something_was_learnt(store: Store, tmp_path: Path) -> None:
    decisions = write_log(tmp_path / "decisions", [msgspec.json.encode(decided(100))])
    take_in(store, decisions=decisions)
    written = store.networks.stat()
    write_log(decisions, [msgspec.json.encode(decided(50))], mode="ab")
    take_in(store, decisions=decisions)
    assert store.networks.stat().st_ino == written.st_ino
    write_log(decisions, [msgspec.json.encode(decided(20, site="south"))], mode="ab")
    take_in(store, decisions=decisions)
    assert store.networks.stat().st_ino != written.st_ino
