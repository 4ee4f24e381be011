from __future__ import annotations

import msgspec
from lxml import etree

from encoder.manifests import ByteRange, Pathway, iframe_playlist, media_playlist, mpd, multivariant
from encoder.package import DrmSignal, Package, Protection, Rendition
from encoder.packages.signalling import content_protection, hls_keys, hls_session_keys
from tests.encoder.test_manifests import FILM, audio, video

LOW, HIGH = "a7e61c373e214902b1bf7a4f2e3d1d00", "a7e61c373e214902b1bf7a4f2e3d1d01"
WIDEVINE, FAIRPLAY = "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed", "94ce86fb-07ff-4f43-adb8-93d2fa968ca2"
MPD = "{urn:mpeg:dash:schema:mpd:2011}"


def signals(key_id: str) -> tuple[DrmSignal, ...]:
    return (
        DrmSignal(system=WIDEVINE, key_id=key_id, pssh="AAAA", hls=f'METHOD=SAMPLE-AES,URI="w{key_id}"',
                  hls_session='METHOD=SAMPLE-AES,URI="w"', dash="<x/>"),
        DrmSignal(system=FAIRPLAY, key_id=key_id, hls=f'METHOD=SAMPLE-AES,URI="skd://{key_id}"'),
    )  # fmt: skip


PROTECTION = Protection(scheme="cbcs", signals=(*signals(LOW), *signals(HIGH)))


def encrypted(rendition: Rendition, key_id: str) -> Rendition:
    return msgspec.structs.replace(rendition, key_id=key_id)


def protected(*renditions: Rendition) -> Package:
    return msgspec.structs.replace(FILM, renditions=renditions, protection=PROTECTION)


TWO_KEYS = protected(encrypted(video(720), HIGH), encrypted(video(360), LOW), encrypted(audio(1), LOW))


def test_playlists_of_a_rendition_have_a_line_for_each_system_of_its_key() -> None:
    low = encrypted(video(360), LOW)
    assert hls_keys(PROTECTION, low) == [
        f'#EXT-X-KEY:METHOD=SAMPLE-AES,URI="w{LOW}"',
        f'#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://{LOW}"',
    ]
    ranges = [ByteRange(0, 1)] * len(low.durations)
    for text in (media_playlist(low, PROTECTION), iframe_playlist(low, ranges, PROTECTION)):
        lines = text.splitlines()
        at = next(number for number, line in enumerate(lines) if line.startswith("#EXT-X-MAP"))
        assert lines[at + 1 : at + 3] == hls_keys(PROTECTION, low)
    assert "EXT-X-KEY" not in media_playlist(low)


def test_session_keys_stand_once_before_all_pathways() -> None:
    assert hls_session_keys(TWO_KEYS) == ['#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI="w"']
    pathways = [Pathway("a", "https://a.example/"), Pathway("b", "https://b.example/")]
    text = multivariant(TWO_KEYS, pathways, "https://steering.example/")
    assert text.count("#EXT-X-SESSION-KEY") == 1
    assert text.index("#EXT-X-SESSION-KEY") < text.index("#EXT-X-STREAM-INF")


def test_session_keys_that_differ_in_the_key_id_alone_are_one() -> None:
    told = tuple(
        msgspec.structs.replace(signal, hls_session=f'METHOD=SAMPLE-AES,URI="w",KEYID=0x{signal.key_id},IV=0x1')
        for signal in PROTECTION.signals[::2]
    )
    package = msgspec.structs.replace(TWO_KEYS, protection=Protection(scheme="cbcs", signals=told))
    assert hls_session_keys(package) == [f'#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI="w",KEYID=0x{LOW},IV=0x1']


def test_content_protection_names_the_key_and_each_system_that_dash_has() -> None:
    text = content_protection(PROTECTION, [encrypted(video(360), LOW)])
    root = etree.fromstring(f'<set xmlns:cenc="urn:mpeg:cenc:2013">{text}</set>')
    first, widevine = root
    assert [first.get(name) for name in ("schemeIdUri", "value", "{urn:mpeg:cenc:2013}default_KID")] == [
        "urn:mpeg:dash:mp4protection:2011",
        "cbcs",
        "a7e61c37-3e21-4902-b1bf-7a4f2e3d1d00",
    ]
    assert widevine.get("schemeIdUri") == f"urn:uuid:{WIDEVINE}"
    assert widevine.findtext("{urn:mpeg:cenc:2013}pssh") == "AAAA" and widevine.find("x") is not None
    assert content_protection(PROTECTION, [video(360)]) == content_protection(None, [video(360)]) == ""


def test_renditions_of_one_key_share_a_set_and_sets_may_be_switched_between() -> None:
    pathways = [Pathway("a", "https://a.example/"), Pathway("b", "https://b.example/")]
    root = etree.fromstring(mpd(TWO_KEYS, pathways, "https://steering.example/").encode())
    sets = list(root.iter(f"{MPD}AdaptationSet"))
    names = [[one.get("id") for one in each.iter(f"{MPD}Representation")] for each in sets]
    assert names == [["v720"], ["v360"], ["a1"]]
    switching = [each.find(f"{MPD}SupplementalProperty") for each in sets]
    assert [one.get("value") if one is not None else None for one in switching] == ["2", "1", None]
    key_ids = [each.find(f"{MPD}ContentProtection").get("{urn:mpeg:cenc:2013}default_KID") for each in sets]  # type: ignore[union-attr]
    assert [one and one[-2:] for one in key_ids] == ["01", "00", "00"]


def test_package_in_clear_says_nothing_of_protection() -> None:
    assert "cenc" not in mpd(FILM) and "KEY" not in multivariant(FILM)
