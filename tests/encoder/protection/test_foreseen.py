from __future__ import annotations

import dataclasses
from fractions import Fraction

from encoder.film.colour import Colour
from encoder.film.source import AudioStream, Source
from encoder.protection.foreseen import foreseen
from encoder.protection.keys import Track
from encoder.video.codec import AV1, H264
from tests.encoder.sound.test_soundtracks import stream
from tests.encoder.video.test_ladder import source_of


def film(*audios: AudioStream, **changes: object) -> Source:
    return dataclasses.replace(source_of(**{"width": 640, "height": 360, **changes}), audios=audios)


def test_rungs_of_a_fixed_ladder_are_foreseen_as_they_will_be() -> None:
    rate = Fraction(50)  # halved: above 60 no rung is
    assert list(foreseen(film(frame_rate=Fraction(100)), [H264, AV1], [])) == [
        Track("v360", "video", 640, 360, rate), Track("v234", "video", 416, 234, rate),
        Track("v360-av1", "video", 640, 360, rate), Track("v234-av1", "video", 416, 234, rate),
    ]  # fmt: skip


def test_of_a_ladder_that_is_searched_for_all_sizes_that_may_be_chosen_are_foreseen() -> None:
    found = list(foreseen(film(), [H264, AV1], [H264]))
    assert [track.name for track in found] == ["v360", "v270", "v216", "v360-av1", "v234-av1"]


def test_rungs_that_keep_hdr_are_told_from_those_that_do_not() -> None:
    hdr = film(pixel_format="yuv420p10le", colour=Colour(transfer="smpte2084"))
    assert {track.name: track.hdr for track in foreseen(hdr, [H264, AV1], [])} == {
        "v360": False, "v234": False, "v360-av1": True, "v234-av1": True,
    }  # fmt: skip


def test_channels_are_foreseen_but_of_sound_that_may_be_encoded_after_all() -> None:
    audios = [stream(channels=6), stream(codec="ac3", channels=6), stream(codec="eac3", channels=8)]
    found = [(track.name, track.channels) for track in foreseen(film(*audios), [], [])]
    assert found == [
        ("a1", 2), ("a1-surround", 6), ("a2", 2), ("a2-surround", 6), ("a3", 2), ("a3-surround", None),
    ]  # fmt: skip
