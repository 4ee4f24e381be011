"""CPIX documents (DASH-IF, version 2.3): what a key service gives an encoder.

Read are content keys, in clear or encrypted for us, what each DRM system is told of them, and the usage rules by kind,
size, frame rate, channels and bitrate. A document that asks for more than we do (key rotation, labels, rules by colour
gamut) is refused rather than half obeyed.

Pure: text in, KeyRing out.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Iterator, Mapping

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from lxml import etree

from encoder.errors import ProtectionError
from encoder.package import DrmSignal
from encoder.protection import systems
from encoder.protection.delivery import CPIX, PSKC, Delivery, decoded, open_delivery
from encoder.protection.keys import (
    KEY_SIZE,
    TRACKS,
    AudioFilter,
    ContentKey,
    KeyRing,
    Range,
    Rule,
    VideoFilter,
    check_ring,
    parse_id,
    rule_of,
    show_id,
)

_CENC_PSSH = "{urn:mpeg:cenc:2013}pssh"
_LAURL = "{https://dashif.org/CPS}Laurl"
# What key services take for declared in the fragments that they give.
_KNOWN_PREFIXES = (
    'xmlns:cenc="urn:mpeg:cenc:2013" xmlns:mspr="urn:microsoft:playready" xmlns:dashif="https://dashif.org/CPS"'
)
_BOOLEANS = {"": None, "true": True, "1": True, "false": False, "0": False}  # XML Schema's
_NOT_DONE = {
    "KeyPeriodFilter": "key periods (rotated keys)",
    "LabelFilter": "labels",
}
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_MEDIA, _MASTER = "#EXT-X-KEY:", "#EXT-X-SESSION-KEY:"


def parse_cpix(text: bytes, where: str, private: RSAPrivateKey | None = None) -> KeyRing:
    """`private` is the key of the certificate that content keys may be encrypted for.

    Raises ProtectionError saying what is wrong in `where`, without ever quoting a key.
    """
    root = _parse(text, where)
    if root.tag != f"{CPIX}CPIX":
        raise ProtectionError(f"{where} is XML but not CPIX: its root is {etree.QName(root).localname}")
    recipients = root.findall(f"{CPIX}DeliveryDataList/{CPIX}DeliveryData")
    try:
        delivery = open_delivery(recipients, private) if recipients else None
        keys = tuple(_key(one, delivery) for one in root.iterfind(f"{CPIX}ContentKeyList/{CPIX}ContentKey"))
        rules = tuple(_rules(root, keys))
        signals = tuple(_signal(element) for element in root.iterfind(f"{CPIX}DRMSystemList/{CPIX}DRMSystem"))
    except ValueError as error:
        raise ProtectionError(f"{where}: {error}") from None
    return check_ring(KeyRing(where, keys, rules, signals))


def _parse(text: bytes, where: str) -> etree._Element:
    # Neither files nor addresses that a document names are opened, and no entity is expanded.
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(text, parser)
    except etree.XMLSyntaxError as error:
        raise ProtectionError(f"{where} is not XML at line {error.lineno}, expected a CPIX document") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise ProtectionError(f"{where} has a document type, expected a CPIX document without one")
    return root


def _key(element: etree._Element, delivery: Delivery | None) -> ContentKey:
    key_id = _id(element, "ContentKey")
    place = f"ContentKey {show_id(key_id)}"
    scheme = element.get("commonEncryptionScheme", "cbcs")
    if scheme != "cbcs":
        raise ValueError(f"{place}: commonEncryptionScheme {scheme!r}, expected cbcs, which HLS and DASH share")
    if element.get("dependsOnKey"):
        raise ValueError(f"{place} depends on another key (a key hierarchy), expected a key that is used itself")
    iv = element.get("explicitIV", "")
    return ContentKey(
        key_id,
        _sixteen(_secret(element, delivery, place), place),
        _sixteen(decoded(iv, f"{place}: explicitIV"), f"{place}: explicitIV") if iv else b"",
    )


def _secret(element: etree._Element, delivery: Delivery | None, place: str) -> bytes:
    secret = element.find(f"{CPIX}Data/{PSKC}Secret")
    if secret is not None and secret.find(f"{PSKC}EncryptedValue") is not None:
        if delivery is None:
            raise ValueError(f"{place} is encrypted, and the document has no DeliveryData that tells for whom")
        return delivery.open(secret, place)
    plain = secret.findtext(f"{PSKC}PlainValue") if secret is not None else None
    if not plain:
        raise ValueError(f"{place} has no PlainValue")
    return decoded(plain, f"{place}: PlainValue")


def _rules(root: etree._Element, keys: tuple[ContentKey, ...]) -> Iterator[Rule]:
    elements = root.findall(f"{CPIX}ContentKeyUsageRuleList/{CPIX}ContentKeyUsageRule")
    if not elements and len(keys) == 1:
        yield Rule(keys[0].key_id)
    for element in elements:
        yield from _rule(element)


def _rule(element: etree._Element) -> Iterator[Rule]:
    key_id = _id(element, "ContentKeyUsageRule")
    place = f"ContentKeyUsageRule {show_id(key_id)}"
    filters: dict[str, list[Mapping[str, str]]] = {}
    for child in element:
        name = etree.QName(child).localname
        filters.setdefault(name, []).append({str(key): str(value) for key, value in child.attrib.items()})
    for name, given in filters.items():
        if name not in _FILTERS:
            raise ValueError(f"{place}: {_NOT_DONE.get(name, name)}, expected {', '.join(_FILTERS)}")
        for attributes in given:
            for attribute in attributes:
                if attribute not in _FILTERS[name]:
                    raise ValueError(f"{place}: {name} by {attribute}, expected {', '.join(_FILTERS[name])}")
    if filters:
        yield Rule(
            key_id,
            tuple(_video_filter(given, place) for given in filters.get("VideoFilter", ())),
            tuple(AudioFilter(_range(given, "Channels", place)) for given in filters.get("AudioFilter", ())),
            tuple(_range(given, "Bitrate", place) for given in filters.get("BitrateFilter", ())),
        )
        return
    # A hint, says the standard, when there are filters. Without any it is all that there is.
    for name in element.get("intendedTrackType", "all").split("+"):
        if name.strip().lower() not in TRACKS:
            raise ValueError(f"{place}: intendedTrackType {name!r} and no filter, expected some of {', '.join(TRACKS)}")
        yield rule_of(key_id, name.strip().lower())


_FILTERS = {
    "VideoFilter": ("minPixels", "maxPixels", "minFps", "maxFps", "hdr"),
    "AudioFilter": ("minChannels", "maxChannels"),
    "BitrateFilter": ("minBitrate", "maxBitrate"),
}


def _video_filter(given: Mapping[str, str], place: str) -> VideoFilter:
    rates = _range(given, "Fps", place)
    hdr = given.get("hdr", "")
    if hdr not in _BOOLEANS:
        raise ValueError(f"{place}: hdr is neither true nor false")
    lowest = rates.least if "minFps" in given else -1
    return VideoFilter(_range(given, "Pixels", place), lowest, rates.most, _BOOLEANS[hdr])


def _range(given: Mapping[str, str], what: str, place: str) -> Range:
    try:
        return Range(float(given.get(f"min{what}", 0)), float(given.get(f"max{what}", math.inf)))
    except ValueError:
        raise ValueError(f"{place}: min{what} or max{what} is not a number") from None


def _signal(element: etree._Element) -> DrmSignal:
    key_id = _id(element, "DRMSystem")
    system = systems.show_uuid(_uuid(element.get("systemId", ""), f"DRMSystem of {show_id(key_id)}: systemId"))
    place = f"DRMSystem {system} of {show_id(key_id)}"
    protection = _parse_fragment(element.findtext(f"{CPIX}ContentProtectionData") or "", place)
    licence_url = (protection.findtext(_LAURL) or "").strip()
    # Some services give the box in what the MPD is to have only. Long lines are broken anywhere.
    pssh = "".join((element.findtext(f"{CPIX}PSSH") or protection.findtext(_CENC_PSSH) or "").split())
    try:
        uri = _text(element.findtext(f"{CPIX}URIExtXKey") or "", place)
        made = _usual(system, key_id, pssh, uri, licence_url)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    return DrmSignal(
        system=system,
        key_id=key_id,
        pssh=pssh,
        hls=_attributes(element, "media", _MEDIA, place) or made.hls,
        hls_session=_attributes(element, "master", _MASTER, place) or made.hls_session,
        dash=_written(protection) or made.dash,
        licence_url=licence_url,
    )


def _usual(system: str, key_id: str, pssh: str, uri: str, licence_url: str) -> DrmSignal:
    """What we would say with the little that is given. Raises ValueError if that is wrong."""
    makers: dict[str, Callable[[], DrmSignal]] = {
        systems.WIDEVINE: lambda: systems.widevine(key_id, pssh),
        systems.PLAYREADY: lambda: systems.playready(key_id, pssh),
        systems.FAIRPLAY: lambda: systems.fairplay(key_id, uri),
        systems.CLEARKEY: lambda: systems.clearkey(key_id, licence_url),
    }
    given = {systems.FAIRPLAY: uri, systems.CLEARKEY: licence_url}.get(system, pssh)
    if given and system in makers:
        return makers[system]()
    if pssh:
        systems.parse_pssh(pssh, system)
    return DrmSignal(system=system, key_id=key_id, pssh=pssh)


def _attributes(system: etree._Element, playlist: str, tag: str, place: str) -> str:
    """The attributes of the line that begins with `tag`, of what a kind of playlist is to have."""
    found = [one for one in system.iterfind(f"{CPIX}HLSSignalingData") if one.get("playlist", "media") == playlist]
    texts = [_text(one.text or "", place) for one in found]
    lines = [line.strip() for text in texts for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    is_one = len(lines) == 1 and lines[0].isprintable()
    if not is_one or not lines[0].startswith(tag) or "METHOD=SAMPLE-AES," not in lines[0] + ",":
        raise ValueError(f"{place}: HLSSignalingData, expected one line {tag}METHOD=SAMPLE-AES,...")
    return lines[0].removeprefix(tag)


def _parse_fragment(text: str, place: str) -> etree._Element:
    """The elements that are to stand in ContentProtection, below one of our own."""
    try:
        inside = _DECLARATION.sub("", _text(text, place))
        return _parse(f"<fragment {_KNOWN_PREFIXES}>{inside}</fragment>".encode(), place)
    except ProtectionError:
        raise ValueError(f"{place}: ContentProtectionData is not XML") from None


def _written(fragment: etree._Element) -> str:
    """Its elements, each with the namespaces it needs; without the box, which stands there anyway."""
    written = []
    for child in fragment:
        if child.tag != _CENC_PSSH:
            alone = etree.fromstring(etree.tostring(child, with_tail=False))
            etree.cleanup_namespaces(alone)
            written.append(etree.tostring(alone, encoding="unicode"))
    return "".join(written)


def _id(element: etree._Element, name: str) -> str:
    return _uuid(element.get("kid", ""), f"{name}: kid")


def _uuid(text: str, place: str) -> str:
    try:
        return parse_id(text)
    except ValueError:
        raise ValueError(f"{place} {text[:64]!r}, expected a UUID") from None


def _sixteen(value: bytes, place: str) -> bytes:
    if len(value) != KEY_SIZE:
        raise ValueError(f"{place} has {len(value)} bytes, expected {KEY_SIZE}")
    return value


def _text(text: str, place: str) -> str:
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode()
    except ValueError:
        raise ValueError(f"{place} has data that is not text in base64") from None
