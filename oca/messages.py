"""What is said on an appliance's local socket (STATE/appliance.sock), and how it is framed.

The parent listens. Delivery workers ask for bytes that are not held whole; the fill agent asks for files; operators
ask for status and drain. Each message is a MessagePack map behind its length (4 bytes, big endian). `id` is chosen by
who asks and comes back in every answer to it.

    worker    Need            ->  Located, then Landed (growing `upto`) ... or Failed
    worker    Forget, Suspect
    agent     Fill            ->  Moved (growing `done`) ... then Done or Failed
    agent     Drop            ->  Done or Failed
    operator  Ask("status")   ->  Told;   Ask("drain" | "resume" | "scrub") -> Told or Failed
    parent    Gone, Rotten, Embargo    to every worker; worker: Serving once, then Load and Noted
"""

from __future__ import annotations

import asyncio
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from oca.errors import MessageError

# The largest message is a status with a list of held files.
LARGEST_MESSAGE = 64 * 1024 * 1024


class Need(msgspec.Struct, frozen=True, tag=True):
    """Bytes [first, end) of a file, now; `cached_only` is a peer that must not make us fetch (RFC 9111 5.2.1.7).

    With first = end nothing is fetched: the answer only tells whether the file is there, not where. Of package.json the
    whole is meant, whatever the bounds.
    """

    id: int
    title: str
    package: str
    file: str
    first: int
    end: int
    cached_only: bool = False


class Located(msgspec.Struct, frozen=True, tag=True):
    """Where the bytes are, or will be as they land; `inode` tells the file from a later one of the same name.

    `verified` has one byte for each block of the file: 1 where the block was found right since the appliance started,
    so that it may be sent without asking again. `hit` is false where some of the bytes needed must be fetched first.
    """

    id: int
    path: str
    inode: int
    verified: bytes
    hit: bool


class Landed(msgspec.Struct, frozen=True, tag=True):
    """Bytes [first, upto) of what was needed may be sent; the last one is told of when all blocks are verified."""

    id: int
    upto: int


class Forget(msgspec.Struct, frozen=True, tag=True):
    """Nobody waits for the answers to this Need any more."""

    id: int


class Fill(msgspec.Struct, frozen=True, tag=True):
    """Hold this file whole; ask `sources` (base URLs) in this order. An empty list means the appliance's own.

    The first `equals` sources are as good as each other: blocks are spread over them. `rate_bps` is what all fills of
    the appliance together may take, 0: no limit. Before `not_before` (seconds since the epoch) no player is served any
    file of the package.
    """

    id: int
    title: str
    package: str
    file: str
    sources: tuple[str, ...]
    equals: int = 1
    rate_bps: int = 0
    not_before: float = 0.0


class Moved(msgspec.Struct, frozen=True, tag=True):
    """Progress of a Fill: `done` of `size` bytes are verified. `source` (a base URL) gave those since the last Moved;
    it is empty for those that were there already."""

    id: int
    done: int
    size: int
    source: str = ""


class Drop(msgspec.Struct, frozen=True, tag=True):
    id: int
    title: str
    package: str
    file: str


class Done(msgspec.Struct, frozen=True, tag=True):
    id: int


class Failed(msgspec.Struct, frozen=True, tag=True):
    """`status` is the HTTP status that tells it best; `reason` is a sentence.

    `retry_after_s` is above 0 where those who were asked to fill from had players to serve first.
    """

    id: int
    status: int
    reason: str
    retry_after_s: float = 0.0


class Gone(msgspec.Struct, frozen=True, tag=True):
    """The file is no longer held: forget its descriptor. Answers under way go on from it."""

    title: str
    package: str
    file: str


class Rotten(msgspec.Struct, frozen=True, tag=True):
    """A block of the file turned out wrong: cut every answer that sends from it, and ask again before the next one.

    -1 stands for all blocks: somebody else than the appliance has written to the file.
    """

    title: str
    package: str
    file: str
    block: int


class Embargo(msgspec.Struct, frozen=True, tag=True):
    """No player is served any file of the package before `until`; 0: from now on they are."""

    title: str
    package: str
    until: float


class Suspect(msgspec.Struct, frozen=True, tag=True):
    """A worker could not read this block of the file from its disk, or found the file too short."""

    title: str
    package: str
    file: str
    block: int


class Serving(msgspec.Struct, frozen=True, tag=True):
    """A worker accepts clients from now on; `byte_path` is how it sends over TLS (oca.http.tls), empty without TLS."""

    process_id: int
    byte_path: str


class Load(msgspec.Struct, frozen=True, tag=True):
    """A worker's load, and its counters since its start; several times a second."""

    connections: int
    most_connections: int
    nominal_bps: int  # of all who watch: the bit rates of what they asked for last
    requests: int
    bytes_sent: int
    bytes_missed: int
    errors: int
    refused: int  # connections and requests, for want of room
    tokens_refused: int
    tokens_replayed: int
    cmcd_ignored: int
    prefetched: int
    late_s: float = 0.0  # the longest that its event loop let something wait since the last Load


class Sample(NamedTuple):
    """What TCP measured of the way to a client."""

    network: str  # as the access log names it
    rtt_us: int
    rate_bps: int  # 0: not known


class Noted(msgspec.Struct, frozen=True, tag=True):
    """What a worker noted since the last one (oca.experience): sessions as numbers, and their networks."""

    heard: dict[int, str]
    starved: dict[int, str]
    samples: list[Sample]


class Ask(msgspec.Struct, frozen=True, tag=True):
    id: int
    what: Literal["status", "drain", "resume", "scrub"]


class Told(msgspec.Struct, frozen=True, tag=True):
    id: int
    told: dict[str, Any]


Message: TypeAlias = (
    Need
    | Forget
    | Located
    | Landed
    | Suspect
    | Fill
    | Moved
    | Drop
    | Done
    | Failed
    | Gone
    | Rotten
    | Embargo
    | Serving
    | Load
    | Noted
    | Ask
    | Told
)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def frame(message: Message) -> bytes:
    body = _encoder.encode(message)
    return len(body).to_bytes(4, "big") + body


async def read(reader: asyncio.StreamReader) -> Message:
    """The next message. Raises asyncio.IncompleteReadError at the end, MessageError on nonsense."""
    size = int.from_bytes(await reader.readexactly(4), "big")
    if size > LARGEST_MESSAGE:
        raise MessageError(f"a message of {size} bytes on the local socket, expected at most {LARGEST_MESSAGE}")
    try:
        return _decoder.decode(await reader.readexactly(size))
    except msgspec.DecodeError as error:
        raise MessageError(f"not a message: {error}") from error
