"""A film in, a package out: the steps in their order, each resumable, and one rename at the end.

    film -> read -> [remux] -> shots -> chunks -> join -> package -> verify -> poster -> out/{title}/{package}/
                            -> audio, captions ---/

Everything in between lives in `{work}/{digest of the film}/` (see encoder/steps.py). Killed at any point, the same
command finishes what is left; the same film gives the same bytes, so the package has the same name.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import msgspec

from config.encoder import EncoderSettings
from config.errors import ConfigError, Problem
from config.progress import Reporter
from config.units import show_duration
from encoder import commands, manifests, package, packaging, poster, verify
from encoder.chunks import Chunk, Plan
from encoder.errors import EncodeError, PackageError, SourceError, ToolError
from encoder.ladder import Rung, ladder
from encoder.package import Package, Rendition, StoredFile
from encoder.packaging import FileIndex
from encoder.probe import demand_film, film_url, read_film
from encoder.process import OnSeconds, Tools, full_disk_is_space_error, versions
from encoder.search import divide, find_ladder
from encoder.source import Source
from encoder.steps import Steps, demand_space, key_of, locked, sync, sync_folder
from encoder.subtitles import shift_cues
from encoder.work import FILM, RECIPE, Work, demand_frames

_READ_SIZE = 1024 * 1024
# What a rung takes on average, as a share of its cap; only to ask beforehand whether the disk may hold the result.
_USUAL_SHARE = 0.5
# Chunks, joined rungs and packaged files exist at the same time.
_COPIES = 3
_MASTER, _MPD, _POSTER = "master.m3u8", "manifest.mpd", "poster.jpg"


def encode(film: Path, title: str, out: Path, settings: EncoderSettings, reporter: Reporter, name: str = "") -> Path:
    """Encodes `film` into the folder `out/{title}/{package}/`, which appears whole, and returns that folder.

    A film that was encoded so before is done at once. Raises PackageError for a title that none can have, ConfigError
    for such settings, SourceError, ToolError, SpaceError or CheckError for what went wrong; finished steps are kept.
    """
    if not package.TITLE_PATTERN.fullmatch(title):
        raise PackageError(f"title {title!r}: expected 1 to 64 of a-z 0-9 . _ - and a letter or digit first")
    if not 0.5 <= settings.segment_duration <= 30:
        found = f"{settings.segment_duration}s"
        raise ConfigError([Problem("settings", "segment_duration", found, "0.5s to 30s")])
    demand_film(film)
    for folder in (settings.work, out / title):
        _make_folder(folder)
    with Tools() as tools, full_disk_is_space_error(settings.work):
        before = film.stat()
        digest, tools_version = _digest_film(film, reporter), versions(tools)
        # All that the bytes of the result depend on. Chunks are: each begins with an empty rate control.
        key = key_of(
            RECIPE, digest, title, name, tools_version, settings.preset,
            settings.ladder, str(settings.segment_duration), str(settings.chunk_duration),
        )  # fmt: skip
        done = settings.work / f"{digest[:32]}-{key}.done"

        def on_wait() -> None:
            reporter.say(f"{film} is being encoded by another process; waiting until it is done")

        with locked(settings.work / f"{digest[:32]}.lock", on_wait):
            finished = _finished(done, out / title)
            if finished is not None:
                reporter.say(f"{film} was encoded before, with the same settings and tools")
                return finished
            steps = Steps(settings.work / digest[:32], settings.min_free_space)
            job = _start(film, digest, tools_version, tools, steps, settings, reporter)
            made = job.make(title, name or title)
            if _identity(film.stat()) != _identity(before):
                steps.remove()
                raise SourceError(f"{film} changed while it was being encoded; encode it again when it is finished")
            folder = _install(made, out / title, key_of(key, str(settings.work.resolve())))
            done.write_text(folder.name)
            steps.remove()
            return folder


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EncodeError(f"{folder} cannot be made: {error.strerror}") from error


def _identity(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _digest_film(film: Path, reporter: Reporter) -> str:
    digest, done = hashlib.sha256(), 0
    with reporter.bar("digest", film.stat().st_size) as bar:
        for piece in _pieces(film):
            digest.update(piece)
            done += len(piece)
            bar.update(done)
    return digest.hexdigest()


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_READ_SIZE):
            yield piece


def _finished(done: Path, folder: Path) -> Path | None:
    """The package that an earlier encode left, if its manifest is still there and still has its name."""
    with suppress(OSError):
        found = folder / done.read_text()
        if package.package_name((found / package.MANIFEST_NAME).read_bytes()) == found.name:
            return found
    return None


def _install(made: Path, folder: Path, key: str) -> Path:
    """Brings the finished files to `folder/{package}` by one rename."""
    target = folder / package.package_name((made / package.MANIFEST_NAME).read_bytes())
    unfinished = folder / f".{key}.tmp"
    shutil.rmtree(unfinished, ignore_errors=True)
    with full_disk_is_space_error(folder):
        unfinished.mkdir()
        for file in made.iterdir():
            _link_or_copy(file, unfinished / file.name)
        sync_folder(unfinished)
        try:
            unfinished.rename(target)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            # The same package is there: its name is the digest of what it holds.
            shutil.rmtree(unfinished)
        sync(folder)
    return target


def _link_or_copy(source: Path, target: Path) -> None:
    """A second name if both are on one disk: the first goes away with the work folder, and nobody writes to either."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def _start(
    film: Path, digest: str, tools_version: str, tools: Tools, steps: Steps, settings: EncoderSettings,
    reporter: Reporter,
) -> _Job:  # fmt: skip
    """Reads the film, remuxed first if its container does not seek exactly."""
    source = _read(film, tools, reporter)
    for sentence in source.left_out:
        reporter.say(f"{film.name}: {sentence}")
    path = film
    if not source.is_seekable:
        inputs = (RECIPE, digest, tools_version, *commands.remux(FILM, source, "film.mkv"))

        def make(folder: Path) -> None:
            tools.ffmpeg(commands.remux(film_url(film), source, "film.mkv"), cwd=folder)

        try:
            path = steps.run("remux", inputs, make) / "film.mkv"
            source = _read(path, tools, reporter)
        except (ToolError, SourceError) as error:
            # Matroska cannot hold every stream there is. As one chunk the film needs no seeking.
            reporter.say(f"{film.name} cannot be remuxed to be cut into chunks ({error}); it is encoded in one piece")
            path, source = film, _read(film, tools, reporter)
    work = Work(film_url(path), digest, tools_version, source, tools, steps, settings, reporter)
    plan = divide(work)
    if settings.ladder == "fixed":
        return _Job(work, plan, ladder(source))
    return _Job(work, plan.by_shot(settings.chunk_duration), find_ladder(work, plan))


def _read(film: Path, tools: Tools, reporter: Reporter) -> Source:
    with reporter.bar("read", film.stat().st_size) as bar:
        return read_film(tools, film, lambda position: bar.update(position))


class _Track(NamedTuple):
    """A packaged file and what it says of itself."""

    rendition: Rendition
    found: FileIndex


@dataclass(frozen=True)
class _Job:
    """One film on its way. Each method is a step: it returns the folder that the next ones read."""

    work: Work
    plan: Plan
    rungs: tuple[Rung, ...]

    def make(self, title: str, name: str) -> Path:
        """The folder with all files of the package."""
        caps = sum(rung.maxrate for rung in self.rungs) / 8 * float(self.plan.duration)
        demand_space(self.work.steps.folder, round(caps * _USUAL_SHARE * _COPIES) + self.work.settings.min_free_space)
        sizes = ", ".join(f"{rung.width}x{rung.height}" for rung in self.rungs)
        self.work.reporter.say(f"{show_duration(float(self.plan.duration))} of film in {sizes}")
        video = self._video()
        audios = [self._audio(number) for number in range(1, len(self.work.source.audios) + 1)]
        texts = self._texts()
        packaged = self._packaged(video, audios)
        tracks = self._tracks(packaged)
        self._verify(packaged, tracks)
        return self._assembled(title, name, packaged, self._poster(video), texts, tracks)

    def _video(self) -> Path:
        """`{rung}.mp4` of each rung, whole."""
        return self.work.chunked(self.plan, self._joined)

    def _joined(self, plan: Plan) -> Path:
        inputs = [argument for chunk in plan.chunks for argument in self._chunk_arguments(FILM, plan, chunk)]

        def make(folder: Path) -> None:
            chunks = self._chunks(plan)
            for rung in self.rungs:
                listing = folder / f"{rung.name}.txt"
                # The names of steps need no quoting, and relative ones no escape from strange work folders.
                listing.write_text("".join(f"file '../{chunk.name}/{rung.name}.mp4'\n" for chunk in chunks))
                self.work.tools.ffmpeg(commands.join(listing.name, plan, f"{rung.name}.mp4"), cwd=folder)
                listing.unlink()

        joined = self.work.run("video", inputs, make)
        for chunk in self.work.steps.folder.glob("chunk-*"):
            shutil.rmtree(chunk)
        return joined

    def _chunks(self, plan: Plan) -> list[Path]:
        """The folder of each chunk, with `{rung}.mp4` of each rung."""

        def encode_chunk(chunk: Chunk, report: OnSeconds) -> Path:
            def make(folder: Path) -> None:
                self.work.tools.ffmpeg(
                    self._chunk_arguments(self.work.film, plan, chunk), cwd=folder, on_seconds=report
                )
                for rung in self.rungs:
                    demand_frames(self._count_frames(folder / f"{rung.name}.mp4"), plan, chunk)

            return self.work.run(f"chunk-{chunk.number:05d}", self._chunk_arguments(FILM, plan, chunk), make)

        return self.work.each("video", plan, plan.chunks, encode_chunk)

    def _chunk_arguments(self, film: str, plan: Plan, chunk: Chunk) -> list[str]:
        return commands.chunk_video(film, self.work.source, plan, self.rungs, chunk, self.work.settings.preset)

    def _count_frames(self, file: Path) -> int:
        entries = ["-v", "error", "-show_entries", "stream=nb_frames", "-of", "csv=p=0"]
        return int(self.work.tools.ffprobe([*entries, str(file)]).strip() or 0)

    def _audio(self, number: int) -> Path:
        """`a{number}.mp4`."""
        stream = self.work.source.audios[number - 1]
        with self.work.reporter.bar(f"audio {number}", float(self.plan.duration)) as bar:
            return self.work.ffmpeg(
                f"audio-{number}", lambda film: commands.audio(film, self.work.source, stream, f"a{number}.mp4"), bar
            )

    def _texts(self) -> Path:
        """`t{number}.vtt` of each text stream that has a cue within the film."""

        def make(folder: Path) -> None:
            for number, stream in enumerate(self.work.source.texts, 1):
                path = folder / f"t{number}.vtt"
                self.work.tools.ffmpeg(commands.captions(self.work.film, stream, path.name), cwd=folder)
                shift, duration = -float(self.work.source.video.start), float(self.plan.duration)
                webvtt, cues = shift_cues(path.read_text(encoding="utf-8"), shift, duration)
                if cues:
                    path.write_text(webvtt, encoding="utf-8")
                else:
                    path.unlink()
                    self.work.reporter.say(
                        f"stream {stream.index} (subtitle, {stream.codec}) is left out: it has no cues"
                    )

        arguments = [a for stream in self.work.source.texts for a in commands.captions(FILM, stream, "")]
        return self.work.run("captions", [*arguments, str(self.work.source.video.start), str(self.plan.duration)], make)

    def _packaged(self, video: Path, audios: Sequence[Path]) -> Path:
        """Every rung and track as the packager leaves it, and its MPDs."""
        videos = [(f"../{video.name}/{rung.name}.mp4", f"{rung.name}.mp4") for rung in self.rungs]
        sounds = [(f"../{path.name}/a{number}.mp4", f"a{number}.mp4") for number, path in enumerate(audios, 1)]
        runs = [commands.package_video(videos, "video.mpd")]
        if sounds:
            runs.append(commands.package_audio(sounds, "audio.mpd"))

        def make(folder: Path) -> None:
            for arguments in runs:
                self.work.tools.packager(arguments, cwd=folder)

        return self.work.run("packaged", [argument for run in runs for argument in run], make)

    def _tracks(self, packaged: Path) -> list[_Track]:
        codecs: dict[str, str] = {}
        for mpd in sorted(packaged.glob("*.mpd")):
            codecs |= packaging.read_codecs(mpd.read_bytes())
        tracks = []
        for rung in self.rungs:
            index = packaging.read_index(packaged / f"{rung.name}.mp4")
            tracks.append(_Track(packaging.video_rendition(rung, self.plan, index, codecs[f"{rung.name}.mp4"]), index))
        defaults = packaging.only_first([stream.default for stream in self.work.source.audios], at_least_one=True)
        for number, (stream, default) in enumerate(zip(self.work.source.audios, defaults, strict=True), 1):
            index = packaging.read_index(packaged / f"a{number}.mp4")
            rendition = packaging.audio_rendition(number, stream, index, codecs[f"a{number}.mp4"], default=default)
            tracks.append(_Track(rendition, index))
        return tracks

    def _verify(self, packaged: Path, tracks: Sequence[_Track]) -> None:
        """Raises CheckError if the packaged files are not what was planned."""
        for rendition, index in tracks:
            size = (packaged / rendition.file).stat().st_size
            check = verify.check_video if rendition.kind == "video" else verify.check_audio
            check(rendition.name, index, self.plan, size)

        def make(_: Path) -> None:
            done: dict[str, float] = {}
            with self.work.reporter.bar("verify", float(self.plan.duration) * len(tracks)) as bar:

                def decode(rendition: Rendition) -> None:
                    def report(seconds: float) -> None:
                        done[rendition.name] = seconds
                        bar.update(sum(list(done.values())))

                    verify.decode(self.work.tools, packaged, rendition, self.plan, report)

                self.work.in_parallel([functools.partial(decode, rendition) for rendition, _ in tracks])

        self.work.run("verified", [packaged.name], make)

    def _poster(self, video: Path) -> Path:
        """`poster.jpg`, from the best of the keyframes that may be it."""
        top, smallest = self.rungs[0], self.rungs[-1]

        def make(folder: Path) -> None:
            range_ = poster.candidates(len(self.plan.segment_frames))
            thumbnails = commands.keyframe_thumbnails(f"../{video.name}/{smallest.name}.mp4", range_.stop)
            pictures = poster.split_pictures(self.work.tools.ffmpeg_bytes(thumbnails, cwd=folder))
            keyframe = range_.start + poster.best_picture(pictures[range_.start :])
            # Half a frame early, for ffmpeg takes the first picture that is not before the time given.
            frame = max(Fraction(0), self.plan.keyframes[keyframe] - Fraction(1, 2))
            arguments = commands.poster_picture(
                f"../{video.name}/{top.name}.mp4", frame / self.plan.frame_rate, _POSTER
            )
            self.work.tools.ffmpeg(arguments, cwd=folder)

        return self.work.run("poster", [video.name], make)

    def _assembled(
        self, title: str, name: str, packaged: Path, pictures: Path, captions: Path, tracks: Sequence[_Track]
    ) -> Path:
        """The finished package: media, captions, manifests, poster and package.json."""
        texts = self._text_renditions(captions)
        renditions = (*(track.rendition for track in tracks), *texts)

        def make(folder: Path) -> None:
            for rendition, index in tracks:
                _link_or_copy(packaged / rendition.file, folder / rendition.file)
                if rendition.iframe_playlist:
                    iframes = manifests.iframe_playlist(rendition, index.iframes)
                    (folder / rendition.iframe_playlist).write_text(iframes, encoding="utf-8")
            for text in texts:
                _link_or_copy(captions / text.file, folder / text.file)
            for rendition in renditions:
                (folder / rendition.playlist).write_text(manifests.media_playlist(rendition), encoding="utf-8")
            _link_or_copy(pictures / _POSTER, folder / _POSTER)
            finished = Package(
                format=package.FORMAT,
                title=title,
                name=name,
                duration=float(self.plan.duration),
                source_digest=self.work.digest,
                encoder=f"{self.work.tools_version}, x264 {self.work.settings.preset}",
                renditions=renditions,
                files=(),
                poster=_POSTER,
            )
            (folder / _MASTER).write_text(manifests.multivariant(finished), encoding="utf-8")
            (folder / _MPD).write_text(manifests.mpd(finished), encoding="utf-8")
            _write_manifest(folder, finished, self.work.reporter)

        return self.work.run("package", [title, name, packaged.name, pictures.name, captions.name], make)

    def _text_renditions(self, captions: Path) -> list[Rendition]:
        """A rendition for each track of captions that has cues."""
        there = [
            (number, stream, captions / f"t{number}.vtt")
            for number, stream in enumerate(self.work.source.texts, 1)
            if (captions / f"t{number}.vtt").exists()
        ]
        defaults = packaging.only_first([stream.default for _, stream, _ in there], at_least_one=False)
        return [
            packaging.text_rendition(number, stream, path.stat().st_size, self.plan, default=default)
            for (number, stream, path), default in zip(there, defaults, strict=True)
        ]


def _write_manifest(folder: Path, finished: Package, reporter: Reporter) -> None:
    """`package.json` for all files of the folder."""
    paths = sorted(folder.iterdir())
    done = 0
    with reporter.bar("digests", sum(path.stat().st_size for path in paths)) as bar:

        def counted(pieces: Iterator[bytes]) -> Iterator[bytes]:
            nonlocal done
            for piece in pieces:
                done += len(piece)
                bar.update(done)
                yield piece

        files = tuple(StoredFile(path.name, *package.digest_blocks(counted(_pieces(path)))) for path in paths)
    manifest = package.encode(msgspec.structs.replace(finished, files=files))
    (folder / package.MANIFEST_NAME).write_bytes(manifest)
