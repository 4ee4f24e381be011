from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fill.feed.records import LONGEST_LINE, Event, Refusal, clock_offset, judge, kind_of_agent
from tests.fill.feed.values import DAY, NOW, line


def test_a_line_of_an_appliances_access_log_is_an_event() -> None:
    event = judge(line(60, cmcd={"sid": "s", "d": 4000, "ot": "v", "br": {"v": 5000}}), NOW)
    assert isinstance(event, Event)
    assert (event.title, event.file, event.bytes, event.time) == ("film", "v720.mp4", 1000, NOW - 60)
    assert (event.is_named, event.media_s) == (True, 4.0)


@pytest.mark.parametrize(
    "broken",
    [
        b"nonsense",
        b"{",
        line()[:50],
        b"[]",
        b"\xff\xfe",
        b"\0" * 100,
        b'{"time": "noon"}',
        line().replace(b'"film"', b'"a\\u0000b"'),
        line().replace(b'"film"', b'"../../etc"'),
        line().replace(b'"v720/3.m4s"', b'"\\u0007"'),
        line(size=-5),
        line(size=2**50),
        line().replace(b"1000,", b"1e400,"),
        line(agent="x" * LONGEST_LINE),
        b"[" * 5000 + b"]" * 5000,
        line(cmcd={"sid": "s", "d": 0}).replace(b'"d":0', b'"d":1' + b"0" * 400),
        line(cmcd={"sid": "s", "d": 86_400_001}),
    ],
)
def test_what_is_no_record_is_broken(broken: bytes) -> None:
    assert judge(broken, NOW) is Refusal.BROKEN


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": 404}, Refusal.NOT_SENT),
        ({"status": 304}, Refusal.NOT_SENT),
        ({"size": 0}, Refusal.NOT_SENT),
        ({"method": "HEAD"}, Refusal.NOT_SENT),
        ({"title": ""}, Refusal.NO_CONTENT),
        ({"file": ""}, Refusal.NO_CONTENT),
        ({"file": "package.json", "part": "package.json"}, Refusal.NO_CONTENT),
        ({"agent": "nearcast-oca"}, Refusal.OWN),
        ({"agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}, Refusal.CRAWLER),
        ({"age_s": -2 * DAY}, Refusal.FUTURE),
        ({"age_s": 9 * DAY}, Refusal.OLD),
    ],
)
def test_what_no_viewer_watched_does_not_count(change: dict[str, Any], reason: Refusal) -> None:
    assert judge(line(**change), NOW, oldest=NOW - 8 * DAY) is reason


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36",
        "AppleCoreMedia/1.0.0.20A362 (Apple TV; U; CPU OS 16_0 like Mac OS X)",
        "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/120.0",
        "Roku/DVP-9.10",
        "",
    ],
)
def test_players_are_no_crawlers(agent: str) -> None:
    assert kind_of_agent(agent) is None


@pytest.mark.parametrize(
    ("cmcd", "seconds"),
    [
        ({"d": 4000}, 4.0),
        ({"d": 4000, "ot": "a"}, 0.0),
        ({"br": 5000}, 2.0),
        ({"br": {"v": 5000, "a": 320}, "ot": "v"}, 2.0),
        ({"br": {"a": 320}}, 0.0),
        ({"br": 0}, 0.0),
        ({"br": 5000, "ot": "a"}, 0.0),
        ({}, 0.0),
    ],
)
def test_how_much_video_it_is_tells_its_duration_or_its_bitrate(cmcd: dict[str, Any], seconds: float) -> None:
    event = judge(line(size=1_250_000, cmcd={"sid": "s", **cmcd}), NOW)
    assert isinstance(event, Event)
    assert event.media_s == seconds


@given(st.binary(max_size=600))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    judge(data, NOW)


@given(
    st.dictionaries(
        st.sampled_from([*msgspec.json.decode(line()), "other"]),
        st.one_of(st.none(), st.integers(), st.floats(), st.text(), st.lists(st.integers(), max_size=2)),
        min_size=3,
    )
)
def test_no_object_makes_it_raise(changes: dict[str, Any]) -> None:
    record = msgspec.json.decode(line()) | changes
    judged = judge(msgspec.json.encode(record), NOW)
    assert isinstance(judged, Refusal) or (judged.bytes > 0 and judged.title and judged.file)


@given(st.data())
def test_a_line_cut_anywhere_never_counts(data: st.DataObject) -> None:
    whole = line()
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert judge(whole[:cut], NOW) is Refusal.BROKEN


def test_a_session_is_told_by_the_player_or_else_by_network_and_player() -> None:
    def session(**change: Any) -> int:
        event = judge(line(**change), NOW)
        assert isinstance(event, Event)
        return event.session

    assert session(cmcd={"sid": "s"}) == session(cmcd={"sid": "s"}, client="198.51.100.0", age_s=8000)
    assert session() == session(age_s=8000)
    assert len({session(), session(client="198.51.100.0"), session(agent="Other")}) == 3


def test_a_clock_that_is_ahead_is_told_by_its_newest_lines_and_not_by_one() -> None:
    steady = [NOW - 100 + second for second in range(100)]
    assert clock_offset(steady, NOW) == 0
    assert clock_offset([*steady, NOW + 5000], NOW) == 0
    assert clock_offset([time + 1800 for time in steady], NOW) == pytest.approx(1799)
    assert clock_offset([time - 1800 for time in steady], NOW) == 0
    assert clock_offset([time + 30 * DAY for time in steady], NOW) == 0
    assert clock_offset([], NOW) == 0


@pytest.mark.parametrize("wrong", [80_000.0, 3000.0, -5000.0, 30 * DAY])
def test_one_wrong_line_moves_nothing_even_if_the_clock_is_ahead(wrong: float) -> None:
    ahead = [NOW + 90 + second / 10 for second in range(19)]
    assert clock_offset([*ahead, NOW + wrong], NOW) == pytest.approx(clock_offset(ahead, NOW))


def test_a_clock_that_is_ahead_is_told_by_few_lines_too() -> None:
    assert clock_offset([NOW + 1800], NOW) == 1800
    assert clock_offset([NOW + 1800 + 300 * number for number in range(20)], NOW) == 1800 + 300 * 19
