"""The lines of a segment of the journal, one record each.

All but `Held` say what is, not what became of it: a record that is read twice, or one that is lost, harms nothing for
longer than until the next. Times are seconds since the epoch.

Pure.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, TypeAlias

import msgspec

from config.field import SECRET
from config.steering import SteeringSettings

FORMAT = 1


class _Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="is"):
    time: float


class Begins(_Record, frozen=True, kw_only=True, tag="begins"):
    """The first line of a segment. All that is known follows, up to `Whole`."""

    format: int = FORMAT
    software: str = ""


class Whole(_Record, frozen=True, kw_only=True, tag="whole"):
    """All that was known when the segment began has been said; what was not said is no more."""


class Beat(_Record, frozen=True, kw_only=True, tag="beat"):
    """Nothing changed up to now: tells quiet times from those when nobody wrote."""


class Decides(_Record, frozen=True, kw_only=True, tag="decides"):
    """The settings, without secrets: sites, prefixes, how many pathways, and whatever else decisions hang on."""

    settings: SteeringSettings


class Packages(_Record, frozen=True, kw_only=True, tag="packages"):
    """The numbers of packages ("title/package") from `first` on, by which the records below name them."""

    first: int
    names: tuple[str, ...]


class FileSets(_Record, frozen=True, kw_only=True, tag="files"):
    """The numbers of sets of files from `first` on."""

    first: int
    sets: tuple[tuple[str, ...], ...]


class Title(_Record, frozen=True, kw_only=True, tag="title"):
    """A title of the catalog, as it is from now on."""

    title: str
    package: str
    files: int  # the number of the set of its files
    nominal_bps: int
    duration_s: float
    available_from: float = 0.0  # seconds since the epoch, as the next
    available_until: float | None = None  # none: no end


class Withdrawn(_Record, frozen=True, kw_only=True, tag="withdrawn"):
    title: str


class Held(_Record, frozen=True, kw_only=True, tag="held"):
    """What is held under a version: by itself, or as the difference to another version of the same segment.

    `whole` has a bit for each package by number, the lowest first; of a difference it is the exclusive or. `parts` are
    (package, set of files), of a difference those that changed, with the set 0 where nothing is left of a part.
    """

    version: str
    base: str = ""
    whole: bytes = b""
    parts: tuple[tuple[int, int], ...] = ()


class Standing(_Record, frozen=True, kw_only=True, tag="appliance"):
    """An appliance as it last reported, what it held, and what steering and its players make of it."""

    name: str
    site: str
    url: str
    capacity_bps: int
    serving_bps: int
    held_version: str
    health: str
    state: Literal["serving", "draining"] = "serving"
    problems: tuple[str, ...] = ()
    is_stalling: bool = False  # as its players say
    share: float = 1.0  # of the sessions that its capacity would get it
    verdict: str = ""  # why so, in words


class Loads(_Record, frozen=True, kw_only=True, tag="loads"):
    """What appliances serve, where it moved and nothing else did: appliance -> bit/s."""

    loads: dict[str, int]


class Ways(_Record, frozen=True, kw_only=True, tag="ways"):
    """What has been learned of the ways between sites and clients' networks: site -> network -> round trip in ms."""

    ways: dict[str, dict[str, float]]


class Routes(_Record, frozen=True, kw_only=True, tag="routes"):
    """The table of routes as it is from now on; its prefixes are not in the journal."""

    generation: int  # of steering.prefixes.table_file; 0 while there is none


class Gone(_Record, frozen=True, kw_only=True, tag="gone"):
    """An appliance that was silent for so long that it is forgotten."""

    name: str


Record: TypeAlias = (
    Begins
    | Whole
    | Beat
    | Decides
    | Packages
    | FileSets
    | Title
    | Withdrawn
    | Held
    | Standing
    | Loads
    | Ways
    | Routes
    | Gone
)

_encoder = msgspec.json.Encoder(enc_hook=str)


def _decode_path(kind: type[Any], value: Any) -> Any:
    return kind(value)


_decoder = msgspec.json.Decoder(Record, dec_hook=_decode_path)


def encode(record: Record) -> bytes:
    return _encoder.encode(record)


def decode(line: bytes) -> Record:
    """Raises msgspec.DecodeError, UnicodeDecodeError."""
    record: Record = _decoder.decode(line)
    return record


def without_secrets(settings: SteeringSettings) -> SteeringSettings:
    """The settings as they may be shown to anybody who helps: the journal goes where logs go."""
    emptied: SteeringSettings = _emptied(settings)
    return dataclasses.replace(emptied, database="", control="")  # such URLs may have passwords in them


def _emptied(settings: Any) -> Any:
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if field.metadata["kind"] is SECRET:
            changes[field.name] = ""
        elif field.metadata["of"] is not None:
            changes[field.name] = tuple(_emptied(table) for table in value)
    return dataclasses.replace(settings, **changes)
