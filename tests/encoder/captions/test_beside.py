"""Whole encodes of a film with captions and chapters beside it, and of what is taken out of its pictures."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import m3u8
import pytest
from lxml import etree

from config.encoder import EncoderSettings
from config.progress import Reporter
from encoder import package
from encoder.errors import SourceError
from encoder.jobs.runner import encode_request
from encoder.jobs.states import Request
from encoder.package import Package
from encoder.pipeline import encode
from tests.encoder.captions.test_ttml import TTML
from tests.encoder.conftest import Film, grey_frames, run_ffmpeg
from tests.encoder.running.test_films import put

MPD = "{urn:mpeg:dash:schema:mpd:2011}"
CUE = "1\n00:00:01,000 --> 00:00:02,000\n{}\n"


@pytest.fixture
def bare(film: Film, tmp_path: Path) -> Path:
    """A film with two chapters, alone in a folder; its pictures begin 0.4 s after its zero."""
    chapters = tmp_path / "chapters.ffmeta"
    chapters.write_text(
        ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/10\nSTART=4\nEND=20\ntitle=One\n"
        "[CHAPTER]\nTIMEBASE=1/10\nSTART=20\nEND=34\ntitle=Two & more\n"
    )
    made = film(
        "chapters.mkv", "-itsoffset", "0.4", "-f", "lavfi", "-i", grey_frames("96x64", "25", 3), "-i", str(chapters),
        "-map", "0", "-map_chapters", "1", "-c:v", "libx264", "-preset", "ultrafast",
    )  # fmt: skip
    folder = tmp_path / "films"
    folder.mkdir()
    return Path(shutil.copy(made, folder / "film.mkv"))


def encoded(film: Path, tmp_path: Path, settings: EncoderSettings) -> tuple[Path, Package]:
    folder = encode(film, "film", tmp_path / "out", settings, Reporter(quiet=True))
    return folder, package.decode((folder / "package.json").read_bytes())


def test_captions_beside_the_film_are_published_with_language_role_and_place(
    bare: Path, tmp_path: Path, settings: EncoderSettings
) -> None:
    (bare.parent / "film.en.sdh.srt").write_bytes(CUE.format("[door slams] it’s “late”").encode("cp1252"))
    (bare.parent / "film.fr.forced.vtt").write_bytes(
        "\ufeffWEBVTT\n\n00:01.000 --> 00:02.000 line:0\nÀ Paris\n".encode()
    )
    (bare.parent / "film.pt-BR.dfxp").write_text(TTML, encoding="utf-8")
    folder, manifest = encoded(bare, tmp_path, settings)
    texts = manifest.of_kind("text")
    assert [(one.language, one.forced, one.roles, one.label) for one in texts] == [
        ("en", False, ("caption",), "English (SDH)"), ("fr", True, (), "Français (forced)"),
        ("pt-BR", False, (), "Português"),
    ]  # fmt: skip
    assert "00:00:01.000 --> 00:00:02.000\n[door slams] it’s “late”" in (folder / "t1.vtt").read_text("utf-8")
    assert "line:0\nÀ Paris" in (folder / "t2.vtt").read_text("utf-8")
    assert "00:00:01.200 --> 00:00:02.000 align:center line:90%,end\nBonjour" in (folder / "t3.vtt").read_text("utf-8")
    media = m3u8.loads((folder / "master.m3u8").read_text("utf-8")).media
    assert [(one.language, one.forced) for one in media] == [("en", None), ("fr", "YES"), ("pt-BR", None)]
    assert "transcribes-spoken-dialog" in media[0].characteristics
    mpd = etree.parse(folder / "manifest.mpd")
    roles = [one.get("value") for one in mpd.iter(f"{MPD}Role")]
    assert roles == ["caption", "forced-subtitle", "subtitle"]


def test_other_captions_make_another_package_and_the_same_the_same(
    bare: Path, tmp_path: Path, settings: EncoderSettings
) -> None:
    plain, _ = encoded(bare, tmp_path, settings)
    (bare.parent / "film.en.srt").write_text(CUE.format("Hello"))
    captioned, _ = encoded(bare, tmp_path, settings)
    assert captioned != plain
    (bare.parent / "film.en.srt").unlink()
    assert encoded(bare, tmp_path, settings)[0] == plain


def test_film_at_a_url_with_captions_beside_it_becomes_the_package_of_the_same_files_here(
    bare: Path, tmp_path: Path, settings: EncoderSettings, s3_url: str, s3_endpoint: str
) -> None:
    (bare.parent / "film.en.srt").write_text(CUE.format("Hello"))
    (bare.parent / "film.chapters.txt").write_text("0:00 Alone\n")
    here, manifest = encoded(bare, tmp_path, settings)
    assert [one.language for one in manifest.of_kind("text")] == ["en"]
    put(s3_url, s3_endpoint, {path.name: path.read_bytes() for path in bare.parent.iterdir()})
    film, there = f"{s3_url}/{bare.name}", tmp_path / "there"
    asked = Request(Path(film), "film", "film", out=there)
    elsewhere = dataclasses.replace(settings, work=tmp_path / "work 2", shared_s3_endpoint=s3_endpoint)
    assert encode_request(asked, elsewhere, Reporter(quiet=True)).name == here.name


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("film.en.srt", b"1\n00:00:01,000 -> 00:00:02\nHello\n", r"film\.en\.srt, line 2: found .*, expected a time"),
        ("film.en.vtt", b"WEBVTT\n\n00:01 --> 00:02\nHello\n", r"film\.en\.vtt, line 3: found .*, expected a time"),
        ("film.en.vtt", b"1\n00:01.000 --> 00:02.000\nHello\n", r"film\.en\.vtt, line 1: found '1', expected WEBVTT"),
        ("film.fr.ttml", b"<tt>", r"film\.fr\.ttml, line 1: .*, expected TTML"),
        ("film.ar.srt", b"\x89PNG\r\n\x1a\n\x81\x00\x00", r"film\.ar\.srt.*UTF-8"),
        ("film.chapters.txt", b"one\n", r"film\.chapters\.txt, line 1: found 'one', expected"),
    ],
)
def test_broken_file_beside_the_film_is_refused_before_anything_is_made(
    name: str, content: bytes, sentence: str, bare: Path, tmp_path: Path, settings: EncoderSettings
) -> None:
    (bare.parent / name).write_bytes(content)
    with pytest.raises(SourceError, match=sentence):
        encoded(bare, tmp_path, settings)
    assert not (tmp_path / "out").exists()


def test_chapters_and_thumbnails_of_the_film_are_in_the_package_and_named_by_it(
    bare: Path, tmp_path: Path, settings: EncoderSettings
) -> None:
    folder, manifest = encoded(bare, tmp_path, settings)
    assert [(one.start, one.end, one.title) for one in manifest.chapters] == [
        (0.0, 1.6, "One"), (1.6, 3.0, "Two & more"),
    ]  # fmt: skip
    entries = json.loads((folder / manifest.chapters_json).read_text("utf-8"))
    assert [one["titles"][0]["title"] for one in entries] == ["One", "Two & more"]
    assert "Two &amp; more" in (folder / "chapters.vtt").read_text("utf-8")
    (session,) = m3u8.loads((folder / "master.m3u8").read_text("utf-8")).session_data
    assert (session.data_id, session.uri) == ("com.apple.hls.chapters", "chapters.json")
    (bare.parent / "film.chapters.txt").write_text("0:00 Alone\n")
    _, own = encoded(bare, tmp_path, settings)
    assert [one.title for one in own.chapters] == ["Alone"]  # what lies beside the film was meant


def test_thumbnails_show_the_film_at_their_times(film: Film, tmp_path: Path, settings: EncoderSettings) -> None:
    # Ten seconds of black, ten of white, and a little more, grey.
    shades = "nullsrc=s=160x90:r=5:d=23,geq=lum='if(lt(T,10),16,if(lt(T,20),235,126))':cb=128:cr=128,format=yuv420p"
    source = film("shades.mkv", "-f", "lavfi", "-i", shades, "-c:v", "libx264", "-preset", "ultrafast")
    folder, manifest = encoded(source, tmp_path, settings)
    sheet = manifest.thumbnails
    assert sheet is not None
    assert (sheet.columns, sheet.rows, sheet.sheets, sheet.count, sheet.interval) == (3, 1, 1, 3, 10)
    size = (folder / "thumbnails-1.jpg").stat().st_size
    assert sheet.bandwidth == -(-size * 8 // 30)
    raw = run_ffmpeg("-i", str(folder / "thumbnails-1.jpg"), "-vf", "scale=3:1:flags=area:out_range=pc,format=gray",
                     "-f", "rawvideo", "pipe:1")  # fmt: skip
    assert list(raw) == pytest.approx([0, 255, 128], abs=6)
    assert [(one.file, one.width, one.height) for one in manifest.posters] == [("poster.jpg", 160, 90)]
    master = (folder / "master.m3u8").read_text()
    assert 'RESOLUTION=160x90,URI="thumbnails.m3u8"' in master
    (image,) = (one for one in etree.parse(folder / "manifest.mpd").iter(f"{MPD}AdaptationSet")
                if one.get("contentType") == "image")  # fmt: skip
    assert [one.get("duration") for one in image.iter(f"{MPD}SegmentTemplate")] == ["30"]
