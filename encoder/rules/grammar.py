"""The elements of an MPD, as ISO/IEC 23009-1 orders and types them: what a validating player would refuse.

The standard's own schema may not be handed on with our code, and no package that we could ask for carries it. So what
it says of the elements that a film on demand has is written down here again: the order of the children, which stand
once at most, which attributes there are, which must be there, and what each may hold. Elements and attributes of other
namespaces are allowed as in the schema: attributes anywhere, elements after all others.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from lxml import etree

from encoder.rules.finding import Finding

NAMESPACE = "urn:mpeg:dash:schema:mpd:2011"

# XML Schema's types, as far as MPDs have them.
_TEXT = re.compile(r"(?s).*")
_TOKEN = re.compile(r"[^\s]*")
_NUMBER = re.compile(r"\d{1,20}")
_INTEGER = re.compile(r"[-+]?\d+")
_DOUBLE = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?|-?INF|NaN")
_BOOLEAN = re.compile(r"true|false|0|1")
_NUMBER_OR_BOOLEAN = re.compile(r"\d{1,10}|true|false")
_DURATION = re.compile(r"-?P(?=.)(\d+Y)?(\d+M)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?")
_RATIO = re.compile(r"\d*:\d*")
_RATE = re.compile(r"\d+(/[1-9]\d*)?")
_LANGUAGE = re.compile(r"[a-zA-Z]{1,8}(-[a-zA-Z0-9]{1,8})*")
_CONTENT = re.compile(r"text|image|audio|video|application|font")
_ACCESS_POINT = re.compile(r"[0-6]")
_CODECS = re.compile(r"[a-zA-Z0-9!#$%^*_\-+{}|'.`~&]+(,[a-zA-Z0-9!#$%^*_\-+{}|'.`~&]+)*")
_SAMPLING = re.compile(r"\d+( \d+)?")
_PROFILES = re.compile(r"[^\s,]+(,[^\s,]*)*")


class _Element(NamedTuple):
    children: tuple[str, ...] = ()  # in their order
    once: frozenset[str] = frozenset()  # children that may not be repeated
    attributes: Mapping[str, re.Pattern[str]] = {}
    required: tuple[str, ...] = ()


_DESCRIPTOR = _Element(attributes={"schemeIdUri": _TEXT, "value": _TEXT, "id": _TEXT}, required=("schemeIdUri",))
_LABEL = _Element(attributes={"id": _NUMBER, "lang": _LANGUAGE})
# RepresentationBaseType.
_BASE_CHILDREN = (
    "FramePacking", "AudioChannelConfiguration", "ContentProtection", "OutputProtection", "EssentialProperty",
    "SupplementalProperty", "InbandEventStream", "Switching", "RandomAccess", "GroupLabel", "Label",
    "ProducerReferenceTime", "ContentPopularityRate", "Resync",
)  # fmt: skip
_BASE_ATTRIBUTES = {
    "profiles": _PROFILES, "width": _NUMBER, "height": _NUMBER, "sar": _RATIO, "frameRate": _RATE,
    "audioSamplingRate": _SAMPLING, "mimeType": _TEXT, "segmentProfiles": _TEXT, "codecs": _CODECS,
    "maximumSAPPeriod": _DOUBLE, "startWithSAP": _ACCESS_POINT, "maxPlayoutRate": _DOUBLE,
    "codingDependency": _BOOLEAN, "scanType": re.compile("progressive|interlaced|unknown"),
    "selectionPriority": _NUMBER, "tag": _TEXT,
}  # fmt: skip
_SEGMENT_CHILDREN = ("SegmentBase", "SegmentList", "SegmentTemplate")
_ELEMENTS: dict[str, _Element] = {
    "MPD": _Element(
        children=("ProgramInformation", "BaseURL", "Location", "PatchLocation", "ServiceDescription",
                  "InitializationSet", "InitializationGroup", "InitializationPresentation", "ContentProtection",
                  "Period", "Metrics", "EssentialProperty", "SupplementalProperty", "UTCTiming",
                  "LeapSecondInformation"),
        once=frozenset({"LeapSecondInformation"}),
        attributes={
            "id": _TEXT, "profiles": _PROFILES, "type": re.compile("static|dynamic"), "availabilityStartTime": _TEXT,
            "availabilityEndTime": _TEXT, "publishTime": _TEXT, "mediaPresentationDuration": _DURATION,
            "minimumUpdatePeriod": _DURATION, "minBufferTime": _DURATION, "timeShiftBufferDepth": _DURATION,
            "suggestedPresentationDelay": _DURATION, "maxSegmentDuration": _DURATION,
            "maxSubsegmentDuration": _DURATION,
        },
        required=("profiles", "minBufferTime"),
    ),
    "ProgramInformation": _Element(
        children=("Title", "Source", "Copyright"), once=frozenset({"Title", "Source", "Copyright"}),
        attributes={"lang": _LANGUAGE, "moreInformationURL": _TEXT},
    ),
    "Period": _Element(
        children=("BaseURL", *_SEGMENT_CHILDREN, "AssetIdentifier", "EventStream", "ServiceDescription",
                  "ContentProtection", "AdaptationSet", "Subset", "SupplementalProperty", "EmptyAdaptationSet",
                  "GroupLabel", "Preselection"),
        once=frozenset({*_SEGMENT_CHILDREN, "AssetIdentifier"}),
        attributes={"id": _TEXT, "start": _DURATION, "duration": _DURATION, "bitstreamSwitching": _BOOLEAN},
    ),
    "AdaptationSet": _Element(
        children=(*_BASE_CHILDREN, "Accessibility", "Role", "Rating", "Viewpoint", "ContentComponent", "BaseURL",
                  *_SEGMENT_CHILDREN, "Representation"),
        once=frozenset(_SEGMENT_CHILDREN),
        attributes={
            **_BASE_ATTRIBUTES, "id": _NUMBER, "group": _NUMBER, "lang": _LANGUAGE, "contentType": _CONTENT,
            "par": _RATIO, "minBandwidth": _NUMBER, "maxBandwidth": _NUMBER, "minWidth": _NUMBER, "maxWidth": _NUMBER,
            "minHeight": _NUMBER, "maxHeight": _NUMBER, "minFrameRate": _RATE, "maxFrameRate": _RATE,
            "segmentAlignment": _NUMBER_OR_BOOLEAN, "subsegmentAlignment": _NUMBER_OR_BOOLEAN,
            "subsegmentStartsWithSAP": _ACCESS_POINT, "bitstreamSwitching": _BOOLEAN, "initializationSetRef": _TEXT,
            "initializationPrincipal": _TEXT,
        },
    ),
    "Representation": _Element(
        children=(*_BASE_CHILDREN, "BaseURL", "ExtendedBandwidth", "SubRepresentation", *_SEGMENT_CHILDREN),
        once=frozenset(_SEGMENT_CHILDREN),
        attributes={
            **_BASE_ATTRIBUTES, "id": _TOKEN, "bandwidth": _NUMBER, "qualityRanking": _NUMBER, "dependencyId": _TEXT,
            "associationId": _TEXT, "associationType": _TEXT, "mediaStreamStructureId": _TEXT,
        },
        required=("id", "bandwidth"),
    ),
    "SegmentTemplate": _Element(
        children=("Initialization", "RepresentationIndex", "FailoverContent", "SegmentTimeline", "BitstreamSwitching"),
        once=frozenset({"Initialization", "RepresentationIndex", "SegmentTimeline", "BitstreamSwitching"}),
        attributes={
            "timescale": _NUMBER, "eptDelta": _INTEGER, "presentationTimeOffset": _NUMBER,
            "presentationDuration": _NUMBER, "indexRange": _TEXT, "indexRangeExact": _BOOLEAN,
            "availabilityTimeOffset": _DOUBLE, "availabilityTimeComplete": _BOOLEAN, "duration": _NUMBER,
            "startNumber": _NUMBER, "endNumber": _NUMBER, "media": _TEXT, "index": _TEXT, "initialization": _TEXT,
            "bitstreamSwitching": _TEXT,
        },
    ),
    "SegmentTimeline": _Element(children=("S",)),
    "S": _Element(attributes={"t": _NUMBER, "n": _NUMBER, "d": _NUMBER, "r": _INTEGER, "k": _NUMBER}, required=("d",)),
    "BaseURL": _Element(
        attributes={"serviceLocation": _TEXT, "byteRange": _TEXT, "availabilityTimeOffset": _DOUBLE,
                    "availabilityTimeComplete": _BOOLEAN, "timeShiftBufferDepth": _DURATION},
    ),
    "Label": _LABEL,
    "GroupLabel": _LABEL,
    "ContentProtection": _Element(
        attributes={"schemeIdUri": _TEXT, "value": _TEXT, "id": _TEXT, "ref": _TEXT, "refId": _TEXT,
                    "robustness": _TEXT},
        required=("schemeIdUri",),
    ),
    **dict.fromkeys(
        ("FramePacking", "AudioChannelConfiguration", "EssentialProperty", "SupplementalProperty", "Accessibility",
         "Role", "Rating", "Viewpoint", "AssetIdentifier", "UTCTiming"),
        _DESCRIPTOR,
    ),
}  # fmt: skip


def broken_rules(name: str, root: etree._Element) -> Iterator[Finding]:
    """All in which the document `name` is not as the schema has it; elements that no film has are taken as they are."""
    if root.tag != f"{{{NAMESPACE}}}MPD":
        yield Finding(name, f"the root is {root.tag}, expected MPD of {NAMESPACE}")
        return
    yield from _element(name, root, "MPD")


def local_name(element: etree._Element) -> str:
    """Its name in the MPD's namespace; "" for one of another."""
    namespace, _, name = element.tag.rpartition("}")
    return name if namespace == f"{{{NAMESPACE}" else ""


def _element(name: str, element: etree._Element, kind: str) -> Iterator[Finding]:
    known = _ELEMENTS.get(kind)
    if known is None:
        return
    place = f"{name}, line {element.sourceline}, {kind}"
    for attribute, value in ((str(key), str(value)) for key, value in element.attrib.items()):
        if attribute.startswith("{"):
            continue
        pattern = known.attributes.get(attribute)
        if pattern is None:
            yield Finding(place, f"attribute {attribute!r} is not in the schema")
        elif not pattern.fullmatch(value):
            yield Finding(place, f"{attribute}={value!r} is not of its type")
    for attribute in known.required:
        if attribute not in element.attrib:
            yield Finding(place, f"has no {attribute!r}")
    yield from _children(name, place, element, known)


def _children(name: str, place: str, element: etree._Element, known: _Element) -> Iterator[Finding]:
    latest, seen, foreign = 0, set(), False
    for child in element.iterchildren("*"):  # not comments
        kind = local_name(child)
        if not kind:
            foreign = True
            continue
        if kind not in known.children:
            yield Finding(place, f"{kind} may not stand here")
            continue
        at = known.children.index(kind)
        if at < latest or foreign:
            before = "elements of other namespaces" if foreign else known.children[latest]
            yield Finding(place, f"{kind} stands after {before}, expected before")
        if kind in seen and kind in known.once:
            yield Finding(place, f"{kind} stands here twice")
        latest = max(latest, at)
        seen.add(kind)
        yield from _element(name, child, kind)
