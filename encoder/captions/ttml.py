"""TTML, IMSC and DFXP as WebVTT: ttconv reads and lays out, and what it would pass over in silence is refused before.

Pure.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from fractions import Fraction
from xml.sax.saxutils import escape

import ttconv.imsc.reader
import ttconv.vtt.writer
from lxml import etree
from ttconv.imsc import attributes
from ttconv.vtt.config import VTTWriterConfiguration

from encoder.errors import SourceError

_NAMESPACE = "http://www.w3.org/ns/ttml"
# Of drafts, in which old DFXP files are; for what we read they mean the same.
_DRAFTS = ("http://www.w3.org/2006/10/ttaf1", "http://www.w3.org/2006/04/ttaf1")
# TTML2 section 12.3.1: a clock with a fraction or a frame, or a count of some unit.
_TIME = re.compile(r"\d{2,}:[0-5]\d:[0-5]\d(?:\.\d+|:\d{2,})?|\d+(?:\.\d+)?(?:h|m|s|ms|f|t)")
# What ttconv raises for attributes that are not as TTML has them.
_NOT_TTML = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, ElementTree.ParseError)
_EXPECTED = 'expected a time such as "00:01:02.500" or "62.5s"'


def webvtt_of(data: bytes, name: str) -> str:
    """The same captions. Raises SourceError naming the line of what is no TTML."""
    for draft in _DRAFTS:
        data = data.replace(draft.encode(), _NAMESPACE.encode())
    # Neither entities nor anything from elsewhere: captions need none, and they are what attacks on XML are made of.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise SourceError(f"{name}, line {error.lineno or 1}: {error.msg}, expected TTML") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise SourceError(f"{name}: found a document type, expected TTML without")
    if root.tag != f"{{{_NAMESPACE}}}tt":
        raise SourceError(f"{name}, line {root.sourceline}: found the element {root.tag}, expected tt of {_NAMESPACE}")
    _demand_times(root, name)
    # Without regions a file says nothing of places, though by the letter all of it stood at the top left.
    has_places = next(root.iter(f"{{{_NAMESPACE}}}region"), None) is not None
    configuration = VTTWriterConfiguration(line_position=has_places, text_align=has_places, cue_id=False)
    try:
        document = ttconv.imsc.reader.to_model(ElementTree.ElementTree(_escaped(data)))
        return str(ttconv.vtt.writer.from_model(document, configuration))
    except _NOT_TTML as error:
        raise SourceError(f"{name} cannot be read as TTML: {error}") from error


def _demand_times(root: etree._Element, name: str) -> None:
    """Raises SourceError for the first time that ttconv would take for none, and so show its cue from the beginning."""
    try:
        clock = attributes.TemporalAttributeParsingContext(
            frame_rate=attributes.FrameRateAttribute.extract(root),
            tick_rate=attributes.TickRateAttribute.extract(root),
            time_base=attributes.TimeBaseAttribute.extract(root),
            drop_mode=attributes.DropModeAttribute.extract(root),
        )
    except _NOT_TTML as error:
        raise SourceError(f"{name}, line {root.sourceline}: frame or tick rate {error}, expected numbers") from error
    for element in root.iter(f"{{{_NAMESPACE}}}*"):
        given = {attribute: element.get(attribute) for attribute in ("begin", "end", "dur")}
        times = {key: _seconds(value, clock) for key, value in given.items() if value is not None}
        for attribute, time in times.items():
            if time is None:
                found = f"{attribute}={str(given[attribute])[:60]!r}"
                raise SourceError(f"{name}, line {element.sourceline}: found {found}, {_EXPECTED}")
        begin, end = times.get("begin"), times.get("end")
        if begin is not None and end is not None and end < begin:
            raise SourceError(f"{name}, line {element.sourceline}: the cue ends before it begins")


def _seconds(value: str, clock: attributes.TemporalAttributeParsingContext) -> Fraction | None:
    """None for what ttconv takes for no time."""
    if not _TIME.fullmatch(value):
        return None
    try:
        return Fraction(attributes.parse_time_expression(clock, value, strict=False))
    except _NOT_TTML:
        return None


def _escaped(data: bytes) -> ElementTree.Element:
    """The document with its text as WebVTT has it: ttconv writes text as it is."""
    root = ElementTree.fromstring(data)
    for element in root.iter():
        element.text, element.tail = (escape(text) if text else text for text in (element.text, element.tail))
    return root
