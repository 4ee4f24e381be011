"""What an MPD must keep to: its grammar, and what a grammar cannot say: that all it names is there and fits the film.

Pure.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from lxml import etree

from encoder.errors import PackageError
from encoder.package import Package, PackageIndex
from encoder.rules import grammar
from encoder.rules.finding import Finding

_IDENTIFIER = re.compile(r"\$(RepresentationID|Number|Bandwidth|Time)?(%0(\d+)d)?\$")
# Seconds; see encoder/rules/hls.py. Of the whole, dash.js wants an end that is not before the last sample.
_VIDEO_TOLERANCE_S = 0.01
_OTHER_TOLERANCE_S = 0.1


class _Segment(NamedTuple):
    number: int
    start: int
    duration: int


class _Stream(NamedTuple):
    """A Representation with what it inherits."""

    id: str
    kind: str
    element: etree._Element
    of_set: etree._Element
    template: etree._Element | None

    def attribute(self, name: str) -> str:
        return self.element.get(name) or self.of_set.get(name) or ""


def broken_rules(name: str, data: bytes, package: Package) -> Iterator[Finding]:
    """All that is wrong with the package's own MPD, which is static and has one Period."""
    try:
        # No entity or DTD of a document is ever followed.
        root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))
    except etree.XMLSyntaxError as error:
        yield Finding(name, f"is not XML: {error}")
        return
    findings = list(grammar.broken_rules(name, root))
    yield from findings
    if findings:
        return  # what follows relies on it
    yield from _whole(name, root, package)
    streams = list(_streams(root))
    ids = [stream.id for stream in streams]
    for what, values in (
        ("Representation", ids),
        ("AdaptationSet", [s.get("id", "") for s in _all(root, "AdaptationSet")]),
    ):
        for value, count in Counter(values).items():
            if count > 1 and value:
                yield Finding(name, f"{count} {what}s have the id {value!r}")
    for rendition in package.renditions:
        if rendition.name not in ids:
            yield Finding(name, f"{rendition.name} is in the package and not offered")
    index = PackageIndex(package)
    for stream in streams:
        yield from _stream(f"{name}, {stream.id}", stream, index)
    for of_set in _all(root, "AdaptationSet"):
        yield from _alignment(name, of_set)


def _all(root: etree._Element, kind: str) -> Iterator[etree._Element]:
    return root.iter(f"{{{grammar.NAMESPACE}}}{kind}")


def _child(element: etree._Element, kind: str) -> etree._Element | None:
    return element.find(f"{{{grammar.NAMESPACE}}}{kind}")


def _whole(name: str, root: etree._Element, package: Package) -> Iterator[Finding]:
    if root.get("type", "static") != "static":
        yield Finding(name, "is not static")
    declared = _seconds(root.get("mediaPresentationDuration", ""))
    if declared is None:
        yield Finding(name, "has no mediaPresentationDuration")
    elif not -1e-6 <= declared - package.duration <= _VIDEO_TOLERANCE_S:
        yield Finding(name, f"lasts {declared:.3f} s, expected {package.duration:.3f} s as the film")
    periods = sum(1 for _ in _all(root, "Period"))
    if periods != 1:
        yield Finding(name, f"has {periods} Periods, expected 1")


def _seconds(duration: str) -> float | None:
    """Of an xs:duration without years, months and days, which no film has."""
    found = re.fullmatch(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?", duration)
    if found is None:
        return None
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return 3600 * hours + 60 * minutes + seconds


def _streams(root: etree._Element) -> Iterator[_Stream]:
    for of_set in _all(root, "AdaptationSet"):
        shared = _child(of_set, "SegmentTemplate")
        for element in _all(of_set, "Representation"):
            own = _child(element, "SegmentTemplate")
            mime = element.get("mimeType") or of_set.get("mimeType") or ""
            kind = of_set.get("contentType") or mime.partition("/")[0]
            yield _Stream(element.get("id", ""), kind, element, of_set, own if own is not None else shared)


# What Apple's table is to HLS: without these a player cannot choose before it fetches.
_NEEDED = {
    "video": ("mimeType", "codecs", "width", "height", "frameRate"),
    "audio": ("mimeType", "codecs", "audioSamplingRate"),
}


def _stream(place: str, stream: _Stream, index: PackageIndex) -> Iterator[Finding]:
    missing = [name for name in _NEEDED.get(stream.kind, ("mimeType",)) if not stream.attribute(name)]
    if missing:
        yield Finding(place, f"has no {', '.join(missing)}")
    if int(stream.element.get("bandwidth", "0")) == 0:
        yield Finding(place, "bandwidth is 0")
    if stream.template is None:
        base = _child(stream.element, "BaseURL")
        yield from _reaches(place, (base.text or "") if base is not None else "", index)
        return
    initialization = stream.template.get("initialization")
    if initialization:
        yield from _reaches(place, _expanded(initialization, stream, _Segment(0, 0, 0)), index)
    elif stream.kind in ("video", "audio"):
        yield Finding(place, "has no initialization segment")
    segments = _segments(stream.template, index.package.duration)
    for segment in segments:
        yield from _reaches(place, _expanded(stream.template.get("media", ""), stream, segment), index)
    if _child(stream.template, "SegmentTimeline") is not None:
        length = sum(segment.duration for segment in segments) / int(stream.template.get("timescale", "1"))
        tolerance = _VIDEO_TOLERANCE_S if stream.kind == "video" else _OTHER_TOLERANCE_S
        if abs(length - index.package.duration) > tolerance:
            yield Finding(place, f"lasts {length:.3f} s, expected {index.package.duration:.3f} s as the film")


def _segments(template: etree._Element, duration_s: float) -> list[_Segment]:
    number, timeline = int(template.get("startNumber", "1")), _child(template, "SegmentTimeline")
    if timeline is None:
        each = int(template.get("duration", "0"))
        count = math.ceil(duration_s * int(template.get("timescale", "1")) / each - 1e-6) if each else 0
        return [_Segment(number + at, at * each, each) for at in range(count)]
    found: list[_Segment] = []
    start = 0
    for entry in _all(timeline, "S"):
        start, each = int(entry.get("t", start)), int(entry.get("d", "0"))
        for _ in range(int(entry.get("r", "0")) + 1):
            found.append(_Segment(number + len(found), start, each))
            start += each
    return found


def _expanded(template: str, stream: _Stream, segment: _Segment) -> str:
    """ISO/IEC 23009-1 section 5.3.9.4.4."""
    values: dict[str, str | int] = {
        "RepresentationID": stream.id,
        "Number": segment.number,
        "Bandwidth": int(stream.element.get("bandwidth", "0")),
        "Time": segment.start,
    }

    def value(match: re.Match[str]) -> str:
        if match[1] is None:
            return "$"
        found = values[match[1]]
        return f"{found:0{int(match[3])}d}" if match[3] and isinstance(found, int) else str(found)

    return _IDENTIFIER.sub(value, template)


def _reaches(place: str, uri: str, index: PackageIndex) -> Iterator[Finding]:
    try:
        length = index.locate(uri).length
    except PackageError as error:
        yield Finding(place, str(error))
        return
    if length == 0:
        yield Finding(place, f"{uri} is empty")


def _alignment(name: str, of_set: etree._Element) -> Iterator[Finding]:
    """A set that claims aligned segments must have them."""
    if of_set.get("segmentAlignment", "false") == "false":
        return
    grids = {
        element.get("id", ""): _grid(template)
        for element in _all(of_set, "Representation")
        if (template := _child(element, "SegmentTemplate")) is not None
    }
    first = next(iter(grids.values()), [])
    for representation, grid in grids.items():
        if grid != first:
            yield Finding(f"{name}, {representation}", "its segments are not aligned, and its AdaptationSet says so")


def _grid(template: etree._Element) -> list[Fraction]:
    timescale = int(template.get("timescale", "1"))
    return [Fraction(segment.start, timescale) for segment in _segments(template, 0.0)]
