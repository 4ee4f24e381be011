"""Thumbnails for the seek bar: how many there are, how they lie on their sheets, and how manifests name them.

HLS has them in the image playlists that Roku and others agreed on ("Image Media Playlist Specification", version 0.4),
DASH as DASH-IF's thumbnail_tile (IOP, section 6.2.6). Both read the same JPEG sheets.

Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from encoder.package import Thumbnails, sheet_name

PLAYLIST = "thumbnails.m3u8"
# Seconds. As common players step; closer ones differ too little to find a scene by.
_INTERVAL_S = 10
# Pictures of one film. A film of many hours has them further apart, so that they stay about 10 MB.
_MOST = 1000
# A sheet of 25 is some 150 kB: one request for four minutes of film, and small enough to wait for.
_COLUMNS, _ROWS = 5, 5
# Pixels. The longer side of a picture.
SIDE = 320


def plan_thumbnails(width: int, height: int, duration_s: float) -> Thumbnails:
    """The thumbnails of a film of this shape, but for their bandwidth."""
    interval = _INTERVAL_S * max(1, math.ceil(duration_s / (_INTERVAL_S * _MOST)))
    count = max(1, math.ceil(duration_s / interval))
    scale = min(1.0, SIDE / max(width, height))
    columns = min(_COLUMNS, count)
    rows = min(_ROWS, math.ceil(count / columns))
    return Thumbnails(
        playlist=PLAYLIST,
        sheets=math.ceil(count / (columns * rows)),
        columns=columns,
        rows=rows,
        width=max(2, round(width * scale / 2) * 2),
        height=max(2, round(height * scale / 2) * 2),
        interval=interval,
        count=count,
        bandwidth=0,
    )


def with_sizes(thumbnails: Thumbnails, sizes: Sequence[int]) -> Thumbnails:
    """The same, now that it is known how many bytes each sheet has."""
    return msgspec.structs.replace(thumbnails, bandwidth=-(-8 * max(sizes) // _span(thumbnails)))


def image_playlist(thumbnails: Thumbnails, duration_s: float) -> str:
    """The playlist of the sheets; their URIs are relative to the package's folder, where it lies."""
    span = _span(thumbnails)
    tiles = f"RESOLUTION={_resolution(thumbnails)},LAYOUT={_layout(thumbnails)},DURATION={thumbnails.interval}"
    entries = []
    for number in range(1, thumbnails.sheets + 1):
        # The last sheet lasts to the end of the film.
        lasts = min(span, duration_s - (number - 1) * span)
        entries.append(f"#EXTINF:{lasts:.3f},\n#EXT-X-TILES:{tiles}\n{sheet_name(number)}")
    target = max(1, math.floor(min(span, duration_s) + 0.5))
    head = ["#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{target}", "#EXT-X-PLAYLIST-TYPE:VOD"]
    return "\n".join([*head, "#EXT-X-IMAGES-ONLY", *entries, "#EXT-X-ENDLIST", ""])


def image_stream(thumbnails: Thumbnails, base: str) -> str:
    """Their line in the multivariant playlist."""
    attributes = f'BANDWIDTH={thumbnails.bandwidth},CODECS="jpeg",RESOLUTION={_resolution(thumbnails)}'
    return f'#EXT-X-IMAGE-STREAM-INF:{attributes},URI="{base}{thumbnails.playlist}"\n'


def image_set(thumbnails: Thumbnails) -> str:
    """Their AdaptationSet in the MPD, from its first attribute on."""
    width, height = thumbnails.width * thumbnails.columns, thumbnails.height * thumbnails.rows
    return (
        ' contentType="image" mimeType="image/jpeg">\n'
        f'<SegmentTemplate media="{sheet_name("$Number$")}" duration="{_span(thumbnails)}" startNumber="1"/>\n'
        f'<Representation id="thumbnails" bandwidth="{thumbnails.bandwidth}" width="{width}" height="{height}">\n'
        '<EssentialProperty schemeIdUri="http://dashif.org/guidelines/thumbnail_tile" '
        f'value="{_layout(thumbnails)}"/>\n</Representation>\n'
    )


def _span(thumbnails: Thumbnails) -> int:
    """Seconds that a full sheet covers."""
    return thumbnails.columns * thumbnails.rows * thumbnails.interval


def _resolution(thumbnails: Thumbnails) -> str:
    return f"{thumbnails.width}x{thumbnails.height}"


def _layout(thumbnails: Thumbnails) -> str:
    return f"{thumbnails.columns}x{thumbnails.rows}"
