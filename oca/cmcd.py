"""Reads what players say about themselves: Common Media Client Data, versions 1 and 2 (CTA-5004, CTA-5004-B).

A set of data is a dictionary of Structured Fields (RFC 8941), in headers, in the query, or on a line of a body of
events. That RFC throws a whole field away for one wrong character; CTA-5004-B section 6 wants the rest of it read on.
So a set is first cut into members by one expression, to which all that is no member is junk up to the next comma
outside quotes. Then the version is known, wherever in the set it stood. Then each member whose key that version has is
read by the reader of that key, and left out if its value is of another type. Nothing here raises.

What is read can be written as JSON. The shapes, by the type of the key:

    integer, decimal, boolean     a number, true or false
    token, string                 a string
    integers by object type       {"v": 5000, "a": 320}; a number without a type stands under "any"
    bsd (durations, may repeat)   {"v": [1200, 300]}
    ec (strings)                  ["E1", "E2"]
    nor                           version 1: "4.m4s"; version 2: [{"url": "4.m4s"}, {"url": "v.mp4", "r": "0-99"}]

All of it ends in logs, so URLs lose what may hold an access token: their query, and a /t/TOKEN before the content.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple
from urllib.parse import unquote

from encoder.package import FILE_PATTERN

NEWEST_VERSION = 2
HEADERS = ("cmcd-request", "cmcd-object", "cmcd-status", "cmcd-session")
# Characters of a set, decoded. All keys of version 2 at once take about 500; the rest is room for `nor` and custom
# keys.
LARGEST_SET = 2048
# Bytes and lines of a body of events: a player batches a few dozen records of some 200 bytes.
LARGEST_BODY = 64 * 1024
MOST_EVENTS = 1000
# Stands for the object type of a number that names none.
ANY_TYPE = "any"

# As few shapes as msgspec can tell apart, so that it also reads what it wrote.
Value = bool | int | float | str | Mapping[str, int | list[int]] | Sequence[str | Mapping[str, str]]


class Cmcd(NamedTuple):
    version: int
    keys: dict[str, Value]
    # Why the whole set was passed over: its version is above ours (`keys` is then only {"v": ...}), or it is too large.
    ignored: Literal["", "version", "size"] = ""


class Events(NamedTuple):
    records: list[dict[str, Value]]  # each with `e`, `ts` and `v`
    ignored: int  # lines that are no record of an event


class NextObject(NamedTuple):
    """Bytes [first, end) of a part of a package; `end` is None where all that follows is meant."""

    part: str
    first: int
    end: int | None


# RFC 8941. Quantifiers are possessive: nothing is looked at twice, so time grows with length and no faster.
_KEY = r"[a-z*][a-z0-9_.*-]*+"
_STRING = r'"(?:[ !#-\[\]-~]++|\\["\\])*+"'
_BARE = r"[!#-'*+\--:<-~]++"  # integer, decimal, token, boolean: which of them is for the key's reader to say
_PARAMETERS = rf"(?:; *+{_KEY}(?:=(?:{_STRING}|{_BARE}))?+)*+"
_INNER_LIST = rf"\((?:[ !#-'*-~]++|{_STRING})*+\)"
_JUNK = r'(?:[^",]++|"(?:[^"\\]++|\\.)*+"?+)*+'
_MEMBER = re.compile(
    rf"(?:\A|,)[ \t]*+(?:({_KEY})(?:=({_STRING}|{_BARE}|{_INNER_LIST}))?+{_PARAMETERS}[ \t]*+(?=,|\Z)|{_JUNK})",
    re.DOTALL,
)
_INTEGER = r"-?[0-9]{1,15}"
_DECIMAL = re.compile(r"-?[0-9]{1,12}\.[0-9]{1,3}")
_TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*")
_PARAMETER = re.compile(rf"; *({_KEY})(?:=({_STRING}|{_BARE}))?")
_WHOLE_INTEGER = re.compile(_INTEGER)
_INTEGER_ITEM = re.compile(rf"({_INTEGER})({_PARAMETERS})")
_INTEGER_LIST = re.compile(rf"\( *+(?:{_INTEGER}{_PARAMETERS}(?: ++|(?=\))))*+\)")
_STRING_ITEM = re.compile(rf"({_STRING})({_PARAMETERS})")
_STRING_LIST = re.compile(rf"\( *+(?:{_STRING}{_PARAMETERS}(?: ++|(?=\))))*+\)")
_ESCAPED = re.compile(r"\\(.)")

_ARGUMENT = re.compile(r"(?:\A|&)CMCD=([^&]*)")
# What encodeURIComponent makes of the characters that sets are full of. Seven passes in C take 1 us, unquote() 4 us.
_ESCAPES = (("%2C", ","), ("%3D", "="), ("%22", '"'), ("%3B", ";"), ("%20", " "), ("%28", "("), ("%29", ")"))
# CTA-5004-B section 3.2 lets a reserved character end the argument; those that end no value are taken off.
_ENDINGS = ",;/?"

_QUERY = re.compile(r"[?#].*", re.DOTALL)
# As the first folders of a content URL; a title may be called "t".
_TOKEN_FOLDERS = re.compile(r"(?<!/v1)(?:\A|/)(?:t|%74)/[^/]*", re.IGNORECASE)
_RANGE = re.compile(r"([0-9]{1,15})-([0-9]{0,15})|-[0-9]{1,15}")


def parse_cmcd(query: str, headers: Mapping[str, str]) -> Cmcd | None:
    """What a request says, None if nothing. `query` is the URL's, as it came; names in `headers` are lower case.

    One header is enough for the query to be ignored (section 6, 8).
    """
    # On one core of a 2-core Xeon guest, CPython 3.11: nine keys of version 1 take 6.8 us in a query and 5.3 us in a
    # header, the fifteen keys of CTA-5004-B 8.1.1 take 11 us in headers, a request without CMCD takes 0.3 us.
    texts = [headers[name] for name in HEADERS if name in headers]
    if not texts:
        if "CMCD=" not in query:
            return None
        argument = _ARGUMENT.search(query)
        if argument is None:
            return None
        if len(argument[1]) > 3 * LARGEST_SET:  # "%2C": three characters for one
            return Cmcd(0, {}, "size")
        texts = [_decoded(argument[1])]
    if sum(map(len, texts)) > LARGEST_SET:  # not cut: `v` mostly comes last, and decides what the rest means
        return Cmcd(0, {}, "size")
    return _read(texts, _REQUEST_KEYS)


def parse_events(body: bytes) -> Events:
    """The records of a body of `application/cmcd` (section 3.3); what is beyond the limits counts as ignored."""
    lines = body[:LARGEST_BODY].split(b"\n")
    beyond = body[LARGEST_BODY:]
    ignored = 0
    if beyond:
        lines.pop()  # cut off in the middle
        ignored += 1 + beyond.rstrip(b"\n").count(b"\n")
    records: list[dict[str, Value]] = []
    for line in lines:
        stripped = line.strip(b" \t\r")
        if not stripped:
            continue
        record = _event(stripped) if len(records) < MOST_EVENTS else None
        if record is None:
            ignored += 1
        else:
            records.append(record)
    return Events(records, ignored)


def next_object(cmcd: Cmcd, part: str) -> NextObject | None:
    """What the player expects to ask for next, as a part of the package of which it asked for `part` now.

    The first of the named objects that can be a part. None if there is none: a name that is absolute, that leaves the
    package, or that needs escaping is nobody's, and clients lie (section 6, 12). Whether the part exists is for the
    package to say. None for the last N bytes, too, which no player asks for.
    """
    named = cmcd.keys.get("nor")
    if isinstance(named, list):
        for item in named:
            found = _located(item["url"], item.get("r"), part) if isinstance(item, Mapping) else None
            if found is not None:
                return found
        return None
    only_range = cmcd.keys.get("nrr")
    byte_range = only_range if isinstance(only_range, str) else None
    if isinstance(named, str):
        return _located(named, byte_range, part)
    # CTA-5004 (2020), nrr: without `nor` it is a range of the object that is asked for now.
    return _located(part.rpartition("/")[2], byte_range, part) if byte_range else None


def _decoded(argument: str) -> str:
    # URLSearchParams writes a space as "+"; what writes it as "%20" writes "+" as "%2B".
    text = argument.rstrip(_ENDINGS).replace("+", " ")
    for escape, character in _ESCAPES:
        text = text.replace(escape, character)
    return unquote(text) if "%" in text else text


def _read(texts: Iterable[str], known: Mapping[int, Mapping[str, _Reader]]) -> Cmcd:
    """`texts` are one set, and apart: a quote that one of them leaves open must not reach into the next."""
    members: dict[str, str] = {}
    for text in texts:
        members.update(_MEMBER.findall(text))  # (key, value), the last of a key counts; junk stands under ""
    version = 1
    if "v" in members:
        version = max(1, _integer(members["v"]) or 1)
        if version > NEWEST_VERSION:
            return Cmcd(version, {"v": version}, "version")
    readers = known[version]
    keys: dict[str, Value] = {}
    for key, text in members.items():
        reader = readers.get(key)
        if reader is None:
            if "-" not in key:  # custom keys have one (section 4.1, 5)
                continue
            reader = _custom
        value = reader(text)
        if value is not None:
            keys[key] = value
    return Cmcd(version, keys)


def _event(line: bytes) -> dict[str, Value] | None:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return None
    cmcd = _read((text,), _EVENT_KEYS)
    is_event = cmcd.version == 2 and not cmcd.ignored and "e" in cmcd.keys and "ts" in cmcd.keys
    return cmcd.keys if is_event else None


def _located(url: str, byte_range: str | None, part: str) -> NextObject | None:
    *folders, name = url.split("/")
    names = part.split("/")[:-1]
    for folder in folders:
        if folder == "..":
            if not names:
                return None
            names.pop()
        elif folder != ".":
            names.append(folder)
    names.append(name)
    # A file, or a segment of a rendition: what a content URL has behind the package.
    if len(names) > 2 or not all(FILE_PATTERN.fullmatch(name) for name in names):
        return None
    path = "/".join(names)
    if byte_range is None:
        return NextObject(path, 0, None)
    match = _RANGE.fullmatch(byte_range)
    if match is None or not match[1]:
        return None
    first = int(match[1])
    end = int(match[2]) + 1 if match[2] else None
    return NextObject(path, first, end) if end is None or end > first else None


# Readers: the text of a value ("" for a key that stands alone) in, the value out; None if it is of another type.


def _integer(text: str) -> int | None:
    if text.isdigit() and len(text) <= 15:  # ASCII only, as _MEMBER lets nothing else through
        return int(text)
    return int(text) if _WHOLE_INTEGER.fullmatch(text) else None


def _decimal(text: str) -> float | None:
    return float(text) if _DECIMAL.fullmatch(text) else _integer(text)


def _string(text: str) -> str | None:
    if text[:1] != '"':
        return None
    return _ESCAPED.sub(r"\1", text[1:-1]) if "\\" in text else text[1:-1]


def _string_up_to(most: int) -> _Reader:
    def read(text: str) -> str | None:
        value = _string(text)
        return value if value is not None and len(value) <= most else None

    return read


def _custom(text: str) -> str | None:
    """A string or a token of 64 characters at most (section 4.1, 5)."""
    value = text if _TOKEN.fullmatch(text) else _string(text)
    return value if value is not None and len(value) <= 64 else None


def _encoded_url(text: str) -> str | None:
    """Version 1 percent-encodes `nor`, in headers too."""
    value = _string(text)
    return _without_token(unquote(value)) if value else None


def _url(text: str) -> str | None:
    value = _string(text)
    return _without_token(value) if value else None


def _byte_range(text: str) -> str | None:
    value = _string(text)
    return value if value and _RANGE.fullmatch(value) else None


def _by_type(text: str) -> dict[str, int] | None:
    """An inner list of integers with object types as parameters (section 4.1, 14)."""
    numbers: dict[str, int] = {}
    for item in text[1:-1].split(" "):  # as players write it; every other way that RFC 8941 has goes through _typed
        number, semicolon, name = item.partition(";")
        kind = _TYPE_PARAMETERS.get(semicolon + name)
        if kind is None or not number.isdigit() or len(number) > 15 or text[0] != "(":
            typed = _typed(text)
            return None if typed is None else dict(typed)
        numbers[kind] = int(number)
    return numbers


def _all_by_type(text: str) -> dict[str, list[int]] | None:
    typed = _typed(text)
    if typed is None:
        return None
    numbers: dict[str, list[int]] = {}
    for kind, number in typed:
        numbers.setdefault(kind, []).append(number)
    return numbers


def _typed(text: str) -> list[tuple[str, int]] | None:
    if not _INTEGER_LIST.fullmatch(text):
        return None
    typed: list[tuple[str, int]] = []
    for number, parameters in _INTEGER_ITEM.findall(text):
        said = dict(_PARAMETER.findall(parameters))
        kinds = [kind for kind, value in said.items() if kind in _OBJECT_TYPES and value in ("", "?1")]
        typed += [(kind, int(number)) for kind in kinds or [ANY_TYPE]]
    return typed or None


def _strings(text: str) -> list[str] | None:
    if not _STRING_LIST.fullmatch(text):
        return None
    return [_string(item) or "" for item, _ in _STRING_ITEM.findall(text)] or None


def _objects(text: str) -> list[dict[str, str]] | None:
    """Relative paths, each with the range of bytes that is meant as parameter `r`."""
    if not _STRING_LIST.fullmatch(text):
        return None
    objects: list[dict[str, str]] = []
    for item, parameters in _STRING_ITEM.findall(text):
        named = {"url": _url(item) or ""}
        said = dict(_PARAMETER.findall(parameters)).get("r")
        if said is not None:
            byte_range = _byte_range(said)
            if byte_range is None:
                return None
            named["r"] = byte_range
        objects.append(named)
    return objects or None


def _without_token(url: str) -> str:
    return _TOKEN_FOLDERS.sub("", _QUERY.sub("", url)) if "/" in url or "?" in url else url


_Reader = Callable[[str], Value | None]
_boolean: _Reader = {"": True, "?1": True, "?0": False}.get


def _token(tokens: str) -> _Reader:
    return {token: token for token in tokens.split()}.get


def _keys(names: str, reader: _Reader) -> dict[str, _Reader]:
    return dict.fromkeys(names.split(), reader)


_OBJECT_TYPES = ("m", "a", "v", "av", "i", "c", "tt", "k", "o")
_TYPE_PARAMETERS = {"": ANY_TYPE, **{f";{kind}": kind for kind in _OBJECT_TYPES}}

_OF_BOTH = {
    **_keys("d dl rtp v", _integer),
    **_keys("bs su", _boolean),
    "cid": _string_up_to(128),  # 64 in version 1: nothing is gained by holding players to it
    "sid": _string_up_to(64),
    "pr": _decimal,
    "ot": _token(" ".join(_OBJECT_TYPES)),
}
_VERSION_1 = {
    **_OF_BOTH,
    **_keys("bl br mtp tb", _integer),
    "nor": _encoded_url,
    "nrr": _byte_range,
    "sf": _token("d h s o"),
    "st": _token("v l"),
}
_VERSION_2 = {
    **_OF_BOTH,
    **_keys("ab bl br bsa bsda lab lb mtp pb tab tb tbl tpb", _by_type),
    **_keys("dfa ltc msd pt sn", _integer),
    **_keys("bg nr", _boolean),
    "bsd": _all_by_type,
    "cs": _string,
    "ec": _strings,
    "nor": _objects,
    "sf": _token("d h e s o"),
    "st": _token("v l ll"),
    "sta": _token("s p k r a w e f q d"),
}
_EVENT_VERSION_2 = {
    **_VERSION_2,
    **_keys("rc ts ttfb ttfbb ttlb", _integer),
    **_keys("cmsdd cmsds smrt", _string),
    "cen": _string_up_to(64),
    "e": _token("abs abe ae as b bc c ce e h m pc pe pr ps rr sk t um"),
    "h": _string_up_to(128),
    "url": _url,
}
_REQUEST_KEYS = {1: _VERSION_1, 2: _VERSION_2}
# Events came with version 2: a record of version 1 is none.
_EVENT_KEYS: dict[int, dict[str, _Reader]] = {1: {}, 2: _EVENT_VERSION_2}
