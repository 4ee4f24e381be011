"""The step that takes still pictures out of a film: its poster in several sizes, and thumbnails for the seek bar."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import msgspec

from encoder import commands
from encoder.package import Poster, Thumbnails, sheet_name
from encoder.pictures import poster, sheets
from encoder.running.work import Work
from encoder.video.chunks import Plan
from encoder.video.codec import H264
from encoder.video.ladder import Rung

_FOUND = "pictures.json"


class Pictures(msgspec.Struct, frozen=True):
    """What the step made; `files` in the folder, as the package has them."""

    posters: tuple[Poster, ...]
    thumbnails: Thumbnails

    @property
    def files(self) -> tuple[str, ...]:
        sheets_ = (sheet_name(number) for number in range(1, self.thumbnails.sheets + 1))
        return (*(poster.file for poster in self.posters), *sheets_, self.thumbnails.playlist)


def make_pictures(work: Work, plan: Plan, rungs: Sequence[Rung], video: Path) -> Path:
    """The files of `Pictures`, and what `read_pictures` reads."""
    # As everybody sees them: in standard dynamic range.
    plain = [rung for rung in rungs if rung.codec is H264]
    top, smallest = plain[0], plain[-1]
    # The smallest that need not be enlarged.
    source = [rung for rung in plain if max(rung.width, rung.height) >= sheets.SIDE][-1:] or [top]

    def make(folder: Path) -> None:
        of = {rung.name: f"../{video.name}/{rung.name}.mp4" for rung in plain}
        posters = poster.sizes(top.width, top.height)
        _make_posters(work, plan, of[smallest.name], of[top.name], posters, folder)
        thumbnails = sheets.plan_thumbnails(top.width, top.height, float(plan.duration))
        work.tools.ffmpeg(commands.thumbnails(of[source[0].name], thumbnails, sheet_name("%d")), cwd=folder)
        sizes = [(folder / sheet_name(number)).stat().st_size for number in range(1, thumbnails.sheets + 1)]
        thumbnails = sheets.with_sizes(thumbnails, sizes)
        playlist = sheets.image_playlist(thumbnails, float(plan.duration))
        (folder / thumbnails.playlist).write_text(playlist, encoding="utf-8")
        (folder / _FOUND).write_bytes(msgspec.json.encode(Pictures(posters, thumbnails)))

    return work.run("pictures", [video.name], make)


def _make_posters(work: Work, plan: Plan, small: str, large: str, sizes: Sequence[Poster], folder: Path) -> None:
    """Posters out of `large`, from the best of the keyframes that may be it, as `small` shows them."""
    range_ = poster.candidates(len(plan.segment_frames))
    raw = work.tools.ffmpeg_bytes(commands.keyframe_thumbnails(small, range_.stop), cwd=folder)
    keyframe = range_.start + poster.best_picture(poster.split_pictures(raw)[range_.start :])
    # Half a frame early, for ffmpeg takes the first picture that is not before the time given.
    frame = max(Fraction(0), plan.keyframes[keyframe] - Fraction(1, 2))
    for size in sizes:
        work.tools.ffmpeg(commands.poster_picture(large, frame / plan.frame_rate, size), cwd=folder)


def read_pictures(folder: Path) -> Pictures:
    return msgspec.json.decode((folder / _FOUND).read_bytes(), type=Pictures)
