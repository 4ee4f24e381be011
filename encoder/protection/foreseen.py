"""The tracks that a film may become, as far as they are known before any work: a missing key is found at once.

Of a ladder that is searched for these are all sizes that the search may choose, so whether the keys of a film do does
not hang on what its trials say.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from encoder.film.source import Source
from encoder.protection.keys import Track
from encoder.sound.soundtracks import soundtracks
from encoder.video.codec import Codec
from encoder.video.ladder import candidate_sizes, keeps_hdr, ladder, output_rate


def foreseen(source: Source, codecs: Sequence[Codec], searched: Sequence[Codec]) -> Iterator[Track]:
    """The rungs of `codecs`, of which `searched` have ladders of the film's own, and all audio; bitrates are open."""
    rate = output_rate(source.video.frame_rate)
    for codec in codecs:
        fixed = [(rung.width, rung.height) for rung in ladder(source, codec)]
        for width, height in candidate_sizes(source) if codec in searched else fixed:
            name = codec.rung_name(f"v{height}")
            yield Track(name, "video", width, height, rate, hdr=keeps_hdr(source, codec))
    for sound in soundtracks(source.audios):
        # What is passed through is encoded after all where its packets cannot be read.
        is_known = sound.channels == sound.encoded.channels
        yield Track(sound.name, "audio", channels=sound.channels if is_known else None)
