from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from encoder import poster

SIZE = poster.THUMBNAIL[0] * poster.THUMBNAIL[1]
BLACK, WHITE, GREY = bytes(SIZE), bytes([235]) * SIZE, bytes([110]) * SIZE
DETAILED = bytes(range(20, 200, 2))[:90] * (SIZE // 90) + bytes(SIZE % 90)
DIM = bytes(value // 6 for value in DETAILED)


def test_bright_picture_with_detail_wins_over_black_white_grey_and_dim() -> None:
    assert poster.best_picture([BLACK, WHITE, GREY, DETAILED, DIM]) == 3


def test_film_of_nothing_but_black_still_has_a_poster() -> None:
    assert poster.best_picture([BLACK, BLACK]) == 0


@given(st.integers(1, 5000))
def test_candidates_lie_between_a_tenth_and_a_third(count: int) -> None:
    found = poster.candidates(count)
    assert len(found) >= 1
    assert found.start >= 0 and found.stop <= count
    if count >= 10:
        assert found.start >= count // 10 and found.stop <= count // 3 + 1


def test_unfinished_picture_is_left_out() -> None:
    assert poster.split_pictures(BLACK + WHITE + b"\0") == [BLACK, WHITE]
