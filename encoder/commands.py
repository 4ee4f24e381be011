"""The arguments of every tool we run, each with its reason.

ffmpeg-python builds filter graphs and orders the options; it never runs anything (it has no progress, no cancelling and
no time limit). Outputs are names relative to the folder that a tool runs in, and the film is an argument, so the
arguments for the film "FILM" name a step whatever folder it is made in.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import ffmpeg

from encoder.film.colour import Colour
from encoder.film.source import AudioStream, Source, TextStream, VideoStream
from encoder.package import Poster, Thumbnails
from encoder.pictures import poster
from encoder.sound import sync
from encoder.sound.soundtracks import LAYOUTS, PASSED_THROUGH, Soundtrack
from encoder.video import encoders
from encoder.video.chunks import Chunk, Plan, begin_time, seek_time
from encoder.video.codec import H264
from encoder.video.ladder import Rung

AUDIO_RATE = 48_000
# Samples of an AAC-LC frame.
AAC_FRAME = 1024
# 180 AAC frames. A whole number of frames gives all segments one duration: one entry in the MPD instead of one each.
AUDIO_SEGMENT_S = 3.84
_AUDIO_BITRATES = {1: "64k", 2: "128k", 6: "384k"}
SUBRIP = frozenset({"subrip", "srt"})
# Only files are opened: a film that lists URLs must not make us fetch them.
_FILES_ONLY = {"protocol_whitelist": "file,pipe"}
# One filter graph for all of the film: where its size changes, another would count its frames from 0 again.
_ONE_GRAPH = {"reinit_filter": 0}
# Cloned frames a film that ends early may be completed with; more are a broken film, which the frame count then shows.
_MOST_CLONED_FRAMES = 120
# Netflix's model for a screen that is watched from three times its height; built into ffmpeg's libvmaf.
VMAF_MODEL = "version=vmaf_v0.6.1"
# Pixels.
_SCORED_WIDTH = 320
# What a decoder assumes for a film that does not say: BT.601 up to 576 lines, BT.709 above.
_SD_LINES = 576
# What we pass on as the film has it; everything rarer is converted (matrix) or taken for BT.709 (the others).
_MATRICES = {"bt709", "smpte170m", "bt470bg", "bt2020nc"}
_PRIMARIES = {"bt709", "smpte170m", "bt470bg", "bt2020", "smpte432"}
_TRANSFERS = {"bt709", "smpte170m", "iec61966-2-1", "bt2020-10", "bt2020-12"}


def chunk_video(film: str, source: Source, plan: Plan, rungs: Sequence[Rung], chunk: Chunk, preset: str) -> list[str]:
    """All rungs of a chunk in one job, `{rung}.mp4` each: a job for each rung would decode the film four times."""
    pictures = _pictures(film, source, plan, chunk, rungs)
    outputs = [
        stream.output(
            f"{rung.name}.mp4",
            **encoders.arguments(rung, plan, chunk, preset, colour),
            video_track_timescale=plan.timescale,
            # Presentation starts at 0 without an edit list, which not every player honours (83 ms of lost sync).
            movflags="negative_cts_offsets",
            **_REPRODUCIBLE,
            f="mp4",
        )
        for rung, (stream, colour) in zip(rungs, pictures, strict=True)
    ]
    return _arguments(ffmpeg.merge_outputs(*outputs))


def trial_encodes(film: str, source: Source, plan: Plan, rungs: Sequence[Rung], piece: Chunk, preset: str) -> list[str]:
    """A piece at each rung's size and quality, `{rung}.{suffix}` each: bare streams, as large as a segment will be."""
    pictures = _pictures(film, source, plan, piece, rungs)
    outputs = [
        stream.output(
            f"{rung.name}.{rung.codec.suffix}",
            **encoders.arguments(rung, plan, piece, preset, colour),
            **_REPRODUCIBLE,
            f=rung.codec.suffix,
        )
        for rung, (stream, colour) in zip(rungs, pictures, strict=True)
    ]
    return _arguments(ffmpeg.merge_outputs(*outputs))


def vmaf(
    film: str, source: Source, plan: Plan, shown: Rung, piece: Chunk, files: Sequence[str], every: int
) -> list[str]:
    """Each of `files`, encodes of a piece, beside the film's own frames at the size of `shown`: `{file}.json`.

    `every`: the score of every so many frames.
    """
    stream, colour = _prepare(_chunk_frames(film, source, plan, piece), source.video)
    shown_frames = _counted(_scale(stream, shown, source.video, colour), plan, piece)
    references = _branches(shown_frames, len(files))
    outputs = []
    for file, reference in zip(files, references, strict=True):
        encode = ffmpeg.input(file, **_FILES_ONLY).video
        # Bicubic, as players do; another filter is worth some points of its own.
        encode = encode.filter("scale", shown.width, shown.height, flags="bicubic+accurate_rnd+bitexact")
        # Both counted from 0 in frames: one frame off costs a dozen points.
        encode = (
            encode.filter("format", "yuv420p").filter("settb", f"1/({_ratio(plan.frame_rate)})").filter("setpts", "N")
        )
        # In a thread of its own, so that scaling goes on meanwhile; the scores are the same.
        score = ffmpeg.filter(
            [encode, reference], "libvmaf",
            model=VMAF_MODEL, n_subsample=every, n_threads=1, log_fmt="json", log_path=f"{file}.json", shortest=1,
        )  # fmt: skip
        outputs.append(score.output("-", f="null", fps_mode="passthrough"))
    return _arguments(ffmpeg.merge_outputs(*outputs))


def still(film: str, source: Source, plan: Plan, shown: Rung, frame: int, encode: str) -> list[str]:
    """One frame of the film and of an encode of it, at the size of `shown`: `film.jpg`, `encode.jpg`."""
    piece = Chunk(0, frame, (1,))
    stream, colour = _prepare(_chunk_frames(film, source, plan, piece), source.video)
    # Half a frame early, for ffmpeg takes the first picture that is not before the time given.
    seek = _seconds(max(Fraction(0), (frame - Fraction(1, 2)) / plan.frame_rate))
    pictures = {
        "film.jpg": _counted(_scale(stream, shown, source.video, colour), plan, piece),
        "encode.jpg": ffmpeg.input(encode, **_FILES_ONLY, ss=seek).video,
    }
    # JPEG is full range BT.601 by definition.
    jpeg = {"flags": "bicubic+accurate_rnd+bitexact", "out_range": "pc", "out_color_matrix": "bt601"}
    outputs = [
        picture.filter("scale", shown.width, shown.height, **jpeg)
        .filter("format", "yuvj420p")
        .output(name, **{"frames:v": 1, "q:v": 4, "f": "mjpeg", **_REPRODUCIBLE})
        for name, picture in pictures.items()
    ]
    return _arguments(ffmpeg.merge_outputs(*outputs))


def _branches(stream: Any, count: int) -> list[Any]:
    if count == 1:
        return [stream]
    split = stream.filter_multi_output("split", count)
    return [split[at] for at in range(count)]


def scene_scores(film: str, source: Source, plan: Plan, chunk: Chunk, output: str) -> list[str]:
    """How much each frame of a chunk differs from the one before, as encoder/per_title/shots.py reads it."""
    stream = _chunk_frames(film, source, plan, chunk)
    # Cuts show in small pictures as well, and comparing those takes a tenth of the time.
    stream = stream.filter("scale", _SCORED_WIDTH, -2, flags="bilinear+accurate_rnd+bitexact").filter(
        "format", "yuv420p"
    )
    stream = _counted(stream, plan, chunk).filter("scdet").filter("metadata", mode="print", file=output)
    return _arguments(stream.output("-", f="null", fps_mode="passthrough"))


def _chunk_frames(film: str, source: Source, plan: Plan, chunk: Chunk) -> Any:
    """Exactly the frames of a chunk (see encoder/video/chunks.py), timed 0, 1, 2 ... in frames.

    Where the pictures are not the frames, those that the chunk may show: `_counted` makes frames of them when all else
    is done.
    """
    video, rate = source.video, plan.frame_rate
    # -seek_timestamp: the time is on the film's own clock, not relative to whichever stream begins first.
    # -noaccurate_seek: all from where the seek lands, and the cut is ours: ffmpeg's own would be where it is to land.
    where = {"seek_timestamp": 1, "noaccurate_seek": None, "ss": _seconds(seek_time(source, plan, chunk))}
    seek = where if plan.by_seek else {}
    if not plan.on_grid:
        # -copyts: with the film's own clock, zero is what the scan said and not what ffmpeg finds first.
        stream = ffmpeg.input(film, **_FILES_ONLY, **_ONE_GRAPH, copyts=None, **seek)[str(video.index)]
        if seek:
            stream = stream.filter("trim", start=seek["ss"])
        return _one_size(stream, video).filter("setpts", f"PTS-({_seconds(video.start)})/TB")
    stream = ffmpeg.input(film, **_FILES_ONLY, **_ONE_GRAPH, **seek)[str(video.index)]
    # By time, not by count: a seek that landed too late must show in the count.
    begin = begin_time(source, plan, chunk) - seek_time(source, plan, chunk)
    stream = stream.filter("trim", start=_seconds(begin), end=_seconds(begin + chunk.frames / rate))
    stream = _one_size(stream, video)
    if plan.step > 1:
        stream = stream.filter("select", f"not(mod(n,{plan.step}))")
    return _numbered(stream, plan)


def _counted(stream: Any, plan: Plan, chunk: Chunk) -> Any:
    """The frames of a chunk, from pictures that are not on the grid.

    Last of all filters: a picture that lasts becomes many frames at once, which cost nothing as long as they are one
    picture in memory (measured: 7.2 GB where each was scaled, of a film with a picture every two hours).
    """
    if plan.on_grid:
        return stream
    # Nothing is made up before the first picture after a seek: one that landed too late must show in the count.
    stream = stream.filter("fps", fps=_ratio(plan.frame_rate), **({} if plan.by_seek else {"start_time": 0}))
    # The fps filter may find a frame less than we do, from the last picture's length.
    stream = stream.filter("tpad", stop=_MOST_CLONED_FRAMES, stop_mode="clone")
    stream = stream.filter("trim", start_pts=chunk.first, end_pts=chunk.first + chunk.frames)
    return _numbered(stream, plan)


def _numbered(stream: Any, plan: Plan) -> Any:
    return stream.filter("settb", f"1/({_ratio(plan.frame_rate)})").filter("setpts", "N")


def _one_size(stream: Any, video: VideoStream) -> Any:
    """Pictures of another size or shape than the film declares, in the middle of it, with bars around them.

    Frames that are as declared pass untouched (measured: no time, the same pictures).
    """
    width, height = (video.width, video.height) if video.rotation % 180 == 0 else (video.height, video.width)
    stream = stream.filter(
        "scale", width, height, force_original_aspect_ratio="decrease", eval="frame",
        flags="bicubic+accurate_rnd+bitexact",
    )  # fmt: skip
    return stream.filter("pad", width, height, -1, -1, eval="frame")


def _pictures(film: str, source: Source, plan: Plan, chunk: Chunk, rungs: Sequence[Rung]) -> list[tuple[Any, Colour]]:
    """What each rung encodes, and its colour. What rungs share is done once: the dynamic range, then the size."""
    stream, video = _chunk_frames(film, source, plan, chunk), source.video
    found: dict[str, tuple[Any, Colour]] = {}
    for in_range, branch in _shared(stream, rungs, lambda rung: rung.is_hdr):
        prepared, colour = _prepare(branch, video, keep_hdr=in_range[0].is_hdr)
        for alike, pictures in _shared(prepared, in_range, lambda rung: (rung.width, rung.height, rung.depth)):
            scaled = _counted(_scale(pictures, alike[0], video, colour), plan, chunk)
            found |= {rung.name: (one, colour) for [rung], one in _shared(scaled, alike, lambda rung: rung.name)}
    return [found[rung.name] for rung in rungs]


def _shared(stream: Any, rungs: Sequence[Rung], key: Callable[[Rung], Hashable]) -> list[tuple[list[Rung], Any]]:
    """The rungs in groups of the same key, and a branch of the stream for each."""
    groups: dict[Hashable, list[Rung]] = {}
    for rung in rungs:
        groups.setdefault(key(rung), []).append(rung)
    return list(zip(groups.values(), _branches(stream, len(groups)), strict=True))


def _prepare(stream: Any, video: VideoStream, *, keep_hdr: bool = False) -> tuple[Any, Colour]:
    """Progressive pictures in the dynamic range that is wanted, standard or the film's own; and their colour."""
    if video.interlaced:
        # One frame for each two fields, so that the frame grid stays; bwdif is the best that needs no tuning.
        stream = stream.filter("bwdif", mode="send_frame")
    if not video.colour.is_hdr:
        return stream, _sdr_colour(video)
    # What films say of single frames (HDR10+, Dolby Vision) holds for these pixels only, and what they say of all is
    # given to the encoder: at a chunk's first frame it may be missing.
    stream = stream.filter("sidedata", mode="delete")
    colour = video.colour
    given = replace(colour, primaries=colour.primaries or "bt2020", matrix=colour.matrix or "bt2020nc")
    if keep_hdr:
        return _in_bt2020(stream, given)
    # PQ or HLG to linear light, BT.709 primaries, Hable's curve (keeps faces, rolls highlights off), back to BT.709.
    stream = stream.filter(
        "zscale",
        tin=given.transfer, pin=given.primaries, min=given.matrix,
        rin="full" if given.full_range else "limited", t="linear", npl=100,
    )  # fmt: skip
    stream = stream.filter("format", "gbrpf32le").filter("zscale", p="bt709")
    stream = stream.filter("tonemap", tonemap="hable", desat=0)
    stream = stream.filter("zscale", t="bt709", m="bt709", r="limited").filter("format", "yuv420p")
    return stream, Colour("bt709", "bt709", "bt709")


def _in_bt2020(stream: Any, given: Colour) -> tuple[Any, Colour]:
    """HDR as BT.2100 has it, and all that HDR10 and HLG may be; films in other colours are rare."""
    colour = replace(given, primaries="bt2020", matrix="bt2020nc", full_range=False)
    # Said to the scaler, which takes silence for BT.601.
    stream = stream.filter(
        "setparams",
        color_primaries=given.primaries, color_trc=given.transfer, colorspace=given.matrix,
        range="pc" if given.full_range else "tv",
    )  # fmt: skip
    if (given.primaries, given.matrix) != (colour.primaries, colour.matrix):
        stream = stream.filter(
            "zscale",
            tin=given.transfer, pin=given.primaries, min=given.matrix, rin="full" if given.full_range else "limited",
            t=colour.transfer, p=colour.primaries, m=colour.matrix, r="limited",
        ).filter("format", "yuv420p10le")  # fmt: skip
    return stream, colour


def _sdr_colour(video: VideoStream) -> Colour:
    """What the pictures are in, said in full: rungs of different height must not be guessed differently."""
    matrix, primaries, transfer = video.colour.matrix, video.colour.primaries, video.colour.transfer
    if matrix not in _MATRICES:
        matrix = "bt709" if video.height > _SD_LINES else "smpte170m"
    if primaries not in _PRIMARIES:
        primaries = matrix.removesuffix("nc")
    return Colour(primaries, transfer if transfer in _TRANSFERS else "bt709", matrix)


def _scale(stream: Any, rung: Rung, video: VideoStream, colour: Colour) -> Any:
    matrix = colour.matrix.removesuffix("nc")
    given: dict[str, str] = {}
    if not video.colour.is_hdr:
        # Unless told, scale takes silence for BT.601 and would "convert" a silent HD film's colours (measured: red
        # 81/90/240 became 62/102/239).
        given["in_color_matrix"] = "auto" if video.colour.matrix not in ("", *_MATRICES) else matrix
        given["in_range"] = "pc" if video.colour.full_range else "tv"
    stream = stream.filter(
        "scale", rung.width, rung.height,
        # Bicubic as players do; accurate_rnd and bitexact because faster code paths differ between processors.
        flags="bicubic+accurate_rnd+full_chroma_int+bitexact", out_color_matrix=matrix, out_range="tv", **given,
    )  # fmt: skip
    # 4:2:0 is what every decoder takes, and 8 bit what every H.264 decoder does.
    stream = stream.filter("format", "yuv420p" if rung.depth == H264.deepest else "yuv420p10le").filter("setsar", 1)
    return stream.filter(
        "setparams", color_primaries=colour.primaries, color_trc=colour.transfer, colorspace=colour.matrix, range="tv"
    )


# No dates, no version of the muxer, nothing copied from the film that has no place in a package.
_REPRODUCIBLE = {"fflags": "+bitexact", "flags": "+bitexact", "map_metadata": -1, "map_chapters": -1}


def join(listing: str, plan: Plan, rung: Rung) -> list[str]:
    """Chunks one after the other, without encoding: `{rung}.mp4`."""
    ticks = plan.frame_ticks
    # A chunk without B-frames is read as decoded when it is shown, others earlier: at their joint a picture would last
    # longer than the others. So pictures are decoded evenly, as early as the codec's deepest order needs.
    even = f"setts=pts=PTS:dts=(N-{rung.codec.delay})*{ticks}:duration={ticks}"
    return [
        "-f", "concat", "-safe", "0", "-i", listing,
        "-map", "0:v", "-c", "copy", "-tag:v", rung.codec.tag, "-bsf:v", even,
        "-video_track_timescale", str(plan.timescale), "-movflags", "negative_cts_offsets",
        "-fflags", "+bitexact", "-map_metadata", "-1",
        "-f", "mp4", f"{rung.name}.mp4",
    ]  # fmt: skip


def remux(film: str, source: Source, output: str) -> list[str]:
    """The same streams in Matroska, which seeks exactly."""
    streams = [source.video.index, *(s.index for s in source.audios), *(s.index for s in source.texts)]
    maps = [argument for index in streams for argument in ("-map", f"0:{index}")]
    # AVI has no presentation times; +genpts makes them from the order of decoding.
    return [
        "-fflags",
        "+genpts",
        "-protocol_whitelist",
        "file",
        "-i",
        film,
        *maps,
        "-c",
        "copy",
        "-f",
        "matroska",
        output,
    ]


def audio(film: str, source: Source, track: Soundtrack, gain_db: float, output: str) -> list[str]:
    """A track whole: chunks of audio would each bring an encoder's delay."""
    sound = _sound(film, source, track)
    if gain_db:
        sound = sound.filter("volume", f"{gain_db:.2f}dB")
    bitrate = _AUDIO_BITRATES[track.channels]
    return _arguments(sound.output(output, **{"c:a": "aac", "b:a": bitrate, **_REPRODUCIBLE, "f": "mp4"}))


def loudness(film: str, source: Source, track: Soundtrack, output: str) -> list[str]:
    """How loud a track is from second to second (EBU R 128), as encoder/sound/soundtracks.py reads it."""
    sound = _sound(film, source, track).filter("ebur128", metadata=1, peak="true", framelog="quiet")
    return _arguments(sound.filter("ametadata", mode="print", file=output).output("-", f="null"))


def _sound(film: str, source: Source, track: Soundtrack) -> Any:
    """A track in the channels that its rendition has, from the first picture to the end of the last."""
    stream = track.stream
    # A broadcast receiver's compression of quiet and loud is not for a master.
    given = {"drc_scale": 0} if stream.codec in PASSED_THROUGH else {}
    sound = ffmpeg.input(film, **_FILES_ONLY, copyts=None, **given)[str(stream.index)]
    sound = sound.filter("asetpts", f"PTS-({_seconds(source.video.start)})/TB")
    # Zero is the video's: what is earlier is cut, what is missing (at the start, or lost in between) becomes silence.
    # In floats before channels are added up: whole numbers would be made quieter by what they could clip at the most.
    sound = sound.filter("aformat", sample_fmts="fltp")
    sound = sound.filter("aresample", AUDIO_RATE, **{"async": 1}, first_pts=0)
    if not track.is_copied:
        sound = sound.filter("aformat", channel_layouts=LAYOUTS[track.channels])
    samples = round(source.duration * AUDIO_RATE)
    return sound.filter("apad", whole_len=samples).filter("atrim", end_sample=samples)


def sound_piece(file: str, stream: str, zero_s: float, at_s: float) -> list[str]:
    """Some seconds of a track from `at_s` after `zero_s` of its clock, as encoder/sound/sync.py compares; to stdout."""
    start_s = zero_s + at_s
    seek = ["-seek_timestamp", "1", "-ss", f"{start_s:.6f}"] if at_s else []
    resampled = f"aresample={sync.RATE}:async=1:first_pts=0,aformat=sample_fmts=s16:channel_layouts=mono"
    return [
        "-protocol_whitelist", "file,pipe", "-copyts", *seek, "-i", file, "-map", f"0:{stream}",
        "-af", f"asetpts=PTS-({start_s:.6f})/TB,{resampled},atrim=end={sync.PIECE_S:g}", "-f", "s16le", "pipe:1",
    ]  # fmt: skip


def copy_packets(film: str, stream: AudioStream, packets: str, listing: str) -> list[str]:
    """A stream's packets one after the other as they are, and a list of their times and sizes."""
    read = ["-protocol_whitelist", "file,pipe", "-copyts", "-i", film]
    copy = ["-map", f"0:{stream.index}", "-c", "copy"]
    return [*read, *copy, "-f", "data", packets, *copy, "-f", "framecrc", listing]


def silent_packets(stream: AudioStream, bitrate: int, packets: str, listing: str) -> list[str]:
    """A few frames of silence as a stream's own are."""
    layout = stream.layout if stream.channels <= 6 and stream.layout else "5.1(side)"
    quiet = ["-f", "lavfi", "-i", f"anullsrc=channel_layout={layout}:sample_rate={stream.sample_rate}:d=0.5"]
    made = ["-map", "0:a", "-c:a", stream.codec, "-b:a", str(bitrate), "-flags", "+bitexact"]
    return [*quiet, *made, "-f", "data", packets, *made, "-f", "framecrc", listing]


def wrap_packets(packets: str, codec: str, output: str) -> list[str]:
    """Bare frames of a codec as a file with times, from zero."""
    return [
        "-f",
        codec,
        "-i",
        packets,
        "-c",
        "copy",
        "-fflags",
        "+bitexact",
        "-map_metadata",
        "-1",
        "-f",
        "mp4",
        output,
    ]


def captions(film: str, stream: TextStream, output: str) -> list[str]:
    """A text track on the film's own clock, as WebVTT or, of `SUBRIP`, as that: ffmpeg would lose where cues stand."""
    is_subrip = stream.codec in SUBRIP
    return [
        "-protocol_whitelist", "file,pipe", "-copyts", "-i", film, "-map", f"0:{stream.index}",
        "-c:s", "copy" if is_subrip or stream.codec == "webvtt" else "webvtt",
        "-flags", "+bitexact", "-f", "srt" if is_subrip else "webvtt", output,
    ]  # fmt: skip


def keyframe_thumbnails(video: str, count: int) -> list[str]:
    """The first `count` keyframes as grey thumbnails, to standard output."""
    width, height = poster.THUMBNAIL
    return [
        "-skip_frame", "nokey", "-i", video, "-vf", f"scale={width}:{height}:flags=area,format=gray",
        "-fps_mode", "passthrough", "-frames:v", str(count), "-f", "rawvideo", "pipe:1",
    ]  # fmt: skip


def thumbnails(video: str, plan: Thumbnails, output: str) -> list[str]:
    """Sheets of thumbnails from a video's keyframes: each shows the latest of them at its time."""
    return [
        "-skip_frame", "nokey", "-i", video,
        "-vf", f"fps=fps=1/{plan.interval}:start_time=0:round=up,tpad=stop=-1:stop_mode=clone,"
        f"trim=end_frame={plan.count},scale={plan.width}:{plan.height}:{_AS_JPEG},tile={plan.columns}x{plan.rows}",
        "-fps_mode", "passthrough", "-q:v", "5", *_JPEG, "-f", "image2", output,
    ]  # fmt: skip


def poster_picture(video: str, seconds: Fraction, size: Poster) -> list[str]:
    return [
        "-ss", _seconds(seconds), "-i", video, "-vf", f"scale={size.width}:{size.height}:{_AS_JPEG}",
        "-frames:v", "1", "-q:v", "4", *_JPEG, "-f", "mjpeg", size.file,
    ]  # fmt: skip


# JPEG is full range BT.601 by definition.
_AS_JPEG = "flags=bicubic+accurate_rnd+bitexact:out_range=pc:out_color_matrix=bt601,format=yuvj420p"
_JPEG = ("-threads", "1", "-flags", "+bitexact", "-fflags", "+bitexact", "-map_metadata", "-1")


def decode_whole(file: str) -> list[str]:
    """Decodes all of a file and keeps nothing: damage becomes an error message."""
    return ["-xerror", "-i", file, "-map", "0", "-fps_mode", "passthrough", "-f", "null", "-"]


def package_video(files: Sequence[tuple[str, str]], mpd: str) -> list[str]:
    """Shaka Packager on all rungs, (input, output) each."""
    return [
        *(f"in={source},stream=video,output={output}" for source, output in files),
        # A segment starts at the first keyframe after this long: at each one, as our GOPs are the segments. Any value
        # near their length merges neighbours (measured).
        "--segment_duration", "0.001",
        *_PACKAGER, mpd,
    ]  # fmt: skip


def package_audio(files: Sequence[tuple[str, str]], mpd: str) -> list[str]:
    """A run of its own, for the segment duration counts for all streams of a run."""
    return [
        *(f"in={source},stream=audio,output={output}" for source, output in files),
        "--segment_duration", str(AUDIO_SEGMENT_S),
        *_PACKAGER, mpd,
    ]  # fmt: skip


# Without the fake clock each file carries the time of its making, and the same film would give other bytes.
_PACKAGER = ("--use_fake_clock_for_muxer", "--quiet", "--mpd_output")


def _arguments(output: Any) -> list[str]:
    return [str(argument) for argument in output.compile(cmd=[])]


def _ratio(rate: Fraction) -> str:
    return f"{rate.numerator}/{rate.denominator}"


def _seconds(time: Fraction) -> str:
    return f"{float(time):.6f}"
