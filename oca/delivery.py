"""Answers the requests of one delivery process.

    request -> allowed? -> Piece, all of it known to be right -> sendfile
                        -> else Need to the parent -> Located, Landed ... -> sendfile as bytes are verified or land

Nothing here touches a socket (oca.http.connection does), nor a disk beyond opening what the parent located.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from urllib.parse import unquote_to_bytes

from config.errors import NearcastError
from encoder import package as packages
from encoder.errors import PackageError
from encoder.package import MANIFEST_NAME
from oca import messages
from oca.access_log import LONGEST_AGENT, AccessLog, Event, Record, UsualRecord, truncated
from oca.cmcd import Cmcd, Value, next_object, parse_cmcd, parse_events
from oca.cmsd import dynamic
from oca.embargoes import holds
from oca.errors import TokenError
from oca.experience import Notes
from oca.gate import Gate
from oca.http.answer import CORS_HEADERS, PREFLIGHT_HEADERS, Decision, decide, head
from oca.http.connection import Connection
from oca.http.request import DECIDING_FIELDS, Request, is_background, known_heads, usual_line
from oca.link import Link
from oca.messages import Message
from oca.needs import Needs, Wanted, unclaimed
from oca.pieces import FileName, OpenFile, Piece, Pieces
from oca.tokens.carriage import without_token
from oca.tokens.renewal import Renewal

EVENTS_PATH = b"/cmcd"
# What CMSD says of the way to a client holds for this long: the kernel's own figures are averages over more.
_CMSD_FOR_S = 1.0
# A player is not told to expect more than this of bytes that it names as its next.
_LARGEST_PREFETCH = 16 * 1024 * 1024
# Answers that wait for the parent at once; whoever comes then is better served elsewhere.
_MOST_NEEDS = 4096
# What players are told where the trouble is ours; what is behind an appliance is not for them.
_EXCUSES = {
    404: "no such content is known here",
    502: "the bytes asked for came wrong from where they are kept",
    503: "the bytes asked for cannot be had now: what keeps them does not answer",
    504: "what was asked for is not held here, and only what is held was asked for",
}
_FULL = "this appliance serves as much as it can"
_NEEDED = "this appliance has players to serve before it gives anything to fill from"
# Those who fill go to another source meanwhile; load does not change within a few seconds.
_FILL_AGAIN_AFTER_S = 10


@dataclass
class Counts:
    """What this process did since its start."""

    requests: int = 0
    bytes_sent: int = 0
    bytes_missed: int = 0
    errors: int = 0
    refused: int = 0  # for want of room
    cmcd_ignored: int = 0
    prefetched: int = 0


class Delivery:
    """oca.http.connection.Handler. `note(failure)` counts and reports what went wrong, `left` hears of closed clients.

    `date` ends every head: the Date field and the empty line.
    """

    def __init__(
        self,
        name: str,
        link: Link,
        pieces: Pieces,
        log: AccessLog,
        events: AccessLog,
        gate: Gate | None,
        note: Callable[[str], None],
        left: Callable[[Connection], None],
        requests_per_connection: int,
        embargoes: Mapping[str, float] | None = None,
        peers: Set[str] = frozenset(),
    ) -> None:
        self._name, self._link, self._pieces = name, link, pieces
        self._log, self._events, self._gate = log, events, gate
        self._note, self._left = note, left
        self._requests_per_connection = requests_per_connection
        self._embargoes, self._peers = dict(embargoes or {}), peers
        self._find = pieces.find
        self._needs = Needs(link)
        self._usual_record = UsualRecord(name)
        self.counts = Counts()
        self.notes = Notes()
        self.date = b""
        self.is_full = False  # no room for those who are not watching yet
        self.is_strained = False  # said in CMSD
        self.refuses_fills = False  # players need what there is
        self._hit = ("Cache-Status", f"{name}; hit")
        self._fetched = ("Cache-Status", f"{name}; fwd=miss; stored")

    def embargo(self, told: messages.Embargo) -> None:
        """Pieces of the package are looked up anew from here on: `find` does not ask who it is that wants one."""
        self._embargoes[f"{told.title}/{told.package}"] = told.until
        self._pieces.forget_package(told.title, told.package)

    # oca.http.connection.Handler

    def usual(self, connection: Connection, data: bytes) -> bool:
        """Answers the usual request in one go; false where it is not one, and nothing was done.

        A GET of a piece that is known to be right, with header fields that were parsed before and ask for nothing
        special: what `respond`, `answered` and the parser would come to, without their calls and values. Without it
        a core answered a third fewer requests for 16 KiB (wrk, in turns with nginx).
        """
        line, _, fields = data.partition(b"\r\n")
        known = known_heads.get(fields)
        if known is None or not known.is_usual:
            return False
        plain_line = line
        now = time.time()
        if self._gate is not None:
            token = connection.token
            if token is None or not token.is_plain or not line.startswith(token.line) or now >= token.expires_at:
                return False
            plain_line = b"GET " + line[len(token.line) :]
        piece = self._find(plain_line)
        if piece is None or (self.is_full and not connection.rate_bps):
            return False
        if connection.is_spent or connection.served + 1 >= self._requests_per_connection:
            return False  # it says that the connection ends
        connection.served += 1
        started_at = connection.moved_at = monotonic()
        if piece.rate_bps:
            connection.rate_bps = piece.rate_bps
        if started_at > connection.cmsd_until:
            self._renew_cmsd(connection, started_at)
        file, extent = piece.file, piece.extent
        assert file is not None
        answer = b"".join((piece.head, connection.cmsd, self.date))
        length = extent.length
        if connection.send_at_once(answer, file.descriptor, extent.offset, extent.offset + length):
            counts = self.counts
            counts.requests += 1
            counts.bytes_sent += length
            seconds = monotonic() - started_at
            agent = known.headers.get("user-agent", "")
            client = connection.address or self._address(connection)
            self._log.write_line(self._usual_record.line(now, client, piece.record, seconds, agent))
        else:
            connection.go_on(Request("GET", line[4:-9], known.headers, True), piece, started_at)
        return True

    def respond(self, connection: Connection, request: Request) -> None:
        if connection.is_spent or connection.served >= self._requests_per_connection:
            connection.end_after_this()
            if connection.is_turned_away:
                self._complain(connection, 503, _FULL)
                return
        if request.complaint is not None:
            connection.complain(*request.complaint, headers=(*CORS_HEADERS, self._status("fwd=bypass")))
            return
        if self.refuses_fills and is_background(request.headers.get("priority", "")):
            self.counts.refused += 1
            retry = (("Retry-After", str(_FILL_AGAIN_AFTER_S)),)
            connection.complain(503, _NEEDED, (*CORS_HEADERS, *retry, self._status("fwd=bypass")))
            return
        renewal: Renewal | None = None
        if self._gate is not None and request.method in ("GET", "HEAD"):
            try:
                renewal = self._gate.admit(connection, request)
            except TokenError as error:
                self._deny(connection, error)
                return
        if renewal is None and request.method == "GET":
            piece = self._find(usual_line(_kept_path(request.target)))
            if piece is not None and (connection.rate_bps or not self.is_full):
                self._send(connection, request, piece)
                return
        self._respond_other(connection, request, renewal)

    def answered(self, connection: Connection, *, whole: bool) -> None:
        request, piece = connection.request, connection.piece
        assert request is not None
        self._forget_need(connection)
        sent, status, hit = connection.body_sent, connection.status, connection.hit
        counts = self.counts
        counts.requests += 1
        counts.bytes_sent += sent
        if not hit and status < 400:
            counts.bytes_missed += sent
        if status >= 500:
            counts.errors += 1
        target = request.target
        headers = request.headers
        query = target.partition(b"?")[2].decode("latin-1") if b"?" in target else ""
        cmcd = parse_cmcd(query, headers)
        if cmcd is not None:
            if cmcd.ignored:
                counts.cmcd_ignored += 1
            else:
                self._note_player(connection, cmcd.keys)
                if piece is not None:
                    self._prefetch(cmcd, piece)
        if piece is not None:
            (title, package, file), part = piece.name, piece.part
        else:
            (title, package, part), file = _named(target), ""
        now = monotonic()
        self._log.write(
            Record(
                time=time.time(),
                appliance=self._name,
                client=connection.address or self._address(connection),
                method=request.method,
                title=title,
                package=package,
                file=file,
                part=part,
                status=status,
                bytes=sent,
                whole=whole,
                hit=hit and status < 400,
                seconds=round(now - connection.started_at, 6),
                agent=headers.get("user-agent", "")[:LONGEST_AGENT],
                cmcd=cmcd.keys if cmcd is not None else None,
            )
        )

    def unreadable(self, connection: Connection, why: str) -> None:
        piece = connection.piece
        if piece is None:
            return
        self._note(f"a stored file could not be sent: {why}")
        self._link.say(messages.Suspect(*piece.name, connection.position // packages.BLOCK_SIZE))
        self._pieces.distrust(piece.name, -1)

    def closed(self, connection: Connection) -> None:
        self._left(connection)

    # Requests that are not the usual one

    def _respond_other(self, connection: Connection, request: Request, renewal: Renewal | None) -> None:
        if request.method == "OPTIONS":
            fields = (*PREFLIGHT_HEADERS, self._status("fwd=method"), *_closing(connection))
            connection.send(204, head(204, fields)[:-2] + self.date)
        elif request.method == "POST":
            self._take_events(connection, request)
        elif request.method not in ("GET", "HEAD"):
            sentence = f"{request.method} is not for content, expected GET, HEAD or OPTIONS"
            allowed = (("Allow", "GET, HEAD, OPTIONS"), *CORS_HEADERS, self._status("fwd=method"))
            connection.complain(405, sentence, allowed)
        elif renewal is not None and renewal.redirect is not None:
            fields = (renewal.header, ("Content-Length", "0"), ("Cache-Control", "no-store"), *CORS_HEADERS)
            fields = (*fields, self._status("fwd=bypass"), *_closing(connection))
            connection.send(renewal.redirect, head(renewal.redirect, fields)[:-2] + self.date)
        elif self.is_full and not connection.rate_bps:
            self.counts.refused += 1
            self._complain(connection, 503, _FULL)
        else:
            self._look_up(connection, request, (renewal.header,) if renewal is not None else ())

    def _take_events(self, connection: Connection, request: Request) -> None:
        """CMCD event mode (CTA-5004-B section 3.3): 204 whatever the records are, for a player must not try again."""
        if _kept_path(request.target) != EVENTS_PATH:
            sentence = f"POST is for events of players, expected {EVENTS_PATH.decode()}"
            allowed = (("Allow", "GET, HEAD, OPTIONS"), *CORS_HEADERS, self._status("fwd=method"))
            connection.complain(405, sentence, allowed)
            return
        events = parse_events(request.body)
        self.counts.cmcd_ignored += events.ignored
        now, client = time.time(), connection.address or self._address(connection)
        for record in events.records:
            self._events.write(Event(time=now, appliance=self._name, client=client, cmcd=record))
            self._note_player(connection, record)
        fields = (*CORS_HEADERS, self._status("fwd=method"), *_closing(connection))
        connection.send(204, head(204, fields)[:-2] + self.date)

    def _deny(self, connection: Connection, error: TokenError) -> None:
        """Says which claim failed, and nothing of keys."""
        challenge = (("WWW-Authenticate", "CTA-Common-Access-Token"),) if error.status == 401 else ()
        failed = ("Nearcast-Token", f'denied; claim="{error.claim}"')
        connection.complain(
            error.status, str(error), (*challenge, failed, *CORS_HEADERS, self._status("fwd=bypass; detail=token"))
        )

    def _fail(self, connection: Connection, status: int, reason: str) -> None:
        """Answers that it cannot be done now. The reason is for our log only: it names disks and upstreams."""
        self._forget_need(connection)
        if status >= 500:
            self._note(reason)
        told = status if status in _EXCUSES else 503
        self._complain(connection, told, _EXCUSES[told])

    def _complain(self, connection: Connection, status: int, sentence: str) -> None:
        retry = (("Retry-After", "1"),) if status == 503 else ()
        cache_status = self._status(f"fwd=uri-miss; fwd-status={status}" if connection.missed else "fwd=bypass")
        connection.complain(status, sentence, (*CORS_HEADERS, *retry, cache_status))

    def fail_late(self, connection: Connection) -> None:
        """What was needed did not come in time."""
        self._fail(connection, 503, "what was needed did not come in time")
        connection.resume()

    # Answers from files

    def _send(self, connection: Connection, request: Request, piece: Piece) -> None:
        """Answers from a piece that is known to be right."""
        file = piece.file
        assert file is not None
        connection.piece = piece
        if piece.rate_bps:
            connection.rate_bps = piece.rate_bps
        if DECIDING_FIELDS.isdisjoint(request.headers) and not connection.is_last and connection.hit:
            extent = piece.extent
            end = extent.offset + extent.length
            answer = b"%s%s%s" % (piece.head, self._cmsd(connection), self.date)
            connection.send_file(200, answer, file.descriptor, extent.offset, end, end)
            return
        self._answer(connection, decide(request.method, request.headers, piece.extent), file, ())

    def _answer(
        self, connection: Connection, decision: Decision, file: OpenFile, extra: tuple[tuple[str, str], ...]
    ) -> None:
        """Sends an answer all of whose bytes are right."""
        answer = self._head(connection, decision, extra)
        if decision.parts:
            connection.send_parts(decision.status, answer, file.descriptor, decision.parts)
        else:
            connection.send_file(decision.status, answer, file.descriptor, decision.first, decision.end, decision.end)

    def _head(self, connection: Connection, decision: Decision, extra: tuple[tuple[str, str], ...]) -> bytes:
        cache_status = self._hit if connection.hit else self._fetched
        fields = (*decision.headers, *extra, cache_status, *CORS_HEADERS, *_closing(connection))
        return head(decision.status, fields)[:-2] + self._cmsd(connection) + self.date

    def _cmsd(self, connection: Connection) -> bytes:
        """What this hop knows of the way to the client (CTA-5006)."""
        if connection.started_at > connection.cmsd_until:
            self._renew_cmsd(connection, connection.started_at)
        return connection.cmsd

    def _renew_cmsd(self, connection: Connection, now: float) -> None:
        link = connection.measured_link()
        etp = link.rate_bps // 1000 or None
        member = dynamic(self._name, etp_kbps=etp, rtt_ms=link.rtt_us // 1000, duress=self.is_strained)
        connection.cmsd = b"CMSD-Dynamic: %s\r\n" % member.encode()
        connection.cmsd_until = now + _CMSD_FOR_S
        self.notes.measured(connection.address or self._address(connection), link.least_rtt_us, link.rate_bps)

    def _status(self, what: str) -> tuple[str, str]:
        """RFC 9211, where content was not even looked for, or is not there."""
        return ("Cache-Status", f"{self._name}; {what}")

    def _address(self, connection: Connection) -> str:
        """The client as logs may name it; worked out for its first answer only."""
        connection.address = truncated(connection.client)
        return connection.address

    def _note_player(self, connection: Connection, keys: Mapping[str, Value]) -> None:
        self.notes.said(keys, connection.client, connection.address or self._address(connection))

    def _prefetch(self, cmcd: Cmcd, piece: Piece) -> None:
        """Has the kernel read what the player says it wants next, if that is known to be right."""
        asked = next_object(cmcd, piece.part)
        if asked is None:
            return
        try:
            following = self._pieces.locate(piece.name.title, piece.name.package, asked.part)
        except (KeyError, PackageError):  # clients lie
            return
        file = self._pieces.file(following.name)
        extent = following.extent
        first = extent.offset + min(asked.first, extent.length)
        end = extent.offset + (extent.length if asked.end is None else min(asked.end, extent.length))
        if file is not None and first < end and file.covers(first, end):
            self.counts.prefetched += 1
            os.posix_fadvise(file.descriptor.fd, first, min(end - first, _LARGEST_PREFETCH), os.POSIX_FADV_WILLNEED)

    # Look-up: from a URL to a piece, and what is not known to be right of it

    def _look_up(self, connection: Connection, request: Request, extra: tuple[tuple[str, str], ...] = ()) -> None:
        try:
            name = packages.parse_content_path(_decoded(_kept_path(request.target)))
            is_embargoed = holds(self._embargoes, f"{name.title}/{name.package}", time.time())
            if is_embargoed and not self._is_peer(connection, request):
                connection.missed = True  # all as if it were not there, and upstreams did not know it
                raise PackageError(_EXCUSES[404], status=404)
            if name.token:  # a path that is served must be the one that a token was judged by
                raise PackageError("what follows /t/ is an access token in base64url, then /v1/", status=404)
            try:
                piece = self._pieces.locate(name.title, name.package, name.path)
            except KeyError:
                self._need_manifest(connection, request, FileName(name.title, name.package, MANIFEST_NAME), extra)
                return
        except PackageError as error:
            self._complain(connection, error.status, str(error))
            return
        connection.piece = piece
        if piece.rate_bps:
            connection.rate_bps = piece.rate_bps
        extent = piece.extent
        file = self._pieces.file(piece.name)
        if file is not None and file.covers(extent.offset, extent.offset + extent.length):
            decision = decide("GET", {}, extent)
            piece.head = head(200, (*decision.headers, self._hit, *CORS_HEADERS))[:-2]
            piece.record = self._usual_record.piece(*piece.name, piece.part, extent.length)
            if not is_embargoed:
                self._pieces.keep(usual_line(_kept_path(request.target)), piece, file)
            self._answer(connection, decide(request.method, request.headers, extent), file, extra)
            return
        self._need(connection, request, piece, extra)

    def _is_peer(self, connection: Connection, request: Request) -> bool:
        """Whether an appliance asks, to fill or to serve from."""
        if self._gate is not None:
            return self._gate.is_peer(request)
        return connection.client in self._peers

    def _need_manifest(
        self, connection: Connection, request: Request, name: FileName, extra: tuple[tuple[str, str], ...]
    ) -> None:
        if connection.missed:  # it was located for this request, and is not there
            self._fail(connection, 503, f"the manifest of {name.title}/{name.package} was located and is gone")
            return
        connection.missed = True
        located: list[messages.Located] = []

        def hear(message: Message) -> None:
            if isinstance(message, messages.Located):
                located.append(message)
                connection.hit = connection.hit and message.hit
            elif isinstance(message, messages.Landed) and located:
                self._forget_need(connection)
                try:
                    self._pieces.learn(name.title, name.package, Path(located[0].path))
                except NearcastError as error:
                    self._fail(connection, 503, str(error))
                except OSError as error:
                    self._fail(connection, 503, f"a manifest cannot be read: {os.strerror(error.errno or 0)}")
                else:
                    self._look_up(connection, request, extra)
            elif isinstance(message, messages.Failed):
                self._fail(connection, message.status, message.reason)
            connection.resume()

        self._ask(connection, request, name, 0, 0, hear)

    def _need(self, connection: Connection, request: Request, piece: Piece, extra: tuple[tuple[str, str], ...]) -> None:
        """Asks the parent for bytes that are not known to be right, and sends them as it says."""
        connection.missed = True
        decision = decide(request.method, request.headers, piece.extent)
        located: list[messages.Located] = []

        def hear(message: Message) -> None:
            if isinstance(message, messages.Located):
                located.append(message)
                connection.hit = connection.hit and message.hit
                if decision.first < decision.end:
                    # Now, not when bytes land: what the parent takes back meanwhile, it takes from an open file.
                    self._open(connection, piece, message)
            elif isinstance(message, messages.Landed) and located:
                self._landed(connection, piece, decision, located[0], message.upto, extra)
            elif isinstance(message, messages.Failed):
                if connection.head_is_sent:
                    self._note(message.reason)
                    connection.abort()
                else:
                    self._fail(connection, message.status, message.reason)
            connection.resume()

        self._ask(connection, request, piece.name, decision.first, decision.end, hear)

    def _landed(
        self,
        connection: Connection,
        piece: Piece,
        decision: Decision,
        located: messages.Located,
        upto: int,
        extra: tuple[tuple[str, str], ...],
    ) -> None:
        """Bytes of the answer up to `upto` may be sent."""
        if decision.first == decision.end:
            connection.send(decision.status, self._head(connection, decision, extra))
            return
        file = self._pieces.file(piece.name)
        if file is None or file.inode != located.inode:
            if connection.head_is_sent:  # forgotten since, but this answer has a descriptor of its own
                connection.advance(upto)
                return
            file = self._open(connection, piece, unclaimed(located))
            if file is None:
                return
        if upto == decision.end:
            file.mark(decision.first, decision.end)
        if connection.head_is_sent:
            connection.advance(upto)
        elif upto == decision.end:
            self._answer(connection, decision, file, extra)
        elif not decision.parts:  # of an answer of several ranges, all have to be there
            answer = self._head(connection, decision, extra)
            connection.send_file(decision.status, answer, file.descriptor, decision.first, decision.end, upto)
        else:
            connection.moved_at = monotonic()

    def _open(self, connection: Connection, piece: Piece, located: messages.Located) -> OpenFile | None:
        """The file that was located; None, and the answer has failed, where it cannot be opened."""
        try:
            return self._pieces.open(piece.name, located)
        except OSError as error:
            self._fail(connection, 503, f"a located file cannot be opened: {os.strerror(error.errno or 0)}")
            return None

    def _ask(
        self,
        connection: Connection,
        request: Request,
        name: FileName,
        first: int,
        end: int,
        hear: Callable[[Message], None],
    ) -> None:
        if self._link.asked >= _MOST_NEEDS:
            self._fail(connection, 503, "as many answers wait for content as may")
            return
        cached_only = "only-if-cached" in request.headers.get("cache-control", "").lower()
        need = connection.need = self._needs.join(connection, Wanted(name, first, end, cached_only), hear)
        need.repeat(connection)

    def _forget_need(self, connection: Connection) -> None:
        if connection.need is not None:
            self._needs.leave(connection, connection.need)
            connection.need = None


def _closing(connection: Connection) -> tuple[tuple[str, str], ...]:
    return (("Connection", "close"),) if connection.is_last else ()


def _kept_path(target: bytes) -> bytes:
    """The path without query and token: what a piece is kept by, as neither changes what is served."""
    return without_token(target.partition(b"?")[0] if b"?" in target else target)


def _decoded(path: bytes) -> str:
    """Raises PackageError."""
    try:
        return unquote_to_bytes(path).decode("ascii")
    except UnicodeDecodeError:
        raise PackageError("the path of a content URL is ASCII", status=404) from None


def _named(target: bytes) -> tuple[str, str, str]:
    """Title, package and part, for the log; empty where it is no content URL: a token may be anywhere in it then."""
    try:
        _, title, package, part = packages.parse_content_path(_decoded(target.partition(b"?")[0]))
    except PackageError:
        return "", "", ""
    return title, package, part
