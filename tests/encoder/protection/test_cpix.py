from __future__ import annotations

from fractions import Fraction

import pytest

from encoder.errors import ProtectionError
from encoder.protection import systems
from encoder.protection.cpix import parse_cpix
from encoder.protection.keys import KeyRing, Track
from tests.encoder.protection.rings import (
    HIGH,
    LICENCE_URL,
    LOW,
    SECRETS,
    SOUND,
    b64,
    content_key,
    cpix,
    rule,
    system,
    uuid,
)
from tests.encoder.protection.test_keyfile import pssh

KEYS = "".join(content_key(key_id) for key_id in (LOW, HIGH, SOUND))
RULES = (
    rule(LOW, '<VideoFilter maxPixels="442368"/>', 'intendedTrackType="SD"')
    + rule(HIGH, '<VideoFilter minPixels="442369"/>', 'intendedTrackType="HD"')
    + rule(SOUND, "<AudioFilter/>", 'intendedTrackType="AUDIO"')
)


def video(height: int) -> Track:
    return Track(f"v{height}", "video", height * 16 // 9, height, Fraction(25), None, 1_000_000)


def test_keys_and_rules_are_read() -> None:
    ring = parse_cpix(cpix(KEYS, RULES), "keys.xml")
    assert ring.key_of(video(360)).secret.hex() == SECRETS[LOW]
    assert ring.key_of(video(1080)).key_id == HIGH
    assert ring.key_of(Track("a1", "audio", channels=2)).key_id == SOUND


def test_hdr_may_have_a_key_of_its_own() -> None:
    rules = rule(LOW, "<VideoFilter hdr='false'/>") + rule(HIGH, "<VideoFilter hdr='1'/>")
    ring = parse_cpix(cpix(content_key(LOW) + content_key(HIGH), rules), "keys.xml")
    assert ring.key_of(video(2160)._replace(hdr=True)).key_id == HIGH
    assert ring.key_of(video(2160)._replace(hdr=False)).key_id == LOW


def test_explicit_iv_is_taken() -> None:
    iv = bytes(range(16))
    ring = parse_cpix(cpix(content_key(LOW, f'explicitIV="{b64(iv)}"')), "keys.xml")
    assert ring.keys[0].iv_of("film", "v360.mp4") == iv


def test_one_key_without_rules_is_for_everything() -> None:
    ring = parse_cpix(cpix(content_key(LOW)), "keys.xml")
    assert ring.key_of(video(1080)) == ring.key_of(Track("a1", "audio", channels=2)) == ring.keys[0]


def test_track_types_decide_where_there_is_no_filter() -> None:
    rules = rule(LOW, "", 'intendedTrackType="SD+HD"') + rule(SOUND, "", 'intendedTrackType="AUDIO"')
    ring = parse_cpix(cpix(content_key(LOW) + content_key(SOUND), rules), "keys.xml")
    assert ring.key_of(video(360)).key_id == ring.key_of(video(1080)).key_id == LOW
    assert ring.key_of(Track("a1", "audio", channels=2)).key_id == SOUND


def one_system(system_id: str, inside: str) -> KeyRing:
    return parse_cpix(cpix(content_key(LOW), "", system(LOW, system_id, inside)), "keys.xml")


def test_signalling_data_goes_into_manifests_as_it_is_given() -> None:
    box = pssh(systems.WIDEVINE)
    dash = b64(f'<cenc:pssh>{box}</cenc:pssh><x:own xmlns:x="urn:x" a="1"/>')
    media = b64('#EXT-X-KEY:METHOD=SAMPLE-AES,URI="a",KEYFORMAT="k"')
    master = b64('#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI="b",KEYFORMAT="k"')
    (signal,) = one_system(
        systems.WIDEVINE.upper(),
        f"<PSSH>{box}</PSSH><ContentProtectionData>{dash}</ContentProtectionData>"
        f"<HLSSignalingData>{media}</HLSSignalingData>"
        f'<HLSSignalingData playlist="master">{master}</HLSSignalingData>',
    ).signals
    assert signal.system == systems.WIDEVINE and signal.pssh == box
    assert signal.hls == 'METHOD=SAMPLE-AES,URI="a",KEYFORMAT="k"'
    assert signal.hls_session == 'METHOD=SAMPLE-AES,URI="b",KEYFORMAT="k"'
    assert signal.dash == '<x:own xmlns:x="urn:x" a="1"/>'


def test_what_is_not_given_is_made_from_the_box_or_the_uri() -> None:
    (signal,) = one_system(systems.PLAYREADY, f"<PSSH>{pssh(systems.PLAYREADY, b'object')}</PSSH>").signals
    assert b64("object") in signal.hls and b64("object") in signal.dash
    (signal,) = one_system(systems.FAIRPLAY, f"<URIExtXKey>{b64('skd://keys.example/1')}</URIExtXKey>").signals
    assert 'URI="skd://keys.example/1"' in signal.hls


def test_box_is_found_where_only_the_mpd_is_to_have_it_and_lines_may_be_broken() -> None:
    box = pssh(systems.WIDEVINE)
    dash = b64(f'<?xml version="1.0"?>\n<pssh xmlns="urn:mpeg:cenc:2013">{box[:9]}\n{box[9:]}</pssh><?note?>')
    inside = f"<ContentProtectionData>{dash[:30]}\n{dash[30:]}</ContentProtectionData>"
    (signal,) = one_system(systems.WIDEVINE, inside).signals
    assert signal.pssh == box and signal.dash == "" and box in signal.hls


def test_remarks_and_instructions_of_a_document_are_passed_over() -> None:
    ring = parse_cpix(cpix(content_key(LOW), rule(LOW, "<!-- a --><?note b?><VideoFilter/>")), "keys.xml")
    assert ring.key_of(video(360)).key_id == LOW


def test_clearkeys_licence_url_is_found_in_what_dash_is_told() -> None:
    laurl = f'<dashif:Laurl xmlns:dashif="https://dashif.org/CPS">{LICENCE_URL}</dashif:Laurl>'
    inside = f"<ContentProtectionData>{b64(laurl)}</ContentProtectionData>"
    (signal,) = one_system(systems.CLEARKEY, inside).signals
    assert (signal.licence_url, signal.dash) == (LICENCE_URL, laurl)
    assert 'KEYFORMAT="org.w3.clearkey"' in signal.hls


TWICE = f"<HLSSignalingData>{b64('#EXT-X-KEY:METHOD=SAMPLE-AES,URI=x')}</HLSSignalingData>" * 2
LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{number} "{f"&a{number - 1};" * 10}">' for number in range(1, 8))
    + "]><x>&a7;</x>"
).encode()
ENCRYPTED = "<Data><pskc:Secret><pskc:EncryptedValue/></pskc:Secret></Data>"


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        (b"<CPIX>", "keys.xml is not XML at line 1"),
        (b"<other/>", "XML but not CPIX: its root is other"),
        (b'<!DOCTYPE x [<!ENTITY e "e">]><x>&e;</x>', "has a document type"),
        (cpix(""), "keys.xml has no keys"),
        (cpix(content_key(LOW), more="<DeliveryDataList><DeliveryData/></DeliveryDataList>"), "encrypted for a recip"),
        (cpix(content_key(LOW, data=ENCRYPTED)), "is encrypted, and the document has no DeliveryData"),
        (cpix(content_key(LOW, data="")), f"ContentKey {uuid(LOW)} has no PlainValue"),
        (cpix(content_key(LOW, 'commonEncryptionScheme="cenc"')), "commonEncryptionScheme 'cenc', expected cbcs"),
        (cpix(content_key(LOW, 'dependsOnKey="x"')), "depends on another key"),
        (cpix(content_key(LOW, 'explicitIV="AAAA"')), "explicitIV has 3 bytes, expected 16"),
        (cpix(content_key(LOW).replace(uuid(LOW), "film")), "ContentKey: kid 'film', expected a UUID"),
        (cpix(content_key(LOW).replace("PlainValue>", "PlainValue>!", 1)), "PlainValue is not base64"),
        (cpix(content_key(LOW), rule(HIGH)), "a rule names the key"),
        (cpix(content_key(LOW), rule(LOW, "<KeyPeriodFilter/>")), "key periods"),
        (cpix(content_key(LOW), rule(LOW, "<LabelFilter label='x'/>")), "labels"),
        (cpix(content_key(LOW), rule(LOW, "<VideoFilter wcg='true'/>")), "VideoFilter by wcg, expected minPixels"),
        (cpix(content_key(LOW), rule(LOW, "<VideoFilter hdr='yes'/>")), "hdr is neither true nor false"),
        (cpix(content_key(LOW), rule(LOW, "<VideoFilter minPixels='x'/>")), "is not a number"),
        (cpix(content_key(LOW), rule(LOW, "", "intendedTrackType='LOBBY'")), "intendedTrackType 'LOBBY' and no filter"),
        (cpix(content_key(LOW), "", system(LOW, "x", "")), "systemId 'x', expected a UUID"),
        (cpix(content_key(LOW), "", system(HIGH, systems.CLEARKEY, "")), "a DRM system names the key"),
        (cpix(content_key(LOW), "", system(LOW, systems.WIDEVINE, "<PSSH>AAAA</PSSH>")), "not one whole box"),
        (cpix(content_key(LOW), "", system(LOW, systems.FAIRPLAY, f"<URIExtXKey>{b64('x')}</URIExtXKey>")), "skd://"),
        (cpix(content_key(LOW), "", system(LOW, systems.FAIRPLAY, f"<HLSSignalingData>{b64('#X')}</HLSSignalingData>")),
         "expected one line #EXT-X-KEY:METHOD=SAMPLE-AES"),
        (cpix(content_key(LOW), "", system(LOW, systems.FAIRPLAY, TWICE)), "expected one line #EXT-X-KEY:METHOD"),
        (cpix(content_key(LOW), "", system(LOW, systems.FAIRPLAY,
         "<URIExtXKey>" + b64('skd://a"\n#EXT-X-ENDLIST') + "</URIExtXKey>")), "a uri with a quote or a line end"),
        (LAUGHS, "is not XML at line 1"),
        (cpix(content_key(LOW), "", system(LOW, systems.CLEARKEY, "<ContentProtectionData>PGE+"
         "</ContentProtectionData>")), "ContentProtectionData is not XML"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_document_is_said_without_a_key(document: bytes, complaint: str) -> None:
    with pytest.raises(ProtectionError) as raised:
        parse_cpix(document, "keys.xml")
    assert complaint in str(raised.value)
    assert b64(bytes.fromhex(SECRETS[LOW])) not in str(raised.value)
