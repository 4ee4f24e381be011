"""Colours as ffprobe describes them; the HDR ones are of an HDR10 film."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from encoder.film.colour import Colour, LightLevel, MasteringDisplay, read_colour

MASTERING = {
    "side_data_type": "Mastering display metadata",
    "red_x": "34000/50000", "red_y": "16000/50000", "green_x": "13250/50000", "green_y": "34500/50000",
    "blue_x": "7500/50000", "blue_y": "3000/50000", "white_point_x": "15635/50000", "white_point_y": "16450/50000",
    "min_luminance": "50/10000", "max_luminance": "10000000/10000",
}  # fmt: skip
LIGHT = {"side_data_type": "Content light level metadata", "max_content": 1000, "max_average": 400}
DISPLAY = MasteringDisplay(
    red=(Fraction("0.68"), Fraction("0.32")),
    green=(Fraction("0.265"), Fraction("0.69")),
    blue=(Fraction("0.15"), Fraction("0.06")),
    white=(Fraction("0.3127"), Fraction("0.329")),
    black_nits=Fraction("0.005"),
    white_nits=Fraction(1000),
)


def hdr10(*side_data: dict[str, Any]) -> Colour:
    named = {"color_primaries": "bt2020", "color_transfer": "smpte2084", "color_space": "bt2020nc"}
    return read_colour({**named, "color_range": "tv", "side_data_list": list(side_data)})


def test_hdr10_has_its_display_and_its_light() -> None:
    colour = hdr10(MASTERING, LIGHT)
    assert (colour.video_range, colour.is_hdr) == ("PQ", True)
    assert (colour.mastering, colour.light) == (DISPLAY, LightLevel(1000, 400))


def test_display_is_written_as_each_encoder_reads_it() -> None:
    assert DISPLAY.in_x265 == "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    assert DISPLAY.in_svt_av1 == (
        "G(0.26500,0.69000)B(0.15000,0.06000)R(0.68000,0.32000)WP(0.31270,0.32900)L(1000.00000,0.00500)"
    )
    assert str(LightLevel(1000, 400)) == "1000,400"


def test_half_a_display_is_none() -> None:
    without_luminance = {name: value for name, value in MASTERING.items() if "luminance" not in name}
    assert hdr10(without_luminance).mastering is None
    assert hdr10({**MASTERING, "max_luminance": "0/10000"}).mastering is None
    assert hdr10({**MASTERING, "red_x": "0/0"}).mastering is None


def test_light_of_nothing_is_none() -> None:
    assert hdr10({**LIGHT, "max_content": 0}).light is None


def test_ranges_have_the_names_that_hls_gives_them() -> None:
    assert [Colour(transfer=one).video_range for one in ("smpte2084", "arib-std-b67", "bt709", "")] == [
        "PQ", "HLG", "SDR", "SDR",
    ]  # fmt: skip


def test_what_is_said_to_be_unknown_is_silence() -> None:
    assert read_colour({"color_space": "unknown", "color_primaries": "reserved"}) == Colour()
    assert read_colour({"pix_fmt": "yuvj420p"}).full_range
