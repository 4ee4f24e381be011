"""Which picture of a film becomes its poster: a bright one with much to see in it.

Pure. Candidates are keyframes as tiny grey thumbnails, so that all of a film's can be looked at in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

# Enough to tell a face from a black frame.
THUMBNAIL = (64, 36)
# Posters are taken from this share of the film: after the titles, before anything that gives the story away.
WINDOW = (0.1, 0.3)
# As pages and players show posters; the height follows the film's shape.
WIDTH = 640
# Mid grey of video range (16-235); a picture as bright as this has details in both lights and shadows.
_GOOD_LIGHT = 110.0


def split_pictures(raw: bytes) -> list[bytes]:
    """Thumbnails from grey rawvideo; an unfinished last one is not a picture."""
    size = THUMBNAIL[0] * THUMBNAIL[1]
    return [raw[at : at + size] for at in range(0, len(raw) - size + 1, size)]


def candidates(count: int) -> range:
    """Which of `count` keyframes, in order, may become the poster; at least one."""
    first = min(int(count * WINDOW[0]), count - 1)
    return range(first, max(first + 1, math.ceil(count * WINDOW[1])))


def best_picture(pictures: Sequence[bytes]) -> int:
    """The position of the picture with the most contrast, weighed by how near its light is to a good one."""
    scores = [_score(picture) for picture in pictures]
    return scores.index(max(scores))


def _score(picture: bytes) -> float:
    mean = sum(picture) / len(picture)
    contrast = math.sqrt(sum((value - mean) ** 2 for value in picture) / len(picture))
    return contrast * (1 - min(1.0, abs(mean - _GOOD_LIGHT) / _GOOD_LIGHT))
