"""A unit for each audio rendition: the sound is measured, then encoded or copied, as soundtracks.py decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import msgspec

from encoder import commands
from encoder.film.source import AudioStream, Source
from encoder.package import Loudness
from encoder.running.process import OnSeconds, Tools
from encoder.running.work import FILM
from encoder.sound import dolby, soundtracks
from encoder.sound.dolby import Packet
from encoder.sound.soundtracks import Soundtrack

_PACKETS, _LISTING, _MEASURED = "packets", "listing", "measured"
# Of ebur128's measures, several lines a tenth of a second; the last of each kind count.
_TAIL_SIZE = 16 * 1024


class Sound(msgspec.Struct, frozen=True):
    """What was made of a track."""

    channels: int
    sample_rate: int
    frame: int  # samples
    loudness: Loudness
    has_objects: bool = False
    remark: str = ""  # a sentence for who encodes; empty: all went as it should


@dataclass(frozen=True)
class SoundEncode:
    """`{name}.mp4`, and a `Sound` in `{name}.json`."""

    source: Source
    track: Soundtrack
    wanted_lufs: float | None

    @property
    def name(self) -> str:
        return f"audio-{self.track.name}"

    @property
    def seconds(self) -> float:
        return float(self.source.duration)

    def inputs(self) -> Sequence[str]:
        wanted = "" if self.wanted_lufs is None else f"{self.wanted_lufs:g}"
        make = commands.audio(FILM, self.source, self.track.encoded, 0.0, "")
        return [str(self.track), wanted, *make, *commands.loudness(FILM, self.source, self.track, _MEASURED)]

    def make(self, tools: Tools, film: str, folder: Path, on_seconds: OnSeconds) -> None:
        sound = None
        if self.track.is_copied:
            sound = self._copied(tools, film, folder)
        if sound is None:
            sound = self._encoded(tools, film, folder, on_seconds)
        (folder / f"{self.track.name}.json").write_bytes(msgspec.json.encode(sound))

    def _copied(self, tools: Tools, film: str, folder: Path) -> Sound | None:
        """None if the stream is not made of frames that can be put one after the other."""
        stream = self.track.stream
        if not _copy_frames(tools, film, self.source, stream, folder, f"{self.track.name}.mp4"):
            return None
        measured = self._measured(tools, film, self.track, folder)
        return Sound(stream.channels, stream.sample_rate, dolby.FRAME, measured, has_objects=stream.has_objects)

    def _encoded(self, tools: Tools, film: str, folder: Path, on_seconds: OnSeconds) -> Sound:
        stream, track, remark = self.track.stream, self.track.encoded, ""
        if self.track.is_copied:
            remark = f"stream {stream.index} (audio, {stream.codec}) cannot be copied as it is; it is encoded to AAC"
        measured = self._measured(tools, film, track, folder)
        gain = soundtracks.gain_db(track, measured, self.wanted_lufs)
        arguments = commands.audio(film, self.source, track, gain, f"{track.name}.mp4")
        tools.ffmpeg(arguments, cwd=folder, on_seconds=on_seconds)
        loudness = soundtracks.louder(measured, gain)
        return Sound(track.channels, commands.AUDIO_RATE, commands.AAC_FRAME, loudness, remark=remark)

    def _measured(self, tools: Tools, film: str, track: Soundtrack, folder: Path) -> Loudness:
        tools.ffmpeg(commands.loudness(film, self.source, track, _MEASURED), cwd=folder)
        path = folder / _MEASURED
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_SIZE))
            lines = file.read().decode("ascii", "replace").splitlines()
        path.unlink()
        return soundtracks.read_loudness(lines)


class MadeSound(NamedTuple):
    """An audio rendition and the folder that its file is in."""

    track: Soundtrack
    folder: Path
    sound: Sound


def read_sound(track: Soundtrack, folder: Path) -> MadeSound:
    return MadeSound(track, folder, msgspec.json.decode((folder / f"{track.name}.json").read_bytes(), type=Sound))


def _copy_frames(tools: Tools, film: str, source: Source, stream: AudioStream, folder: Path, output: str) -> bool:
    """Puts a stream's frames on the film's clock. False if they are not all of one length."""
    rate, bare = stream.sample_rate, folder / f"frames.{stream.codec}"
    packets = _packets(tools, commands.copy_packets(film, stream, _PACKETS, _LISTING), folder)
    if not dolby.are_frames(packets, rate):
        (folder / _PACKETS).unlink()
        return False
    grid = dolby.places(packets, source.video.start, dolby.frames_in(source.duration, rate), rate)
    starts = list(accumulate((packet.size for packet in packets), initial=0))
    with (folder / _PACKETS).open("rb") as frames, bare.open("wb") as file:
        silence = _silence(tools, stream, packets, folder) if None in grid else b""
        for number in grid:
            if number is None:
                file.write(silence)
            else:
                frames.seek(starts[number])
                file.write(frames.read(packets[number].size))
    tools.ffmpeg(commands.wrap_packets(bare.name, stream.codec, output), cwd=folder)
    bare.unlink()
    (folder / _PACKETS).unlink()
    return True


def _packets(tools: Tools, arguments: Sequence[str], folder: Path) -> list[Packet]:
    """Runs an ffmpeg that leaves packets and their listing, and reads the listing."""
    tools.ffmpeg(arguments, cwd=folder)
    with (folder / _LISTING).open(encoding="ascii") as lines:
        packets = dolby.parse_packets(lines)
    (folder / _LISTING).unlink()
    return packets


def _silence(tools: Tools, stream: AudioStream, like: Sequence[Packet], folder: Path) -> bytes:
    """A frame of silence among frames `like` these."""
    bitrate = dolby.frame_bitrate(like[len(like) // 2].size, stream.sample_rate, stream.codec)
    with TemporaryDirectory(dir=folder) as room:
        place = Path(room)
        packets = _packets(tools, commands.silent_packets(stream, bitrate, _PACKETS, _LISTING), place)
        frames = (place / _PACKETS).read_bytes()
    # The first one is an encoder's that begins.
    return frames[packets[0].size :][: packets[1].size]
