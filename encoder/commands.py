"""The arguments of every tool we run, each with its reason.

ffmpeg-python builds filter graphs and orders the options; it never runs anything (it has no progress, no cancelling and
no time limit). Outputs are names relative to the folder that a tool runs in, and the film is an argument, so the
arguments for the film "FILM" name a step whatever folder it is made in.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import ffmpeg

from encoder import poster
from encoder.chunks import Chunk, Plan, seek_time
from encoder.ladder import Rung
from encoder.source import AudioStream, Colour, Source, TextStream, VideoStream

# x264's output depends on its number of threads, so it is fixed: the same film must give the same bytes on any machine.
# Two keep two cores busy with the usual four rungs in one job; more cores get more jobs.
X264_THREADS = 2
# Pictures that it holds back to code later ones first: with a pyramid of B-frames.
_X264_DELAY = 2
AUDIO_RATE = 48_000
# Samples of an AAC-LC frame.
AAC_FRAME = 1024
# 180 AAC frames. A whole number of frames gives all segments one duration: one entry in the MPD instead of one each.
AUDIO_SEGMENT_S = 3.84
_AUDIO_BITRATES = {1: "64k", 2: "128k"}
# Only files are opened: a film that lists URLs must not make us fetch them.
_FILES_ONLY = {"protocol_whitelist": "file,pipe"}
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
    stream = _chunk_frames(film, source, plan, chunk)
    stream, colour = _prepare(stream, source.video)
    outputs = [
        _scale(branch, rung, source.video, colour).output(f"{rung.name}.mp4", **_x264(rung, plan, chunk, preset))
        for branch, rung in zip(_branches(stream, len(rungs)), rungs, strict=True)
    ]
    return _arguments(ffmpeg.merge_outputs(*outputs))


def trial_encodes(film: str, source: Source, plan: Plan, rungs: Sequence[Rung], piece: Chunk, preset: str) -> list[str]:
    """A piece at each rung's size and quality, `{rung}.h264` each: bare streams, as large as a segment will be."""
    stream, colour = _prepare(_chunk_frames(film, source, plan, piece), source.video)
    sizes = list(dict.fromkeys((rung.width, rung.height) for rung in rungs))
    scaled: dict[str, Any] = {}
    for size, branch in zip(sizes, _branches(stream, len(sizes)), strict=True):
        alike = [rung for rung in rungs if (rung.width, rung.height) == size]
        pictures = _scale(branch, alike[0], source.video, colour)
        scaled |= {rung.name: one for rung, one in zip(alike, _branches(pictures, len(alike)), strict=True)}
    outputs = [
        scaled[rung.name].output(f"{rung.name}.h264", **{**_x264(rung, plan, piece, preset), "f": "h264"})
        for rung in rungs
    ]
    return _arguments(ffmpeg.merge_outputs(*outputs))


def vmaf(
    film: str, source: Source, plan: Plan, shown: Rung, piece: Chunk, files: Sequence[str], every: int
) -> list[str]:
    """Each of `files`, encodes of a piece, beside the film's own frames at the size of `shown`: `{file}.json`.

    `every`: the score of every so many frames.
    """
    stream, colour = _prepare(_chunk_frames(film, source, plan, piece), source.video)
    references = _branches(_scale(stream, shown, source.video, colour), len(files))
    outputs = []
    for file, reference in zip(files, references, strict=True):
        encode = ffmpeg.input(file, **_FILES_ONLY).video
        # Bicubic, as players do; another filter is worth some points of its own.
        encode = encode.filter("scale", shown.width, shown.height, flags="bicubic+accurate_rnd+bitexact")
        # Both counted from 0 in frames: one frame off costs a dozen points.
        encode = (
            encode.filter("format", "yuv420p").filter("settb", f"1/({_ratio(plan.frame_rate)})").filter("setpts", "N")
        )
        score = ffmpeg.filter(
            [encode, reference], "libvmaf",
            model=VMAF_MODEL, n_subsample=every, log_fmt="json", log_path=f"{file}.json", shortest=1,
        )  # fmt: skip
        outputs.append(score.output("-", f="null", fps_mode="passthrough"))
    return _arguments(ffmpeg.merge_outputs(*outputs))


def _branches(stream: Any, count: int) -> list[Any]:
    if count == 1:
        return [stream]
    split = stream.filter_multi_output("split", count)
    return [split[at] for at in range(count)]


def scene_scores(film: str, source: Source, plan: Plan, chunk: Chunk, output: str) -> list[str]:
    """How much each frame of a chunk differs from the one before, as encoder/shots.py reads it."""
    stream = _chunk_frames(film, source, plan, chunk)
    # Cuts show in small pictures as well, and comparing those takes a tenth of the time.
    stream = stream.filter("scale", _SCORED_WIDTH, -2, flags="bilinear+accurate_rnd+bitexact").filter(
        "format", "yuv420p"
    )
    stream = stream.filter("scdet").filter("metadata", mode="print", file=output)
    return _arguments(stream.output("-", f="null", fps_mode="passthrough"))


def _chunk_frames(film: str, source: Source, plan: Plan, chunk: Chunk) -> Any:
    """Exactly the frames of a chunk (see encoder/chunks.py), timed 0, 1, 2 ... in frames."""
    video, rate = source.video, plan.frame_rate
    if not plan.by_seek:
        # -copyts: with the film's own clock, zero is what the scan said and not what ffmpeg finds first.
        stream = ffmpeg.input(film, **_FILES_ONLY, copyts=None)[str(video.index)]
        stream = stream.filter("setpts", f"PTS-({_seconds(video.start)})/TB")
        stream = stream.filter("fps", fps=_ratio(rate), start_time=0)
        # The fps filter may find a frame less than we do, from the last picture's length.
        stream = stream.filter("tpad", stop=_MOST_CLONED_FRAMES, stop_mode="clone")
        stream = stream.filter("trim", start_frame=chunk.first, end_frame=chunk.first + chunk.frames)
    else:
        # -seek_timestamp: the time is on the film's own clock, not relative to whichever stream begins first.
        seek = _seconds(seek_time(source, plan, chunk))
        stream = ffmpeg.input(film, **_FILES_ONLY, seek_timestamp=1, ss=seek)[str(video.index)]
        if plan.step > 1:
            stream = stream.filter("select", f"not(mod(n,{plan.step}))")
        # By time, not by count: a seek that landed too late must show in the count.
        stream = stream.filter("trim", end=_seconds(chunk.frames / rate))
    return stream.filter("settb", f"1/({_ratio(rate)})").filter("setpts", "N")


def _prepare(stream: Any, video: VideoStream) -> tuple[Any, Colour]:
    """What all rungs share: progressive pictures in a standard dynamic range; and the colour they then have."""
    if video.interlaced:
        # One frame for each two fields, so that the frame grid stays; bwdif is the best that needs no tuning.
        stream = stream.filter("bwdif", mode="send_frame")
    if not video.colour.is_hdr:
        return stream, _sdr_colour(video)
    # PQ or HLG to linear light, BT.709 primaries, Hable's curve (keeps faces, rolls highlights off), back to BT.709.
    stream = stream.filter(
        "zscale",
        tin=video.colour.transfer, pin=video.colour.primaries or "bt2020", min=video.colour.matrix or "bt2020nc",
        rin="full" if video.colour.full_range else "limited", t="linear", npl=100,
    )  # fmt: skip
    stream = stream.filter("format", "gbrpf32le").filter("zscale", p="bt709")
    stream = stream.filter("tonemap", tonemap="hable", desat=0)
    stream = stream.filter("zscale", t="bt709", m="bt709", r="limited").filter("format", "yuv420p")
    return stream, Colour("bt709", "bt709", "bt709")


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
    # 8 bit 4:2:0 is what every H.264 decoder takes.
    stream = stream.filter("format", "yuv420p").filter("setsar", 1)
    return stream.filter(
        "setparams", color_primaries=colour.primaries, color_trc=colour.transfer, colorspace=colour.matrix, range="tv"
    )


def _x264(rung: Rung, plan: Plan, chunk: Chunk, preset: str) -> dict[str, Any]:
    # One closed GOP for each segment, at the same frames in every rung: players switch at any segment. x264 itself
    # places none.
    gop = {"keyint": "infinite", "scenecut": 0, "open-gop": 0}
    return {
        "c:v": "libx264",
        "preset": preset,
        "profile:v": rung.profile,
        "level:v": rung.level,
        "crf": f"{rung.crf_of(chunk.shot):g}",
        **({"maxrate": rung.maxrate, "bufsize": rung.bufsize} if rung.maxrate else {}),
        "x264-params": ":".join(f"{key}={value}" for key, value in gop.items()),
        # Half a frame early: a frame is forced if it is not before the time given.
        "force_key_frames": ",".join(
            _seconds((frame - Fraction(1, 2)) / plan.frame_rate) for frame in chunk.keyframes[1:]
        )
        or "0",
        "threads:v": X264_THREADS,
        # Frames are counted already; ffmpeg must neither drop nor double any.
        "fps_mode": "passthrough",
        "enc_time_base": f"1:{plan.timescale}",
        "video_track_timescale": plan.timescale,
        # Presentation starts at 0 without an edit list, which not every player honours (83 ms of lost sync).
        "movflags": "negative_cts_offsets",
        **_REPRODUCIBLE,
        "f": "mp4",
    }


# No dates, no version of the muxer, nothing copied from the film that has no place in a package.
_REPRODUCIBLE = {"fflags": "+bitexact", "flags": "+bitexact", "map_metadata": -1, "map_chapters": -1}


def join(listing: str, plan: Plan, output: str) -> list[str]:
    """Chunks one after the other, without encoding."""
    ticks = plan.frame_ticks
    # A chunk without B-frames is read as decoded when it is shown, others earlier: at their joint a picture would last
    # longer than the others. So pictures are decoded evenly, as early as x264's deepest order needs.
    even = f"setts=pts=PTS:dts=(N-{_X264_DELAY})*{ticks}:duration={ticks}"
    return [
        "-f", "concat", "-safe", "0", "-i", listing,
        "-map", "0:v", "-c", "copy", "-bsf:v", even,
        "-video_track_timescale", str(plan.timescale), "-movflags", "negative_cts_offsets",
        "-fflags", "+bitexact", "-map_metadata", "-1",
        "-f", "mp4", output,
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


def audio(film: str, source: Source, stream: AudioStream, output: str) -> list[str]:
    """A track whole: chunks of audio would each bring an encoder's delay."""
    channels = min(stream.channels, 2)
    sound = ffmpeg.input(film, **_FILES_ONLY, copyts=None)[str(stream.index)]
    sound = sound.filter("asetpts", f"PTS-({_seconds(source.video.start)})/TB")
    # Zero is the video's: what is earlier is cut, what is missing (at the start, or lost in between) becomes silence.
    sound = sound.filter("aresample", AUDIO_RATE, **{"async": 1}, first_pts=0)
    sound = sound.filter("aformat", sample_fmts="fltp", channel_layouts="mono" if channels == 1 else "stereo")
    samples = round(source.duration * AUDIO_RATE)
    sound = sound.filter("apad", whole_len=samples).filter("atrim", end_sample=samples)
    output_ = sound.output(output, **{"c:a": "aac", "b:a": _AUDIO_BITRATES[channels], **_REPRODUCIBLE, "f": "mp4"})
    return _arguments(output_)


def captions(film: str, stream: TextStream, output: str) -> list[str]:
    """A text track as WebVTT, on the film's own clock; encoder/subtitles.py moves it to the package's."""
    return [
        "-protocol_whitelist", "file,pipe", "-copyts", "-i", film, "-map", f"0:{stream.index}",
        "-c:s", "webvtt", "-flags", "+bitexact", "-f", "webvtt", output,
    ]  # fmt: skip


def keyframe_thumbnails(video: str, count: int) -> list[str]:
    """The first `count` keyframes as grey thumbnails, to standard output."""
    width, height = poster.THUMBNAIL
    return [
        "-skip_frame", "nokey", "-i", video, "-vf", f"scale={width}:{height}:flags=area,format=gray",
        "-fps_mode", "passthrough", "-frames:v", str(count), "-f", "rawvideo", "pipe:1",
    ]  # fmt: skip


def poster_picture(video: str, seconds: Fraction, output: str) -> list[str]:
    return [
        "-ss", _seconds(seconds), "-i", video,
        # JPEG is full range BT.601 by definition.
        "-vf", f"scale=w='min({poster.WIDTH},iw)':h=-2:flags=bicubic+accurate_rnd+bitexact:out_range=pc:"
        "out_color_matrix=bt601,format=yuvj420p",
        "-frames:v", "1", "-q:v", "4", "-flags", "+bitexact", "-fflags", "+bitexact", "-map_metadata", "-1",
        "-f", "mjpeg", output,
    ]  # fmt: skip


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
