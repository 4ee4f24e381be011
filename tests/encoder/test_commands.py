"""The filter graph of a job: what several rungs share is computed once."""

from __future__ import annotations

import dataclasses

from encoder import commands
from encoder.film.colour import Colour
from encoder.film.source import Source
from encoder.video.chunks import plan_chunks
from encoder.video.codec import AV1, CODECS, H264, HEVC, Codec
from encoder.video.ladder import ladder
from tests.encoder.video.test_ladder import source_of

PQ = {"colour": Colour("bt2020", "smpte2084", "bt2020nc"), "pixel_format": "yuv420p10le"}


def graph_of(source: Source, *codecs: Codec) -> str:
    plan = plan_chunks(source, 4.0, 8.0)
    rungs = [rung for codec in codecs for rung in ladder(source, codec)]
    arguments = commands.chunk_video("FILM", source, plan, rungs, plan.chunks[0], "fast")
    return arguments[arguments.index("-filter_complex") + 1]


def test_a_size_is_made_once_for_all_codecs() -> None:
    source = source_of(width=640, height=360)
    assert graph_of(source, *CODECS.values()).count("out_color_matrix=") == len(ladder(source))


def test_depths_are_made_apart() -> None:
    source = source_of(width=640, height=360, pixel_format="yuv420p10le")
    graph = graph_of(source, *CODECS.values())
    assert graph.count("out_color_matrix=") == 2 * len(ladder(source))
    assert graph.count("format=yuv420p10le") == graph.count("format=yuv420p,") + graph.count("format=yuv420p[")


def test_hdr_is_tone_mapped_for_h264_alone() -> None:
    source = source_of(width=640, height=360, **PQ)
    assert graph_of(source, H264, HEVC, AV1).count("tonemap=hable") == 1
    assert "tonemap" not in graph_of(source, HEVC, AV1)
    # What the film says of single pictures goes into no encoder.
    assert "sidedata=mode=delete" in graph_of(source, HEVC)


def test_hdr_in_other_colours_than_those_of_bt2100_is_converted() -> None:
    silent, p3 = (Colour(one, "smpte2084", "bt2020nc" if one else "") for one in ("", "smpte432"))
    source = source_of(width=640, height=360, **PQ)

    def of(colour: Colour) -> str:
        video = dataclasses.replace(source.video, colour=colour)
        return graph_of(dataclasses.replace(source, video=video), HEVC)

    assert "zscale" not in of(silent)
    assert "pin=smpte432" in of(p3) and "p=bt2020" in of(p3)


def test_joined_pictures_are_decoded_as_early_as_the_codec_needs() -> None:
    source = source_of(width=640, height=360)
    plan = plan_chunks(source, 4.0, 8.0)
    early = {codec: commands.join("listing", plan, ladder(source, codec)[0]) for codec in CODECS.values()}
    assert ["dts=(N-2)" in " ".join(early[codec]) for codec in (H264, HEVC, AV1)] == [True, True, False]
    assert [arguments[arguments.index("-tag:v") + 1] for arguments in early.values()] == ["avc1", "hvc1", "av01"]
