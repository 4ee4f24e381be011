"""Which picture of a film becomes its poster: a bright and sharp one with much to see in it.

Pure. Candidates are keyframes as tiny grey thumbnails, so that all of a film's can be looked at in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from encoder.package import Poster

# Enough to tell a face from a black frame, and a blurred one from a sharp one.
THUMBNAIL = (160, 90)
# Posters are taken from this share of the film: after the titles, before anything that gives the story away.
WINDOW = (0.1, 0.3)
# Files and their widths: as pages show posters first, then a large one for televisions and press, and a small one for
# lists. The height follows the film's shape, and no poster is larger than the film.
_WIDTHS = {"poster.jpg": 640, "poster-1280.jpg": 1280, "poster-320.jpg": 320}
# Mid grey of video range (16-235); a picture as bright as this has details in both lights and shadows.
_GOOD_LIGHT = 110.0


def sizes(width: int, height: int) -> tuple[Poster, ...]:
    """The posters of a film of this size: at least one, and no two alike."""
    made: dict[int, Poster] = {}
    for file, wanted in _WIDTHS.items():
        across = min(wanted, width)
        if across not in made and (wanted <= width or not made):
            made[across] = Poster(file, across, max(2, round(height * across / width / 2) * 2))
    return tuple(made.values())


def split_pictures(raw: bytes) -> list[bytes]:
    """Thumbnails from grey rawvideo; an unfinished last one is not a picture."""
    size = THUMBNAIL[0] * THUMBNAIL[1]
    return [raw[at : at + size] for at in range(0, len(raw) - size + 1, size)]


def candidates(count: int) -> range:
    """Which of `count` keyframes, in order, may become the poster; at least one."""
    first = min(int(count * WINDOW[0]), count - 1)
    return range(first, max(first + 1, math.ceil(count * WINDOW[1])))


def best_picture(pictures: Sequence[bytes]) -> int:
    """The position of the picture with the most contrast and detail, weighed by how near its light is to a good one."""
    scores = [_score(picture) for picture in pictures]
    return scores.index(max(scores))


def _score(picture: bytes) -> float:
    width, height = THUMBNAIL
    grey = np.frombuffer(picture, np.uint8).reshape(height, width).astype(np.int64)
    mean = int(grey.sum()) / grey.size
    # In whole numbers: processors must not disagree on which of two pictures is better.
    contrast = math.sqrt(int((grey * grey).sum()) / grey.size - mean * mean)
    # What changes from one point to the next: motion and focus blur take it away, and leave the contrast.
    detail = (int(np.abs(np.diff(grey, axis=0)).sum()) + int(np.abs(np.diff(grey, axis=1)).sum())) / grey.size
    return contrast * math.sqrt(detail) * (1 - min(1.0, abs(mean - _GOOD_LIGHT) / _GOOD_LIGHT))
