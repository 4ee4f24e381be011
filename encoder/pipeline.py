"""A film in, a package out: the steps in their order, each resumable, and one rename at the end.

    film -> read -> [remux] -> shots -> chunks -> join -> package -> verify -> pictures -> out/{title}/{package}/
                            -> sounds, captions --/

Everything in between lives in `{work}/{digest of the film}/` (see encoder/running/steps.py). Killed at any point, the
same command finishes what is left; the same film gives the same bytes, so the package has the same name.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import msgspec

from config.encoder import EncoderSettings
from config.errors import ConfigError, Problem
from config.progress import Reporter
from config.units import show_duration
from encoder import commands, manifests, package
from encoder.captions import chapters
from encoder.captions.beside import Beside, read_beside
from encoder.captions.step import make_captions
from encoder.errors import EncodeError, PackageError, SourceError, ToolError
from encoder.film.hdr import check_colour
from encoder.film.probe import demand_film, film_url, read_film, with_plain_name
from encoder.film.source import Source
from encoder.package import Chapter, Package, Protection, Rendition, StoredFile
from encoder.packages import renditions, verify
from encoder.packages.renditions import FileIndex
from encoder.per_title.scoring import demand_vmaf
from encoder.per_title.search import Found, divide, find_ladder
from encoder.pictures.step import make_pictures, read_pictures
from encoder.protection.arguments import SCHEME
from encoder.protection.encryption import assign, encrypt
from encoder.protection.foreseen import foreseen
from encoder.protection.keyring import read_ring
from encoder.protection.keys import KeyRing
from encoder.report.costs import Metered
from encoder.report.facts import Search
from encoder.report.write import Encoded, write_report
from encoder.running.process import Tools, full_disk_is_space_error, versions
from encoder.running.shared import open_place
from encoder.running.steps import Steps, demand_space, key_of, locked, sync, sync_folder
from encoder.running.work import FILM, RECIPE, Work
from encoder.running.workers import AnyExecutor, Workers, open_workers
from encoder.sound.soundtracks import first_to_play, soundtracks
from encoder.sound.units import MadeSound, SoundEncode, read_sound
from encoder.video.builds import demand_encoders
from encoder.video.chunks import Plan
from encoder.video.codec import AV1, H264, Codec, chosen
from encoder.video.ladder import Rung, fits, keeps_hdr, ladder
from encoder.video.rungs import make_video, read_quality

_READ_SIZE = 1024 * 1024
# What a rung takes on average, as a share of its cap; only to ask beforehand whether the disk may hold the result.
_USUAL_SHARE = 0.5
# Chunks, joined rungs and packaged files exist at the same time.
_COPIES = 3
# The encrypted files, and those decrypted again.
_COPIES_ENCRYPTED = 2
_MASTER, _MPD = "master.m3u8", "manifest.mpd"
_CHAPTERS = "chapters.json"


def encode(
    film: Path, title: str, out: Path, settings: EncoderSettings, reporter: Reporter, name: str = "",
    executor: Executor | None = None, beside: Beside | None = None,
) -> Path:  # fmt: skip
    """Encodes `film` into the folder `out/{title}/{package}/`, which appears whole, and returns that folder.

    `executor` makes the pieces in the place of the workers that the settings name, in processes that see this disk.
    `beside` are the captions and chapters that belong to the film; None: those in files beside it.

    A film that was encoded so before is done at once. Raises PackageError for a title that none can have, ConfigError
    for such settings, SourceError, ToolError, SpaceError or CheckError for what went wrong; finished steps are kept.
    """
    if not package.TITLE_PATTERN.fullmatch(title):
        raise PackageError(f"title {title!r}: expected 1 to 64 of a-z 0-9 . _ - and a letter or digit first")
    if not 0.5 <= settings.segment_duration <= 30:
        found = f"{settings.segment_duration}s"
        raise ConfigError([Problem("settings", "segment_duration", found, "0.5s to 30s")])
    protection = settings.protection
    ring = read_ring(protection, title, reporter, settings.cpix_key) if protection is not None else None
    demand_film(film)
    beside = read_beside(film) if beside is None else beside
    for folder in (settings.work, out / title):
        _make_folder(folder)
    reporter = Metered(reporter)
    with Tools() as tools, full_disk_is_space_error(settings.work):
        demand_encoders(tools, chosen(settings.codecs))
        before = film.stat()
        digest, tools_version = _digest_film(film, reporter), versions(tools)
        # All that the bytes of the result depend on. Chunks are: each begins with an empty rate control.
        key = key_of(
            RECIPE, digest, title, name, tools_version, settings.preset,
            settings.ladder, str(settings.segment_duration), str(settings.chunk_duration), str(settings.loudness),
            str(settings.dash_trick_mode),
            *(codec.name for codec in chosen(settings.codecs)),
            ring.fingerprint if ring is not None else "", beside.key,
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
            if ring is not None:
                steps.folder.chmod(0o700)  # the film is in there, in clear
            steps.sweep()
            reporter.keep_in(steps.folder)
            path = with_plain_name(film, steps.folder)
            with closing(AnyExecutor(executor) if executor else open_workers(settings.workers, tools)) as workers:
                job = _start(path, digest, tools_version, tools, workers, steps, settings, reporter, ring)
                made = replace(job, beside=beside).make(title, name or title)
            if _identity(film.stat()) != _identity(before):
                steps.remove()
                raise SourceError(f"{film} changed while it was being encoded; encode it again when it is finished")
            folder = _install(made, out / title, key_of(key, str(settings.work.resolve())))
            job.report(folder, reporter)
            done.write_text(folder.name)
            job.work.place.remove()
            steps.remove()
            return folder


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()  # it may be there and not ours, or on a disk that is read-only
    except OSError as error:
        raise EncodeError(f"{folder} cannot be written to: {error.strerror}") from error


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
    film: Path, digest: str, tools_version: str, tools: Tools, workers: Workers, steps: Steps,
    settings: EncoderSettings, reporter: Reporter, ring: KeyRing | None,
) -> _Job:  # fmt: skip
    """Reads the film, remuxed first if its container does not seek exactly, and finds its ladder."""
    source = _read(film, tools, reporter)
    for sentence in source.left_out:
        reporter.say(f"{film.name}: {sentence}")
    codecs = [codec for codec in chosen(settings.codecs) if _is_encoded(source, codec, film, reporter)]
    # VMAF knows no HDR: what keeps it has the ladder that all films have.
    is_searched = settings.ladder == "per-title"
    searched = [codec for codec in codecs if is_searched and not keeps_hdr(source, codec)]
    if ring is not None:
        ring.demand_keys(foreseen(source, codecs, searched))
    path = film
    if not source.is_seekable:
        path, source = _remuxed(film, source, digest, tools_version, tools, steps, reporter)
    place = open_place(path, digest if path == film else path.parent.name, steps, settings, reporter)
    # Every order carries the source: without its keyframes, which only the plan asks for, and there may be 100,000.
    light = replace(source, keyframes=())
    work = Work(film_url(path), digest, tools_version, light, tools, steps, place, workers, settings, reporter)
    _demand_room(work, codecs)
    if searched:
        demand_vmaf(tools)
    plan = divide(work, source.keyframes)
    found = {codec: find_ladder(work, plan, codec) for codec in searched}
    rungs = (found[codec].rungs if codec in found else _fixed_ladder(work, codec) for codec in codecs)
    return _Job(
        work,
        plan.by_shot(settings.chunk_duration) if is_searched else plan,
        tuple(rung for of_codec in rungs for rung in of_codec),
        ring,
        found=tuple(found.values()),
    )


def _remuxed(
    film: Path, source: Source, digest: str, tools_version: str, tools: Tools, steps: Steps, reporter: Reporter
) -> tuple[Path, Source]:
    """The film in Matroska, which seeks exactly; as it is, where that cannot hold every stream there is."""
    inputs = (RECIPE, digest, tools_version, *commands.remux(FILM, source, "film.mkv"))

    def make(folder: Path) -> None:
        tools.ffmpeg(commands.remux(film_url(film), source, "film.mkv"), cwd=folder)

    try:
        path = steps.run("remux", inputs, make) / "film.mkv"
        return path, _read(path, tools, reporter)
    except (ToolError, SourceError) as error:
        if error.retryable:
            raise
        reporter.say(f"{film.name} cannot be remuxed to be cut into chunks ({error}); it is encoded in one piece")
        return film, source


def _fixed_ladder(work: Work, codec: Codec) -> tuple[Rung, ...]:
    rungs, colour = ladder(work.source, codec), work.source.video.colour
    if codec is not AV1 or work.settings.protection is None or not (colour.mastering or colour.light):
        return rungs
    # Shaka Packager 3.8 fails at AV1's metadata units when it encrypts (its pull request 1611 mends that).
    work.reporter.say("encrypted AV1 does not tell the display that the film was graded on")
    return tuple(replace(rung, tells_display=False) for rung in rungs)


def _demand_room(work: Work, codecs: Sequence[Codec]) -> None:
    """Raises SpaceError before hours are spent, if what the ladder usually takes is not free."""
    caps = sum(rung.maxrate for codec in codecs for rung in ladder(work.source, codec)) / 8
    copies = _COPIES + (_COPIES_ENCRYPTED if work.settings.protection is not None else 0)
    wanted = round(caps * float(work.source.duration) * _USUAL_SHARE * copies)
    demand_space(work.steps.folder, wanted + work.settings.min_free_space)


def _is_encoded(source: Source, codec: Codec, film: Path, reporter: Reporter) -> bool:
    if not fits(source, codec):
        reporter.say(f"{film.name} is not encoded in {codec.label}: its pictures are too small for {codec.encoder}")
    return fits(source, codec)


def _read(film: Path, tools: Tools, reporter: Reporter) -> Source:
    with reporter.bar("read", film.stat().st_size) as bar:
        return read_film(tools, film, lambda position: bar.update(position))


def _described(rungs: Sequence[Rung]) -> str:
    """The sizes of each codec's rungs, as people read them."""
    codecs = dict.fromkeys(rung.codec for rung in rungs)
    sizes = {c: ", ".join(f"{rung.width}x{rung.height}" for rung in rungs if rung.codec is c) for c in codecs}
    return "; ".join(f"{codec.label} {found}" for codec, found in sizes.items())


class _Track(NamedTuple):
    """A packaged file and what it says of itself."""

    rendition: Rendition
    found: FileIndex
    frame: int = 0  # samples in one, of audio


@dataclass(frozen=True)
class _Job:
    """One film on its way. Each method is a step: it returns the folder that the next ones read."""

    work: Work
    plan: Plan
    rungs: tuple[Rung, ...]
    ring: KeyRing | None = None
    beside: Beside = Beside()
    found: tuple[Found, ...] = ()  # by the search, if there was one

    def make(self, title: str, name: str) -> Path:
        """The folder with all files of the package."""
        self.work.reporter.say(f"{show_duration(float(self.plan.duration))} of film in {_described(self.rungs)}")
        video = self._video()
        sounds = self._sounds()
        texts = make_captions(self.work, self.plan, self.beside.captions)
        runs = self._runs(video, sounds)
        packaged = self._packaged(runs)
        tracks = self._tracks(packaged, sounds)
        self._verify(packaged, tracks)
        if self.ring is not None:
            files = assign(self.ring, [track.rendition for track in tracks], self.work.digest)
            packaged = encrypt(self.work, packaged, runs, files, self.ring)
            tracks = [
                track._replace(rendition=msgspec.structs.replace(track.rendition, key_id=files[name].key.key_id))
                for track in self._tracks(packaged, sounds)
                for name in [track.rendition.file]
            ]
        pictures = make_pictures(self.work, self.plan, self.rungs, video)
        return self._assembled(title, name, packaged, pictures, texts, tracks)

    def report(self, folder: Path, meter: Metered) -> None:
        """The page about the package in `folder`, beside it."""
        searches = tuple(Search(found.codec, found.pieces) for found in self.found)
        video = self._video()
        write_report(self.work, Encoded(self.plan, self.rungs, video, searches, read_quality(video)), folder, meter)

    def _video(self) -> Path:
        """`{rung}.mp4` of each rung, whole."""
        return make_video(self.work, self.plan, self.rungs, self.found)

    def _sounds(self) -> list[MadeSound]:
        """Each audio rendition, `{name}.mp4` in a folder of its own."""
        source, wanted = self.work.source, self.work.settings.loudness
        encodes = [SoundEncode(source, track, wanted) for track in soundtracks(source.audios)]
        folders = self.work.units("audio", encodes)
        made = [read_sound(encode.track, folder) for encode, folder in zip(encodes, folders, strict=True)]
        for remark in filter(None, (one.sound.remark for one in made)):
            self.work.reporter.say(remark)
        return made

    def _runs(self, video: Path, sounds: Sequence[MadeSound]) -> list[list[str]]:
        """The arguments of each run of the packager."""
        videos = [(f"../{video.name}/{rung.name}.mp4", f"{rung.name}.mp4") for rung in self.rungs]
        audios = [(f"../{one.folder.name}/{one.track.name}.mp4", f"{one.track.name}.mp4") for one in sounds]
        runs = [commands.package_video(videos, "video.mpd")]
        if audios:
            runs.append(commands.package_audio(audios, "audio.mpd"))
        return runs

    def _packaged(self, runs: Sequence[Sequence[str]]) -> Path:
        """Every rung and track as the packager leaves it, and its MPDs."""

        def make(folder: Path) -> None:
            for arguments in runs:
                self.work.tools.packager(arguments, cwd=folder)

        return self.work.run("packaged", [argument for run in runs for argument in run], make)

    def _tracks(self, packaged: Path, sounds: Sequence[MadeSound]) -> list[_Track]:
        codecs: dict[str, str] = {}
        for mpd in sorted(packaged.glob("*.mpd")):
            codecs |= renditions.read_codecs(mpd.read_bytes())
        tracks = []
        for rung in self.rungs:
            index = renditions.read_index(packaged / f"{rung.name}.mp4")
            video_range = self.work.source.video.colour.video_range
            rendition = renditions.video_rendition(rung, self.plan, index, codecs[f"{rung.name}.mp4"], video_range)
            tracks.append(_Track(rendition, index))
        streams = self.work.source.audios
        default = streams[first_to_play(streams)] if streams else None
        for made in sounds:
            file = f"{made.track.name}.mp4"
            index = renditions.read_index(packaged / file)
            rendition = renditions.audio_rendition(made, index, codecs[file], default=made.track.stream is default)
            tracks.append(_Track(rendition, index, made.sound.frame))
        return tracks

    def _verify(self, packaged: Path, tracks: Sequence[_Track]) -> None:
        """Raises CheckError if the packaged files are not what was planned."""
        for rendition, index, frame in tracks:
            size = (packaged / rendition.file).stat().st_size
            if rendition.kind == "video":
                verify.check_video(rendition.name, index, self.plan, size)
            else:
                verify.check_audio(rendition.name, index, self.plan, size, rendition.sample_rate, frame)

        if self.work.source.video.colour.is_hdr:
            for rung in self.rungs:
                check_colour(self.work.tools, packaged / f"{rung.name}.mp4", rung, self.work.source)

        place = self.work.tools, packaged
        heard = {track.name: track.stream for track in soundtracks(self.work.source.audios)}

        def make(_: Path) -> None:
            done: dict[str, float] = {}
            with self.work.reporter.bar("verify", float(self.plan.duration) * len(tracks)) as bar:

                def decode(rendition: Rendition) -> None:
                    def report(seconds: float) -> None:
                        done[rendition.name] = seconds
                        bar.update(sum(list(done.values())))

                    verify.decode(self.work.tools, packaged, rendition, self.plan, report)
                    if rendition.name in heard:
                        verify.check_sync(*place, rendition, self.work.film, self.work.source, heard[rendition.name])

                self.work.in_parallel([functools.partial(decode, rendition) for rendition, *_ in tracks])

        self.work.run("verified", [packaged.name], make)

    def _encoders(self) -> str:
        return ", ".join(dict.fromkeys(rung.codec.encoder.removeprefix("lib") for rung in self.rungs))

    def _assembled(
        self, title: str, name: str, packaged: Path, pictures: Path, captions: Path, tracks: Sequence[_Track]
    ) -> Path:
        """The finished package: media, captions, manifests, poster and package.json."""
        texts = self._text_renditions(captions)
        renditions = (*(track.rendition for track in tracks), *texts)
        stills = read_pictures(pictures)
        protection = Protection(scheme=SCHEME, signals=self.ring.signals) if self.ring is not None else None

        def make(folder: Path) -> None:
            for rendition, index, _ in tracks:
                _link_or_copy(packaged / rendition.file, folder / rendition.file)
                if rendition.iframe_playlist:
                    iframes = manifests.iframe_playlist(rendition, index.iframes, protection)
                    (folder / rendition.iframe_playlist).write_text(iframes, encoding="utf-8")
            for text in texts:
                _link_or_copy(captions / text.file, folder / text.file)
            for rendition in renditions:
                playlist = manifests.media_playlist(rendition, protection)
                (folder / rendition.playlist).write_text(playlist, encoding="utf-8")
            for file in stills.files:
                _link_or_copy(pictures / file, folder / file)
            parts = self._chapters()
            if parts:
                (folder / _CHAPTERS).write_text(chapters.apple_json(parts), encoding="utf-8")
                (folder / "chapters.vtt").write_text(chapters.webvtt(parts), encoding="utf-8")
            finished = Package(
                format=package.FORMAT,
                title=title,
                name=name,
                duration=float(self.plan.duration),
                source_digest=self.work.digest,
                encoder=f"{self.work.tools_version}, {self._encoders()} {self.work.settings.preset}",
                renditions=renditions,
                files=(),
                poster=stills.posters[0].file,
                posters=stills.posters,
                thumbnails=stills.thumbnails,
                trick_mode=self._smallest() if self.work.settings.dash_trick_mode else "",
                chapters=parts,
                chapters_json=_CHAPTERS if parts else "",
                protection=protection,
            )
            (folder / _MASTER).write_text(manifests.multivariant(finished), encoding="utf-8")
            (folder / _MPD).write_text(manifests.mpd(finished), encoding="utf-8")
            for advice in verify.check_manifests(folder, finished, _MASTER, _MPD):
                self.work.reporter.say(advice)
            _write_manifest(folder, finished, self.work.reporter)

        trick_mode = str(self.work.settings.dash_trick_mode)
        inputs = [title, name, packaged.name, pictures.name, captions.name, self.beside.key, trick_mode]
        return self.work.run("package", inputs, make)

    def _smallest(self) -> str:
        """The rung that costs a player least: of H.264, which all have in hardware."""
        return [rung for rung in self.rungs if rung.codec is H264][-1].name

    def _chapters(self) -> tuple[Chapter, ...]:
        """Those that lie beside the film, or its own."""
        duration = float(self.plan.duration)
        if self.beside.chapters:
            return chapters.within(self.beside.chapters, 0, duration)
        source = self.work.source
        return chapters.within(source.chapters, -float(source.video.start), duration)

    def _text_renditions(self, folder: Path) -> list[Rendition]:
        """A rendition for each track of captions that has cues."""
        tracks = (*self.work.source.texts, *(file.track for file in self.beside.captions))
        there = [
            (number, track, folder / f"t{number}.vtt")
            for number, track in enumerate(tracks, 1)
            if (folder / f"t{number}.vtt").exists()
        ]
        defaults = renditions.only_first([track.default for _, track, _ in there], at_least_one=False)
        return [
            renditions.text_rendition(number, track, path.stat().st_size, self.plan, default=default)
            for (number, track, path), default in zip(there, defaults, strict=True)
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
