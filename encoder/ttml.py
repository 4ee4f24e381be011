"""TTML, IMSC and DFXP as WebVTT: ttconv reads and lays out, and what it would pass over in silence is refused before.

Pure.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import ttconv.imsc.reader
import ttconv.vtt.writer
from lxml import etree
from ttconv.vtt.config import VTTWriterConfiguration

from encoder.errors import SourceError

_NAMESPACE = "http://www.w3.org/ns/ttml"
# Of drafts, in which old DFXP files are; for what we read they mean the same.
_DRAFTS = ("http://www.w3.org/2006/10/ttaf1", "http://www.w3.org/2006/04/ttaf1")
# TTML2 section 12.3.1: a clock with a fraction or a frame, or a count of some unit.
_TIME = re.compile(r"\d{2,}:\d\d:\d\d(?:\.\d+|:\d{2,}(?:\.\d+)?)?|\d+(?:\.\d+)?(?:h|m|s|ms|f|t)")
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
    for element in root.iter(f"{{{_NAMESPACE}}}*"):
        for attribute in ("begin", "end", "dur"):
            value = element.get(attribute)
            if value is not None and not _TIME.fullmatch(value.strip()):
                raise SourceError(f"{name}, line {element.sourceline}: found {attribute}={value[:60]!r}, {_EXPECTED}")
    document = ttconv.imsc.reader.to_model(ElementTree.ElementTree(ElementTree.fromstring(data)))
    configuration = VTTWriterConfiguration(line_position=True, text_align=True, cue_id=False)
    return str(ttconv.vtt.writer.from_model(document, configuration))
