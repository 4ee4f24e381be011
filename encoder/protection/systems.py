"""DRM systems: their IDs, their `pssh` boxes (ISO/IEC 23001-7 8.1), and what HLS and DASH say of a key for each.

We know no secret of any system. What only its key service can make (Widevine's and PlayReady's boxes, FairPlay's
`skd:` URIs) is given to us, and is put where players look for it.

Pure.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable
from xml.sax.saxutils import escape

from encoder.package import DrmSignal

WIDEVINE = "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"
PLAYREADY = "9a04f079-9840-4286-ab92-e65be0885f95"
FAIRPLAY = "94ce86fb-07ff-4f43-adb8-93d2fa968ca2"
# DASH-IF's system for ClearKey; the box of W3C's common one is `COMMON`.
CLEARKEY = "e2719d58-a985-b3c9-781a-b030af78d30e"
COMMON = "1077efec-c0b2-4d02-ace3-3c1e52e2fb4b"
# The key itself at a URL, which HLS calls so (RFC 8216 section 4.3.2.4). It has no UUID.
IDENTITY = "identity"
NAMES = {
    "widevine": WIDEVINE,
    "playready": PLAYREADY,
    "fairplay": FAIRPLAY,
    "clearkey": CLEARKEY,
    "identity": IDENTITY,
}


def widevine(key_id: str, pssh: str, licence_url: str = "") -> DrmSignal:
    """`pssh` is the whole box in base64. Raises ValueError if it is not Widevine's."""
    parse_pssh(pssh, WIDEVINE)
    hls = _hls(f"data:text/plain;base64,{pssh}", f"urn:uuid:{WIDEVINE}", f",KEYID=0x{key_id.upper()}")
    return DrmSignal(
        system=WIDEVINE,
        key_id=key_id,
        pssh=pssh,
        hls=hls,
        hls_session=hls,
        dash=_laurl(licence_url),
        licence_url=licence_url,
    )


def playready(key_id: str, pssh: str, licence_url: str = "") -> DrmSignal:
    """`pssh` is the whole box in base64; its data is the PlayReady object. Raises ValueError if it is not."""
    pro = base64.b64encode(parse_pssh(pssh, PLAYREADY)).decode()
    hls = _hls(f"data:text/plain;charset=UTF-16;base64,{pro}", "com.microsoft.playready")
    return DrmSignal(
        system=PLAYREADY,
        key_id=key_id,
        pssh=pssh,
        hls=hls,
        hls_session=hls,
        dash=f'<mspr:pro xmlns:mspr="urn:microsoft:playready">{pro}</mspr:pro>{_laurl(licence_url)}',
        licence_url=licence_url,
    )


def fairplay(key_id: str, uri: str, licence_url: str = "") -> DrmSignal:
    """`uri` is an `skd:` URI of the key service. DASH does not have FairPlay."""
    if not uri.startswith("skd://"):
        raise ValueError("a FairPlay key has a URI that begins with skd://")
    hls = _hls(uri, "com.apple.streamingkeydelivery")
    return DrmSignal(system=FAIRPLAY, key_id=key_id, hls=hls, hls_session=hls, licence_url=licence_url)


def clearkey(key_id: str, licence_url: str) -> DrmSignal:
    """Keys in clear from a licence service: for tests, and for whom access control is enough.

    HLS has no name for it; hls.js takes the key system's. Its data is the key ID, so that it asks for the right one.
    """
    uri = f"data:text/plain;base64,{base64.b64encode(bytes.fromhex(key_id)).decode()}"
    hls = _hls(uri, "org.w3.clearkey", f",KEYID=0x{key_id.upper()}")
    return DrmSignal(system=CLEARKEY, key_id=key_id, hls=hls, dash=_laurl(licence_url), licence_url=licence_url)


def identity(key_id: str, uri: str) -> DrmSignal:
    """The key at a URL: what Apple's players and Shaka understand without a DRM system."""
    return DrmSignal(system=IDENTITY, key_id=key_id, hls=_hls(uri, "identity"))


def parse_pssh(text: str, system: str) -> bytes:
    """The data of one whole box in base64. Raises ValueError if it is no box, or not one of `system`."""
    try:
        box = base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError("a pssh that is not base64") from None
    if len(box) < 32 or box[4:8] != b"pssh" or int.from_bytes(box[:4], "big") != len(box):
        raise ValueError(f"a pssh of {len(box)} bytes that is not one whole box")
    found = show_uuid(box[12:28].hex())
    if found != system:
        raise ValueError(f"a pssh of the DRM system {found}, expected {system}")
    at = 28
    if box[8]:  # version 1 lists key IDs first
        at += 4 + 16 * int.from_bytes(box[28:32], "big")
    data = box[at + 4 :]
    if len(data) != int.from_bytes(box[at : at + 4], "big"):
        raise ValueError("a pssh whose data has another size than it says")
    return data


def common_pssh(key_ids: Iterable[str]) -> bytes:
    """W3C's common box (version 1, without data): what browsers find the keys of ClearKey by."""
    ids = sorted(set(key_ids))
    body = bytes.fromhex(COMMON.replace("-", "")) + struct.pack(">I", len(ids)) + bytes.fromhex("".join(ids)) + bytes(4)
    return struct.pack(">I4sI", 12 + len(body), b"pssh", 1 << 24) + body


def show_uuid(digits: str) -> str:
    """32 hex digits as a UUID."""
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _hls(uri: str, key_format: str, more: str = "") -> str:
    # Attributes have no escapes, and a line end would begin another line of the playlist.
    if '"' in uri or not uri.isprintable():
        raise ValueError("a uri with a quote or a line end")
    return f'METHOD=SAMPLE-AES,URI="{uri}",KEYFORMAT="{key_format}",KEYFORMATVERSIONS="1"{more}'


def _laurl(url: str) -> str:
    # dash.js knows the prefix, Shaka the namespace.
    return f'<dashif:Laurl xmlns:dashif="https://dashif.org/CPS">{escape(url)}</dashif:Laurl>' if url else ""
