from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from encoder.pictures import poster

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


def test_sharp_picture_wins_over_the_same_blurred() -> None:
    width, height = poster.THUMBNAIL
    sharp = bytes(30 if (x // 8 + y // 8) % 2 else 190 for y in range(height) for x in range(width))
    rows = [sharp[y * width : (y + 1) * width] for y in range(height)]
    blurred = bytes(sum(row[x : x + 12]) // len(row[x : x + 12]) for row in rows for x in range(width))
    assert poster.best_picture([blurred, sharp]) == 1


@given(st.integers(16, 4000), st.integers(16, 4000))
def test_posters_are_of_different_sizes_and_never_larger_than_the_film(width: int, height: int) -> None:
    sizes = poster.sizes(width, height)
    assert sizes[0].file == "poster.jpg"
    assert len({one.width for one in sizes}) == len(sizes)
    assert all(one.width <= width for one in sizes)
    if width >= 1280:
        assert {one.width for one in sizes} == {640, 1280, 320}
