from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from fill.ledger import reading
from fill.ledger.join import LATENESS_S
from fill.ledger.reading import Ledger
from fill.ledger.reasons import Reason
from tests.fill.feed.values import line, write_log
from tests.fill.ledger.values import NOW, decided


def ledger(folder: Path, since_s: float = 86400.0) -> Ledger:
    return Ledger([f"{folder}/*access*"], [f"{folder}/decisions*"], NOW - since_s)


def test_logs_of_many_appliances_are_joined_with_the_decisions(tmp_path: Path) -> None:
    plays = [decided(900, client=f"192.0.{number}.0") for number in range(10)]
    write_log(tmp_path / "decisions.log", [*map(msgspec.json.encode, plays), b"{}", b"nonsense"])
    for name, hit in (("near", True), ("far", True)):
        lines = [line(800 - number, 10, appliance=name, client=f"192.0.{number}.0", hit=hit) for number in range(10)]
        write_log(tmp_path / f"{name}-access.log", [*lines, b"\0\0\0", line(agent="nearcast-oca")])
    found = ledger(tmp_path)
    found.read(NOW)
    assert found.close().whole.bytes == {Reason.LOCAL: 100, Reason.HEALTH: 100}
    assert (found.seen.decisions, found.seen.answers, found.seen.broken, found.seen.own) == (10, 20, 4, 2)


def test_only_what_is_after_the_beginning_counts_but_decisions_before_it_explain_it(tmp_path: Path) -> None:
    write_log(tmp_path / "decisions.log", [msgspec.json.encode(decided(5000))])
    write_log(tmp_path / "access.log", [line(4000, 10, appliance="near"), line(1000, 200, appliance="near")])
    found = ledger(tmp_path, since_s=3600)
    found.read(NOW)
    assert found.close().whole.bytes == {Reason.LOCAL: 200}


def test_what_is_written_while_it_follows_is_settled_within_a_minute(tmp_path: Path) -> None:
    found = ledger(tmp_path)
    access, decisions = tmp_path / "access.log", tmp_path / "decisions.log"
    found.read(NOW)
    write_log(access, [line(0, 10, appliance="near")])
    found.read(NOW + 1)
    assert found.accounts.whole.total == 0
    write_log(decisions, [msgspec.json.encode(decided(3))])
    access.rename(tmp_path / "access.log.1")
    write_log(access, [line(-2, 200, appliance="near")])
    found.read(NOW + 2)
    found.read(NOW + LATENESS_S + 5)
    assert found.accounts.whole.bytes == {Reason.LOCAL: 210}
    write_log(access, [line(5, 3000, appliance="far")], mode="ab")
    found.read(NOW + LATENESS_S + 6)
    assert found.accounts.whole.bytes == {Reason.LOCAL: 210, Reason.HEALTH: 3000}
    assert found.joiner.waiting == 0


def test_more_logs_than_files_can_be_open_are_read_in_turns_and_a_damaged_one_is_passed_over(tmp_path: Path) -> None:
    assert reading._MOST_OPEN < 1000
    write_log(tmp_path / "decisions.log", [msgspec.json.encode(decided(900))])
    (tmp_path / "access.gz").write_bytes(b"no gzip")
    for number in range(reading._MOST_OPEN + 50):
        write_log(tmp_path / f"access-{number}.log", [line(500, 1, appliance="near", part=f"v/{number}.m4s")])
    found = ledger(tmp_path)
    found.read(NOW)
    assert found.close().whole.bytes == {Reason.LOCAL: reading._MOST_OPEN + 50}
    assert [path.name for path in found.seen.unreadable] == ["access.gz"]


def watched(number: int) -> list[bytes]:
    return [line(20_000 - 5 * part, 1000, appliance="near", part=f"v720/{part}.m4s") for part in range(number)]


@pytest.mark.parametrize("age_s", [-8 * 10**9, -3600.0, 60.0])
def test_a_decision_out_of_its_order_explains_nothing_but_holds_nothing_up(tmp_path: Path, age_s: float) -> None:
    plays = [decided(age_s, client="198.51.100.0"), decided(20_010)]
    write_log(tmp_path / "decisions.log", map(msgspec.json.encode, plays))
    write_log(tmp_path / "access.log", watched(2500))
    found = ledger(tmp_path)
    found.read(NOW)
    assert found.close().whole.bytes == {Reason.LOCAL: 2_500_000}


def test_an_answer_of_the_future_does_not_count_and_settles_nothing_early(tmp_path: Path) -> None:
    write_log(tmp_path / "decisions.log", [msgspec.json.encode(decided(20_010))])
    write_log(tmp_path / "access.log", [line(-8 * 10**9, 10**12, appliance="near"), *watched(100)])
    found = ledger(tmp_path)
    found.read(NOW)
    assert found.close().whole.bytes == {Reason.LOCAL: 100_000}
    assert (found.seen.future, found.seen.answers) == (1, 100)


def test_a_clock_that_is_ahead_by_hours_says_what_is_now(tmp_path: Path) -> None:
    write_log(tmp_path / "decisions.log", [msgspec.json.encode(decided(100))])
    write_log(tmp_path / "access.log", [line(-7200, 10, appliance="near")])
    found = ledger(tmp_path)
    found.read(NOW)
    assert found.close().whole.bytes == {Reason.LOCAL: 10}


def test_what_an_appliance_says_instead_of_content_is_not_offload(tmp_path: Path) -> None:
    write_log(tmp_path / "decisions.log", [msgspec.json.encode(decided(100))])
    refusals = [line(60 + number, 60, status=status, appliance="near") for number, status in enumerate((404, 416, 503))]
    write_log(tmp_path / "access.log", [*refusals, line(50, 0, appliance="near"), line(50, 9, method="HEAD")])
    found = ledger(tmp_path)
    found.read(NOW)
    assert (found.close().whole.total, found.seen.own, found.seen.broken) == (0, 5, 0)


def test_lines_that_are_in_a_second_log_count_once(tmp_path: Path) -> None:
    write_log(tmp_path / "decisions.log", [msgspec.json.encode(decided(20_010))])
    write_log(tmp_path / "access.log", watched(10))
    write_log(tmp_path / "shipped-access.log", [line(19_999, 5, appliance="near", part="other"), *watched(10)])
    write_log(tmp_path / "end-of-access.log", watched(10)[4:])
    found = ledger(tmp_path)
    found.read(NOW)
    assert found.close().whole.bytes == {Reason.LOCAL: 10_005}
    assert (found.seen.answers, found.seen.repeated) == (11, 16)


def test_of_lines_that_were_read_as_many_are_known_again_as_memory_is_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_REMEMBERED", 20)
    found = ledger(tmp_path)
    for number, lines in enumerate((watched(5), watched(40), watched(40)[30:], watched(5))):
        write_log(tmp_path / f"access-{number}.log", [line(99, 0, part=str(number)), *lines])
        found.read(NOW)
    assert (found.seen.answers, found.seen.repeated) == (45, 15)
