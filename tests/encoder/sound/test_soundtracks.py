from __future__ import annotations

import pytest

from encoder.film.source import AudioStream
from encoder.package import Loudness
from encoder.sound.soundtracks import Soundtrack, first_to_play, gain_db, louder, read_loudness, soundtracks


def stream(**changes: object) -> AudioStream:
    plain: dict[str, object] = {
        "index": 1, "codec": "flac", "channels": 2, "sample_rate": 48000, "language": "en", "title": "",
        "default": False,
    }  # fmt: skip
    return AudioStream(**{**plain, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("codec", "channels", "made"),
    [
        ("flac", 1, [("a1", 1, False)]),
        ("ac3", 2, [("a1", 2, False)]),
        ("flac", 4, [("a1", 2, False)]),
        ("flac", 5, [("a1", 2, False), ("a1-surround", 6, False)]),
        ("dts", 8, [("a1", 2, False), ("a1-surround", 6, False)]),
        ("ac3", 3, [("a1", 2, False), ("a1-surround", 3, True)]),
        ("eac3", 8, [("a1", 2, False), ("a1-surround", 8, True)]),
    ],
)
def test_each_track_is_stereo_or_less_and_what_is_more_stands_beside(
    codec: str, channels: int, made: list[tuple[str, int, bool]]
) -> None:
    tracks = soundtracks([stream(codec=codec, channels=channels)])
    assert [(track.name, track.channels, track.is_copied) for track in tracks] == made
    assert all(track.version_of == "a1" for track in tracks[1:])


def test_copy_that_cannot_be_made_is_encoded_to_five_and_one() -> None:
    _, surround = soundtracks([stream(codec="eac3", channels=8)])
    assert (surround.encoded.channels, surround.encoded.is_copied) == (6, False)


def test_default_track_plays_first_then_the_original_and_never_a_commentary_unasked() -> None:
    commentary = stream(default=True, roles=("commentary",))
    assert first_to_play([commentary, stream(), stream(default=True)]) == 2
    assert first_to_play([stream(language="de"), stream(original=True)]) == 1
    assert first_to_play([commentary, stream(roles=("dub",))]) == 1
    assert first_to_play([commentary]) == 0


def test_last_measure_of_each_kind_counts() -> None:
    lines = [
        "frame:8    pts:38400   pts_time:0.8", "lavfi.r128.I=-70.000", "lavfi.r128.true_peak=0.100",
        "frame:9    pts:43200   pts_time:0.9", "lavfi.r128.M=-12.000", "lavfi.r128.I=-16.359", "lavfi.r128.LRA=20.000",
        "lavfi.r128.LRA.low=-36.370", "lavfi.r128.true_peaks_ch0=0.000", "lavfi.r128.true_peak=0.335",
    ]  # fmt: skip
    assert read_loudness(lines) == Loudness(-16.4, 20.0, -9.5)


@pytest.mark.parametrize("lines", [[], ["lavfi.r128.I=-70.000", "lavfi.r128.LRA=nan", "lavfi.r128.true_peak=0.000"]])
def test_silence_has_a_loudness_that_is_a_number(lines: list[str]) -> None:
    assert read_loudness(lines) == Loudness(-70.0, 0.0, -99.0)


STEREO = Soundtrack("a1", stream(), 2)
FOLDED = Soundtrack("a1", stream(channels=6), 2)
COPIED = Soundtrack("a1-surround", stream(codec="ac3", channels=6), 6, "a1", is_copied=True)


@pytest.mark.parametrize(
    ("track", "measured", "wanted", "gain"),
    [
        (STEREO, Loudness(-9, 3, 1.5), None, 0.0),  # as the film has it, though it clips
        (FOLDED, Loudness(-9, 3, 1.5), None, -2.5),
        (FOLDED, Loudness(-20, 3, -3.0), None, 0.0),
        (STEREO, Loudness(-14, 3, -0.2), -23.0, -9.0),
        (STEREO, Loudness(-31, 12, -4.0), -23.0, 3.0),  # and no more: the peak would pass -1 dB
        (COPIED, Loudness(-14, 3, -0.2), -23.0, 0.0),
        (STEREO, Loudness(-70, 0, -99), -23.0, 0.0),
    ],
)
def test_gain_folds_down_without_clipping_and_reaches_the_loudness_if_the_peak_allows(
    track: Soundtrack, measured: Loudness, wanted: float | None, gain: float
) -> None:
    assert gain_db(track, measured, wanted) == pytest.approx(gain, abs=0.001)


def test_gain_moves_loudness_and_peak_and_leaves_the_range() -> None:
    assert louder(Loudness(-14.0, 3.0, -0.2), -9.0) == Loudness(-23.0, 3.0, -9.2)
    assert louder(Loudness(-70.0, 0.0, -99.0), 3.0) == Loudness(-70.0, 0.0, -99.0)
