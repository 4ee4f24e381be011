"""The step that makes all captions of a film WebVTT on the package's clock: those in it, and the files beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from encoder import commands
from encoder.captions import subrip, webvtt
from encoder.captions.beside import CaptionFile
from encoder.captions.charsets import read_text
from encoder.errors import SourceError, ToolError
from encoder.film.source import TextStream
from encoder.running.work import FILM, Work
from encoder.video.chunks import Plan

# Why a track of the film is left out, in a file in the place of its captions.
_LEFT_OUT = "t{}.left-out"


def make_captions(work: Work, plan: Plan, files: tuple[CaptionFile, ...]) -> Path:
    """`t{number}.vtt` of each track that has a cue within the film, its own streams first."""
    streams, duration = work.source.texts, float(plan.duration)

    def make(folder: Path) -> None:
        for number, stream in enumerate(streams, 1):
            try:
                webvtt = _webvtt_of_stream(work, stream, folder)
            except (SourceError, ToolError) as error:
                if error.retryable:
                    raise
                # Hours of work for the pictures are behind us, and the film is whole without.
                why = error.reason if isinstance(error, ToolError) else str(error)
                (folder / _LEFT_OUT.format(number)).write_text(why, encoding="utf-8")
            else:
                _write(folder / f"t{number}.vtt", webvtt, -float(work.source.video.start), duration)
        for number, file in enumerate(files, len(streams) + 1):
            _write(folder / f"t{number}.vtt", file.webvtt, 0, duration)

    arguments = [argument for stream in streams for argument in commands.captions(FILM, stream, "")]
    times = [str(work.source.video.start), str(plan.duration)]
    folder = work.run("captions", [*arguments, *times, *(file.key for file in files)], make)
    for number, stream in enumerate((*streams, *(file.track for file in files)), 1):
        if not (folder / f"t{number}.vtt").exists():
            what = f"stream {stream.index}" if number <= len(streams) else "a file beside the film"
            left_out = folder / _LEFT_OUT.format(number)
            why = left_out.read_text("utf-8") if left_out.exists() else "it has no cues within the film"
            work.reporter.say(f"{what} (subtitle, {stream.codec}) is left out: {why}")
    return folder


def _webvtt_of_stream(work: Work, stream: TextStream, folder: Path) -> str:
    """Raises SourceError if it cannot be told what its letters are."""
    text = _extracted(work, stream, folder)
    if stream.codec not in commands.SUBRIP:
        return text
    if not text.strip():
        return webvtt.EMPTY
    try:
        return subrip.webvtt_of(text, f"stream {stream.index}")
    except SourceError:
        # What is said may look like a time. ffmpeg knows from the container where a cue ends, but not where it stands.
        return _extracted(work, replace(stream, codec="text"), folder)


def _extracted(work: Work, stream: TextStream, folder: Path) -> str:
    raw = folder / "raw"
    work.tools.ffmpeg(commands.captions(work.film, stream, raw.name), cwd=folder)
    data = raw.read_bytes()
    raw.unlink()
    return read_text(data, f"stream {stream.index}", stream.language)


def _write(path: Path, text: str, shift_s: float, duration_s: float) -> None:
    moved, cues = webvtt.shift_cues(text, shift_s, duration_s)
    if cues:
        path.write_text(moved, encoding="utf-8")
