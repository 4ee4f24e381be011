"""Answers as they go over the wire.

Pure.
"""

from __future__ import annotations

from http import HTTPStatus

from steering.sessions.players import Answer

_PREFIXES: dict[tuple[int, str, tuple[tuple[str, str], ...]], bytes] = {}
_CLOSE = b"Connection: close\r\n"


def wire(answer: Answer, date: bytes, *, has_body: bool, closes: bool) -> bytes:
    """Head and content; `date` is the Date field with its line's end. Without content as the answer to HEAD has it."""
    key = (answer.status, answer.media_type, answer.headers)
    prefix = _PREFIXES.get(key) or _remember(key)
    length = b"" if answer.status == 204 else b"Content-Length: %d\r\n" % len(answer.body)
    return b"".join((prefix, date, _CLOSE if closes else b"", length, b"\r\n", answer.body if has_body else b""))


def _remember(key: tuple[int, str, tuple[tuple[str, str], ...]]) -> bytes:
    """There are as many as there are kinds of answers: a dozen."""
    status, media_type, headers = key
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers)]
    if media_type:
        lines.append(f"Content-Type: {media_type}")
    _PREFIXES[key] = ("\r\n".join(lines) + "\r\n").encode("latin-1")
    return _PREFIXES[key]
