from __future__ import annotations

import m3u8
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from encoder.pictures.sheets import SIDE, image_playlist, image_set, image_stream, plan_thumbnails, with_sizes


@pytest.mark.parametrize(
    ("size", "duration_s", "sheets", "layout", "interval", "picture"),
    [
        ((1920, 1080), 7200, 29, (5, 5), 10, (320, 180)),
        ((1920, 800), 3.0, 1, (1, 1), 10, (320, 134)),
        ((1280, 720), 34, 1, (4, 1), 10, (320, 180)),
        ((1280, 720), 70, 1, (5, 2), 10, (320, 180)),
        ((1080, 1920), 600, 3, (5, 5), 10, (180, 320)),
        ((160, 90), 36_000, 36, (5, 5), 40, (160, 90)),  # ten hours: still fewer than a thousand pictures
    ],
)
def test_sheets_fit_the_film(
    size: tuple[int, int], duration_s: float, sheets: int, layout: tuple[int, int], interval: int,
    picture: tuple[int, int],
) -> None:  # fmt: skip
    found = plan_thumbnails(*size, duration_s)
    assert (found.sheets, (found.columns, found.rows), found.interval) == (sheets, layout, interval)
    assert (found.width, found.height) == picture


@given(st.integers(16, 8000), st.integers(16, 8000), st.floats(0.04, 200_000))
def test_every_moment_has_a_picture_and_the_number_is_bounded(width: int, height: int, duration_s: float) -> None:
    found = plan_thumbnails(width, height, duration_s)
    a_sheet = found.columns * found.rows
    assert (found.sheets - 1) * a_sheet < found.count <= found.sheets * a_sheet
    assert found.count <= 1000 and (found.count - 1) * found.interval < duration_s <= found.count * found.interval
    assert max(found.width, found.height) <= max(SIDE, 2)


def test_manifests_name_the_sheets_as_roku_and_dash_if_do() -> None:
    found = with_sizes(plan_thumbnails(1920, 1080, 600.5), [100_000, 150_000, 90_000])
    assert found.bandwidth == 4800  # 150 kB in 250 s
    assert image_stream(found, "http://a/").strip() == (
        '#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=4800,CODECS="jpeg",RESOLUTION=320x180,URI="http://a/thumbnails.m3u8"'
    )
    playlist = image_playlist(found, 600.5)
    read = m3u8.loads(playlist)
    assert read.is_images_only and read.is_endlist and read.target_duration == 250
    assert [(one.uri, one.duration) for one in read.segments] == [
        ("thumbnails-1.jpg", 250), ("thumbnails-2.jpg", 250), ("thumbnails-3.jpg", 100.5),
    ]  # fmt: skip
    assert playlist.count("#EXT-X-TILES:RESOLUTION=320x180,LAYOUT=5x5,DURATION=10\n") == 3
    entry = etree.fromstring(f"<AdaptationSet{image_set(found)}</AdaptationSet>")
    assert [one.get("media") for one in entry.iter("SegmentTemplate")] == ["thumbnails-$Number$.jpg"]
    (representation,) = entry.iter("Representation")
    assert (representation.get("width"), representation.get("height")) == ("1600", "900")
    assert [one.get("value") for one in representation] == ["5x5"]
