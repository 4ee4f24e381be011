"""A package whose manifests are right, for tests to break."""

from __future__ import annotations

import msgspec

from encoder.manifests import (
    ByteRange,
    average_bandwidth,
    iframe_playlist,
    media_playlist,
    mpd,
    multivariant,
    peak_bandwidth,
)
from encoder.package import Package, Rendition, StoredFile
from tests.encoder.test_manifests import FILM


def _measured(rendition: Rendition) -> Rendition:
    rates = rendition.durations, rendition.sizes, rendition.timescale
    return msgspec.structs.replace(
        rendition, bandwidth=peak_bandwidth(*rates), average_bandwidth=average_bandwidth(*rates)
    )


def _package() -> Package:
    renditions = tuple(_measured(rendition) for rendition in FILM.renditions)
    files = tuple(StoredFile(one.file, one.media_offset + sum(one.sizes), "", ()) for one in renditions)
    return msgspec.structs.replace(FILM, renditions=renditions, files=files)


PACKAGE = _package()
MASTER, MPD = "master.m3u8", "manifest.mpd"


def playlists() -> dict[str, str]:
    texts = {MASTER: multivariant(PACKAGE)}
    for rendition in PACKAGE.renditions:
        texts[rendition.playlist] = media_playlist(rendition)
        if rendition.iframe_playlist:
            iframes = [ByteRange(rendition.media_offset, 300)] * len(rendition.sizes)
            texts[rendition.iframe_playlist] = iframe_playlist(rendition, iframes)
    return texts


def manifest() -> str:
    return mpd(PACKAGE)
