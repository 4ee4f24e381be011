from __future__ import annotations

from pathlib import Path

import pytest

from fill.feed.counting import FEW_FETCHES, MOST_TITLES_OF_NETWORK, MOST_TITLES_OF_SESSION
from fill.feed.reading import history_of_logs
from fill.feed.records import Refusal
from tests.fill.feed.values import NOW, history, line, served, write_log


def test_the_same_line_counts_once_however_often_it_is_there(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", [line(60, 1000)] * 3)
    copy = write_log(tmp_path / "copy", [line(60, 1000), line(50, 500, part="v720/4.m4s")])
    found = history_of_logs([log, copy, log], "here", NOW)
    assert served(found)[-1] == 1500
    assert found.refused == {Refusal.REPEATED: 3}


def test_a_session_that_fetches_a_segment_again_watched_it_once(tmp_path: Path) -> None:
    again = [line(age, 1000, cmcd={"sid": "s"}) for age in range(50)]
    other = [line(age, 1000, cmcd={"sid": "t"}) for age in range(2)]
    found = history(tmp_path, *again, *other)
    assert served(found)[-1] == 2000
    assert (found.records, found.refused) == (2, {Refusal.AGAIN: 50})
    assert found.sessions.sum() == 2


def test_a_network_full_of_viewers_counts_but_not_the_one_who_asks_for_a_segment_for_ever(tmp_path: Path) -> None:
    viewers = [
        line(10 * viewer + part / 100, 100, part=f"v720/{part}.m4s") for viewer in range(20) for part in range(8)
    ]
    stuck = [line(age / 3, 100, part="v720/9.m4s") for age in range(1000)]
    found = history(tmp_path, *viewers, *stuck)
    assert served(found)[-1] == 20 * 8 * 100 + 2 * 20 * 100
    alone = history(tmp_path, *stuck)
    assert served(alone)[-1] == FEW_FETCHES * 100


@pytest.mark.parametrize("cmcd", [{"sid": "s"}, None])
def test_a_viewer_who_goes_on_past_the_hour_is_one_session(tmp_path: Path, cmcd: dict[str, str] | None) -> None:
    past_hour = NOW % 3600
    film = [line(past_hour + 300 - 60 * number, part=f"v720/{number}.m4s", cmcd=cmcd) for number in range(10)]
    assert history(tmp_path, *film).sessions.sum() == 1


def test_ranges_of_a_whole_file_all_count(tmp_path: Path) -> None:
    found = history(tmp_path, *(line(age, 10, part="v720.mp4", status=206, cmcd={"sid": "s"}) for age in range(30)))
    assert served(found)[-1] == 300


@pytest.mark.parametrize(
    ("cmcd", "titles"), [({"sid": "s"}, MOST_TITLES_OF_SESSION + 1), (None, MOST_TITLES_OF_NETWORK + 1)]
)
def test_who_walks_through_the_catalogue_is_no_viewer(tmp_path: Path, cmcd: dict[str, str] | None, titles: int) -> None:
    walk = [line(number / 10, title=f"film-{number}", cmcd=cmcd) for number in range(titles)]
    found = history(tmp_path, *walk, line(5, 77, client="198.51.100.0"))
    assert (served(found)[-1], len(found.files)) == (77, 1)
    assert found.refused == {Refusal.INHUMAN: titles}


def test_who_watches_hours_within_an_hour_is_no_viewer(tmp_path: Path) -> None:
    def watched(parts: int) -> list[bytes]:
        return [line(one / 10, cmcd={"sid": "s", "d": 4000}, part=f"v720/{one}.m4s") for one in range(parts)]

    assert history(tmp_path, *watched(2600)).records == 2600
    assert history(tmp_path, *watched(2800)).records == 0
