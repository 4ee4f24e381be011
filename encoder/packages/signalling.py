"""What manifests say of encryption: EXT-X-KEY and EXT-X-SESSION-KEY (RFC 8216bis 4.4.4.4, 4.4.6.5), ContentProtection
(ISO/IEC 23009-1 5.8.4.1, DASH-IF IOP part 6).

Pure: a package's `protection` in, lines and elements out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from encoder.package import DrmSignal, Package, Protection, Rendition

# What an MPD's root declares if it has ContentProtection. dash.js reads attributes by these very prefixes.
NAMESPACES = ' xmlns:cenc="urn:mpeg:cenc:2013" xmlns:dashif="https://dashif.org/CPS"'
_KEY_ID = re.compile(r",KEYID=0x[0-9A-Fa-f]*")


def hls_keys(protection: Protection | None, rendition: Rendition) -> list[str]:
    """The EXT-X-KEY lines of a rendition's playlist: one for each DRM system."""
    return [f"#EXT-X-KEY:{signal.hls}" for signal in _signals(protection, [rendition.key_id]) if signal.hls]


def hls_session_keys(package: Package) -> list[str]:
    """The EXT-X-SESSION-KEY lines of a multivariant playlist: players ask for licences before they choose a variant."""
    signals = _signals(package.protection, _key_ids(package.renditions))
    # There must not be two that differ in KEYID alone, as those of several keys in one box would.
    lines: dict[str, str] = {}
    for signal in signals:
        lines.setdefault(_KEY_ID.sub("", signal.hls_session), signal.hls_session)
    return [f"#EXT-X-SESSION-KEY:{line}" for line in lines.values() if line]


def content_protection(protection: Protection | None, renditions: Iterable[Rendition]) -> str:
    """The ContentProtection elements of renditions that share a key; empty if they are not encrypted."""
    key_ids = _key_ids(renditions)
    if protection is None or not key_ids:
        return ""
    elements = [
        f'<ContentProtection schemeIdUri="urn:mpeg:dash:mp4protection:2011" value="{protection.scheme}" '
        f'cenc:default_KID="{_uuid(key_ids[0])}"/>\n'
    ]
    for signal in _signals(protection, key_ids):
        inside = (f"<cenc:pssh>{signal.pssh}</cenc:pssh>" if signal.pssh else "") + signal.dash
        if inside:
            element = f'<ContentProtection schemeIdUri="urn:uuid:{signal.system}">{inside}</ContentProtection>\n'
            elements.append(element)
    return "".join(dict.fromkeys(elements))


def _key_ids(renditions: Iterable[Rendition]) -> list[str]:
    return list(dict.fromkeys(rendition.key_id for rendition in renditions if rendition.key_id))


def _signals(protection: Protection | None, key_ids: Iterable[str]) -> list[DrmSignal]:
    wanted = set(key_ids)
    return [signal for signal in protection.signals if signal.key_id in wanted] if protection is not None else []


def _uuid(key_id: str) -> str:
    return "-".join((key_id[:8], key_id[8:12], key_id[12:16], key_id[16:20], key_id[20:]))
