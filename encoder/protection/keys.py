"""Content keys, and the rules that say which rendition is encrypted with which.

The rules are CPIX's (DASH-IF CPIX 2.3, section 5.4.5): filters of one kind are alternatives, filters of several kinds
must all fit, and a rule without filters fits everything. A rendition must end up with exactly one key.

Pure. Nothing here shows a key: not `repr`, not an error.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import NamedTuple

from encoder.errors import ProtectionError
from encoder.package import DrmSignal, Rendition

# AES-128; a key ID and a constant IV of cbcs are as long (ISO/IEC 23001-7 9.1 and 10.4).
KEY_SIZE = 16
# Keys of one title: some for each resolution and each kind of sound. More is a document for something else.
MOST_KEYS = 64
# scrypt (RFC 7914): 16 MiB and some 40 ms for each key that is guessed.
_SCRYPT = {"n": 2**14, "r": 8, "p": 1}
# Words that may be a box or a key in base64.
_BASE64 = re.compile(r"[0-9A-Za-z+/]{16,}")


class Range(NamedTuple):
    """Both ends are inside."""

    least: float = 0
    most: float = math.inf

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float | Fraction) and self.least <= value <= self.most


class Track(NamedTuple):
    """What rules ask about. None is not known yet (encoder/protection/foreseen.py), and fits."""

    name: str
    kind: str  # "video" or "audio"
    width: int = 0
    height: int = 0
    frame_rate: Fraction = Fraction(0)
    channels: int | None = None
    bitrate: int | None = None
    hdr: bool = False

    def __str__(self) -> str:
        if self.kind == "video":
            return f"{self.name} (video, {self.width}x{self.height})"
        return f"{self.name} ({self.kind}{f', {self.channels} channels' if self.channels is not None else ''})"


def track_of(rendition: Rendition) -> Track:
    return Track(
        rendition.name,
        rendition.kind,
        rendition.width,
        rendition.height,
        Fraction(rendition.frame_rate or 0),
        rendition.channels,
        rendition.average_bandwidth,
        rendition.video_range != "SDR",
    )


@dataclass(frozen=True)
class VideoFilter:
    pixels: Range = Range()
    # The standard's lower end of frame rates is outside.
    above_fps: float = -1
    most_fps: float = math.inf
    hdr: bool | None = None

    def fits(self, track: Track) -> bool:
        if track.kind != "video" or track.width * track.height not in self.pixels:
            return False
        return self.above_fps < track.frame_rate <= self.most_fps and self.hdr in (None, track.hdr)


@dataclass(frozen=True)
class AudioFilter:
    channels: Range = Range()

    def fits(self, track: Track) -> bool:
        return track.kind == "audio" and (track.channels is None or track.channels in self.channels)


@dataclass(frozen=True)
class Rule:
    key_id: str
    videos: tuple[VideoFilter, ...] = ()
    audios: tuple[AudioFilter, ...] = ()
    bitrates: tuple[Range, ...] = ()

    def fits(self, track: Track) -> bool:
        return (
            (not self.videos or any(one.fits(track) for one in self.videos))
            and (not self.audios or any(one.fits(track) for one in self.audios))
            and (not self.bitrates or track.bitrate is None or any(track.bitrate in one for one in self.bitrates))
        )

    def asks_more(self, track: Track) -> bool:
        """Whether it asks about what is not known of the track yet."""
        return bool(self.bitrates and track.bitrate is None) or (
            track.channels is None and any(one.channels != Range() for one in self.audios)
        )


# What people call groups of tracks, and CPIX's intendedTrackType. The sizes are those that Widevine's service and Shaka
# Packager part them at: PAL, 1080p and DCI 4K.
TRACKS: dict[str, Rule] = {
    "all": Rule(""),
    "audio": Rule("", audios=(AudioFilter(),)),
    "video": Rule("", videos=(VideoFilter(),)),
    "sd": Rule("", videos=(VideoFilter(Range(0, 768 * 576)),)),
    "hd": Rule("", videos=(VideoFilter(Range(768 * 576 + 1, 1920 * 1080)),)),
    "uhd": Rule("", videos=(VideoFilter(Range(1920 * 1080 + 1)),)),
    "uhd1": Rule("", videos=(VideoFilter(Range(1920 * 1080 + 1, 4096 * 2160)),)),
    "uhd2": Rule("", videos=(VideoFilter(Range(4096 * 2160 + 1)),)),
    "stereo_audio": Rule("", audios=(AudioFilter(Range(0, 2)),)),
    "multichannel_audio": Rule("", audios=(AudioFilter(Range(3)),)),
}


def rule_of(key_id: str, tracks: str) -> Rule:
    """The rule of a group of tracks. Raises KeyError for one that is not known."""
    return replace(TRACKS[tracks], key_id=key_id)


@dataclass(frozen=True)
class ContentKey:
    key_id: str  # 32 hex digits
    secret: bytes = field(repr=False)
    iv: bytes = b""  # of everything that this key encrypts; empty: one is derived for each file

    def iv_of(self, *parts: str) -> bytes:
        """The IV of one file. It is no secret, but must be the same for the same input."""
        if self.iv:
            return self.iv
        return hmac.digest(self.secret, "\0".join(("nearcast iv", self.key_id, *parts)).encode(), "sha256")[:KEY_SIZE]


@dataclass(frozen=True)
class KeyRing:
    """All that a key file says. `where` is what people call it."""

    where: str
    keys: tuple[ContentKey, ...]
    rules: tuple[Rule, ...]
    signals: tuple[DrmSignal, ...]

    def key_of(self, track: Track) -> ContentKey:
        """The key of a track. Raises ProtectionError if there is none, or several."""
        (key_id,) = self._one([rule for rule in self.rules if rule.fits(track)], track)
        return next(key for key in self.keys if key.key_id == key_id)

    def demand_keys(self, tracks: Iterable[Track]) -> None:
        """Raises ProtectionError if a track will have no key, or several, whatever is not known of it yet."""
        for track in tracks:
            fitting = [rule for rule in self.rules if rule.fits(track)]
            self._one([rule for rule in fitting if not rule.asks_more(track)] or fitting[:1], track)

    def _one(self, rules: Iterable[Rule], track: Track) -> list[str]:
        found = list(dict.fromkeys(rule.key_id for rule in rules))
        if len(found) != 1:
            there = f"{len(found)} keys ({', '.join(map(show_id, found))})" if found else "no key"
            raise ProtectionError(f"{self.where} has {there} for {track}, expected one")
        return found

    @functools.cached_property
    def fingerprint(self) -> str:
        """Names all that the keys and rules change in a package, and tells nobody what they are."""
        digest = hashlib.sha256()
        for key in self.keys:
            digest.update(hashlib.scrypt(key.secret, salt=b"nearcast " + key.key_id.encode(), dklen=32, **_SCRYPT))
        digest.update(repr((self.keys, self.rules, self.signals)).encode())
        return digest.hexdigest()


def check_ring(ring: KeyRing) -> KeyRing:
    """The ring itself. Raises ProtectionError if its parts do not belong together."""
    ids = [key.key_id for key in ring.keys]
    if not ids:
        raise ProtectionError(f"{ring.where} has no keys")
    if len(ids) > MOST_KEYS:
        raise ProtectionError(f"{ring.where} has {len(ids)} keys, expected at most {MOST_KEYS}")
    for key_id in ids:
        if ids.count(key_id) > 1:
            raise ProtectionError(f"{ring.where} has the key {show_id(key_id)} twice")
    for what, named in (("a rule", ring.rules), ("a DRM system", ring.signals)):
        for one in named:
            if one.key_id not in ids:
                raise ProtectionError(f"{ring.where}: {what} names the key {show_id(one.key_id)}, which is not there")
    public = {bytes.fromhex(key_id) for key_id in ids} | {key.iv for key in ring.keys}
    for key in ring.keys:
        if key.secret in public:
            raise ProtectionError(
                f"{ring.where}: the key {show_id(key.key_id)} is also an ID or an IV, which everybody gets to see"
            )
    for signal in ring.signals:
        told = _told(signal)
        if any(form in told for key in ring.keys for form in _forms(key.secret)):
            raise ProtectionError(f"{ring.where}: what the DRM system {signal.system} is told contains a key")
    return ring


def _told(signal: DrmSignal) -> bytes:
    """All that everybody is told, and what stands in it in base64; letters small, and UTF-16 like ASCII."""
    said = " ".join((signal.pssh, signal.hls, signal.hls_session, signal.dash, signal.licence_url))
    inside = [base64.b64decode(word + "=" * (-len(word) % 4)) for word in _BASE64.findall(said) if len(word) % 4 != 1]
    told = b" ".join((said.encode(), *inside))
    return told + b" " + told.replace(b"\0", b"").lower()


def _forms(secret: bytes) -> tuple[bytes, ...]:
    """What a key might be written as, but for its padding and large letters."""
    texts = (encode(secret).rstrip(b"=").lower() for encode in (base64.b64encode, base64.urlsafe_b64encode))
    return secret, secret.hex().encode(), show_id(secret.hex()).encode(), *texts


def parse_id(text: str) -> str:
    """A key ID as 32 hex digits, from those or a UUID. Raises ValueError."""
    return parse_hex(text.replace("-", "")).hex()


def parse_hex(text: str) -> bytes:
    """16 bytes. Raises ValueError, which does not say what it found."""
    digits = text.strip()
    if len(digits) != 2 * KEY_SIZE or not set(digits) <= set("0123456789abcdefABCDEF"):
        raise ValueError(f"{len(digits)} characters, expected {2 * KEY_SIZE} hex digits")
    return bytes.fromhex(digits)


def show_id(key_id: str) -> str:
    """As manifests and people write it: a UUID."""
    return "-".join((key_id[:8], key_id[8:12], key_id[12:16], key_id[16:20], key_id[20:]))
