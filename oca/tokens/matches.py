"""One match of `catu` or `cath`: a map from kind of match to what is expected, made into a predicate on text.

Regular expressions are matched by RE2, in time linear in the text, so that whoever holds a signing key cannot stop a
worker with one; pattern, compiled program and text are bounded as well. Expressions that RE2 lacks (back references,
look-around) are refused. A pattern is searched for, not anchored, as other implementations do it. Only the pattern is
taken: what further elements of the array mean, groups or flags, is read differently by different issuers.

Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

import re2

from oca.tokens.envelope import as_map

_EXACT, _PREFIX, _SUFFIX, _CONTAINS, _REGEX, _SHA256, _SHA512_256 = 0, 1, 2, 3, 4, -1, -2
_DIGESTS = {_SHA256: "sha256", _SHA512_256: "sha512_256"}
_LARGEST_PATTERN = 256
# RE2 splits this between the program and its automaton; what does not fit is refused when it is compiled.
_LARGEST_REGEX_BYTES = 64 * 1024
# Longer than any path we serve. Nested counted repetitions are the worst: 8 ms where ordinary patterns take 5 us.
_LARGEST_SUBJECT = 512
_OPTIONS = re2.Options()
_OPTIONS.max_mem = _LARGEST_REGEX_BYTES
_OPTIONS.log_errors = False  # RE2 would write them to stderr


class Match(NamedTuple):
    expected: str  # "what starts with '/v1/film/'"
    holds: Callable[[str], bool]


def read_match(value: object, *, fold: bool = False) -> Match:
    """All kinds in the map must hold. With `fold`, the text will be in lower case. Raises ValueError."""
    kinds = as_map(value)
    if not kinds:
        raise ValueError("a match is a map from the kind of match to a value")
    matches = [_read_kind(kind, expected, fold) for kind, expected in kinds.items()]
    if len(matches) == 1:
        return matches[0]
    return Match(
        " and ".join(match.expected for match in matches), lambda text: all(match.holds(text) for match in matches)
    )


def _read_kind(kind: object, value: object, fold: bool) -> Match:
    if type(kind) is not int:
        raise ValueError("a kind of match is a number")
    if kind == _REGEX:
        return _read_regex(value)
    if kind in _DIGESTS:
        return _read_digest(_DIGESTS[kind], value)
    if kind not in (_EXACT, _PREFIX, _SUFFIX, _CONTAINS):
        raise ValueError(f"there is no kind of match {kind}")
    if type(value) is int:  # a port
        value = str(value)
    if not isinstance(value, str):
        raise ValueError("exact, prefix, suffix and contains matches compare with text")
    text = value.lower() if fold else value
    shown = repr(text if len(text) <= 80 else text[:79] + "…")
    if kind == _PREFIX:
        return Match(f"what starts with {shown}", lambda subject: subject.startswith(text))
    if kind == _SUFFIX:
        return Match(f"what ends with {shown}", lambda subject: subject.endswith(text))
    if kind == _CONTAINS:
        return Match(f"what contains {shown}", lambda subject: text in subject)
    return Match(shown, lambda subject: subject == text)


def _read_regex(value: object) -> Match:
    match value:
        case [str(pattern), *groups] if not any(group is not None for group in groups):
            pass
        case _:
            raise ValueError("a regex match is an array of one pattern")
    if len(pattern) > _LARGEST_PATTERN:
        raise ValueError(f"a pattern has {_LARGEST_PATTERN} characters at most")
    try:
        # Of bytes: a header may hold what is not text, and the positions of characters are of no interest.
        expression = re2.compile(pattern.encode(), _OPTIONS)
    except (re2.error, UnicodeEncodeError):
        raise ValueError("a pattern is one that RE2 can compile") from None

    def holds(subject: str) -> bool:
        encoded = subject.encode("utf-8", "surrogateescape")
        return len(encoded) <= _LARGEST_SUBJECT and expression.search(encoded) is not None

    return Match("what the pattern matches", holds)


def _read_digest(name: str, value: object) -> Match:
    if isinstance(value, str):  # some issuers write the digest in hex
        value = bytes.fromhex(value)
    if not isinstance(value, bytes) or len(value) != 32:
        raise ValueError("a digest has 32 bytes")
    digest = value
    return Match(
        f"what has the {name} expected",
        lambda subject: hashlib.new(name, subject.encode("utf-8", "surrogateescape")).digest() == digest,
    )
