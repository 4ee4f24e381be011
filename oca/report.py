"""The report: what an appliance says of itself to steering every few seconds, and the answer.

POST {steering}/api/v1/reports, application/json. `held` is long, so it travels only when the receiver does not know
this `held_version` yet: the answer says which version it knows, and the next report carries the list if they differ.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple, TypeAlias

import msgspec

from oca.errors import MessageError

FORMAT = 1
# A report names up to some million files (30 MB); anything larger is not a report.
LARGEST_REPORT = 64 * 1024 * 1024
# An appliance names a few networks in each report.
MOST_PATHS = 64
# Twenty times the largest catalog that steering is made for; each costs it a microsecond or two, while players wait.
MOST_PACKAGES = 200_000
# What MessagePack and databases take; JSON's numbers are as long as their sender likes.
_LARGEST_AMOUNT = 2**63 - 1
_Amount: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST_AMOUNT)]
# Of RFC 3986's characters those of a host, a port and a path: the URL goes into players' manifests.
_URL = re.compile(r"https?://[A-Za-z0-9\[](?:[A-Za-z0-9._~:%\[\]/-]*[A-Za-z0-9._~\]-])?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

# "title/package" -> names of the files held whole. A package held whole is ("*",): nearly all are, and it is short.
Held: TypeAlias = Mapping[str, tuple[str, ...]]
EVERY_FILE = ("*",)


class Players(msgspec.Struct, frozen=True):
    """What players said with their requests of the last half minute."""

    sessions: _Amount  # that said anything
    witnesses: _Amount  # of them, at most four of a network: nobody is to be many
    starved: _Amount  # of the witnesses, that said that they starved
    starved_networks: _Amount  # /24 or /48, that these are in


class MeasuredPath(NamedTuple):
    """The way to the clients of one network, the median of some samples."""

    rtt_us: _Amount  # the least of the last minutes, not what queues add
    rate_bps: _Amount  # 0: not known
    samples: _Amount


class Report(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    name: str
    instance: str  # new at each start of the appliance: tells a restart from a second one of the same name
    sequence: int  # grows by one with each report of an instance; an older one that arrives late is ignored
    site: str
    url: str  # where players reach it, without a trailing slash
    state: Literal["serving", "draining"]
    problems: tuple[str, ...]  # empty: healthy
    capacity_bps: int
    serving_bps: int
    connections: int
    disk_bytes: int  # what it may hold
    disk_used_bytes: int
    held_version: str
    held: dict[str, tuple[str, ...]] | None = None
    notes: tuple[str, ...] = ()  # what somebody should look at, and it serves all the same: a volume of several failed
    players: Players | None = None  # none said anything
    paths: dict[str, MeasuredPath] = {}  # measured since the last report, by network as the access log names it


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    held_version: str  # the version of `held` that the receiver knows of this appliance; "" if none


def decode_report(data: bytes) -> Report:
    """Raises MessageError that says what is wrong with it.

    It takes a microsecond for each package held: for long reports a thread's work.
    """
    if len(data) > LARGEST_REPORT:
        raise MessageError(f"a report of {len(data)} bytes, expected at most {LARGEST_REPORT}", status=413)
    try:
        report = msgspec.json.decode(data, type=Report)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"not a report: {error}", status=400) from error
    if report.format != FORMAT:
        raise MessageError(f"a report of format {report.format}, expected {FORMAT}", status=400)
    for key in ("name", "site"):
        if not _NAME.fullmatch(getattr(report, key)):
            raise MessageError(
                f"not a report: {key} {getattr(report, key)!r}, expected letters, digits . _ -", status=400
            )
    if not _URL.fullmatch(report.url):
        raise MessageError(f"not a report: url {report.url!r}, expected http(s)://HOST[:PORT]", status=400)
    amounts = (
        report.capacity_bps, report.serving_bps, report.connections, report.disk_bytes, report.disk_used_bytes,
        report.sequence,
    )  # fmt: skip
    if min(amounts) < 0:
        raise MessageError("not a report: a negative amount", status=400)
    if max(amounts) > _LARGEST_AMOUNT:
        raise MessageError(f"not a report: an amount of more than {_LARGEST_AMOUNT}", status=400)
    if len(report.paths) > MOST_PATHS:
        raise MessageError(f"not a report: {len(report.paths)} paths, expected at most {MOST_PATHS}", status=400)
    if report.held is None:
        return report
    if len(report.held) > MOST_PACKAGES:
        raise MessageError(
            f"not a report: {len(report.held)} packages held, expected at most {MOST_PACKAGES}", status=400
        )
    version = held_version(report.held)
    if report.held_version != version:
        raise MessageError(
            f"not a report: held_version {report.held_version!r} is not the version of its held files, "
            f"expected {version!r}",
            status=400,
        )
    return msgspec.structs.replace(report, held=shared(report.held))


def shared(held: Held) -> dict[str, tuple[str, ...]]:
    """The same of texts that all appliances share: they hold the same packages, and there are thousands of both.

    It also spares a decision the look into memory that is not in any cache: text that is the same is not compared.
    """
    return {sys.intern(package): EVERY_FILE if files == EVERY_FILE else files for package, files in held.items()}


def held_version(held: Held) -> str:
    """A short name for exactly this content: equal if and only if the held files are."""
    return show_version(sum(held_digest(package, files) for package, files in held.items()))


def held_digest(package_key: str, files: tuple[str, ...]) -> int:
    """What one package adds to the version: a sum can be kept up with each change, however much is held."""
    return int.from_bytes(hashlib.sha256(msgspec.json.encode((package_key, files))).digest()[:8], "big")


def show_version(total: int) -> str:
    return f"{total % 2**64:016x}"
