"""Films that nobody would choose, made by ffmpeg: each becomes a right package, or one sentence says why not."""

from __future__ import annotations

import dataclasses
import errno
import os
import re
import resource
import signal
from fractions import Fraction
from pathlib import Path

import pytest

from config.cli import run_command
from config.encoder import EncoderSettings
from config.progress import Reporter
from encoder import cli, commands
from encoder.errors import SourceError, SpaceError
from encoder.film.probe import demand_film, read_film
from encoder.package import Package, decode
from encoder.pipeline import encode
from encoder.running.process import Tools
from encoder.video.chunks import plan_chunks
from encoder.video.codec import H264
from encoder.video.ladder import ladder
from tests.encoder.conftest import GREY_COUNT, GREY_STEP, Film, decode_greys, grey_frames, pattern
from tests.encoder.video.test_ladder import source_of

X264 = ("-c:v", "libx264", "-preset", "ultrafast")


@pytest.fixture
def plain(settings: EncoderSettings) -> EncoderSettings:
    return dataclasses.replace(settings, ladder="fixed")


def encoded(film: Path, tmp_path: Path, settings: EncoderSettings) -> tuple[Path, Package]:
    folder = encode(film, "film", tmp_path / "out", settings, Reporter(quiet=True))
    return folder, decode((folder / "package.json").read_bytes())


def frame_numbers(file: Path) -> list[int]:
    return [round((grey - 20) / GREY_STEP) for grey in decode_greys(file)]


def test_film_of_one_picture_is_a_package_of_one_frame(film: Film, tmp_path: Path, plain: EncoderSettings) -> None:
    source = film("one.mp4", "-f", "lavfi", "-i", pattern("64x64", seconds=0.04), *X264)
    folder, manifest = encoded(source, tmp_path, plain)
    (video,) = manifest.of_kind("video")
    assert (len(video.durations), manifest.duration) == (1, 0.04)
    assert len(decode_greys(folder / video.file)) == 1


def test_captions_within_the_pictures_are_not_in_what_says_that_it_has_none(
    film: Film, tools: Tools, tmp_path: Path, plain: EncoderSettings
) -> None:
    bare = film("bare.h264", "-f", "lavfi", "-i", pattern("96x64", seconds=0.4), *X264, "-bf", "0")
    # CEA-608 as ATSC A/53 has it, in an SEI of every picture (ITU-T H.264 annex D).
    message = bytes.fromhex("b50031") + b"GA94" + bytes.fromhex("0341fffc9420ff")
    captions = b"\0\0\1\x06\x04" + bytes([len(message)]) + message + b"\x80"
    captioned = tmp_path / "captioned.h264"
    captioned.write_bytes(re.sub(rb"(\x00\x00\x01[\x41\x61\x65])", lambda unit: captions + unit[1], bare.read_bytes()))
    source = film("captioned.mp4", "-r", "25", "-i", str(captioned), "-c", "copy")
    folder, manifest = encoded(source, tmp_path, plain)
    shown = ("-v", "error", "-select_streams", "v", "-show_entries", "frame_side_data=side_data_type", "-of", "csv")
    assert tools.ffprobe([*shown, str(source)]).count("A53") == 10
    assert "A53" not in tools.ffprobe([*shown, str(folder / manifest.renditions[0].file)])
    assert "CLOSED-CAPTIONS=NONE" in (folder / "master.m3u8").read_text()


@pytest.fixture(scope="session")
def changing(film: Film) -> Path:
    """Three pieces of 25 numbered frames: 96x64, twice as large, and of another shape."""
    pieces = [
        film(f"part-{size}.mp4", "-f", "lavfi", "-i", grey_frames(size, "25", 1), *X264, "-g", "25")
        for size in ("96x64", "192x128", "64x64")
    ]
    listing = pieces[0].parent / "parts.txt"
    listing.write_text("".join(f"file '{piece.name}'\n" for piece in pieces))
    return film("changing.mkv", "-f", "concat", "-i", str(listing), "-c", "copy")


@pytest.mark.parametrize("chunk_s", [1.0, 60.0])
def test_film_that_changes_its_size_keeps_its_first_one_and_all_frames(
    chunk_s: float, changing: Path, tmp_path: Path, plain: EncoderSettings
) -> None:
    folder, manifest = encoded(changing, tmp_path, dataclasses.replace(plain, chunk_duration=chunk_s))
    (video,) = manifest.of_kind("video")
    assert (video.width, video.height) == (96, 64)
    shown = frame_numbers(folder / video.file)
    assert len(shown) == 75
    assert shown[:50] == [number % GREY_COUNT for number in range(25)] * 2
    # The square has black bars at its sides, a third of the picture, so its shades are darker; it is not stretched.
    assert max(shown[50:]) < max(shown[:25])


def test_times_before_zero_that_no_reader_sees_are_refused(film: Film, tmp_path: Path, plain: EncoderSettings) -> None:
    source = film("negative.mkv", "-f", "lavfi", "-i", pattern("64x64", seconds=2), *X264,
                  "-output_ts_offset", "-1.5", "-avoid_negative_ts", "disabled")  # fmt: skip
    with pytest.raises(SourceError, match=r"begins with 38 pictures without times \(were they negative\?\)"):
        encode(source, "film", tmp_path / "out", plain, Reporter(quiet=True))
    assert not list((tmp_path / "out" / "film").iterdir())


def test_times_before_zero_in_an_edit_list_are_cut_as_players_do(film: Film, tools: Tools) -> None:
    whole = film("second.mp4", "-f", "lavfi", "-i", pattern("64x64", seconds=2), *X264, "-g", "25")
    source = film("edited.mp4", "-ss", "1.2", "-i", str(whole), "-c", "copy")
    assert read_film(tools, source).video.frames == 20


def test_second_video_timecode_and_data_are_left_out_and_named(film: Film, tools: Tools) -> None:
    source = film(
        "two.mov", "-f", "lavfi", "-i", pattern("64x64", seconds=1), "-f", "lavfi", "-i", pattern("96x64", seconds=1),
        "-map", "0", "-map", "1", *X264, "-timecode", "01:00:00:00",
    )  # fmt: skip
    found = read_film(tools, source)
    assert (found.video.index, found.audios) == (1, ())
    assert found.left_out == ("stream 0 (video, h264) is left out: 64x64 is not the largest",)


def test_film_under_the_name_of_another_container_is_a_film(film: Film, tools: Tools, tmp_path: Path) -> None:
    misnamed = tmp_path / "film.txt"
    misnamed.write_bytes(film("one.mp4", "-f", "lavfi", "-i", pattern("64x64", seconds=0.04), *X264).read_bytes())
    assert read_film(tools, misnamed).video.frames == 1


def test_audio_without_a_language_is_undetermined(grey_film: Path, tools: Tools) -> None:
    assert [audio.language for audio in read_film(tools, grey_film).audios] == ["und"]


@pytest.mark.parametrize("name", [b"two\nlines.mp4", b"\xff\xfe.mp4", b"-i.mp4", b"a 'quoted' \"name\".mp4", b"%d.mp4"])
def test_films_name_may_be_any_that_the_system_takes(name: bytes, film: Film, tools: Tools, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(name)
    odd.symlink_to(film("one.mp4", "-f", "lavfi", "-i", pattern("64x64", seconds=0.04), *X264))
    assert read_film(tools, odd).video.frames == 1


def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "nowhere.mp4").symlink_to(tmp_path / "none")
    (tmp_path / "around.mp4").symlink_to(tmp_path / "around.mp4")
    for name, complaint in (
        ("pipe.mp4", "is not a file, expected a film"),
        ("nowhere.mp4", "no such file"),
        ("around.mp4", "no such file"),
        (".", "is not a file, expected a film"),
    ):
        with pytest.raises(SourceError, match=complaint):
            demand_film(tmp_path / name)


def test_film_that_may_not_be_read_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))  # root, as whom tests may run, is never refused

    (tmp_path / "film.mp4").write_bytes(b"film")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SourceError, match="cannot be read: Permission denied"):
        demand_film(tmp_path / "film.mp4")


def test_ten_hours_are_planned_in_little_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    plan = plan_chunks(source_of(frames=10 * 3600 * 25, frame_rate=Fraction(25)), 4, 48)
    assert (len(plan.segment_frames), plan.duration) == (9000, Fraction(36000))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_ten_hours_that_the_disk_cannot_hold_are_refused_before_they_begin(
    film: Film, tmp_path: Path, plain: EncoderSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = film("hours.mkv", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=1/20:d=36000", *X264)
    usage = type("Usage", (), {"free": 2 * 1024**3})
    monkeypatch.setattr("encoder.running.steps.shutil.disk_usage", lambda _folder: usage)
    with pytest.raises(SpaceError, match=r"has 2 GiB free, expected at least \d"):
        encode(hours, "film", tmp_path / "out", plain, Reporter(quiet=True))
    assert not list((tmp_path / "out" / "film").iterdir())


def test_picture_that_lasts_for_hours_becomes_many_frames_only_when_all_else_is_done() -> None:
    # Each copy that a filter makes of it would be a picture of its own in memory: 7 GB, measured.
    source = source_of(is_constant=False, frames=36_000)
    plan = plan_chunks(source, 4, 48)
    arguments = commands.chunk_video("FILM", source, plan, ladder(source, H264), plan.chunks[0], "medium")
    graph = arguments[arguments.index("-filter_complex") + 1]
    multiplied = re.findall(r"setpts=N(\[\w+\])", graph)
    assert len(multiplied) == graph.count("]fps=") == 5
    assert not [frames for frames in multiplied if re.search(re.escape(frames) + r"\w", graph)]


@pytest.fixture(scope="session")
def refused(film: Film) -> dict[str, Path]:
    """Films that cannot become packages, by what their sentence says."""
    folder = film("one.mp4", "-f", "lavfi", "-i", pattern("64x64", seconds=0.04), *X264).parent
    whole = film("whole.mp4", "-f", "lavfi", "-i", pattern("64x64", seconds=3), *X264, "-movflags", "+faststart")
    (folder / "zero.mp4").touch()
    (folder / "notes.mkv").write_text("This is no film.\n" * 100)
    (folder / "cut.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    return {
        "is empty (0 bytes), expected a film": folder / "zero.mp4",
        "is not a film": folder / "notes.mkv",
        "is truncated: it declares 3.0 s": folder / "cut.mp4",
        "has no video, only audio": film("sound.m4a", "-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac"),
        "no such file": folder / "none.mp4",
    }


@pytest.mark.parametrize(
    "sentence",
    [
        "is empty (0 bytes), expected a film",
        "is not a film",
        "is truncated: it declares 3.0 s",
        "has no video, only audio",
        "no such file",
    ],
)
def test_refused_film_ends_the_command_with_one_sentence_and_nothing_is_published(
    sentence: str, refused: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    storage, out = tmp_path / "storage", tmp_path / "out"
    arguments = [str(refused[sentence]), "--title", "film", "--out", str(out), "--publish", f"file://{storage}",
                 "--replace", "--work", str(tmp_path / "work"), "--ladder", "fixed", "--quiet"]  # fmt: skip
    monkeypatch.setattr("sys.argv", ["encode", *arguments])
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as ended:
            run_command(cli.encode)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert said.err.startswith("error: ") and sentence in said.err
    assert not storage.exists()
    assert not [path for path in out.rglob("*") if path.is_file()]
