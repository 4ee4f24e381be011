"""The step that makes all captions of a film WebVTT on the package's clock: those in it, and the files beside it."""

from __future__ import annotations

from pathlib import Path

from encoder import commands, subrip, subtitles
from encoder.beside import CaptionFile
from encoder.charsets import read_text
from encoder.chunks import Plan
from encoder.source import TextStream
from encoder.work import FILM, Work


def make_captions(work: Work, plan: Plan, files: tuple[CaptionFile, ...]) -> Path:
    """`t{number}.vtt` of each track that has a cue within the film, its own streams first."""
    streams, duration = work.source.texts, float(plan.duration)

    def make(folder: Path) -> None:
        for number, stream in enumerate(streams, 1):
            raw = folder / "raw"
            work.tools.ffmpeg(commands.captions(work.film, stream, raw.name), cwd=folder)
            data = raw.read_bytes()
            raw.unlink()
            webvtt = _webvtt_of_stream(data, stream)
            _write(folder / f"t{number}.vtt", webvtt, -float(work.source.video.start), duration)
        for number, file in enumerate(files, len(streams) + 1):
            _write(folder / f"t{number}.vtt", file.webvtt, 0, duration)

    arguments = [argument for stream in streams for argument in commands.captions(FILM, stream, "")]
    times = [str(work.source.video.start), str(plan.duration)]
    folder = work.run("captions", [*arguments, *times, *(file.key for file in files)], make)
    for number, stream in enumerate((*streams, *(file.track for file in files)), 1):
        if not (folder / f"t{number}.vtt").exists():
            what = f"stream {stream.index}" if number <= len(streams) else "a file beside the film"
            work.reporter.say(f"{what} (subtitle, {stream.codec}) is left out: it has no cues within the film")
    return folder


def _webvtt_of_stream(data: bytes, stream: TextStream) -> str:
    name = f"stream {stream.index}"
    text = read_text(data, name, stream.language)
    if stream.codec not in commands.SUBRIP:
        return text
    return subrip.webvtt_of(text, name) if text.strip() else subtitles.EMPTY


def _write(path: Path, webvtt: str, shift_s: float, duration_s: float) -> None:
    moved, cues = subtitles.shift_cues(webvtt, shift_s, duration_s)
    if cues:
        path.write_text(moved, encoding="utf-8")
