"""What an operator decides about encoding."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.field import (
    BYTES,
    DURATION,
    FLAG,
    HTTP_URL,
    INTEGER,
    OPTIONAL_PATH,
    PATH,
    Kind,
    choice,
    listing,
    setting,
    url_of,
)

# x264's own, but for "placebo", which costs many times the processor time for nothing that can be seen.
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
_PRESET = choice(*PRESETS)


def _workers(value: Any) -> str:
    text = str(value)
    if isinstance(value, bool) or not (text.isdecimal() or text.startswith(CLUSTERS)):
        raise ValueError("neither a number nor a cluster")
    return text


# dask://HOST:PORT, tls://HOST:PORT, or dask:///FILE that a scheduler wrote.
CLUSTERS = ("dask://", "tls://")
_WORKERS = Kind("a number, dask://HOST:PORT, tls://HOST:PORT or dask:///SCHEDULER_FILE", _workers)


def _loudness(value: Any) -> float | None:
    if value is None or value == "off":
        return None
    number = float(str(value).removesuffix("LUFS"))
    if isinstance(value, bool) or not -70 < number <= 0:
        raise ValueError("no loudness")
    return number


_LOUDNESS = Kind(
    '"off", or LUFS from -69 to 0 such as -23', _loudness, lambda lufs: "off" if lufs is None else f"{lufs:g}"
)
_LADDER = choice("per-title", "fixed")
_CODECS = listing(choice("h264", "hevc", "av1"))


@dataclass(frozen=True)
class EncoderSettings:
    ladder: str = setting("per-title", kind=_LADDER, help="Rungs by trial encodes of this film, or the same for all.")
    least_rungs: int = setting("1", kind=INTEGER, help="More rungs than a film needs, per title; closer together.")
    codecs: tuple[str, ...] = setting("h264", kind=_CODECS, help="Of h264, hevc, av1: a ladder of each; h264 always.")
    work: Path = setting("~/.cache/nearcast/encode", kind=PATH, help="Where finished steps of encodes are kept.")
    segment_duration: float = setting("4s", kind=DURATION, help="Longest video segment; one closed GOP each.")
    preset: str = setting("medium", kind=_PRESET, help="Faster, or smaller; x264's words, for all codecs.")
    workers: str = setting("0", kind=_WORKERS, help="Pieces encoded at once, 0 for one a core; or a Dask cluster.")
    shared: str = setting(
        "", kind=url_of("file", "s3"), help="Storage for film and pieces of --workers that do not see this disk."
    )
    shared_s3_endpoint: str = setting("", kind=HTTP_URL, help="S3 API of --shared and films, if not Amazon's.")
    film_cache: int = setting("200 GB", kind=BYTES, help="Room for films that a worker copies from --shared.")
    chunk_duration: float = setting("48s", kind=DURATION, help="Film time that one chunk covers.")
    protection: Path | None = setting(
        "", kind=OPTIONAL_PATH, help="Encrypt with this key file or CPIX file, or TITLE.toml ... of this folder."
    )
    cpix_key: Path | None = setting(
        "", kind=OPTIONAL_PATH, help="Private key (PEM) of the certificate that CPIX files are encrypted for."
    )
    min_free_space: int = setting("512 MiB", kind=BYTES, help="Refuse to start a step with less free space than this.")
    dash_trick_mode: bool = setting("false", kind=FLAG, help="Offer the smallest rung for playing fast, in the MPD.")
    loudness: float | None = setting("off", kind=_LOUDNESS, help="Make every track so loud, by one gain for all of it.")
    queue: str = setting("", kind=url_of("sqlite", "postgresql"), help="Database of jobs; none: queue.db in the work.")
    keep_jobs: float = setting("30d", kind=DURATION, help="Time for which the queue keeps jobs that are over.")
